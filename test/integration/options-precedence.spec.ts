import { describe, expect, it } from 'vitest';
import {
  defineQueue,
  type EnqueueOptions,
  type HandlerOptions,
  type QueueOptions,
} from '../../lib/engine/index.js';
import { engine } from '../support/engine.js';
import { gate } from '../support/gate.js';
import { nextEvent } from '../support/next-event.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';

/** Where the options of a job may be given, from the weakest to the strongest. */
interface Places {
  readonly defaults?: QueueOptions;
  readonly definition?: QueueOptions;
  readonly handler?: HandlerOptions;
  readonly job?: EnqueueOptions;
}

/** The options of `mail` as they are in force: told by how a job that always fails is treated. */
async function inForce({ defaults = {}, definition = {}, handler = {}, job = {} }: Places, byName = false) {
  const database = await testDatabase();
  const Mail = defineQueue('mail', definition);
  const taskmaster = engine(database, { defaults, queues: byName ? [Mail] : [] });
  const delays: number[] = [];
  taskmaster.events.subscribe((event) => event.type === 'retried' && delays.push(event.delayMs));
  taskmaster.register({
    queue: byName ? 'mail' : Mail,
    label: 'mail',
    options: handler,
    handle: () => {
      throw new Error('always');
    },
  });
  await taskmaster.start();
  const failed = nextEvent(taskmaster.events, 'failed');
  await taskmaster.publisher.enqueue(Mail, {}, job);
  return { attempts: (await failed).runCount, delays };
}

describe('options of a queue', () => {
  it('come from the defaults of the engine', async () => {
    const places = { defaults: { maxAttempts: 2, backoff: 1 } };
    expect(await inForce(places)).toEqual({ attempts: 2, delays: [1] });
  });

  it('come from its definition before the defaults', async () => {
    const places = { defaults: { maxAttempts: 9, backoff: 1 }, definition: { maxAttempts: 2 } };
    expect(await inForce(places)).toEqual({ attempts: 2, delays: [1] });
  });

  it('come from its definition in the option queues, when the handler names it by a string', async () => {
    const places = { defaults: { maxAttempts: 9, backoff: 1 }, definition: { maxAttempts: 2 } };
    expect(await inForce(places, true)).toEqual({ attempts: 2, delays: [1] });
  });

  it('come from the handler before the definition', async () => {
    const places = {
      definition: { maxAttempts: 9, backoff: 9 },
      handler: { maxAttempts: 3, backoff: [2, 3] },
    };
    expect(await inForce(places)).toEqual({ attempts: 3, delays: [2, 3] });
  });

  it('come from the job before the handler', async () => {
    const places = { handler: { maxAttempts: 9, backoff: 9 }, job: { maxAttempts: 2, backoff: 1 } };
    expect(await inForce(places)).toEqual({ attempts: 2, delays: [1] });
  });

  it('may be a function of the attempt and the error', async () => {
    const backoff = (attempt: number, error: unknown) => attempt * (error as Error).message.length;
    expect(await inForce({ handler: { maxAttempts: 3, backoff } })).toEqual({ attempts: 3, delays: [6, 12] });
  });
});

describe('concurrency', () => {
  it('bounds the jobs of a queue that run at once', async () => {
    const taskmaster = engine(await testDatabase());
    const stop = gate();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { concurrency: 3 },
      handle: () => stop.pass(),
    });
    await taskmaster.start();
    const all = new SignalPoint();
    taskmaster.events.subscribe((event) => event.type === 'completed' && all.signal());
    let most = 0;
    taskmaster.events.subscribe(
      (event) => event.type === 'started' && (most = Math.max(most, taskmaster.running)),
    );
    await taskmaster.publisher.enqueueMany('mail', Array(20).fill({}));
    await stop.reached(3);
    expect(taskmaster.running).toBe(3);
    stop.open();
    await all.count(20);
    expect(most).toBe(3);
  });
});

describe('timeoutMs', () => {
  it('ends an attempt, tells its signal, and counts it', async () => {
    const taskmaster = engine(await testDatabase());
    const aborted = new SignalPoint<unknown>();
    taskmaster.register({
      queue: 'mail',
      label: 'mail',
      options: { timeoutMs: 50, maxAttempts: 1 },
      handle: (_payload, { signal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.signal(signal.reason);
            resolve();
          });
        }),
    });
    await taskmaster.start();
    const failed = nextEvent(taskmaster.events, 'failed');
    await taskmaster.publisher.enqueue('mail');
    expect(await failed).toMatchObject({
      cause: 'exhausted',
      runCount: 1,
      error: { code: 'TM_JOB_TIMEOUT' },
    });
    expect(await aborted.count(1)).toMatchObject([{ code: 'TM_JOB_TIMEOUT', timeoutMs: 50 }]);
  });
});

describe('name', () => {
  it('is told with every event, and in the table of workers', async () => {
    const database = await testDatabase();
    const taskmaster = engine(database, { name: 'reports' });
    taskmaster.register({ queue: 'mail', label: 'mail', handle: () => undefined });
    const started = nextEvent(taskmaster.events, 'engineStarted');
    await taskmaster.start();
    expect(await started).toMatchObject({ instance: 'reports' });
    expect(await database.query(`select name from "${database.schema}".workers`)).toEqual([
      { name: 'reports' },
    ]);
  });
});
