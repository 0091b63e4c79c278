/**
 * What happens in an engine, as typed events: the loops report here what they must not swallow.
 * Events of jobs name the queue and the job; events of the engine name what part they concern.
 */

/** Fields every event has. */
export interface EventBase {
  /** Name of the Taskmaster instance, `'default'` unless named. */
  readonly instance: string;
  /** When, by this process's clock. */
  readonly at: Date;
}

interface JobEventBase extends EventBase {
  readonly queue: string;
  /** Job id: a bigint as a string. */
  readonly jobId: string;
}

interface AttemptEventBase extends JobEventBase {
  /** Number of the attempt, 1 for the first. */
  readonly runCount: number;
}

/** A job was stored by this process; sent after its transaction's statement, not its commit, when `tx` was given. */
export interface EnqueuedEvent extends JobEventBase {
  readonly type: 'enqueued';
}
/** An attempt begins. `waitMs`: since the job became runnable, across two clocks, so approximate and never below 0. */
export interface StartedEvent extends AttemptEventBase {
  readonly type: 'started';
  readonly waitMs: number;
}
/** Acked, and the ack is stored. */
export interface CompletedEvent extends AttemptEventBase {
  readonly type: 'completed';
  readonly runMs: number;
}
/** An attempt failed and the job will run again in `delayMs`. */
export interface RetriedEvent extends AttemptEventBase {
  readonly type: 'retried';
  readonly runMs: number;
  readonly delayMs: number;
  readonly error: JobError;
}
/** Final: rejected, out of attempts, or expired. The job stays in the table. */
export interface FailedEvent extends AttemptEventBase {
  readonly type: 'failed';
  readonly runMs: number;
  readonly error: JobError;
  /** `reject`: the handler, or a rule for errors, said so. `exhausted`: no attempts left. `expired`: past its `expiresAt`. */
  readonly cause: 'reject' | 'exhausted' | 'expired';
}
/** Runs again later without having spent an attempt. */
export interface SnoozedEvent extends AttemptEventBase {
  readonly type: 'snoozed';
  readonly delayMs: number;
  /** What was thrown, when a rule for errors made a snooze of it. */
  readonly error?: JobError;
}
/** Its handler sleeps or waits for an event: the slot is free, and no attempt is spent. */
export interface SleepingEvent extends AttemptEventBase {
  readonly type: 'sleeping';
  readonly runMs: number;
  /** When it runs again at the latest, in milliseconds from now; `undefined`: when its event comes. */
  readonly delayMs: number | undefined;
}
/** Somebody cancelled it while it ran, and its handler has ended without an ack; or it was cancelled before it ran again. */
export interface CancelledEvent extends AttemptEventBase {
  readonly type: 'cancelled';
  readonly runMs: number;
}
/** A handler has said how far its job is. */
export interface ProgressEvent extends AttemptEventBase {
  readonly type: 'progress';
  readonly progress: unknown;
}
/** Nothing of this queue starts, in any process, until it is resumed. */
export interface PausedEvent extends EventBase {
  readonly type: 'paused';
  readonly queue: string;
}
export interface ResumedEvent extends EventBase {
  readonly type: 'resumed';
  readonly queue: string;
}
/** Handed back unfinished because the worker stops; no attempt is spent. */
export interface ReleasedEvent extends AttemptEventBase {
  readonly type: 'released';
}
/** An attempt's outcome was not written: the job belonged to another worker by then, or was gone. */
export interface LeaseLostEvent extends AttemptEventBase {
  readonly type: 'leaseLost';
}
/** A dead worker's job was given back to the queue, or failed because it has crashed its worker once too often. */
export interface RescuedEvent extends AttemptEventBase {
  readonly type: 'rescued';
  /** True when the job will not run again. */
  readonly failed: boolean;
}
/** A handler outlived its timeout and still has not settled; its slot is free again. */
export interface StuckEvent extends AttemptEventBase {
  readonly type: 'stuck';
}
/** A schedule was due, or was triggered, and this process has enqueued its job; an `enqueued` event says the same of the job. */
export interface ScheduleFiredEvent extends JobEventBase {
  readonly type: 'scheduleFired';
  readonly schedule: string;
  /** The due time. */
  readonly scheduledFor: Date;
}
/** A schedule was due, and did not fire because an earlier job of it is still alive, or its queue is full. */
export interface ScheduleSkippedEvent extends EventBase {
  readonly type: 'scheduleSkipped';
  readonly schedule: string;
  readonly queue: string;
  readonly scheduledFor: Date;
}
/** The engine's connection is lost, or could not be made: nothing is claimed or settled until it is back. Said once an outage. */
export interface DatabaseLostEvent extends EventBase {
  readonly type: 'databaseLost';
  readonly reason: string;
}
/** The engine's connection is back. */
export interface DatabaseRestoredEvent extends EventBase {
  readonly type: 'databaseRestored';
}
/** The LISTEN connection is lost: jobs are found by polling until it is back. */
export interface ListenerLostEvent extends EventBase {
  readonly type: 'listenerLost';
  readonly reason: string;
}
/** The LISTEN connection works, proven by a notification sent from another connection. */
export interface ListenerRestoredEvent extends EventBase {
  readonly type: 'listenerRestored';
}
/** Notifications do not arrive (a pooler in transaction mode, most likely): polling only. */
export interface ListenerUnavailableEvent extends EventBase {
  readonly type: 'listenerUnavailable';
  readonly reason: string;
}
/** This process could not prove that it is alive in time: it has a new worker id, and its running jobs were aborted. */
export interface WorkerLostEvent extends EventBase {
  readonly type: 'workerLost';
  readonly reason: string;
}
/** A background part met an error and goes on. */
export interface EngineErrorEvent extends EventBase {
  readonly type: 'engineError';
  /** What was being done, such as `claim`, `settle`, `rescue`. */
  readonly operation: string;
  readonly queue?: string;
  readonly error: unknown;
}
/** Something works, but not as it should; said once. */
export interface EngineWarningEvent extends EventBase {
  readonly type: 'engineWarning';
  readonly message: string;
}
export interface EngineStartedEvent extends EventBase {
  readonly type: 'engineStarted';
  readonly queues: readonly { readonly queue: string; readonly concurrency: number }[];
}
/** Somebody has told this worker to be quiet: it takes nothing new, and what runs goes on. */
export interface EngineQuietEvent extends EventBase {
  readonly type: 'engineQuiet';
  readonly running: number;
}
/** Somebody has told this worker to work again. */
export interface EngineResumedEvent extends EventBase {
  readonly type: 'engineResumed';
}
/** No new jobs are claimed; `running` are waited for. */
export interface EngineDrainingEvent extends EventBase {
  readonly type: 'engineDraining';
  readonly running: number;
}
export interface EngineStoppedEvent extends EventBase {
  readonly type: 'engineStopped';
}

/** Every event, discriminated by `type`. */
export type TaskmasterEvent =
  | EnqueuedEvent
  | StartedEvent
  | CompletedEvent
  | RetriedEvent
  | FailedEvent
  | SnoozedEvent
  | SleepingEvent
  | CancelledEvent
  | ProgressEvent
  | PausedEvent
  | ResumedEvent
  | ReleasedEvent
  | LeaseLostEvent
  | RescuedEvent
  | StuckEvent
  | ScheduleFiredEvent
  | ScheduleSkippedEvent
  | DatabaseLostEvent
  | DatabaseRestoredEvent
  | ListenerLostEvent
  | ListenerRestoredEvent
  | ListenerUnavailableEvent
  | WorkerLostEvent
  | EngineErrorEvent
  | EngineWarningEvent
  | EngineStartedEvent
  | EngineQuietEvent
  | EngineResumedEvent
  | EngineDrainingEvent
  | EngineStoppedEvent;

export type TaskmasterEventType = TaskmasterEvent['type'];
/** The event of one type: `EventOf<'failed'>`. */
export type EventOf<T extends TaskmasterEventType> = Extract<TaskmasterEvent, { type: T }>;
type WithoutBase<E> = E extends TaskmasterEvent ? Omit<E, keyof EventBase> : never;
/** An event before the hub has stamped it. */
export type NewEvent = WithoutBase<TaskmasterEvent>;

/** An error as it is stored with a job: plain JSON, cut to size, without NUL and lone surrogates. */
export interface JobError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: JobError;
}

export type EventListener = (event: TaskmasterEvent) => void;

/**
 * Hands events to whoever subscribed. A listener that throws never stops the engine:
 * its error is rethrown outside the loop, as an uncaught exception, where it belongs.
 */
export class EventHub {
  readonly #listeners = new Set<EventListener>();

  constructor(private readonly instance: string) {}

  /** False when nobody listens: hot paths need not build the event. */
  get observed(): boolean {
    return this.#listeners.size > 0;
  }

  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: NewEvent): void {
    if (!this.observed) return;
    const stamped = { ...event, instance: this.instance, at: new Date() } as TaskmasterEvent;
    for (const listener of this.#listeners) deliver(listener, stamped);
  }
}

function deliver(listener: EventListener, event: TaskmasterEvent): void {
  try {
    listener(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
