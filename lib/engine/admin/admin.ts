import type pg from 'pg';
import type { StatementPool } from '../connection/statement-pool.js';
import type { EventHub } from '../events.js';
import type { Tables } from '../sql/tables.js';
import { ScheduleAdmin } from './schedule-admin.js';

/** What the parts of an {@link Admin} share. */
export interface AdminOptions {
  /** For single statements. */
  readonly statements: StatementPool;
  /** For transactions. */
  readonly pool: pg.Pool;
  readonly tables: Tables;
  readonly events: EventHub;
}

/** What people and tools do to jobs, queues and schedules: the one implementation behind every interface. Works without a started engine. */
export class Admin {
  readonly schedules: ScheduleAdmin;

  constructor(options: AdminOptions) {
    this.schedules = new ScheduleAdmin(options);
  }
}
