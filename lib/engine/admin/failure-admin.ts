import type { StatementPool } from '../connection/statement-pool.js';
import type { AnyQueue } from '../job/queue.js';
import { queueNameOf } from '../job/queue-name.js';
import { check, integer, problemsOf, throwProblems, type Checks } from '../option-checker.js';
import { queueReference } from '../option-checks.js';
import { failureGroups, type FailureGroupJson } from '../sql/failure-groups.js';

/** Failed jobs whose errors are of one kind: of one class, with the same message but for ids and numbers, thrown at the same place. */
export interface FailureGroup {
  /** Selects them: `jobs.retry({ fingerprint })`. */
  readonly fingerprint: string;
  readonly name: string | undefined;
  readonly code: string | undefined;
  /** The message, with marks for what differs. */
  readonly pattern: string | undefined;
  /** That of the newest. */
  readonly message: string | undefined;
  /** Where it was thrown. */
  readonly frame: string | undefined;
  /** How many failed jobs there are. */
  readonly count: number;
  readonly queues: readonly string[];
  readonly firstAt: Date;
  readonly lastAt: Date;
  readonly lastJobId: string;
  /** How many failed in each of the last 24 hours, the oldest first. */
  readonly hours: readonly number[];
}

export interface FailureFilter {
  /** @default all of them */
  readonly queue?: AnyQueue;
  /** Only what failed later. */
  readonly since?: Date;
  /** At most so many groups, 1 to 1_000. @default 100 */
  readonly limit?: number;
}

const GROUPS = 100;
/** So many failed jobs are looked at, the newest. */
const WINDOW = 20_000;
const FILTER_CHECKS = {
  queue: queueReference,
  since: check('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime())),
  limit: integer(1, 1_000),
} satisfies Checks;

/** Failures: the jobs that have failed and are there, by what their errors have in common. */
export class FailureAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /** The largest groups first; among the 20,000 jobs that failed last. */
  async list(filter: FailureFilter = {}): Promise<FailureGroup[]> {
    throwProblems('failures.list', problemsOf(filter, FILTER_CHECKS));
    const rows = await this.options.statements.run('failures.list', failureGroups, {
      queue: filter.queue === undefined ? null : queueNameOf(filter.queue),
      since: filter.since ?? null,
      window: WINDOW,
      limit: filter.limit ?? GROUPS,
    });
    return rows.map((row) => groupOf(JSON.parse(row.failures) as FailureGroupJson));
  }
}

function groupOf(json: FailureGroupJson): FailureGroup {
  return {
    ...json,
    name: json.name ?? undefined,
    code: json.code ?? undefined,
    pattern: json.pattern ?? undefined,
    message: json.message ?? undefined,
    frame: json.frame ?? undefined,
    firstAt: new Date(json.firstAt),
    lastAt: new Date(json.lastAt),
    hours: json.hours.toReversed(),
  };
}
