import type { StatementPool } from '../connection/statement-pool.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import { integer, problemsOf, throwProblems } from '../option-checker.js';
import type { Checks } from '../option-checker.js';
import { queueReference } from '../option-checks.js';
import { listWorkers, type WorkerJson, type WorkerRow } from '../sql/list-workers.js';
import { orderWorker } from '../sql/worker-orders.js';

/** A process that works on queues and is alive: one start of its engine. */
export interface WorkerRecord {
  /** Another one after a restart, and after it was taken for dead. */
  readonly id: number;
  /** Name of the instance. */
  readonly name: string;
  readonly host: string | undefined;
  readonly pid: number | undefined;
  /** The release of the library that it runs. */
  readonly version: string | undefined;
  readonly startedAt: Date;
  readonly heartbeatAt: Date;
  /** `quiet`: it takes nothing new until it is told to resume; `draining`: it takes nothing new, and stops. */
  readonly state: 'running' | 'quiet' | 'draining';
  /** What it works on, and how many jobs of each may run there at once. */
  readonly queues: readonly { readonly queue: string; readonly slots: number }[];
  /** Jobs that it has claimed. */
  readonly running: number;
  /** For how long it has had the oldest of them, in milliseconds. */
  readonly oldestRunningMs: number | undefined;
}

/** Which workers {@link WorkerAdmin.list} tells of. */
export interface WorkerFilter {
  /** Only those that work on it. */
  readonly queue?: AnyQueue;
  /** Only those after this id: the last of the page before. */
  readonly after?: number;
  /** At most so many, 1 to 10_000. @default 1_000 */
  readonly limit?: number;
}

const PAGE = 1_000;
const LARGEST_PAGE = 10_000;
const MAX_WORKER_ID = 2_147_483_647;
const workerId = integer(0, MAX_WORKER_ID);

const FILTER_CHECKS = {
  queue: queueReference,
  after: workerId,
  limit: integer(1, LARGEST_PAGE),
} satisfies Checks;

const WORK = 0;
const QUIET = 1;
const STOP = 2;

/**
 * Workers: who is there, and what they are to do. They are told by notification; whoever does not hear it reads it with its next heartbeat.
 */
export class WorkerAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /** Those that are alive, in the order of their ids. */
  async list(filter: WorkerFilter = {}): Promise<WorkerRecord[]> {
    throwProblems('workers.list', problemsOf(filter, FILTER_CHECKS));
    const { queue, after = 0, limit = PAGE } = filter;
    const rows = await this.options.statements.run('workers.list', listWorkers, {
      queue: queue === undefined ? null : queueNameOf(queue),
      after,
      limit,
    });
    return rows.map(workerOf);
  }

  /**
   * It takes nothing new, until `resume` or for as long as it lives; what runs goes on. Jobs it has claimed ahead go back.
   * False: there is no such worker, or it stops.
   */
  quiet(id: number): Promise<boolean> {
    return this.#order('workers.quiet', id, QUIET);
  }

  /** A quiet worker works again. False: there is no such worker, or it stops. */
  resume(id: number): Promise<boolean> {
    return this.#order('workers.resume', id, WORK);
  }

  /**
   * It drains and stops, as by `TaskmasterRuntime.stop()`; the process goes on, and can start it again. Cannot be taken back.
   * False: there is no such worker, or it stops already.
   */
  stop(id: number): Promise<boolean> {
    return this.#order('workers.stop', id, STOP);
  }

  async #order(operation: string, id: number, order: number): Promise<boolean> {
    throwProblems(operation, problemsOf({ id }, { id: workerId }, ['id']));
    const [row] = await this.options.statements.run(operation, orderWorker, { workerId: id, order });
    return row?.told === true;
  }
}

function workerOf(row: WorkerRow): WorkerRecord {
  const { queues, oldestAt, now, ...json } = JSON.parse(row.worker) as WorkerJson;
  return {
    ...json,
    host: json.host ?? undefined,
    pid: json.pid ?? undefined,
    version: json.version ?? undefined,
    startedAt: new Date(json.startedAt),
    heartbeatAt: new Date(json.heartbeatAt),
    queues: Object.entries(queues).map(([queue, slots]) => ({ queue, slots })),
    oldestRunningMs: oldestAt === null ? undefined : Math.max(0, Date.parse(now) - Date.parse(oldestAt)),
  };
}
