import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { setup, type ListedJob } from './sample-app.js';

describe('the jobs of the sample application', () => {
  it('start, are acked, rejected and tried again, each with a line in the log', async () => {
    const { app } = await setup();
    await app.line(/^First round: 3 acked, 1 rejected, as expected\.$/);

    // Four sign-ups, and a second attempt at one of them.
    expect(app.linesWith('start')).toHaveLength(5);
    expect(app.linesWith('reject')).toHaveLength(1);
    const [retried] = app.linesWith('retry');
    const job = /id=\d+/.exec(retried!)![0];
    await app.line(new RegExp(`${job} status=ack attempt=2 time=\\d+ms`));
  });

  it('come from plain SQL too, with the address in whatever spelling', async () => {
    const { app, db } = await setup();
    await app.url();

    await db.query(
      `insert into taskmaster.jobs (queue_name, payload) values ('send_email', '{"to": " SQL@Example.com"}')`,
    );

    expect(await app.mailTo('sql@example.com')).toContain('To: sql@example.com\r\n');
  });

  it('are timed by an interceptor', async () => {
    const { app } = await setup({ env: { MAIL_DELAY_MS: '20' } });
    await app.line(/^First round: /);

    const { send_email: times } =
      await app.get<Record<string, { count: number; averageMs: number }>>('/jobs/times');

    expect(times!.count).toBe(5);
    expect(times!.averageMs).toBeGreaterThanOrEqual(19);
  });
});

describe('GET /jobs', () => {
  it('lists at most `limit` jobs of a state, the newest first', async () => {
    const { app, db } = await setup({ env: { TASKMASTER_CONSUME: 'off' } });
    await eventually(async () => (await app.get<ListedJob[]>('/jobs?state=ready')).length === 4);
    const [newest] = await db.query<{ id: string }>('select max(id) as id from taskmaster.jobs');

    const [first, second, ...others] = await app.get<ListedJob[]>('/jobs?state=ready&limit=2');

    expect(first!.id).toBe(newest!.id);
    expect(Number(second!.id)).toBeLessThan(Number(first!.id));
    expect(others).toEqual([]);
  });

  it('shows the error of a failed job without its stack', async () => {
    const { app } = await setup();
    await app.line(/ status=reject /);

    const [failed] = await app.get<ListedJob[]>('/jobs?state=failed');

    expect(Object.keys(failed!)).toEqual([
      'id',
      'queue',
      'state',
      'payload',
      'runCount',
      'error',
      'createdAt',
    ]);
    expect(failed!.error).toMatch(/^550 5\.1\.1 nobody\+\w+@nowhere\.invalid: there is no such mailbox$/);
  });

  it('answers 400 to a state or a limit that does not exist', async () => {
    const { app } = await setup();
    const url = await app.url();

    for (const query of ['state=lost', 'limit=0', 'limit=1000', 'limit=many', 'state=failed&state=ready']) {
      expect({ query, status: (await fetch(`${url}/jobs?${query}`)).status }).toEqual({ query, status: 400 });
    }
  });
});

describe('GET /health', () => {
  it('says that database and workers are up', async () => {
    const { app } = await setup();

    await eventually(async () => {
      expect(await app.get('/health')).toMatchObject({
        status: 'up',
        details: { state: 'running', database: 'ok' },
      });
    });
  });
});
