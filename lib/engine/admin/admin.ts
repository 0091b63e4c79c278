import type { ClientSource } from '../connection/pool.js';
import type { StatementPool } from '../connection/statement-pool.js';
import type { EventHub } from '../events.js';
import type { Tables } from '../sql/tables.js';
import { JobAdmin } from './job-admin.js';
import { ScheduleAdmin } from './schedule-admin.js';

/** What the parts of an {@link Admin} share. */
export interface AdminOptions {
  /** For single statements. */
  readonly statements: StatementPool;
  /** For transactions. */
  readonly pool: ClientSource;
  readonly tables: Tables;
  readonly events: EventHub;
  readonly maxPayloadBytes: number;
  /** A job of this queue has become ready. */
  readonly onReady: (queue: string) => void;
  /** Schedules have changed: those who fire them look again. */
  readonly onSchedulesChanged: () => void;
  /** Jobs of this queue are ready, or will be in so many milliseconds. */
  readonly onCommitted: (queue: string, delayMs: number | undefined) => void;
}

/** What people and tools do to jobs, queues and schedules: the one implementation behind every interface. Works without a started engine. */
export class Admin {
  readonly jobs: JobAdmin;
  readonly schedules: ScheduleAdmin;

  constructor(options: AdminOptions) {
    this.jobs = new JobAdmin(options);
    this.schedules = new ScheduleAdmin(options);
  }
}
