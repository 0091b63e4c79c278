import core from '@nestjs/core/package.json' with { type: 'json' };
import { expect, it } from 'vitest';

it('is NestJS 11 that these tests run on', () => {
  expect(core.version).toMatch(/^11\./);
});
