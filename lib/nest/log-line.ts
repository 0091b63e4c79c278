import type { JobError, TaskmasterEvent } from '../engine/events.js';

/** What is logged about an event, with the keys of the original Taskmaster. */
export interface LogLine {
  readonly level: 'debug' | 'log' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, string | number>>;
}

/** The longest text of an error in a line, in characters. */
const MAX_ERROR_LENGTH = 1_000;

/** One line of `key=value` pairs. */
export function textOf(line: LogLine): string {
  return Object.entries(line.fields)
    .map(([key, value]) => `${key}=${quoted(String(value))}`)
    .join(' ');
}

/** Never holds a payload. `undefined` for events that are not logged. */
export function logLineOf(event: TaskmasterEvent): LogLine | undefined {
  switch (event.type) {
    case 'enqueued':
      return undefined;
    case 'started':
      return logged('debug', { ...job(event), status: 'start', attempt: event.runCount });
    case 'completed':
      return logged('debug', {
        ...job(event),
        status: 'ack',
        attempt: event.runCount,
        time: ms(event.runMs),
      });
    case 'retried':
      return logged('warn', {
        ...job(event),
        status: 'retry',
        attempt: event.runCount,
        time: ms(event.runMs),
        delay: ms(event.delayMs),
        error: errorText(event.error),
      });
    case 'failed':
      return logged('error', {
        ...job(event),
        status: event.cause === 'reject' ? 'reject' : 'failed',
        attempt: event.runCount,
        time: ms(event.runMs),
        error: errorText(event.error),
      });
    case 'snoozed':
      return logged('debug', {
        ...job(event),
        status: 'snooze',
        attempt: event.runCount,
        delay: ms(event.delayMs),
      });
    case 'sleeping':
      return logged('debug', {
        ...job(event),
        status: 'sleep',
        attempt: event.runCount,
        time: ms(event.runMs),
        ...(event.delayMs === undefined ? {} : { delay: ms(event.delayMs) }),
      });
    case 'cancelled':
      return logged('log', {
        ...job(event),
        status: 'cancelled',
        attempt: event.runCount,
        time: ms(event.runMs),
      });
    case 'progress':
      return undefined;
    case 'paused':
    case 'resumed':
      return logged('log', { queue: event.queue, status: event.type });
    case 'released':
      return logged('log', { ...job(event), status: 'released', attempt: event.runCount });
    case 'leaseLost':
      return logged('warn', { ...job(event), status: 'lease-lost', attempt: event.runCount });
    case 'rescued':
      return logged(event.failed ? 'error' : 'warn', {
        ...job(event),
        status: event.failed ? 'rescued-failed' : 'rescued',
        attempt: event.runCount,
      });
    case 'stuck':
      return logged('warn', { ...job(event), status: 'stuck', attempt: event.runCount });
    case 'scheduleFired':
      return logged('debug', { ...job(event), status: 'scheduled', schedule: event.schedule });
    case 'scheduleSkipped':
      return logged('log', { queue: event.queue, status: 'skipped', schedule: event.schedule });
    case 'databaseLost':
      return logged('error', { database: 'lost', reason: event.reason });
    case 'databaseRestored':
      return logged('log', { database: 'restored' });
    case 'listenerLost':
      return logged('warn', { listener: 'lost', reason: event.reason });
    case 'listenerRestored':
      // Also said when it works for the first time.
      return logged('log', { listener: 'up' });
    case 'listenerUnavailable':
      return logged('warn', { listener: 'unavailable', reason: event.reason });
    case 'workerLost':
      return logged('error', { worker: 'lost', reason: event.reason });
    case 'engineError':
      return logged('error', {
        engine: 'error',
        operation: event.operation,
        ...(event.queue === undefined ? {} : { queue: event.queue }),
        error: errorText(event.error),
      });
    case 'engineWarning':
      return logged('warn', { engine: 'warning', message: event.message });
    case 'engineStarted':
      return logged('log', {
        engine: 'started',
        queues: event.queues.map(({ queue, concurrency }) => `${queue}:${concurrency}`).join(','),
      });
    case 'engineQuiet':
      return logged('log', { engine: 'quiet', running: event.running });
    case 'engineResumed':
      return logged('log', { engine: 'resumed' });
    case 'engineDraining':
      return logged('log', { engine: 'draining', running: event.running });
    case 'engineStopped':
      return logged('log', { engine: 'stopped' });
  }
}

function job(event: { readonly queue: string; readonly jobId: string }): { queue: string; id: string } {
  return { queue: event.queue, id: event.jobId };
}

function ms(duration: number): string {
  return `${Math.round(duration)}ms`;
}

function logged(level: LogLine['level'], fields: LogLine['fields']): LogLine {
  return { level, fields };
}

/** Errors as they come, with their name and code but without their stack: a log line is one line. */
function errorText(error: unknown): string {
  if (typeof error !== 'object' || error === null) return cut(String(error));
  const { name = 'Error', message = '', code } = error as Partial<JobError>;
  return cut(code === undefined ? `${name}: ${message}` : `${name} [${code}]: ${message}`);
}

function cut(text: string): string {
  return text.length > MAX_ERROR_LENGTH ? `${text.slice(0, MAX_ERROR_LENGTH)}…` : text;
}

const PLAIN = /^[\w.:,@/+-]+$/;
/** What `JSON.stringify` leaves alone, though terminals obey it or show it as a line break: C1, DEL, separators, direction marks. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Names and messages come from outside, so nothing in them may begin a line, or another field. */
function quoted(value: string): string {
  if (PLAIN.test(value)) return value;
  return JSON.stringify(value).replace(
    UNSAFE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
