import type { StatementPool } from '../connection/statement-pool.js';
import { integer, problemsOf, throwProblems, type Checks } from '../option-checker.js';
import { readAudit, writeAudit } from '../sql/audit-log.js';
import { jobId } from './job-filter.js';

/** Something that somebody has done by hand. */
export interface AuditAction {
  /** `jobs.retry`, `queues.pause`. */
  readonly action: string;
  /** Who did it. */
  readonly by?: string | undefined;
  readonly ip?: string | undefined;
  /** What it was done to: a queue, ids, a filter. Plain data. */
  readonly target?: Readonly<Record<string, unknown>>;
  /** How many jobs it has changed. */
  readonly count?: number | undefined;
}

/** A line of the audit log. */
export interface AuditEntry {
  readonly id: string;
  readonly at: Date;
  readonly action: string;
  readonly by: string | undefined;
  readonly ip: string | undefined;
  readonly target: Readonly<Record<string, unknown>>;
  readonly count: number | undefined;
}

export interface AuditPage {
  /** Only entries before this one, by its id. */
  readonly before?: string;
  /** 1 to 1_000. @default 100 */
  readonly limit?: number;
}

interface AuditJson {
  readonly id: string;
  readonly at: string;
  readonly action: string;
  readonly by: string | null;
  readonly ip: string | null;
  readonly target: Readonly<Record<string, unknown>>;
  readonly count: number | null;
}

const PAGE = 100;
const PAGE_CHECKS = { before: jobId, limit: integer(1, 1_000) } satisfies Checks;

/** Who did what by hand: kept for 90 days. */
export class AuditAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /** The newest first. */
  async list(page: AuditPage = {}): Promise<AuditEntry[]> {
    throwProblems('audit.list', problemsOf(page, PAGE_CHECKS));
    const { before = null, limit = PAGE } = page;
    const rows = await this.options.statements.run('audit.list', readAudit, { before, limit });
    return rows.map((row) => entryOf(JSON.parse(row.entry) as AuditJson));
  }

  /** Writes an entry. The library does nothing by hand, so it writes none by itself: the dashboard and the command line do. */
  async write({ action, by, ip, target = {}, count }: AuditAction): Promise<void> {
    await this.options.statements.run('audit.write', writeAudit, {
      action,
      by: by ?? null,
      ip: ip ?? null,
      target: JSON.stringify(target),
      count: count ?? null,
    });
  }
}

function entryOf(json: AuditJson): AuditEntry {
  return {
    ...json,
    at: new Date(json.at),
    by: json.by ?? undefined,
    ip: json.ip ?? undefined,
    count: json.count ?? undefined,
  };
}
