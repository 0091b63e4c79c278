import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.js';
import { sampleDatabase, setup, startSampleApp } from './sample-app.js';

describe('the start of the sample application', () => {
  it('with --once runs the first round and exits with 0, also a second time', async () => {
    const { app, db } = await setup({ args: ['--once'] });
    expect(await app.exit()).toEqual({ code: 0, signal: null });
    expect(app.output.at(-1)).toBe('First round: 3 acked, 1 rejected, as expected.');

    const again = await startSampleApp({ args: ['--once'], env: { DATABASE_URL: db.url } });

    expect(await again.exit()).toEqual({ code: 0, signal: null });
    expect(await db.query(`select from taskmaster.job_states where state = 'failed'`)).toHaveLength(2);
  });

  it('with --once exits with 1 when a job does not end as expected', async () => {
    const { app, db } = await setup({ args: ['--once'], env: { TASKMASTER_CONSUME: 'off' } });
    const mails = `queue_name = 'send_email'`;
    await app.line(/ first round: /);
    await eventually(async () => (await db.query(`select from taskmaster.jobs where ${mails}`)).length === 4);

    await db.query(
      `update taskmaster.jobs set run_count = 1, run_at = 'infinity', failed_at = now() where ${mails}`,
    );

    expect(await app.exit()).toEqual({ code: 1, signal: null });
    expect(app.output.at(-1)).toBe('First round: 0 acked, 4 rejected, which is not as expected.');
  });

  it('tells where to go next, and not the password of DATABASE_URL', async () => {
    const { app, db } = await setup();
    await app.line(/^Ctrl-C stops it/);
    const said = app.output.join('\n');

    expect(said).toContain(
      `curl -i ${await app.url()}/signups -H 'content-type: application/json' -d '{"email": `,
    );
    expect(said).toContain(
      `psql "$DATABASE_URL" -c "insert into taskmaster.jobs (queue_name, payload) values `,
    );
    expect(said).not.toContain(db.config.password);
    // This machine alone, unless it is told otherwise.
    expect(await app.url()).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('says which port is taken and how to choose another, in one line', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;

    const { app } = await setup({ env: { PORT: String(port) } });

    expect(await app.exit()).toEqual({ code: 1, signal: null });
    expect(app.errors).toEqual([
      `Port ${port} of 127.0.0.1 is taken. Choose another one: PORT=${port + 1} npm start`,
    ]);
  });

  it('says that the database cannot be reached, in one line without the password', async () => {
    const db = await sampleDatabase();
    const app = await startSampleApp({ env: { DATABASE_URL: db.url.replace(db.name, 'no_such_database') } });

    expect(await app.exit()).toEqual({ code: 1, signal: null });
    expect(app.errors).toHaveLength(1);
    const [line] = app.errors;
    expect(line).toMatch(/^Cannot connect to PostgreSQL at 127\.0\.0\.1:\d+\/no_such_database: /);
    expect(line).toMatch(/Correct DATABASE_URL, or unset it to use an embedded PostgreSQL\.$/);
    expect(line).not.toContain(db.config.password);
  });

  it.each([
    [{ PORT: 'http' }, [], /^Correct the environment: PORT: must be a whole number from 0 to 65535\.$/],
    [
      { DATABASE_URL: 'mysql://localhost' },
      [],
      /^Correct the environment: DATABASE_URL: must be a URL such as /,
    ],
    [{}, ['--twice'], /^There is one argument: "npm start -- --once"/],
  ])('says what to correct: %o %j', async (env, args, message) => {
    const app = await startSampleApp({ env, args });

    expect(await app.exit()).toEqual({ code: 1, signal: null });
    expect(app.errors).toEqual([expect.stringMatching(message)]);
  });
});
