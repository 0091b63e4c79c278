import type { TestDatabase } from '../../support/test-database.js';

/** What must never happen, each counted; all are 0 in a history without fault. */
export interface Violations {
  /** Tokens that were handed out to more than one lease. */
  readonly handedOutTwice: number;
  /** Jobs that were acked by a token that nobody had been given. */
  readonly ackedUnleased: number;
  /** Tokens that went back to an older one. */
  readonly tokensReused: number;
  /** Jobs that committed, and are neither acked nor there any more. */
  readonly lost: number;
}

/** How much happened. */
export interface Counts {
  readonly inserted: number;
  readonly acked: number;
  readonly handedOut: number;
  readonly redrawn: number;
}

/**
 * The history of a database, written by triggers of the test in the transactions that make it: it trusts no code of the
 * library.
 */
export class Audit {
  constructor(private readonly database: Pick<TestDatabase, 'schema' | 'query'>) {}

  /** Before the first job. */
  async begin(): Promise<void> {
    const schema = `"${this.database.schema}"`;
    await this.database.query(`
      create table audit_jobs (op "char" not null, job_id bigint not null, queue text not null, old_seq bigint, new_seq bigint);
      create table audit_leases (lease_id bigint not null, worker_id integer not null, seq bigint not null);
      create function audit_job() returns trigger language plpgsql as $$
      begin
        if tg_op = 'INSERT' then insert into audit_jobs values ('i', new.id, new.queue_name, null, new.seq);
        elsif tg_op = 'DELETE' then insert into audit_jobs values ('d', old.id, old.queue_name, old.seq, null);
        elsif new.seq <> old.seq then insert into audit_jobs values ('u', new.id, new.queue_name, old.seq, new.seq);
        end if;
        return null;
      end $$;
      create trigger audit after insert or update or delete on ${schema}.jobs for each row execute function audit_job();
      create function audit_lease() returns trigger language plpgsql as $$
      begin
        insert into audit_leases select new.id, new.worker_id, seq from unnest(new.seqs) as seq;
        return null;
      end $$;
      create trigger audit after insert on ${schema}.leases for each row execute function audit_lease();`);
  }

  async violations(): Promise<Violations> {
    const [row] = await this.database.query<Violations & Record<string, number>>(`
      select (select count(*)::integer from (select from audit_leases group by seq having count(*) > 1) as twice) as "handedOutTwice",
             (select count(*)::integer from audit_jobs as job where op = 'd'
                and not exists (select from audit_leases as lease where lease.seq = job.old_seq)) as "ackedUnleased",
             (select count(*)::integer from audit_jobs where op = 'u' and new_seq <= old_seq) as "tokensReused",
             (select count(*)::integer from audit_jobs as job where op = 'i'
                and not exists (select from audit_jobs as ended where ended.op = 'd' and ended.job_id = job.job_id)
                and not exists (select from "${this.database.schema}".jobs as left_over where left_over.id = job.job_id)) as lost`);
    return row!;
  }

  async counts(): Promise<Counts> {
    const [row] = await this.database.query<Counts & Record<string, number>>(`
      select count(*) filter (where op = 'i')::integer as inserted,
             count(*) filter (where op = 'd')::integer as acked,
             (select count(*)::integer from audit_leases) as "handedOut",
             count(*) filter (where op = 'u')::integer as redrawn
        from audit_jobs`);
    return row!;
  }
}

export const NO_VIOLATIONS: Violations = { handedOutTwice: 0, ackedUnleased: 0, tokensReused: 0, lost: 0 };

/** An audit of a database from now on. */
export async function audited(database: TestDatabase): Promise<Audit> {
  const audit = new Audit(database);
  await audit.begin();
  return audit;
}
