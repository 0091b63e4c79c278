import { unseal } from '../codec/sealed.js';
import type { Transaction } from '../connection/executor.js';
import { databaseErrorOf } from '../connection/pg-errors.js';
import { InvalidOptionsError, ReducerConflictError } from '../errors.js';
import { upcast } from '../job/payload-version.js';
import type { PayloadReducer, QueueRules } from '../job/queue-definition.js';
import { queueNameOf } from '../job/queue-name.js';
import type { EnqueuedRow } from '../sql/enqueue-jobs.js';
import { type HeldRow, holdUnique } from '../sql/hold-unique.js';
import type { Tables } from '../sql/tables.js';
import type { JobOptions, NewJob, UniqueOptions } from './enqueue-options.js';
import { valueAt } from './job-rules.js';
import type { EncodedJob } from './job-text.js';

/** What {@link ReducedJobs} needs of the publisher. */
export interface ReducedJobsOptions {
  readonly tables: Tables;
  readonly rulesOf: (job: NewJob) => QueueRules | undefined;
  readonly encode: (job: NewJob) => Promise<EncodedJob>;
  /** `null`: another job waits with the key than was reduced with, and nothing was stored. */
  readonly insert: (tx: Transaction, jobs: readonly EncodedJob[]) => Promise<readonly (EnqueuedRow | null)[]>;
}

/** Only a key that changes hands between two statements, again and again, takes more than two. */
const MOST_TRIES = 20;

/** The name of the reducer that the options of a job ask for. */
export function reducerOf({ unique }: JobOptions): string | undefined {
  const conflict = unique?.onConflict;
  return typeof conflict === 'object' && 'reducer' in conflict ? conflict.reducer : undefined;
}

/**
 * Jobs whose payload a reducer makes one with that of the job that waits. That one is locked, the reducer runs here, and what it has made is
 * stored by the same transaction: nobody claims or changes the job in between, and no payload is lost.
 */
export class ReducedJobs {
  constructor(private readonly options: ReducedJobsOptions) {}

  /** @throws InvalidOptionsError, ReducerConflictError; what the reducer has thrown; InvalidPayloadError for what it has made */
  async store(tx: Transaction, job: NewJob): Promise<EnqueuedRow> {
    const reduce = this.#reducer(job);
    const encoded = await this.options.encode(job);
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const held = await this.#hold(tx, encoded);
      const stored = held === undefined ? encoded : await this.#reduced(job, encoded, held, reduce);
      const [row] = await this.options.insert(tx, [stored]);
      if (row !== undefined && row !== null) return row;
    }
    throw new ReducerConflictError(encoded.queue);
  }

  #reducer(job: NewJob): PayloadReducer {
    const name = reducerOf(job) as string;
    const { reducers = {} } = this.options.rulesOf(job) ?? {};
    if (Object.hasOwn(reducers, name)) return reducers[name] as PayloadReducer;
    const known = Object.keys(reducers).join(', ') || 'none';
    throw new InvalidOptionsError(`enqueue(${JSON.stringify(queueNameOf(job.queue))})`, [
      `unique.onConflict.reducer: the definition of the queue has no reducer ${JSON.stringify(name)}; it has ${known}`,
    ]);
  }

  async #hold(tx: Transaction, { queue, text }: EncodedJob): Promise<HeldRow | undefined> {
    const rule = JSON.stringify((JSON.parse(text) as { u: unknown }).u);
    try {
      const values = holdUnique.values({ queue, rule });
      const answer = (await tx.query(holdUnique.text(this.options.tables), values)) as
        HeldRow[] | { rows: HeldRow[] };
      return (Array.isArray(answer) ? answer : answer.rows)[0];
    } catch (error) {
      throw databaseErrorOf('enqueue', error);
    }
  }

  /** All but the payload stays that of what was enqueued, its key among it. */
  async #reduced(
    job: NewJob,
    encoded: EncodedJob,
    held: HeldRow,
    reduce: PayloadReducer,
  ): Promise<EncodedJob> {
    const rules = this.options.rulesOf(job) ?? {};
    if (held.version > (rules.version ?? 1)) return withRule(encoded, { e: String(held.id), a: true });
    const clear = await unseal(JSON.parse(held.payload), 'payload', rules.encryption);
    const waiting = await upcast(clear, held.version, rules);
    const made: unknown = await reduce(waiting as never, (job.payload ?? {}) as never);
    const { p } = JSON.parse((await this.options.encode({ ...job, payload: made })).text) as { p: unknown };
    return withRule(encoded, { e: String(held.id) }, { p });
  }
}

/** @param rule what is added to its rule. `e`: the job it was reduced with; `a`: with which it cannot be, as it is of a newer version */
function withRule(encoded: EncodedJob, rule: object, fields: object = {}): EncodedJob {
  const whole = JSON.parse(encoded.text) as { readonly u: object };
  return { ...encoded, text: JSON.stringify({ ...whole, ...fields, u: { ...whole.u, ...rule } }) };
}

/** The places of jobs in the order of their queues and keys. */
export function inOrderOfKeys(jobs: readonly NewJob[]): number[] {
  const keys = jobs.map(({ queue, payload, unique }) =>
    Buffer.from(`${queueNameOf(queue)}\0${unique === undefined ? '' : keyOf(unique, payload)}`),
  );
  return [...jobs.keys()].toSorted((a, b) => Buffer.compare(keys[a]!, keys[b]!) || a - b);
}

function keyOf({ key, fields = [] }: UniqueOptions, payload: unknown): string {
  return key ?? JSON.stringify(fields.map((path) => valueAt(payload, path)));
}
