/** Entry point `nestjs-taskmaster/engine`: the engine without Nest. */
export { Taskmaster } from './taskmaster.js';
export type { HealthReport, RegisteredHandler, TaskmasterState } from './taskmaster.js';
export type { Handler, HandlerOptions, HandlerRegistration } from './job/handler.js';
export { Publisher } from './publisher/publisher.js';
export type {
  EnqueuedJob,
  EnqueueOptions,
  JobOptions,
  NewJob,
  UniqueOptions,
} from './publisher/enqueue-options.js';
export { defineQueue } from './job/define-queue.js';
export type {
  DtoOptions,
  KeyConcurrency,
  QueueDefinition,
  QueueDefinitionOptions,
  QueueLimits,
  QueueOptions,
  RateLimit,
  Retention,
} from './job/queue-definition.js';
export type { AnyQueue } from './job/queue.js';
export type { InputOf, PayloadOf, ResultOf, TaskmasterQueues } from './job/queue-types.js';
export { Job } from './job/job.js';
export type { StepOptions, StepResult, WaitOptions } from './job/step.js';
export type { EmitOptions } from './publisher/emit-options.js';
export { ack, HandlerOutcome, isHandlerOutcome, rateLimited, reject, retry, snooze } from './job/outcome.js';
export type {
  AckOutcome,
  RateLimitedOutcome,
  RejectOutcome,
  RetryOutcome,
  SleepOutcome,
  SnoozeOutcome,
} from './job/outcome.js';
export type { Backoff, BackoffPolicy } from './retry/backoff.js';
export type { Middleware } from './worker/middleware.js';
export type { DtoClass } from './codec/dto-schema.js';
export type { StandardIssue, StandardResult, StandardSchema } from './codec/standard-schema.js';
export type { SqlExecutor, Transaction } from './connection/executor.js';
export {
  LEASE_DEFAULTS,
  LISTEN_DEFAULTS,
  QUEUE_DEFAULTS,
  SHUTDOWN_DEFAULTS,
  TASKMASTER_DEFAULTS,
} from './options.js';
export type {
  ConnectionOption,
  EmbeddedOptions,
  LeaseOptions,
  ListenOptions,
  MultiHostConfig,
  ResolvedOptions,
  ShutdownOptions,
  TaskmasterOptions,
} from './options.js';
export { EventHub } from './events.js';
export type * from './events.js';
export * from './errors.js';
export { Migrator } from './schema/migrator.js';
export type { Migration } from './schema/migrator.js';
