import type { JobError } from './events.js';
import type { EncryptedKind, EncryptionContext } from './job/encryption.js';
/**
 * Every error this library throws. One base class, a stable `code`, the data in fields, `cause` kept,
 * and a message that says what to do. No password, payload or SQL detail ever appears in a message.
 */

/** Base class of every error thrown by the library. Test `error.code`, not the message. */
export abstract class TaskmasterError extends Error {
  abstract readonly code: `TM_${string}`;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Options given to the module, a queue, a handler or an enqueue call are unknown or wrong. Lists every problem. */
export class InvalidOptionsError extends TaskmasterError {
  readonly code = 'TM_INVALID_OPTIONS';

  /** @param subject what the options belong to, such as `TaskmasterModule.forRoot()` or `enqueue("mail")` */
  constructor(
    readonly subject: string,
    readonly problems: readonly string[],
  ) {
    super(`Invalid options for ${subject}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
}

/** A filter in words, as in `queue:mail state:failed`, cannot be understood. */
export class InvalidFilterError extends TaskmasterError {
  readonly code = 'TM_INVALID_FILTER';

  /**
   * @param text the filter
   * @param position where in it the problem begins, counted from 0
   * @param length how many characters it takes
   */
  constructor(
    readonly text: string,
    readonly position: number,
    readonly length: number,
    readonly reason: string,
  ) {
    super(`Invalid filter at ${position + 1}: ${reason}`);
  }

  /** The filter, and marks below what is wrong: for terminals. */
  get marked(): string {
    return `${this.text}\n${' '.repeat(this.position)}${'^'.repeat(Math.max(1, this.length))}`;
  }
}

/** A payload would not survive JSON. Only the call that carried it fails. */
export class InvalidPayloadError extends TaskmasterError {
  readonly code = 'TM_INVALID_PAYLOAD';

  /** @param path where in the payload, as in `payload.user.tags[3]`; never the value itself */
  constructor(
    readonly path: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`Invalid payload at ${path}: ${reason}`, options);
  }
}

/** The payload of a job that was stored is not what its queue expects: no attempt can make it so. */
export class InvalidJobPayloadError extends InvalidPayloadError {
  override readonly code = 'TM_INVALID_PAYLOAD';
  override name = 'InvalidPayloadError';
}

/** A payload, or what else a queue encrypts, could not be encrypted, or decrypted. */
export class PayloadEncryptionError extends TaskmasterError {
  readonly code = 'TM_PAYLOAD_ENCRYPTION';
  readonly queue: string;
  readonly kind: EncryptedKind;

  constructor(
    readonly operation: 'encrypt' | 'decrypt',
    { queue, kind }: EncryptionContext,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot ${operation} a ${WORDS[kind]} of queue ${quoted(queue)}: ${reason}.`, options);
    this.queue = queue;
    this.kind = kind;
  }
}

/** What is encrypted, in words. */
const WORDS: Readonly<Record<EncryptedKind, string>> = {
  payload: 'payload',
  result: 'result',
  step: 'result of a step',
  error: 'error',
  progress: 'progress',
  log: 'line of the log',
};

/** The unique key of a job that a reducer is to make one with others has changed hands again and again. Nothing was stored. */
export class ReducerConflictError extends TaskmasterError {
  readonly code = 'TM_REDUCER_CONFLICT';

  constructor(readonly queue: string) {
    super(
      `A job of queue ${quoted(queue)} could not be reduced with the one that waits, which is another one each time. Enqueue it again.`,
    );
  }
}

/** The queue holds as many jobs as its `maxPending` allows. Nothing was stored; inside a transaction, that transaction has failed. */
export class QueueFullError extends TaskmasterError {
  readonly code = 'TM_QUEUE_FULL';

  /** @param pending jobs of the queue that have not ended; where they are more than `maxPending`, nobody has counted on */
  constructor(
    readonly queue: string,
    readonly maxPending: number,
    readonly pending: number,
    options?: ErrorOptions,
  ) {
    super(
      `Queue ${quoted(queue)} is full: ${pending} of its jobs have not ended, and "maxPending" is ${maxPending}. ` +
        'Enqueue later, enqueue fewer at once, or raise the limit.',
      options,
    );
  }
}

/** A job was to be added to a batch that has ended, or that does not exist. */
export class BatchEndedError extends TaskmasterError {
  readonly code = 'TM_BATCH_ENDED';

  constructor(options?: ErrorOptions) {
    super(
      'The batch has ended, or does not exist: no job can be added to it. Keep it open (`open: true`) until the last one is there.',
      options,
    );
  }
}

/** A payload is larger than the limit. Thrown before any SQL. */
export class PayloadTooLargeError extends TaskmasterError {
  readonly code = 'TM_PAYLOAD_TOO_LARGE';

  constructor(
    readonly bytes: number,
    readonly limitBytes: number,
  ) {
    super(
      `The payload takes ${bytes} bytes or more, the limit is ${limitBytes}. ` +
        'Store the data elsewhere and enqueue a reference to it, or raise "maxPayloadBytes".',
    );
  }
}

/** A queue name is empty, too long or holds control characters. */
export class InvalidQueueNameError extends TaskmasterError {
  readonly code = 'TM_INVALID_QUEUE_NAME';

  constructor(
    readonly queue: unknown,
    readonly reason: string,
  ) {
    super(
      `Invalid queue name ${quoted(queue)}: ${reason}. A queue name is 1 to 128 bytes of UTF-8 without control characters.`,
    );
  }
}

/** Two handlers in this process claim the same queue. */
export class DuplicateHandlerError extends TaskmasterError {
  readonly code = 'TM_DUPLICATE_HANDLER';

  constructor(
    readonly queue: string,
    readonly first: string,
    readonly second: string,
  ) {
    super(
      `Queue "${queue}" has two handlers: ${first} and ${second}. Remove one, or give one of them another queue.`,
    );
  }
}

/** Two schedules in this process have the same name. */
export class DuplicateScheduleError extends TaskmasterError {
  readonly code = 'TM_DUPLICATE_SCHEDULE';

  constructor(
    readonly schedule: string,
    readonly first: string,
    readonly second: string,
  ) {
    super(
      `Schedule ${quoted(schedule)} is defined twice: by ${first} and ${second}. Give one of them another name.`,
    );
  }
}

/** There is no schedule of this name. */
export class UnknownScheduleError extends TaskmasterError {
  readonly code = 'TM_UNKNOWN_SCHEDULE';

  constructor(readonly schedule: string) {
    super(`There is no schedule ${quoted(schedule)}. admin.schedules.list() names those that exist.`);
  }
}

/** A decorated method cannot be a handler or listener, such as a static one. Thrown when the class is defined, or at boot. */
export class InvalidHandlerError extends TaskmasterError {
  readonly code = 'TM_INVALID_HANDLER';

  /** @param handler `MailHandlers.send` */
  constructor(
    readonly handler: string,
    readonly reason: string,
  ) {
    super(`${handler} cannot be used as decorated: ${reason}`);
  }
}

/** A handler or listener names a Taskmaster instance that does not exist in its application. */
export class UnknownInstanceError extends TaskmasterError {
  readonly code = 'TM_UNKNOWN_INSTANCE';

  constructor(
    readonly handler: string,
    readonly instance: string,
    readonly known: readonly string[],
  ) {
    super(
      `${handler} belongs to the Taskmaster instance "${instance}", which does not exist here; there is ${known.map((name) => `"${name}"`).join(', ')}. ` +
        "Correct the decorator's `instance`, or import TaskmasterModule with that `name`.",
    );
  }
}

/** The database could not be reached in time. */
export class DatabaseUnreachableError extends TaskmasterError {
  readonly code = 'TM_DATABASE_UNREACHABLE';

  /** @param target host, port and database, never user or password */
  constructor(
    readonly target: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `Cannot connect to PostgreSQL at ${target}: ${reason}. Is it running, and are host, port and credentials right?`,
      options,
    );
  }
}

/** PostgreSQL refused a statement. Carries the SQLSTATE; the detail, which may hold data, is dropped, also from `cause`. */
export class DatabaseError extends TaskmasterError {
  readonly code = 'TM_DATABASE';

  constructor(
    readonly operation: string,
    readonly sqlState: string | undefined,
    message: string,
    options?: ErrorOptions,
  ) {
    super(
      `${operation} failed${sqlState === undefined ? '' : ` (SQLSTATE ${sqlState})`}: ${message}`,
      options,
    );
  }
}

/** The role that connects lacks a privilege (SQLSTATE 42501). */
export class PermissionDeniedError extends TaskmasterError {
  readonly code = 'TM_PERMISSION_DENIED';

  /** @param reason what the server said, such as `permission denied for table jobs`; it names objects, never data */
  constructor(
    readonly operation: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `${operation}: the database role lacks a privilege it needs (${reason}). ` +
        'Grant it, or connect as a role that has it; grantsSql() makes the statements.',
      options,
    );
  }
}

/** The server has no space left (SQLSTATE class 53). Nothing was stored. */
export class StorageFullError extends TaskmasterError {
  readonly code = 'TM_STORAGE_FULL';

  constructor(
    readonly operation: string,
    options?: ErrorOptions,
  ) {
    super(
      `${operation}: the database server is out of space. Nothing was stored; free space and try again.`,
      options,
    );
  }
}

/** The connection broke after an INSERT was sent and before its reply came: the jobs may or may not exist. */
export class EnqueueOutcomeUnknownError extends TaskmasterError {
  readonly code = 'TM_ENQUEUE_OUTCOME_UNKNOWN';

  constructor(
    readonly queues: readonly string[],
    options?: ErrorOptions,
  ) {
    super(
      `The connection broke while enqueuing to ${queues.map((queue) => `"${queue}"`).join(', ')}: the job may or may not have been stored. ` +
        'Enqueue again only if the handler tolerates running twice.',
      options,
    );
  }
}

/** The connection broke after an event was sent and before the answer came: those that wait for it may or may not wake. */
export class EmitOutcomeUnknownError extends TaskmasterError {
  readonly code = 'TM_EMIT_OUTCOME_UNKNOWN';

  constructor(
    readonly event: string,
    options?: ErrorOptions,
  ) {
    super(
      `The connection broke while emitting ${JSON.stringify(event)}: those that wait for it may or may not wake. ` +
        'Emit again only if they tolerate it twice.',
      options,
    );
  }
}

/** The schema is missing or older than this version needs, and migrations are not set to run. */
export class SchemaBehindError extends TaskmasterError {
  readonly code = 'TM_SCHEMA_BEHIND';

  constructor(
    readonly schema: string,
    readonly found: number,
    readonly needed: number,
  ) {
    super(
      found === 0
        ? `Schema "${schema}" is not installed. Start once with migrations: 'run' as a role that may create it.`
        : `Schema "${schema}" is at migration ${found}, this version needs ${needed}. Start once with migrations: 'run'.`,
    );
  }
}

/** A newer release has changed the schema in a way this version cannot work with. */
export class SchemaTooNewError extends TaskmasterError {
  readonly code = 'TM_SCHEMA_TOO_NEW';

  constructor(
    readonly schema: string,
    readonly migration: number,
    readonly migrationName: string,
  ) {
    super(
      `Schema "${schema}" holds the breaking migration ${migration} (${migrationName}), which this version does not know. Upgrade nestjs-taskmaster.`,
    );
  }
}

/** The application, or this engine, has been closed. */
export class ClosedError extends TaskmasterError {
  readonly code = 'TM_CLOSED';

  constructor(readonly operation: string) {
    super(`${operation}: Taskmaster has been closed.`);
  }
}

/** The job whose result was waited for has failed, or was cancelled. */
export class JobFailedError extends TaskmasterError {
  readonly code = 'TM_JOB_FAILED';

  /** @param error the job's last error, as it is stored */
  constructor(
    readonly jobId: string,
    readonly state: 'failed' | 'cancelled',
    readonly error: JobError | undefined,
  ) {
    super(`Job ${jobId} ${state === 'failed' ? 'has failed' : 'was cancelled'}; its error is in "error".`);
  }
}

/** A job did not end in time; it goes on. */
export class ResultTimeoutError extends TaskmasterError {
  readonly code = 'TM_RESULT_TIMEOUT';

  constructor(
    readonly jobId: string,
    readonly timeoutMs: number,
  ) {
    super(`Job ${jobId} has not ended within ${timeoutMs} ms. It goes on; ask again, or wait for longer.`);
  }
}

/** A job has ended and its result was not kept, or there never was such a job. */
export class ResultNotKeptError extends TaskmasterError {
  readonly code = 'TM_RESULT_NOT_KEPT';

  constructor(readonly jobId: string) {
    super(
      `Job ${jobId} is gone, and its result was not kept. Enqueue it by call(), with keepResult, or give its queue a retention.`,
    );
  }
}

/** The reason of a job's `signal` when somebody has cancelled the job. */
export class JobCancelledError extends TaskmasterError {
  readonly code = 'TM_CANCELLED';

  constructor(
    readonly queue: string,
    readonly jobId: string,
  ) {
    super(`Job ${jobId} of ${JSON.stringify(queue)} has been cancelled.`);
  }
}

/** A call was made before the engine was opened. */
export class NotOpenError extends TaskmasterError {
  readonly code = 'TM_NOT_OPEN';

  constructor(readonly operation: string) {
    super(`${operation}: Taskmaster is not open yet. Await app.init() (or taskmaster.open()) first.`);
  }
}

/** A handler took longer than its `timeoutMs`. The reason of its `AbortSignal`, and the stored error of the attempt. */
export class JobTimeoutError extends TaskmasterError {
  readonly code = 'TM_JOB_TIMEOUT';

  constructor(
    readonly queue: string,
    readonly jobId: string,
    readonly timeoutMs: number,
  ) {
    super(`Job ${jobId} of queue "${queue}" did not end within ${timeoutMs} ms.`);
  }
}

/** The job no longer belongs to this worker. The reason of its `AbortSignal`; nothing it writes through the library counts. */
export class LeaseLostError extends TaskmasterError {
  readonly code = 'TM_LEASE_LOST';

  constructor(
    readonly queue: string,
    readonly jobId: string,
  ) {
    super(
      `Job ${jobId} of queue "${queue}" no longer belongs to this worker: its lease ran out, or it was deleted.`,
    );
  }
}

/** A handler of batches returned neither nothing nor an array of one outcome a job: all of them count as failed. */
export class InvalidBatchResultError extends TaskmasterError {
  readonly code = 'TM_INVALID_BATCH_RESULT';

  /** @param returned what it was, in words, such as `an array of 3` */
  constructor(
    readonly queue: string,
    readonly jobs: number,
    readonly returned: string,
  ) {
    super(
      `The handler of queue "${queue}" returned ${returned} for a batch of ${jobs}. ` +
        'Return nothing, which acks all of them, or an array with one outcome a job, in their order.',
    );
  }
}

/** The worker is stopping and will wait no longer. The reason of a job's `AbortSignal`; the job is handed back. */
export class ShutdownError extends TaskmasterError {
  readonly code = 'TM_SHUTDOWN';

  constructor(
    readonly queue: string,
    readonly jobId: string,
  ) {
    super(`Job ${jobId} of queue "${queue}" is handed back: the worker stops.`);
  }
}

/** `job.transaction()` was called a second time, or after the attempt ended. */
export class JobTransactionError extends TaskmasterError {
  readonly code = 'TM_JOB_TRANSACTION';

  constructor(
    readonly jobId: string,
    readonly reason: string,
  ) {
    super(`job.transaction() of job ${jobId}: ${reason}.`);
  }
}

/** A step, sleep or wait of a job was begun where none can be: in a transaction that acks the job, inside a step, or too late. */
export class JobStepError extends TaskmasterError {
  readonly code = 'TM_JOB_STEP';

  /** @param call such as `job.step("charge")` */
  constructor(
    readonly jobId: string,
    readonly call: string,
    readonly reason: string,
  ) {
    super(`${call} of job ${jobId}: ${reason}.`);
  }
}

/** What a step returned cannot be remembered, since it would not survive JSON. What the step did has been done, unless it was transactional. */
export class InvalidStepResultError extends TaskmasterError {
  readonly code = 'TM_INVALID_STEP_RESULT';

  /** @param path where in the result, as in `result.user.tags[3]`; never the value itself */
  constructor(
    readonly jobId: string,
    readonly step: string,
    readonly path: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `The result of step ${JSON.stringify(step)} of job ${jobId} cannot be stored: ${path}: ${reason}. ` +
        'Return plain data, or nothing.',
      options,
    );
  }
}

/** A statement of the transaction had failed and the error was swallowed, so nothing was committed. */
export class TransactionAbortedError extends TaskmasterError {
  readonly code = 'TM_TRANSACTION_ABORTED';

  constructor() {
    super(
      'Nothing was committed: a statement of the transaction had failed, and its error was caught. Let it through, or use a savepoint.',
    );
  }
}

/** The private PostgreSQL of `connection: { embedded }` could not be prepared or started. */
export class EmbeddedPostgresError extends TaskmasterError {
  readonly code = 'TM_EMBEDDED_POSTGRES';

  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`Embedded PostgreSQL: ${reason}`, options);
  }
}

const C1_OR_DEL = /[\u007f-\u009f]/g;

/** A name as messages show it: quoted, cut, and with nothing in it that acts on a terminal. Never throws, whatever it is given. */
function quoted(name: unknown): string {
  if (typeof name !== 'string') return name === null ? 'null' : `(${typeof name})`;
  const text = JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
  return text.replace(C1_OR_DEL, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}
