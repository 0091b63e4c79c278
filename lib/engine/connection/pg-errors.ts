import {
  BatchEndedError,
  ClosedError,
  DatabaseError,
  PermissionDeniedError,
  QueueFullError,
  StorageFullError,
  TaskmasterError,
} from '../errors.js';
import type { EventHub } from '../events.js';
import { serverErrorOf, withoutData } from './server-error.js';

/**
 * The five characters PostgreSQL sends with an error, or `undefined` when the error did not come from the server. Errors of the
 * system have codes too, some of five letters, such as `EPIPE`; no class of PostgreSQL begins with E.
 */
export function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/**
 * The connection is gone or useless, so whether the statement took effect is unknown: network errors and timeouts
 * (no SQLSTATE), class 08, and the shutdown and crash codes of class 57.
 */
export function isConnectionFailure(error: unknown): boolean {
  if (error instanceof TaskmasterError) return error.code === 'TM_DATABASE_UNREACHABLE';
  const state = sqlStateOf(error);
  return (
    state === undefined || state.startsWith('08') || ['57P01', '57P02', '57P03', '57P05'].includes(state)
  );
}

/** The statement was sent and its connection broke before the answer. Without a connection nothing was sent. */
export function leavesOutcomeUnknown(error: unknown): boolean {
  return isConnectionFailure(error) && !(error instanceof TaskmasterError);
}

/** The server answers, but it cannot write: a standby, or a primary that has become one. */
export function isReadOnly(error: unknown): boolean {
  return sqlStateOf(serverErrorOf(error)) === '25006';
}

/** The connection that an error came over is of no more use: it is gone, or leads to a server that cannot write. */
export function spoilsConnection(error: unknown): boolean {
  return isConnectionFailure(error) || isReadOnly(error);
}

/**
 * The server refused what a statement carries, so that the same statement would fail again: bad values, constraints, views with a
 * check option, limits, and exceptions that triggers raise (classes 22, 23, 44, 54 and P0).
 */
export function isDataError(error: unknown): boolean {
  return /^(22|23|44|54|P0)/.test(sqlStateOf(error) ?? '');
}

/** Raised by our own functions. */
const BATCH_ENDED = 'P0B01';
const QUEUE_FULL = 'P0Q01';

/** A schema, table, column or function is not there. */
const MISSING = new Set(['3F000', '42P01', '42703', '42883']);
const MIGRATE = `Is the schema installed, and up to date? Start once with migrations: 'run'.`;

/** What `admit()` says. Libraries keep the message of the server, and nothing else for certain. */
const FULL = /queue full \(maxPending (\d+), pending (\d+)\): ([\s\S]*)/;

/** An error from the server as one of ours. Its `cause` is without `detail` and `where`, which may hold data. */
export function databaseErrorOf(operation: string, thrown: unknown): TaskmasterError {
  if (thrown instanceof TaskmasterError) return thrown;
  const error = serverErrorOf(thrown);
  const state = sqlStateOf(error);
  const cause = withoutData(thrown);
  if (state === QUEUE_FULL) return queueFullErrorOf(reasonOf(error), cause);
  if (state === BATCH_ENDED) return new BatchEndedError({ cause });
  if (state === '42501') return new PermissionDeniedError(operation, reasonOf(error), { cause });
  if (state === '53100' || state === '53200') return new StorageFullError(operation, { cause });
  const reason = MISSING.has(state ?? '') ? `${reasonOf(error)}. ${MIGRATE}` : reasonOf(error);
  return new DatabaseError(operation, state, reason, { cause });
}

function queueFullErrorOf(reason: string, cause: unknown): QueueFullError {
  const [, most, pending, queue = ''] = FULL.exec(reason) ?? [];
  return new QueueFullError(queue, Number(most), Number(pending), { cause });
}

/** Reports what a background part met and goes on from. A lost connection is the session's to report, once for all. */
export function reportFailure(events: EventHub, operation: string, error: unknown): void {
  if (!isConnectionFailure(error) && !(error instanceof ClosedError))
    events.emit({ type: 'engineError', operation, error: withoutData(error) });
}

/** The message of a failure to connect or to run, without anything secret. */
export function reasonOf(error: unknown): string {
  const failure = error as { message?: unknown; code?: unknown; errors?: unknown[] } | null | undefined;
  if (typeof failure?.message === 'string' && failure.message !== '') return failure.message;
  if (Array.isArray(failure?.errors)) return failure.errors.map(reasonOf).join('; ');
  return typeof failure?.code === 'string' ? failure.code : 'unknown reason';
}
