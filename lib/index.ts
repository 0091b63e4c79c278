/**
 * `nestjs-taskmaster`: background jobs for NestJS, in PostgreSQL.
 * What is not listed here is private. The engine without Nest is `nestjs-taskmaster/engine`.
 */

// The module.
export { TaskmasterModule } from './nest/taskmaster.module.js';
export type {
  TaskmasterModuleExtras,
  TaskmasterModuleOptions,
  TaskmasterOptionsFactory,
} from './nest/taskmaster.options.js';
export type { EnhancerKind, EnhancerOptions } from './nest/enhancers.js';

// Services and their tokens.
export { ConsumerRegistry, type Consumer } from './nest/consumer.registry.js';
export { PublisherService } from './nest/publisher.service.js';
export { TaskmasterAdmin } from './nest/taskmaster.admin.js';
export { TaskmasterEvents } from './nest/taskmaster.events.js';
export {
  TaskmasterHealth,
  type HealthIndicatorAnswer,
  type IsHealthyOptions,
} from './nest/taskmaster.health.js';
export { TaskmasterRuntime } from './nest/taskmaster.runtime.js';
export {
  getPublisherToken,
  getTaskmasterPoolToken,
  getTaskmasterToken,
  type InstanceService,
} from './nest/taskmaster.tokens.js';
export {
  InjectPublisher,
  InjectTaskmaster,
  InjectTaskmasterPool,
} from './nest/decorators/inject.decorator.js';

// Handlers.
export {
  QueueHandler,
  type HandlerMethod,
  type HandlerReturn,
  type QueueHandlerOptions,
  type TypedMethodDecorator,
} from './nest/decorators/queue-handler.decorator.js';
export {
  QueueBatchHandler,
  type BatchHandlerMethod,
  type BatchHandlerReturn,
  type QueueBatchHandlerOptions,
} from './nest/decorators/queue-batch-handler.decorator.js';
export { JobHeaders } from './nest/decorators/job-headers.decorator.js';
export { JobRef } from './nest/decorators/job-ref.decorator.js';
export { JobSignal } from './nest/decorators/job-signal.decorator.js';
export { JobTx } from './nest/decorators/job-tx.decorator.js';
export { OnJobEvent, type OnJobEventOptions } from './nest/decorators/on-job-event.decorator.js';
export { Payload, type Pipe } from './nest/decorators/payload.decorator.js';
export {
  Scheduled,
  type ScheduledOptions,
  type ScheduledTiming,
} from './nest/decorators/scheduled.decorator.js';
export { JOB } from './nest/job.token.js';
export type { JobBatchMiddleware, JobMiddleware } from './nest/job.middleware.js';
export { getJob, getJobs, isTaskmasterContext, TASKMASTER_CONTEXT } from './nest/taskmaster.context.js';
export type { BatchMiddleware, Middleware } from './engine/worker/middleware.js';
export type { BatchHandlerOptions, BatchOptions, HandlerOptions } from './engine/job/handler.js';
export { type BatchInfo, Job, type ParentResult } from './engine/job/job.js';
export type { JobBatch } from './engine/job/job-batch.js';
export type { StepOptions, StepResult, WaitOptions } from './engine/job/step.js';
export type { EmitOptions } from './engine/publisher/emit-options.js';
export {
  ack,
  AckOutcome,
  HandlerOutcome,
  isHandlerOutcome,
  rateLimited,
  RateLimitedOutcome,
  reject,
  RejectOutcome,
  retry,
  RetryOutcome,
  SleepOutcome,
  snooze,
  SnoozeOutcome,
} from './engine/job/outcome.js';

// Queues and publishing.
export { defineQueue } from './engine/job/define-queue.js';
export type {
  EncryptedKind,
  EncryptedPayload,
  EncryptionContext,
  PayloadEncryption,
} from './engine/job/encryption.js';
export type { PayloadVersions, Upcaster } from './engine/job/payload-version.js';
export type { AnyQueue } from './engine/job/queue.js';
export type {
  DtoOptions,
  KeyConcurrency,
  PayloadOptions,
  PayloadReducer,
  QueueDefinition,
  QueueDefinitionOptions,
  QueueLimits,
  QueueOptions,
  RateLimit,
  Retention,
} from './engine/job/queue-definition.js';
export type {
  InputOf,
  KnownQueueName,
  PayloadOf,
  ResultOf,
  TaskmasterQueues,
} from './engine/job/queue-types.js';
export type { Backoff, BackoffPolicy } from './engine/retry/backoff.js';
export type { ErrorAction, ErrorClass, ErrorMatch, ErrorRule } from './engine/retry/error-rule.js';
export type { DtoClass } from './engine/codec/dto-schema.js';
export type { StandardIssue, StandardResult, StandardSchema } from './engine/codec/standard-schema.js';
export type {
  EnqueuedJob,
  EnqueueOptions,
  JobOptions,
  NewJob,
  ParentEdge,
  ParentRef,
  UniqueOptions,
} from './engine/publisher/enqueue-options.js';
export type { SqlExecutor, Transaction } from './engine/connection/executor.js';
export {
  fromDrizzle,
  type DrizzleSql,
  type DrizzleTransaction,
} from './engine/connection/adapters/from-drizzle.js';
export { fromKnex, type KnexTransaction } from './engine/connection/adapters/from-knex.js';
export { fromKysely, type KyselyTransaction } from './engine/connection/adapters/from-kysely.js';
export { fromMikroOrm, type MikroOrmEntityManager } from './engine/connection/adapters/from-mikro-orm.js';
export { fromPostgresJs, type PostgresJsTransaction } from './engine/connection/adapters/from-postgres-js.js';
export { fromPrisma, type PrismaTransaction } from './engine/connection/adapters/from-prisma.js';
export {
  fromSequelize,
  type SequelizeInstance,
  type SequelizeTransaction,
} from './engine/connection/adapters/from-sequelize.js';

export type { Flow, FlowJob, FlowJobOptions } from './engine/publisher/flow.js';
export type {
  BatchBuilder,
  BatchCallback,
  BatchCallbacks,
  BatchJobsOptions,
  EnqueuedBatch,
} from './engine/publisher/batch.js';
export type { BatchRecord } from './engine/admin/batch-admin.js';
export type { WatchedEvent, WatchFilter } from './engine/admin/event-watch.js';
export type {
  OverviewOptions,
  Quantiles,
  SeriesOptions,
  SeriesPoint,
  StatsAdmin,
} from './engine/admin/stats-admin.js';
export type { Happened, Overview, Problem, ProblemKind, QueueOverview } from './engine/admin/overview.js';
export type { FailureAdmin, FailureFilter, FailureGroup } from './engine/admin/failure-admin.js';
export type {
  Operation,
  OperationAction,
  OperationAdmin,
  OperationRequest,
  OperationState,
} from './engine/admin/operation-admin.js';
export type { FlowAdmin, FlowMember, FlowRecord } from './engine/admin/flow-admin.js';
export type { AuditAction, AuditAdmin, AuditEntry, AuditPage } from './engine/admin/audit-admin.js';
export type { SystemAdmin, SystemRecord, TableRecord } from './engine/admin/system-admin.js';
export type { CallOptions } from './engine/publisher/publisher.js';
export type { ResultOptions } from './engine/publisher/result-watch.js';

// Options.
export type {
  ConnectionOption,
  EmbeddedOptions,
  LeaseOptions,
  ListenOptions,
  MultiHostConfig,
  ShutdownOptions,
  TaskmasterOptions,
} from './engine/options.js';

// Admin.
export type { Admin } from './engine/admin/admin.js';
export type { PreviewOptions, ScheduleAdmin, ScheduleFilter } from './engine/admin/schedule-admin.js';
export type { MissedPolicy, OverlapPolicy, Schedule } from './engine/schedule/schedule.js';
export type {
  ScheduleDefinition,
  ScheduleOptions,
  ScheduleTiming,
} from './engine/schedule/schedule-definition.js';
export type { BulkControl, BulkResult } from './engine/admin/bulk-change.js';
export type {
  BulkOptions,
  CancelResult,
  JobAdmin,
  JobCount,
  JobPage,
  PageOptions,
  ReadOptions,
  PayloadEdit,
  RedriveOptions,
  ReprocessOptions,
  ReprocessResult,
  RequeueOptions,
} from './engine/admin/job-admin.js';
export type {
  CancelFilter,
  EndedState,
  JobFilter,
  ListFilter,
  LiveState,
  PayloadMatch,
  RedriveFilter,
  ReprocessFilter,
  RetryFilter,
} from './engine/admin/job-filter.js';
export { FILTER_QUALIFIERS, parseFilter, type ParseFilterOptions } from './engine/admin/filter-text.js';
export type {
  EndedFacts,
  Explanation,
  Reason,
  ReasonCode,
  ReasonFacts,
} from './engine/admin/explain/reason.js';
export type {
  CountOptions,
  PauseOptions,
  PurgeOptions,
  PurgeResult,
  QueueAdmin,
  QueueFilter,
  QueueSize,
  SizeOptions,
} from './engine/admin/queue-admin.js';
export type { QueuePause, QueueRecord, QueueStats } from './engine/admin/queue-reader.js';
export type { WorkerAdmin, WorkerFilter, WorkerRecord } from './engine/admin/worker-admin.js';
export type { Reprocessed } from './engine/job/reprocessed.js';
export type { DeadLetter } from './engine/job/dead-letter.js';
export type { AttemptError, JobRecord } from './engine/job/job-record.js';
export type { JobState } from './engine/job/job-state.js';

// Events and health.
export type {
  CancelledEvent,
  CompletedEvent,
  DatabaseLostEvent,
  DatabaseRestoredEvent,
  EngineDrainingEvent,
  EngineErrorEvent,
  EngineQuietEvent,
  EngineResumedEvent,
  EngineStartedEvent,
  EngineStoppedEvent,
  EngineWarningEvent,
  EnqueuedEvent,
  EventBase,
  EventOf,
  FailedEvent,
  JobError,
  LeaseLostEvent,
  ListenerLostEvent,
  ListenerRestoredEvent,
  ListenerUnavailableEvent,
  PausedEvent,
  ProgressEvent,
  ReleasedEvent,
  RescuedEvent,
  ResumedEvent,
  RetriedEvent,
  ScheduleFiredEvent,
  ScheduleSkippedEvent,
  SleepingEvent,
  SnoozedEvent,
  StartedEvent,
  StuckEvent,
  TaskmasterEvent,
  TaskmasterEventType,
  WorkerLostEvent,
} from './engine/events.js';
export type { HealthReport, TaskmasterState } from './engine/taskmaster.js';

// Errors.
export {
  ClosedError,
  DatabaseError,
  DatabaseUnreachableError,
  DuplicateHandlerError,
  DuplicateScheduleError,
  EmbeddedPostgresError,
  EmitOutcomeUnknownError,
  EnqueueOutcomeUnknownError,
  InvalidBatchResultError,
  InvalidFilterError,
  InvalidHandlerError,
  InvalidOptionsError,
  InvalidPayloadError,
  InvalidQueueNameError,
  InvalidStepResultError,
  JobCancelledError,
  JobFailedError,
  JobStepError,
  JobTimeoutError,
  JobTransactionError,
  LeaseLostError,
  NotOpenError,
  BatchEndedError,
  ReducerConflictError,
  PayloadEncryptionError,
  PayloadTooLargeError,
  PermissionDeniedError,
  QueueFullError,
  ResultNotKeptError,
  ResultTimeoutError,
  SchemaBehindError,
  SchemaTooNewError,
  ShutdownError,
  StorageFullError,
  TaskmasterError,
  TransactionAbortedError,
  UnknownInstanceError,
  UnknownScheduleError,
} from './engine/errors.js';
