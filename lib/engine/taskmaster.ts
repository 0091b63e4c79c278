// SKELETON: signatures only, being implemented. Do not edit.
import type pg from 'pg';
import type { EventHub } from './events.js';
import type { HandlerOptions } from './job/handler.js';
import type { Job } from './job/job.js';
import type { AnyQueue } from './job/queue.js';
import type { ResolvedOptions, TaskmasterOptions } from './options.js';
import type { EnqueuedJob, EnqueueOptions, NewJob } from './publisher/enqueue-options.js';
import type { Transaction } from './connection/executor.js';

export type TaskmasterState = 'idle' | 'starting' | 'running' | 'draining' | 'stopped';
export interface RegisteredHandler { readonly queue: string; readonly label: string; readonly concurrency: number; readonly running: number }
export interface HealthReport { readonly status: 'up' | 'degraded' | 'down'; readonly details: Readonly<Record<string, unknown>> }
export interface HandlerRegistration {
  readonly queue: AnyQueue;
  readonly handle: (payload: never, job: Job<never>) => unknown;
  /** `MailHandlers.send`; for messages */
  readonly label: string;
  readonly options?: HandlerOptions;
}
export declare class Publisher {
  enqueue(queue: AnyQueue, payload?: unknown, options?: EnqueueOptions): Promise<EnqueuedJob>;
  enqueueMany(jobs: readonly NewJob[], options?: Pick<EnqueueOptions, 'tx'>): Promise<EnqueuedJob[]>;
  enqueueMany(queue: AnyQueue, payloads: readonly unknown[], options?: EnqueueOptions): Promise<EnqueuedJob[]>;
  withTransaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T>;
}
export declare class Taskmaster {
  /** Validates the options (throws InvalidOptionsError listing every problem). No I/O. */
  constructor(options: TaskmasterOptions);
  readonly options: ResolvedOptions;
  readonly events: EventHub;
  readonly publisher: Publisher;
  /** Exists from construction on; connects lazily. Borrowed pools are returned as they are. */
  readonly pool: pg.Pool;
  readonly state: TaskmasterState;
  /** Jobs running here now. */
  readonly running: number;
  readonly handlers: readonly RegisteredHandler[];
  /** Connects and migrates; the publisher works afterwards. Idempotent. Throws DatabaseUnreachableError, SchemaBehindError ... */
  open(): Promise<void>;
  /** Before `start`, or while running. Throws DuplicateHandlerError, InvalidQueueNameError, InvalidOptionsError. Handlers of queues that `consume` excludes are listed but not run. */
  register(handler: HandlerRegistration): void;
  /** Opens if needed, then starts LISTEN and the worker pools. Idempotent. */
  start(): Promise<void>;
  /** Claims nothing more, waits for running jobs up to `shutdown.drainTimeoutMs`, then aborts and hands back. Enqueue still works. Idempotent, works before/during start. A stopped engine can be started again. */
  stop(): Promise<void>;
  /** While stopping (or running): abort and hand back at once. `stop()` then resolves. */
  forceStop(): void;
  /** `stop()`, then ends every connection it owns. Enqueue rejects with ClosedError afterwards. Idempotent. */
  close(): Promise<void>;
  health(): Promise<HealthReport>;
}
export type { Transaction };
