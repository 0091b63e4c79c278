import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { ENDLESS_MAILS, setup, type ListedJob } from './sample-app.js';

describe('POST /signups', () => {
  it('stores the subscriber and sends the welcome mail', async () => {
    const { app, db } = await setup();

    const response = await app.signUp({ email: ' Ada@Example.com ' });

    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({
      id: expect.any(String),
      email: 'ada@example.com',
      jobId: expect.any(String),
    });
    expect(await db.query(`select from newsletter.subscribers where email = 'ada@example.com'`)).toHaveLength(
      1,
    );
    expect(await app.mailTo('ada@example.com')).toMatch(/^To: ada@example\.com\r\nSubject: Welcome\r\n/m);
  });

  it('answers 409 to an address that is there already, and enqueues no mail', async () => {
    const { app, db } = await setup({ env: ENDLESS_MAILS });
    const jobs = () => db.query(`select from taskmaster.jobs where payload ->> 'to' = 'ada@example.com'`);
    expect((await app.signUp({ email: 'ada@example.com' })).status).toBe(201);
    expect(await jobs()).toHaveLength(1);

    const second = await app.signUp({ email: 'ADA@example.com' });

    expect(second.status).toBe(409);
    expect(await jobs()).toHaveLength(1);
  });

  it('stores no subscriber when the mail cannot be enqueued', async () => {
    const { app, db } = await setup();
    await app.url();
    await db.query(`alter table taskmaster.jobs add check (payload ->> 'to' <> 'ada@example.com') not valid`);

    expect((await app.signUp({ email: 'ada@example.com' })).status).toBe(500);

    expect(await db.query(`select from newsletter.subscribers where email = 'ada@example.com'`)).toEqual([]);
  });

  it('answers 400 to what is no sign-up', async () => {
    const { app } = await setup();

    const bodies = [{}, { email: 3 }, { email: '' }, { email: 'a@example.com\r\nBcc: b@example.com' }];
    const answers = await Promise.all(bodies.map((body) => app.signUp(body)));

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400]);
  });

  it('lets the handler reject an address that the mail server refuses', async () => {
    const { app } = await setup();
    expect((await app.signUp({ email: 'not-an-address' })).status).toBe(201);

    const failed = await eventually(async () => {
      const jobs = await app.get<ListedJob[]>('/jobs?state=failed');
      return jobs.find(({ payload }) => payload.to === 'not-an-address') ?? false;
    });

    expect(failed).toMatchObject({
      queue: 'send_email',
      state: 'failed',
      runCount: 1,
      error: '550 5.1.1 not-an-address: there is no such mailbox',
    });
    expect(await app.mailsTo('not-an-address')).toEqual([]);
  });
});
