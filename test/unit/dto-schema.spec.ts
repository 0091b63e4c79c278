import 'reflect-metadata';
import { Type } from 'class-transformer';
import { IsEmail, IsInt, ValidateNested } from 'class-validator';
import { describe, expect, it } from 'vitest';
import { validatePayload } from '../../lib/engine/codec/payload-schema.js';
import { defineQueue } from '../../lib/engine/job/define-queue.js';

class Address {
  @IsInt()
  zip!: number;
}

class Signup {
  @IsEmail()
  email!: string;

  @ValidateNested()
  @Type(() => Address)
  address!: Address;
}

describe('defineQueue({ dto })', () => {
  const { schema } = defineQueue('signup', { dto: Signup, maxAttempts: 3 }).options;

  it('makes instances of plain payloads', async () => {
    const signup = await validatePayload(schema!, { email: 'a@example.com', address: { zip: 1 } });
    expect(signup).toBeInstanceOf(Signup);
    expect(signup.address).toBeInstanceOf(Address);
  });

  it('accepts instances', async () => {
    const signup = Object.assign(new Signup(), {
      email: 'a@example.com',
      address: Object.assign(new Address(), { zip: 1 }),
    });
    expect(await validatePayload(schema!, signup)).toEqual(signup);
  });

  it('names the path of what the class refuses', async () => {
    const refused = validatePayload(schema!, { email: 'a@example.com', address: { zip: 'x' } });
    await expect(refused).rejects.toMatchObject({ code: 'TM_INVALID_PAYLOAD', path: 'payload.address.zip' });
  });

  it.each([undefined, null, 'text', 7])('refuses %s', async (value) => {
    await expect(validatePayload(schema!, value)).rejects.toMatchObject({
      code: 'TM_INVALID_PAYLOAD',
      path: 'payload',
    });
  });

  it('excludes a schema', () => {
    const both = { dto: Signup, schema } as never;
    expect(() => defineQueue('signup', both)).toThrow(/dto: excludes schema/);
  });

  it('keeps the other options, and not the class', () => {
    expect(defineQueue('signup', { dto: Signup, maxAttempts: 3 }).options).toEqual({
      maxAttempts: 3,
      schema: expect.anything(),
    });
  });
});
