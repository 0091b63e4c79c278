import { describe, expect, it } from 'vitest';
import { isHandlerOutcome, reject, type Middleware } from '../../../lib/engine/index.js';
import { engine } from '../../support/engine.js';
import { SignalPoint } from '../../support/signal-point.js';
import { testDatabase } from '../../support/test-database.js';

/** The original's `with-error`: whatever a handler throws is logged and rejects the job. */
function withError(log: (line: string) => void): Middleware {
  return async (job, next) => {
    try {
      return await next();
    } catch (error) {
      log(`queue=${job.queue} id=${job.id} status=failure`);
      return reject((error as Error).message);
    }
  };
}

/** The original's `with-log`: a line before, and one with the outcome and the time it took. */
function withLog(log: (line: string) => void): Middleware {
  return async (job, next) => {
    const startedAt = performance.now();
    log(`queue=${job.queue} id=${job.id} status=start`);
    const result = await next();
    const status = isHandlerOutcome(result) ? result.kind : 'ack';
    log(`queue=${job.queue} id=${job.id} status=${status} time=${Math.round(performance.now() - startedAt)}`);
    return result;
  };
}

const setup = async (middleware: (log: (line: string) => void) => readonly Middleware[]) => {
  const database = await testDatabase();
  const lines: string[] = [];
  const taskmaster = engine(database, { middleware: middleware((line) => lines.push(line)) });
  const settled = new SignalPoint<string>();
  taskmaster.events.subscribe(({ type }) => {
    if (type === 'completed' || type === 'failed' || type === 'retried') settled.signal(type);
  });
  taskmaster.register({
    queue: 'mail',
    label: 'mail',
    options: { concurrency: 1 },
    handle: (payload: unknown) => {
      if (payload === 'reject') return reject('no');
      if (payload === 'throw') throw new Error('broken');
      return undefined;
    },
  });
  await taskmaster.start();
  const run = async (...payloads: string[]) => {
    for (const payload of payloads) await taskmaster.publisher.enqueue('mail', payload);
    return settled.count(payloads.length);
  };
  return { database, lines, run };
};

describe('the error middleware', () => {
  it('logs what a handler throws, and rejects the job', async () => {
    const { database, lines, run } = await setup((log) => [withError(log)]);
    expect(await run('throw', 'ack')).toEqual(['failed', 'completed']);
    expect(lines).toEqual(['queue=mail id=1 status=failure']);
    const left = await database.query(
      `select id, run_count, last_error ->> 'message' as error from "${database.schema}".jobs`,
    );
    expect(left).toEqual([{ id: '1', run_count: 1, error: 'broken' }]);
  });
});

describe('the logging middleware', () => {
  it('tells of the start, the outcome and the time of every attempt', async () => {
    const { lines, run } = await setup((log) => [withLog(log)]);
    await run('ack', 'reject');
    expect(lines).toEqual([
      'queue=mail id=1 status=start',
      expect.stringMatching(/^queue=mail id=1 status=ack time=\d+$/),
      'queue=mail id=2 status=start',
      expect.stringMatching(/^queue=mail id=2 status=reject time=\d+$/),
    ]);
  });

  it('sees what a middleware inside of it has made of an error', async () => {
    const { lines, run } = await setup((log) => [withLog(log), withError(log)]);
    expect(await run('throw')).toEqual(['failed']);
    expect(lines).toEqual([
      'queue=mail id=1 status=start',
      'queue=mail id=1 status=failure',
      expect.stringMatching(/^queue=mail id=1 status=reject time=\d+$/),
    ]);
  });

  it('leaves errors to the retries when nothing else does', async () => {
    const { lines, run } = await setup((log) => [withLog(log)]);
    expect(await run('throw')).toEqual(['retried']);
    expect(lines).toEqual(['queue=mail id=1 status=start']);
  });
});
