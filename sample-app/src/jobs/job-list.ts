import { Injectable } from '@nestjs/common';
import { InjectTaskmasterPool } from 'nestjs-taskmaster';
import type pg from 'pg';
import { z } from 'zod';

/** Which jobs to list. Of text alone, as it comes in a query string. */
export const JobFilter = z.object({
  state: z.enum(['scheduled', 'ready', 'running', 'blocked', 'completed', 'failed', 'cancelled']).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

/** A job as it is shown: what happened, but no stack and nothing of the inside. */
export interface ListedJob {
  readonly id: string;
  readonly queue: string;
  readonly state: string;
  readonly payload: unknown;
  readonly runCount: number;
  readonly error: string | null;
  readonly createdAt: Date;
}

const LIST = `
  select id, queue_name as queue, state, payload, run_count as "runCount", last_error ->> 'message' as error,
         created_at as "createdAt"
    from taskmaster.job_states
   where $1::text is null or state = $1
   order by id desc
   limit $2`;

/** Reads jobs where everybody may: in the view that Taskmaster keeps for it. */
@Injectable()
export class JobList {
  constructor(@InjectTaskmasterPool() private readonly pool: pg.Pool) {}

  /** The newest first. */
  async read({ state, limit }: z.output<typeof JobFilter>): Promise<ListedJob[]> {
    const { rows } = await this.pool.query<ListedJob>(LIST, [state, limit]);
    return rows;
  }
}
