import type { StatementPool } from '../connection/statement-pool.js';
import {
  boolean,
  check,
  integer,
  isObject,
  oneOf,
  problemsOf,
  throwProblems,
  type Checks,
} from '../option-checker.js';
import {
  beginOperation,
  cancelOperation,
  readOperations,
  type StepOperationArgs,
  stepOperation,
} from '../sql/operations.js';
import type { BulkResult } from './bulk-change.js';
import type { BulkOptions, JobAdmin } from './job-admin.js';
import {
  type CancelFilter,
  jobId,
  type ListFilter,
  type ReprocessFilter,
  type RetryFilter,
} from './job-filter.js';

/** What can be done to many jobs. `run-now`: scheduled jobs run now. */
export type OperationAction = 'retry' | 'run-now' | 'requeue' | 'cancel' | 'delete' | 'reprocess';

/** A change of many jobs to begin. */
export interface OperationRequest {
  readonly action: OperationAction;
  /** Which jobs; for some of them `ids`. */
  readonly filter: ListFilter;
  /** At most so many. @default all of them */
  readonly limit?: number;
  /** Who asks for it, for people. */
  readonly by?: string;
  /** Of `reprocess`: also those that were before. @default false */
  readonly again?: boolean;
}

/** `lost`: the process that did it has ended; what was done is done, and what is left can be begun again. */
export type OperationState = 'running' | 'done' | 'cancelled' | 'failed' | 'lost';

/** A change of many jobs, done part by part by the process that was asked for it. */
export interface Operation {
  readonly id: string;
  readonly action: OperationAction;
  /** Filter and limit, as JSON. */
  readonly asked: Readonly<Record<string, unknown>>;
  readonly by: string | undefined;
  /** How many jobs matched at the beginning, up to 10,000; 10,001 stands for more. */
  readonly total: number;
  readonly done: number;
  readonly state: OperationState;
  readonly error: string | undefined;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
}

interface OperationJson extends Omit<Operation, 'by' | 'error' | 'createdAt' | 'endedAt'> {
  readonly by: string | null;
  readonly error: string | null;
  readonly createdAt: string;
  readonly endedAt: string | null;
}

const COUNTED = 10_000;
const PAGE = 50;
const REQUEST_CHECKS = {
  action: oneOf('retry', 'run-now', 'requeue', 'cancel', 'delete', 'reprocess'),
  filter: check('a filter', isObject),
  limit: integer(1, Number.MAX_SAFE_INTEGER),
  by: check('a text', (value) => typeof value === 'string'),
  again: boolean,
} satisfies Checks;

/** Options of an {@link OperationAdmin}. */
export interface OperationAdminOptions {
  readonly statements: StatementPool;
  /** The same, also while the engine closes: an end is written down. */
  readonly lastStatements: StatementPool;
  readonly jobs: JobAdmin;
}

/**
 * Changes of many jobs that go on while others are done, are told of in every process, and can be stopped from any.
 *
 * running -> done | cancelled | failed; lost when its process has ended.
 */
export class OperationAdmin {
  readonly #running = new Map<string, Promise<void>>();
  readonly #closed = new AbortController();

  constructor(private readonly options: OperationAdminOptions) {}

  /**
   * Begins one, and answers as soon as it is written down.
   *
   * @throws InvalidOptionsError listing every problem, also of the filter
   */
  async begin(request: OperationRequest): Promise<Operation> {
    throwProblems('operations.begin', problemsOf(request, REQUEST_CHECKS, ['action', 'filter']));
    const preview = await this.#apply(request, {
      dryRun: true,
      limit: Math.min(request.limit ?? Infinity, COUNTED),
    });
    const { action, filter, limit, by } = request;
    const total = preview.count + (preview.more && request.limit === undefined ? 1 : 0);
    const args = { action, asked: JSON.stringify({ filter, limit }), by: by ?? null, total };
    const [row] = await this.options.statements.run('operations.begin', beginOperation, args);
    const id = row?.id as string;
    this.#running.set(
      id,
      this.#work(id, request).finally(() => this.#running.delete(id)),
    );
    return (await this.get(id)) as Operation;
  }

  /** `undefined` when there is none of this id. */
  async get(id: string): Promise<Operation | undefined> {
    throwProblems('operations.get', problemsOf({ id }, { id: jobId }, ['id']));
    const [row] = await this.options.statements.run('operations.get', readOperations, { id, limit: 1 });
    return row === undefined ? undefined : operationOf(JSON.parse(row.operation) as OperationJson);
  }

  /** The newest 50, the newest first. */
  async list(): Promise<Operation[]> {
    const rows = await this.options.statements.run('operations.list', readOperations, {
      id: null,
      limit: PAGE,
    });
    return rows.map((row) => operationOf(JSON.parse(row.operation) as OperationJson));
  }

  /** It stops after the part that is under way, in whatever process it goes on. False: it has ended, or there is none. */
  async cancel(id: string): Promise<boolean> {
    throwProblems('operations.cancel', problemsOf({ id }, { id: jobId }, ['id']));
    const rows = await this.options.statements.run('operations.cancel', cancelOperation, { id });
    return rows.length > 0;
  }

  /** Those of this process stop after the part that is under way. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all(this.#running.values());
  }

  async #work(id: string, request: OperationRequest): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#closed.signal]);
    let done = 0;
    const onPart = async (changed: number) => {
      done = changed;
      if (await this.#step({ id, done, ended: false, cancelled: false, error: null })) stop.abort();
    };
    const error = await this.#apply(request, { onPart, signal, ...limited(request) }).then(
      () => null,
      (failure: unknown) => (failure instanceof Error ? failure.message : String(failure)),
    );
    const over = this.#closed.signal.aborted;
    await this.#step({ id, done, ended: true, cancelled: over, error: over ? null : error }).catch(() => {}); // it shows as lost
  }

  async #step(args: StepOperationArgs): Promise<boolean> {
    const [row] = await this.options.lastStatements.run('operations.step', stepOperation, args);
    return row?.cancelled === true;
  }

  #apply({ action, filter, again }: OperationRequest, options: BulkOptions): Promise<BulkResult> {
    const { jobs } = this.options;
    switch (action) {
      case 'retry':
        return jobs.retry(filter as RetryFilter, options);
      case 'run-now':
        return jobs.retry({ ...filter, state: 'scheduled' }, options);
      case 'requeue':
        return jobs.requeue(filter as RetryFilter, options);
      case 'cancel':
        return jobs.cancel(filter as CancelFilter, options);
      case 'delete':
        return jobs.remove(filter, options);
      case 'reprocess':
        return jobs.reprocess(filter as ReprocessFilter, {
          ...options,
          ...(again === true ? { again } : {}),
        });
    }
  }
}

function limited({ limit }: OperationRequest): { limit?: number } {
  return limit === undefined ? {} : { limit };
}

function operationOf(json: OperationJson): Operation {
  return {
    ...json,
    by: json.by ?? undefined,
    error: json.error ?? undefined,
    createdAt: new Date(json.createdAt),
    endedAt: json.endedAt === null ? undefined : new Date(json.endedAt),
  };
}
