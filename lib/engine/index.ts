/** Entry point `nestjs-taskmaster/engine`: the engine without Nest. */
export { Taskmaster } from './taskmaster.js';
export type { HealthReport, RegisteredHandler, TaskmasterState } from './taskmaster.js';
export type {
  AnyHandler,
  AnyRegistration,
  BatchHandler,
  BatchHandlerOptions,
  BatchHandlerRegistration,
  BatchOptions,
  Handler,
  HandlerOptions,
  HandlerRegistration,
  JobHandler,
} from './job/handler.js';
export { Publisher } from './publisher/publisher.js';
export type { CallOptions } from './publisher/publisher.js';
export type { Flow, FlowJob, FlowJobOptions } from './publisher/flow.js';
export type {
  BatchBuilder,
  BatchCallback,
  BatchCallbacks,
  BatchJobsOptions,
  EnqueuedBatch,
} from './publisher/batch.js';
export type { BatchRecord } from './admin/batch-admin.js';
export type { WatchedEvent, WatchFilter } from './admin/event-watch.js';
export type {
  OverviewOptions,
  Quantiles,
  SeriesOptions,
  SeriesPoint,
  StatsAdmin,
} from './admin/stats-admin.js';
export type { Happened, Overview, Problem, ProblemKind, QueueOverview } from './admin/overview.js';
export type { FailureAdmin, FailureFilter, FailureGroup } from './admin/failure-admin.js';
export type {
  Operation,
  OperationAction,
  OperationAdmin,
  OperationRequest,
  OperationState,
} from './admin/operation-admin.js';
export type { FlowAdmin, FlowMember, FlowRecord } from './admin/flow-admin.js';
export type { AuditAction, AuditAdmin, AuditEntry, AuditPage } from './admin/audit-admin.js';
export type { SystemAdmin, SystemRecord, TableRecord } from './admin/system-admin.js';
export type { ResultOptions } from './publisher/result-watch.js';
export type {
  EnqueuedJob,
  EnqueueOptions,
  JobOptions,
  NewJob,
  ParentEdge,
  ParentRef,
  UniqueOptions,
} from './publisher/enqueue-options.js';
export { grantsSql } from './schema/grants.js';
export type { GrantsOptions } from './schema/grants.js';
export { ROLE_GRANTS } from './schema/role-grants.js';
export type { RoleGrants, RoleName } from './schema/role-grants.js';
export { Admin } from './admin/admin.js';
export { ScheduleAdmin } from './admin/schedule-admin.js';
export type { PreviewOptions, ScheduleFilter } from './admin/schedule-admin.js';
export type { MissedPolicy, OverlapPolicy, Schedule } from './schedule/schedule.js';
export { SCHEDULE_DEFAULTS } from './schedule/schedule-definition.js';
export type { ScheduleDefinition, ScheduleOptions, ScheduleTiming } from './schedule/schedule-definition.js';
export { QueueAdmin } from './admin/queue-admin.js';
export type {
  CountOptions,
  PauseOptions,
  PurgeOptions,
  PurgeResult,
  QueueFilter,
  QueueSize,
  SizeOptions,
} from './admin/queue-admin.js';
export type { QueuePause, QueueRecord, QueueStats } from './admin/queue-reader.js';
export { WorkerAdmin } from './admin/worker-admin.js';
export type { WorkerFilter, WorkerRecord } from './admin/worker-admin.js';
export type { EndedFacts, Explanation, Reason, ReasonCode, ReasonFacts } from './admin/explain/reason.js';
export { JobAdmin } from './admin/job-admin.js';
export type { BulkControl, BulkResult } from './admin/bulk-change.js';
export type {
  BulkOptions,
  CancelResult,
  JobCount,
  JobPage,
  PageOptions,
  ReadOptions,
  PayloadEdit,
  RedriveOptions,
  ReprocessOptions,
  ReprocessResult,
  RequeueOptions,
} from './admin/job-admin.js';
export type {
  CancelFilter,
  EndedState,
  JobFilter,
  ListFilter,
  PayloadMatch,
  LiveState,
  RedriveFilter,
  ReprocessFilter,
  RetryFilter,
} from './admin/job-filter.js';
export { FILTER_QUALIFIERS, parseFilter, type ParseFilterOptions } from './admin/filter-text.js';
export type { Reprocessed } from './job/reprocessed.js';
export type { DeadLetter } from './job/dead-letter.js';
export type { AttemptError, JobRecord } from './job/job-record.js';
export type { JobState } from './job/job-state.js';
export type { ErrorAction, ErrorClass, ErrorMatch, ErrorRule } from './retry/error-rule.js';
export { defineQueue } from './job/define-queue.js';
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
} from './job/queue-definition.js';
export type {
  EncryptedKind,
  EncryptedPayload,
  EncryptionContext,
  PayloadEncryption,
} from './job/encryption.js';
export type { PayloadVersions, Upcaster } from './job/payload-version.js';
export type { AnyQueue } from './job/queue.js';
export type { InputOf, PayloadOf, ResultOf, TaskmasterQueues } from './job/queue-types.js';
export { Job } from './job/job.js';
export type { BatchInfo, ParentResult } from './job/job.js';
export type { JobBatch } from './job/job-batch.js';
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
export type { BatchMiddleware, Middleware } from './worker/middleware.js';
export type { DtoClass } from './codec/dto-schema.js';
export type { StandardIssue, StandardResult, StandardSchema } from './codec/standard-schema.js';
export type { SqlExecutor, Transaction } from './connection/executor.js';
export { fromDrizzle, type DrizzleSql, type DrizzleTransaction } from './connection/adapters/from-drizzle.js';
export { fromKnex, type KnexTransaction } from './connection/adapters/from-knex.js';
export { fromKysely, type KyselyTransaction } from './connection/adapters/from-kysely.js';
export { fromMikroOrm, type MikroOrmEntityManager } from './connection/adapters/from-mikro-orm.js';
export { fromPostgresJs, type PostgresJsTransaction } from './connection/adapters/from-postgres-js.js';
export { fromPrisma, type PrismaTransaction } from './connection/adapters/from-prisma.js';
export {
  fromSequelize,
  type SequelizeInstance,
  type SequelizeTransaction,
} from './connection/adapters/from-sequelize.js';
export {
  BATCH_DEFAULTS,
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
