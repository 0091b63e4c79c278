import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Job, Taskmaster } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import type { EventLog } from '../integration/support/event-log.js';
import { StepTable } from '../integration/support/step-table.js';
import { workingEngine } from '../integration/support/working-engine.js';

/** A step and what goes wrong in it, a number of times, after it has had its effect. */
interface StepOp {
  readonly kind: 'step';
  readonly transactional: boolean;
  readonly throws: number;
  /** The job is given to others meanwhile, as by a rescue. */
  readonly takeOvers: number;
}

/** What a handler does, one thing after another. */
type Op =
  | StepOp
  /** At once, beside a sleep. */
  | { readonly kind: 'parallel'; readonly steps: readonly StepOp[]; readonly ms: number }
  | { readonly kind: 'sleep'; readonly ms: number; readonly named: boolean }
  /** `kept`: emitted at the moment the wait begins; `waiting`: when it has begun; `never`: it times out. */
  | { readonly kind: 'event'; readonly emitted: 'kept' | 'waiting' | 'never' }
  /** Between steps. */
  | { readonly kind: 'throw'; readonly times: number };

type Program = readonly Op[];

const few = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 }) },
);
const ms = fc.nat(5);
const step: fc.Arbitrary<StepOp> = fc.record({
  kind: fc.constant('step'),
  transactional: fc.boolean(),
  throws: few,
  takeOvers: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
});
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: step },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('parallel'),
      steps: fc.array(step, { minLength: 1, maxLength: 3 }),
      ms,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sleep'), ms, named: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('event'),
      emitted: fc.constantFrom('kept', 'waiting', 'never'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('throw'), times: fc.constant(1) }) },
) as fc.Arbitrary<Op>;
const program: fc.Arbitrary<Program> = fc.array(op, { minLength: 1, maxLength: 6 });

/** A program that is run as a job: what it has seen, in all of its attempts. */
class Run {
  /** What each step, sleep and wait has answered. */
  readonly answers = new Map<string, unknown[]>();
  readonly #left = new Map<string, number>();

  constructor(
    readonly key: string,
    readonly program: Program,
    private readonly world: World,
  ) {}

  async handle(job: Job<never>): Promise<void> {
    for (const [place, each] of this.program.entries()) await this.#do(job, each, `${place}`);
  }

  async #do(job: Job<never>, each: Op, name: string): Promise<void> {
    switch (each.kind) {
      case 'step':
        return this.#step(job, each, name);
      case 'parallel':
        await Promise.all([
          ...each.steps.map((inner, place) => this.#step(job, inner, `${name}.${place}`)),
          job.sleep(`${name} nap`, each.ms),
        ]);
        return;
      case 'sleep':
        return this.#answered(name, await (each.named ? job.sleep(name, each.ms) : job.sleep(each.ms)));
      case 'event':
        return this.#answered(name, await this.#wait(job, each.emitted, name));
      case 'throw':
        if (this.#happens(name, each.times)) throw new Error('between steps');
    }
  }

  async #step(job: Job<never>, { transactional, throws, takeOvers }: StepOp, name: string): Promise<void> {
    const insert = 'insert into effects (run, step, value) values ($1, $2, $3)';
    const act = async (query: (text: string, values: string[]) => Promise<unknown>) => {
      const value = randomUUID();
      await query(insert, [this.key, name, value]);
      if (this.#happens(`${name} throws`, throws)) throw new Error('after the effect');
      if (this.#happens(`${name} taken over`, takeOvers)) await this.world.steps.takeOver(job.id);
      return value;
    };
    const answer = transactional
      ? await job.step(name, { transactional: true }, (tx) => act((text, values) => tx.query(text, values)))
      : await job.step(name, () => act((text, values) => this.world.pool.query(text, values)));
    this.#answered(name, answer);
  }

  async #wait(job: Job<never>, emitted: 'kept' | 'waiting' | 'never', name: string): Promise<unknown> {
    const event = `${this.key}:${name}`;
    const wait = job.waitForEvent(event, emitted === 'never' ? { timeoutMs: 3 } : {});
    if (emitted !== 'never' && this.#happens(`${name} emitted`, 1)) this.world.emit(event, emitted);
    return wait;
  }

  #happens(what: string, times: number): boolean {
    const left = this.#left.get(what) ?? times;
    this.#left.set(what, left - 1);
    return left > 0;
  }

  #answered(name: string, answer: unknown): void {
    this.answers.set(name, [...(this.answers.get(name) ?? []), answer]);
  }
}

/** The database and the engines, which work on one batch of programs after another. */
class World {
  readonly runs = new Map<string, Run>();
  readonly #emitting: Promise<unknown>[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly steps: StepTable,
  ) {}

  private taskmaster!: Taskmaster;
  private logs: EventLog[] = [];

  static async create(): Promise<World> {
    const database = await testDatabase();
    await database.query('create table effects (run text not null, step text not null, value text not null)');
    const query: TestDatabase['query'] = async (text, values) =>
      (await world.pool.query(text, values as unknown[])).rows as never;
    const world: World = new World(database, new StepTable({ schema: database.schema, query }));
    const handle = (job: Job<never>) => world.runs.get((job.payload as { key: string }).key)!.handle(job);
    for (const name of ['one', 'two']) {
      const options = { maxAttempts: 1_000, backoff: 0, concurrency: 4, handle };
      const { taskmaster, log } = await workingEngine(database, { mail: options }, { name });
      world.taskmaster = taskmaster;
      world.logs.push(log);
    }
    return world;
  }

  /** Not the test's own connection: handlers run at once. */
  get pool(): Taskmaster['pool'] {
    return this.taskmaster.pool;
  }

  emit(event: string, when: 'kept' | 'waiting'): void {
    this.#emitting.push(this.#emit(event, when));
  }

  async #emit(event: string, when: 'kept' | 'waiting'): Promise<void> {
    const { publisher } = this.taskmaster;
    if (when === 'kept') return publisher.emit(event, { event }, { keepMs: 60_000 });
    await eventually(async () => {
      const { rowCount } = await this.pool.query(
        `select from "${this.database.schema}".steps where event_name = $1`,
        [event],
      );
      return rowCount === 1;
    });
    return publisher.emit(event, { event });
  }

  /** Runs programs at once and compares what has become of them with what should have. */
  async check(programs: readonly Program[]): Promise<void> {
    const runs = programs.map((each) => new Run(randomUUID(), each, this));
    for (const run of runs) this.runs.set(run.key, run);
    const jobs = await this.taskmaster.publisher.enqueueMany(
      'mail',
      runs.map(({ key }) => ({ key })),
    );
    const ids = jobs.map(({ id }) => id);
    const completed = await this.#completed(ids);
    await Promise.all(this.#emitting.splice(0));
    for (const [place, run] of runs.entries()) await this.#compare(run, completed.get(ids[place]!)!);
    assert.deepEqual(
      await this.database.query(`select from "${this.database.schema}".steps where job_id = any ($1)`, [ids]),
      [],
    );
    assert.deepEqual(
      this.logs.flatMap((log) => log.of('engineError').values),
      [],
    );
  }

  /** How often each job was run, counting its attempts alone. */
  async #completed(ids: readonly string[]): Promise<Map<string, number>> {
    return eventually(
      () => {
        const events = this.logs
          .flatMap((log) => log.of('completed').values)
          .filter(({ jobId }) => ids.includes(jobId));
        assert.equal(new Set(events.map(({ jobId }) => jobId)).size, events.length, 'completed once');
        return events.length === ids.length && new Map(events.map((event) => [event.jobId, event.runCount]));
      },
      { timeoutMs: 20_000 },
    ) as Promise<Map<string, number>>;
  }

  async #compare(run: Run, runCount: number): Promise<void> {
    const rows = await this.database.query<{ step: string; value: string }>(
      'select step, value from effects where run = $1',
      [run.key],
    );
    const effects = grouped(rows);
    let spent = 0;
    for (const [place, each] of run.program.entries()) {
      const name = `${place}`;
      if (each.kind === 'step') spent += each.throws + each.takeOvers;
      if (each.kind === 'throw') spent += each.times;
      const steps = each.kind === 'parallel' ? each.steps.entries() : [];
      for (const [inner, step] of steps) this.#compareStep(step, `${name}.${inner}`, run, effects, false);
      if (each.kind === 'step') this.#compareStep(each, name, run, effects, true);
      if (each.kind === 'event') {
        const payload = each.emitted === 'never' ? undefined : { event: `${run.key}:${name}` };
        for (const answer of run.answers.get(name)!) assert.deepEqual(answer, payload);
      }
    }
    if (run.program.every(({ kind }) => kind !== 'parallel')) assert.equal(runCount, spent + 1, 'attempts');
  }

  /** @param alone nothing beside it can end the attempt, so that it is known how often it was begun */
  #compareStep(
    step: StepOp,
    name: string,
    run: Run,
    effects: ReadonlyMap<string, readonly string[]>,
    alone: boolean,
  ): void {
    const [answer, ...others] = run.answers.get(name)!;
    for (const other of others) assert.equal(other, answer, 'the result of a step is stable');
    const values = effects.get(name) ?? [];
    assert.ok(values.includes(answer as string), 'its result is that of an effect');
    if (step.transactional) assert.equal(values.length, 1, 'a transactional step is done exactly once');
    else if (alone)
      assert.equal(
        values.length,
        1 + step.throws + step.takeOvers,
        'a step is done again only when it failed',
      );
  }
}

function grouped(rows: readonly { step: string; value: string }[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { step, value } of rows) groups.set(step, [...(groups.get(step) ?? []), value]);
  return groups;
}

describe('handlers of steps, sleeps and waits', () => {
  it('do what the model says, whatever throws and whoever takes their jobs over', async () => {
    const world = await World.create();
    const numRuns = Number(process.env['TASKMASTER_PROPERTY_RUNS'] ?? 20);
    const property = fc.asyncProperty(fc.array(program, { minLength: 1, maxLength: 6 }), (programs) =>
      world.check(programs),
    );
    await expect(fc.assert(property, { numRuns, endOnFailure: true })).resolves.toBeUndefined();
  }, 120_000);
});
