import type { ClientSource } from '../connection/pool.js';
import type { StatementPool } from '../connection/statement-pool.js';
import type { EventHub } from '../events.js';
import type { EncryptionOf } from '../job/encryption.js';
import type { QueueRules } from '../job/queue-definition.js';
import type { Tables } from '../sql/tables.js';
import { AuditAdmin } from './audit-admin.js';
import { BatchAdmin } from './batch-admin.js';
import { FailureAdmin } from './failure-admin.js';
import { JobAdmin } from './job-admin.js';
import { FlowAdmin } from './flow-admin.js';
import { OperationAdmin } from './operation-admin.js';
import { QueueAdmin } from './queue-admin.js';
import { ScheduleAdmin } from './schedule-admin.js';
import { StatsAdmin } from './stats-admin.js';
import { SystemAdmin } from './system-admin.js';
import { WorkerAdmin } from './worker-admin.js';

/** What the parts of an {@link Admin} share. */
export interface AdminOptions {
  /** For single statements. */
  readonly statements: StatementPool;
  /** The same, also while the engine closes. */
  readonly lastStatements: StatementPool;
  /** For transactions. */
  readonly pool: ClientSource;
  readonly tables: Tables;
  /** Name of the schema. */
  readonly schema: string;
  readonly events: EventHub;
  readonly maxPayloadBytes: number;
  /** What is known here of a queue that is given by its name. */
  readonly rulesOf: (queue: string) => QueueRules | undefined;
  readonly encryptionOf: EncryptionOf;
  /** A job of this queue has become ready. */
  readonly onReady: (queue: string) => void;
  /** Schedules have changed: those who fire them look again. */
  readonly onSchedulesChanged: () => void;
  /** Jobs of this queue are ready, or will be in so many milliseconds. */
  readonly onCommitted: (queue: string, delayMs: number | undefined) => void;
}

/** What people and tools do to jobs, queues, schedules and workers: the one implementation behind every interface. Works without a started engine. */
export class Admin {
  readonly jobs: JobAdmin;
  readonly queues: QueueAdmin;
  readonly schedules: ScheduleAdmin;
  readonly workers: WorkerAdmin;
  readonly batches: BatchAdmin;
  readonly stats: StatsAdmin;
  readonly failures: FailureAdmin;
  readonly operations: OperationAdmin;
  readonly audit: AuditAdmin;
  readonly system: SystemAdmin;
  readonly flows: FlowAdmin;

  constructor(options: AdminOptions) {
    this.batches = new BatchAdmin(options);
    this.jobs = new JobAdmin(options);
    this.queues = new QueueAdmin(options);
    this.schedules = new ScheduleAdmin(options);
    this.workers = new WorkerAdmin(options);
    this.stats = new StatsAdmin(options);
    this.failures = new FailureAdmin(options);
    this.operations = new OperationAdmin({ ...options, jobs: this.jobs });
    this.audit = new AuditAdmin(options);
    this.flows = new FlowAdmin(options);
    this.system = new SystemAdmin({ statements: options.statements, schema: options.schema });
  }
}
