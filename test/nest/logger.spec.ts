import { ConsoleLogger, Injectable, Logger, type LogLevel } from '@nestjs/common';
import { describe, expect, it, onTestFinished } from 'vitest';
import { QueueHandler, reject } from '../../lib/index.js';
import type { TaskmasterEvent } from '../../lib/index.js';
import { logLineOf, textOf } from '../../lib/nest/log-line.js';
import { eventually } from '../support/eventually.js';
import { nestApp } from './support/nest-app.js';

const base = { instance: 'default', at: new Date(0) };
const job = { ...base, queue: 'mail', jobId: '42', runCount: 1 };
const error = { name: 'TypeError', message: 'boom' };

describe('logLineOf', () => {
  it.each<[TaskmasterEvent, string | undefined]>([
    [{ ...base, type: 'enqueued', queue: 'mail', jobId: '42' }, undefined],
    [{ ...job, type: 'started', waitMs: 3 }, 'debug queue=mail id=42 status=start attempt=1'],
    [{ ...job, type: 'completed', runMs: 12.3 }, 'debug queue=mail id=42 status=ack attempt=1 time=12ms'],
    [
      { ...job, type: 'retried', runMs: 5, delayMs: 1000, error },
      'warn queue=mail id=42 status=retry attempt=1 time=5ms delay=1000ms error="TypeError: boom"',
    ],
    [
      { ...job, type: 'failed', runMs: 5, cause: 'exhausted', error: { ...error, code: 'E1' } },
      'error queue=mail id=42 status=failed attempt=1 time=5ms error="TypeError [E1]: boom"',
    ],
    [
      { ...job, type: 'failed', runMs: 5, cause: 'reject', error },
      'error queue=mail id=42 status=reject attempt=1 time=5ms error="TypeError: boom"',
    ],
    [{ ...job, type: 'snoozed', delayMs: 7 }, 'debug queue=mail id=42 status=snooze attempt=1 delay=7ms'],
    [{ ...job, type: 'released' }, 'log queue=mail id=42 status=released attempt=1'],
    [{ ...job, type: 'leaseLost' }, 'warn queue=mail id=42 status=lease-lost attempt=1'],
    [{ ...job, type: 'rescued', failed: false }, 'warn queue=mail id=42 status=rescued attempt=1'],
    [{ ...job, type: 'rescued', failed: true }, 'error queue=mail id=42 status=rescued-failed attempt=1'],
    [{ ...job, type: 'stuck' }, 'warn queue=mail id=42 status=stuck attempt=1'],
    [{ ...base, type: 'listenerLost', reason: 'cut' }, 'warn listener=lost reason=cut'],
    [{ ...base, type: 'listenerRestored' }, 'log listener=up'],
    [
      { ...base, type: 'listenerUnavailable', reason: 'no answer' },
      'warn listener=unavailable reason="no answer"',
    ],
    [{ ...base, type: 'workerLost', reason: 'late' }, 'error worker=lost reason=late'],
    [
      { ...base, type: 'engineError', operation: 'claim', queue: 'mail', error: new Error('down') },
      'error engine=error operation=claim queue=mail error="Error: down"',
    ],
    [{ ...base, type: 'engineWarning', message: 'slow' }, 'warn engine=warning message=slow'],
    [
      {
        ...base,
        type: 'engineStarted',
        queues: [
          { queue: 'a', concurrency: 1 },
          { queue: 'b', concurrency: 2 },
        ],
      },
      'log engine=started queues=a:1,b:2',
    ],
    [{ ...base, type: 'engineDraining', running: 2 }, 'log engine=draining running=2'],
    [{ ...base, type: 'engineStopped' }, 'log engine=stopped'],
  ])('writes one line for %o', (event, expected) => {
    const line = logLineOf(event);
    expect(line && `${line.level} ${textOf(line)}`).toBe(expected);
  });

  it('lets nothing from outside begin a line or a field, or reach a terminal', () => {
    const nasty = 'a\r\nqueue=b id=1 \u001b[31m\u0007"\\ \u2028\u2029\u0085\u202e';
    const line = logLineOf({
      ...job,
      type: 'failed',
      queue: nasty,
      runMs: 1,
      cause: 'exhausted',
      error: { name: nasty, message: nasty },
    });
    expect(textOf(line!)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    expect(textOf(line!)).toMatch(/^queue="a\\r\\nqueue=b id=1 \\u001b\[31m.*" id=42 status=failed /);
  });

  it('cuts long errors', () => {
    const message = 'x'.repeat(100_000);
    const line = logLineOf({
      ...job,
      type: 'retried',
      runMs: 1,
      delayMs: 1,
      error: { name: 'Error', message },
    });
    expect(textOf(line!).length).toBeLessThan(1_200);
  });
});

describe('the log of an application', () => {
  /** Nest's logger is one for the process, so it is put back. */
  const capture = (logLevels?: LogLevel[]): string[] => {
    const lines: string[] = [];
    const note = (level: string, message: unknown, context: unknown) => {
      if (String(context).startsWith('Taskmaster'))
        lines.push(`${level} [${String(context)}] ${String(message)}`);
    };
    class Capture extends ConsoleLogger {
      override debug = (message: unknown, context?: unknown) => note('debug', message, context);
      override log = (message: unknown, context?: unknown) => note('log', message, context);
      override warn = (message: unknown, context?: unknown) => note('warn', message, context);
      override error = (message: unknown, _stack?: unknown, context?: unknown) =>
        note('error', message, context);
    }
    Logger.overrideLogger(new Capture('', logLevels === undefined ? {} : { logLevels }));
    onTestFinished(() => Logger.overrideLogger(['error', 'warn']));
    return lines;
  };

  @Injectable()
  class Handlers {
    @QueueHandler('mail')
    send() {}
    @QueueHandler('bad')
    bad() {
      return reject('no such user');
    }
  }

  it('tells of jobs and of the engine, never of payloads', async () => {
    const { app, run } = await nestApp({
      providers: [Handlers],
      taskmaster: { logger: true },
    });
    const lines = capture();
    await run('mail', { secret: 'hunter2' });
    await run('bad', { secret: 'hunter2' });
    await eventually(() => lines.some((line) => line.includes('status=reject')));
    await app.close();
    // When the listener is up depends on the database.
    const told = lines.filter((line) => !line.includes('listener=up'));
    expect(told.map((line) => line.replace(/id=\d+/, 'id=1').replace(/time=\d+ms/, 'time=1ms'))).toEqual([
      'debug [Taskmaster] queue=mail id=1 status=start attempt=1',
      'debug [Taskmaster] queue=mail id=1 status=ack attempt=1 time=1ms',
      'debug [Taskmaster] queue=bad id=1 status=start attempt=1',
      'error [Taskmaster] queue=bad id=1 status=reject attempt=1 time=1ms error="Reject: no such user"',
      'log [Taskmaster] engine=draining running=0',
      'log [Taskmaster] engine=stopped',
    ]);
    expect(lines.join()).not.toContain('hunter2');
  });

  it('has no lines of single jobs where the level debug is off', async () => {
    const { run } = await nestApp({ providers: [Handlers], taskmaster: { logger: true } });
    const levels: LogLevel[] = ['log', 'warn', 'error'];
    Logger.overrideLogger(levels);
    const lines = capture(levels);
    await run('bad');
    await eventually(() => lines.some((line) => line.startsWith('error')));
    expect(lines.filter((line) => line.startsWith('debug'))).toEqual([]);
  });

  it('is silent on request', async () => {
    const lines = capture();
    const { app, run } = await nestApp({ providers: [Handlers], taskmaster: { logger: false } });
    await run('bad');
    await app.close();
    expect(lines).toEqual([]);
  });
});
