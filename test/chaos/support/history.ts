import type { TestDatabase } from '../../support/test-database.js';

/** How long one process, or all of them, may have been unable to work, and why. */
export interface Fault {
  readonly kind: string;
  /** The process it was done to; `null`: all of them. */
  readonly target: string | null;
  readonly startedAt: number;
  readonly endedAt: number;
}

/**
 * The history of a database, append-only, written by triggers of the test in the transactions that make it, and by handlers and
 * producers of the test over connections of their own: it trusts no code of the library.
 *
 * What a process did is told by its `application_name`, which is that of its connections and of its engine. `n` is drawn while
 * the locks that order two events are held, so it orders them as they happened; the clock would do that only to a microsecond.
 */
export class History {
  readonly faults: Fault[] = [];

  constructor(readonly database: Pick<TestDatabase, 'schema' | 'query'>) {}

  /** Before the first job. */
  async begin(): Promise<void> {
    await this.database.query(historyOf(`"${this.database.schema}"`));
  }

  /** Something was done to a process, or to all. */
  note(kind: string, target: string | null, startedAt: number, endedAt = Date.now()): void {
    this.faults.push({ kind, target, startedAt, endedAt });
  }

  /** Hands the faults to the database, where the checks look for them. */
  async storeFaults(): Promise<void> {
    await this.database.query(
      `insert into audit.faults (kind, target, started_at, ended_at)
       select f->>'kind', f->>'target', to_timestamp((f->>'startedAt')::double precision / 1000), to_timestamp((f->>'endedAt')::double precision / 1000)
         from jsonb_array_elements($1::jsonb) as f`,
      [JSON.stringify(this.faults)],
    );
  }
}

/** A history of a database from now on. */
export async function historyIn(database: Pick<TestDatabase, 'schema' | 'query'>): Promise<History> {
  const history = new History(database);
  await history.begin();
  return history;
}

function historyOf(schema: string): string {
  return `
    create schema audit;
    create sequence audit.n;

    -- What became of each job, a row a change of its state, token or counts.
    create table audit.jobs (
      n bigint primary key default nextval('audit.n'), at timestamptz not null default clock_timestamp(),
      by text not null default current_setting('application_name'),
      op "char" not null, outcome text, job_id bigint not null, queue text not null, key text,
      old_seq bigint, new_seq bigint, old_state text, new_state text, due timestamptz,
      run_count integer, crash_count integer, old_crash_count integer, max_attempts integer,
      group_key text, unique_key text, fired text
    );
    create index on audit.jobs (job_id, n);
    create index on audit.jobs (old_seq);

    -- What was handed out, and when its lease went.
    create table audit.leases (
      n bigint primary key default nextval('audit.n'), at timestamptz not null default clock_timestamp(),
      by text not null default current_setting('application_name'),
      lease_id bigint not null, worker_id integer not null, worker text, queue text not null, seq bigint not null, job_id bigint not null,
      ready boolean not null
    );
    create index on audit.leases (seq);
    create index on audit.leases (job_id);

    -- What handlers did, in their own words; 'ended' is written before they return or throw.
    create table audit.runs (
      id bigint generated always as identity primary key, n bigint not null default nextval('audit.n'),
      started_at timestamptz not null default clock_timestamp(),
      by text not null, pid integer not null, job_id bigint not null, queue text not null, attempt integer not null,
      ended_at timestamptz, ending text, aborted_at timestamptz
    );
    create index on audit.runs (job_id);
    create table audit.effects (job_id bigint not null);
    create table audit.business (key text primary key);
    create table audit.outcomes (key text primary key, outcome text not null, business boolean not null, error text, at timestamptz);
    create table audit.faults (kind text not null, target text, started_at timestamptz not null, ended_at timestamptz not null);

    create function audit.state(run_at timestamptz, failed_at timestamptz) returns text language sql immutable as $$
      select case when failed_at is not null then 'failed' when run_at is null then 'ready' when run_at = 'infinity' then 'parked' else 'scheduled' end
    $$;

    create function audit.note_job() returns trigger language plpgsql as $$
    begin
      if tg_op = 'INSERT' then
        insert into audit.jobs (op, job_id, queue, key, new_seq, new_state, due, run_count, crash_count, max_attempts, group_key, unique_key, fired)
        values ('i', new.id, new.queue_name, new.payload ->> 'key', new.seq, audit.state(new.run_at, new.failed_at), nullif(new.run_at, 'infinity'),
                new.run_count, new.crash_count, new.max_attempts, new.group_key, new.unique_key,
                (new.meta ->> 'schedule') || ' ' || (new.meta ->> 'scheduledFor'));
      elsif tg_op = 'DELETE' then
        insert into audit.jobs (op, outcome, job_id, queue, old_seq, old_state, run_count, crash_count, max_attempts, group_key, unique_key)
        values ('d', current_setting('taskmaster.outcome', true), old.id, old.queue_name, old.seq, audit.state(old.run_at, old.failed_at),
                old.run_count, old.crash_count, old.max_attempts, old.group_key, old.unique_key);
      elsif new.seq <> old.seq or new.run_at is distinct from old.run_at or new.failed_at is distinct from old.failed_at then
        insert into audit.jobs (op, job_id, queue, old_seq, new_seq, old_state, new_state, due, run_count, crash_count, old_crash_count,
                                max_attempts, group_key, unique_key)
        values ('u', new.id, new.queue_name, old.seq, new.seq, audit.state(old.run_at, old.failed_at), audit.state(new.run_at, new.failed_at),
                nullif(old.run_at, 'infinity'), new.run_count, new.crash_count, old.crash_count, new.max_attempts, new.group_key, new.unique_key);
      end if;
      return null;
    end $$;
    create trigger zz_audit after insert or update or delete on ${schema}.jobs for each row execute function audit.note_job();

    create function audit.note_lease() returns trigger language plpgsql as $$
    begin
      insert into audit.leases (lease_id, worker_id, worker, queue, seq, job_id, ready)
      -- A claim that was on its way for longer than the lease is of a worker that was declared dead: it is known by its connection.
      select new.id, new.worker_id, coalesce((select name from ${schema}.workers where id = new.worker_id), current_setting('application_name')), new.queue_name, held.seq, held.id,
             exists (select from ${schema}.jobs as job where job.id = held.id and job.seq = held.seq and job.run_at is null and job.failed_at is null)
        from unnest(new.seqs, new.ids) as held(seq, id);
      return null;
    end $$;
    create trigger zz_audit after insert on ${schema}.leases for each row execute function audit.note_lease();`;
}
