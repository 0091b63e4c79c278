import { describe, expect, it } from 'vitest';
import { ENDLESS_MAILS, setup, type SampleApp } from './sample-app.js';

const WAITING = /^waiting for [1-5] jobs?, up to 25 s; press Ctrl-C again to hand them back$/;

describe('Ctrl-C in the sample application', () => {
  it('waits for running jobs, then ends it', async () => {
    const { app, db } = await setup({ env: { MAIL_DELAY_MS: '1000' } });
    await app.line(/ status=start /);

    app.interrupt();

    await app.line(WAITING);
    expect(await app.exit()).toEqual({ code: 0, signal: null });
    expect(app.errors).toEqual([]);
    expect(endedAttempts(app)).toBe(app.linesWith('start').length);
    expect(await db.query(`select from taskmaster.leases`)).toEqual([]);
  });

  it('a second time hands the running jobs back at once', async () => {
    const { app, db } = await setup({ env: ENDLESS_MAILS });
    await app.line(/ status=start /);
    app.interrupt();
    await app.line(WAITING);

    app.interrupt();

    expect(await app.exit()).toEqual({ code: 130, signal: null });
    expect(app.linesWith('released')).toHaveLength(app.linesWith('start').length);
    const mails = await db.query<{ state: string; run_count: number }>(
      `select state, run_count from taskmaster.job_states where queue_name = 'send_email'`,
    );
    expect(mails.length).toBeGreaterThan(0);
    expect(new Set(mails.map(({ state, run_count }) => `${state} ${run_count}`))).toEqual(
      new Set(['ready 0']),
    );
  });

  it('ends it when nothing runs', async () => {
    const { app } = await setup();
    await app.line(/^Ctrl-C stops it/);

    app.interrupt();

    expect(await app.exit()).toEqual({ code: 0, signal: null });
    expect(app.output.some((line) => line.startsWith('waiting for'))).toBe(false);
  });
});

function endedAttempts(app: SampleApp): number {
  return ['ack', 'retry', 'reject'].flatMap((status) => app.linesWith(status)).length;
}
