import { inspect } from 'node:util';
import { ConsoleLogger, Logger } from '@nestjs/common';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import {
  defineQueue,
  type Job,
  TaskmasterAdmin,
  TaskmasterEvents,
  TaskmasterHealth,
  TaskmasterRuntime,
} from '../../lib/index.js';
import { Taskmaster } from '../../lib/engine/index.js';
import { eventually } from '../support/eventually.js';
import type { TestDatabase } from '../support/test-database.js';
import { testRole } from '../support/test-role.js';
import { nestApp } from './support/nest-app.js';

/** Each is found nowhere by accident. */
const PASSWORD = 'canary-password-4f1c';
const PAYLOAD = 'canary-payload-9b2e';
const HEADER = 'canary-header-77d0';
const VARIABLE = 'canary-variable-c3a8';
const CANARIES = { PASSWORD, PAYLOAD, HEADER, VARIABLE };

/** Where a job's payload and headers are, and nowhere else. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  PAYLOAD: [
    'jobs.payload',
    'finished.payload',
    'job_states.payload',
    'finished_jobs.payload',
    'sleeping_jobs.payload',
  ],
  HEADER: ['jobs.meta', 'finished.meta', 'job_states.meta', 'finished_jobs.meta'],
  PASSWORD: [],
  VARIABLE: [],
};

/** Everything that is to be searched. */
class Haystack {
  readonly #parts: { readonly from: string; readonly text: string }[] = [];

  add(from: string, text: string): void {
    this.#parts.push({ from, text });
  }

  /** Whatever there is in it: also what is not enumerable, in causes, and as JSON. */
  addValue(from: string, value: unknown): void {
    this.add(from, inspect(value, { depth: 12, maxStringLength: Infinity, maxArrayLength: Infinity }));
    this.add(from, String((value as Error | undefined)?.stack ?? value));
    this.add(from, JSON.stringify(value) ?? '');
    if (value instanceof Error) this.add(from, JSON.stringify(value, Object.getOwnPropertyNames(value)));
    if (value instanceof Error && value.cause !== undefined) this.addValue(`${from}, its cause`, value.cause);
  }

  /** Where which canary is, without doubles. */
  get found(): string[] {
    const hits = Object.entries(CANARIES).flatMap(([name, canary]) =>
      this.#parts.filter(({ text }) => text.includes(canary)).map(({ from }) => `${name} in ${from}`),
    );
    return [...new Set(hits)];
  }

  get size(): number {
    return this.#parts.length;
  }
}

/** Everything that this process writes until the end of the test, and what Nest's logger is told. */
function overhear(haystack: Haystack): void {
  class Overheard extends ConsoleLogger {
    protected override printMessages(messages: unknown[]): void {
      for (const message of messages) haystack.addValue('a log line', message);
    }
  }
  Logger.overrideLogger(
    new Overheard('', { logLevels: ['verbose', 'debug', 'log', 'warn', 'error', 'fatal'] }),
  );
  const writes = [process.stdout, process.stderr].map((stream) => {
    const { write } = stream;
    stream.write = (chunk: unknown, ...rest: never[]) => {
      haystack.add('the output', String(chunk));
      return (write as (...args: unknown[]) => boolean).call(stream, chunk, ...rest);
    };
    return () => (stream.write = write);
  });
  onTestFinished(() => {
    Logger.overrideLogger(false);
    for (const restore of writes) restore();
  });
}

/** Every column of every table and view of the schema that holds a canary, as text. */
async function columnsWith(database: TestDatabase, canary: string): Promise<string[]> {
  const columns = await database.query<{ table: string; column: string }>(
    `select relname as table, attname as column from pg_attribute join pg_class as c on c.oid = attrelid
      where c.relnamespace = $1::regnamespace and relkind in ('r', 'v', 'p') and attnum > 0 and not attisdropped order by 1, 2`,
    [`"${database.schema}"`],
  );
  const found: string[] = [];
  for (const { table, column } of columns) {
    const rows = await database.query(
      `select from "${database.schema}"."${table}" where position($1 in "${column}"::text) > 0 limit 1`,
      [canary],
    );
    // A partition is its table.
    if (rows.length > 0) found.push(`${table.replace(/^finished_(default|\d+)$/, 'finished')}.${column}`);
  }
  return [...new Set(found)];
}

const Checked = defineQueue('checked', { schema: z.object({ code: z.string().regex(/^\d+$/) }) });
const Plain = defineQueue('plain', { retention: { completedMs: 3_600_000 } });
const payload = { token: PAYLOAD, deep: { list: [PAYLOAD] } };
const options = { headers: { authorization: HEADER } };

const setup = async () => {
  const haystack = new Haystack();
  overhear(haystack);
  process.env['CANARY_VARIABLE'] = VARIABLE;
  onTestFinished(() => void delete process.env['CANARY_VARIABLE']);
  const nest = await nestApp({ taskmaster: { logger: true, shutdown: { drainTimeoutMs: 500 } } });
  nest.app
    .get(TaskmasterEvents)
    .events$.subscribe((event) => haystack.addValue(`event ${event.type}`, event));
  const runtime = nest.app.get(TaskmasterRuntime);
  const admin = nest.app.get(TaskmasterAdmin);
  /** Adds what a call throws: it must. */
  const refused = async (what: string, call: () => unknown) => {
    const error = await Promise.resolve()
      .then(call)
      .then(
        () => new Error(`${what} was not refused`),
        (thrown: unknown) => thrown,
      );
    if (!(error instanceof Error && 'code' in error)) throw new Error(`${what}: ${String(error)}`);
    haystack.addValue(`the error of ${what}`, error);
  };
  return { ...nest, haystack, runtime, admin, refused };
};

describe('a secret', () => {
  it('in a payload or header of jobs that end in every way is in no line, event or error, and in no other column', async () => {
    const { database, publisher, runtime, admin, haystack } = await setup();
    await database.query(`create table account (id text primary key, note text check (length(note) < 5))`);
    const fail = (name: string) => {
      throw new Error(name);
    };
    const database_error = async (job: Job) => {
      const client = new pg.Client(database.config);
      await client.connect();
      try {
        await client.query('insert into account values ($1, $2)', [
          'a',
          (job.payload as { token: string }).token,
        ]);
      } finally {
        await client.end();
      }
    };
    const once = { maxAttempts: 1, retention: { failedMs: Infinity } };
    runtime.register(Plain, () => 'done');
    runtime.register('fails', () => fail('no'), once);
    runtime.register('retries', () => fail('again'), { maxAttempts: 2, backoff: 1 });
    runtime.register('times-out', () => new Promise(() => {}), { ...once, timeoutMs: 50 });
    runtime.register('queries', (_payload: unknown, job: Job) => database_error(job), once);
    runtime.register('letters', (_payload: unknown, job: Job) => job.log('read'), once);
    runtime.register('dead', () => fail('no'), { ...once, deadLetter: 'letters' });
    runtime.register(
      'steps',
      async (_payload: unknown, job: Job) => {
        await job.step('bad', () => ({ big: 1n, token: 'x' }) as never);
      },
      once,
    );
    runtime.register(Checked, () => undefined, once);
    const ids: string[] = [];
    for (const queue of ['plain', 'fails', 'retries', 'times-out', 'queries', 'dead', 'steps'])
      ids.push((await publisher.enqueue(queue, payload, options)).id);
    ids.push(
      (await publisher.enqueue('plain', payload, { ...options, group: 'g', unique: { key: 'u' } })).id,
    );
    // Of a producer that knows no schema.
    await database.query(
      `insert into "${database.schema}".jobs (queue_name, payload) values ('checked', $1)`,
      [JSON.stringify({ code: PAYLOAD })],
    );
    await eventually(async () => {
      const left = await database.query(
        `select from "${database.schema}".job_states where state not in ('failed')`,
      );
      return left.length === 0;
    });
    for (const id of ids) haystack.addValue('an explanation', await admin.jobs.explain(id));
    await runtime.stop();
    expect(haystack.found).toEqual([]);
    expect(haystack.size).toBeGreaterThan(100);
    for (const [name, canary] of Object.entries(CANARIES)) {
      const columns = await columnsWith(database, canary);
      expect(columns.filter((column) => !HOMES[name]!.includes(column))).toEqual([]);
    }
    expect(await columnsWith(database, PAYLOAD)).toContain('finished.payload');
    expect(await columnsWith(database, HEADER)).toContain('jobs.meta');
  });

  it('is in no error of a call that is refused', async () => {
    const { app, database, publisher, admin, haystack, refused } = await setup();
    await refused('a payload that the schema refuses', () => publisher.enqueue(Checked, { code: PAYLOAD }));
    await refused('a payload that is too large', () =>
      publisher.enqueue('q', { big: PAYLOAD.repeat(100_000) }),
    );
    await refused('a payload that JSON cannot say', () =>
      publisher.enqueue('q', { token: PAYLOAD, big: 1n }),
    );
    await refused('a payload with NUL', () => publisher.enqueue('q', { token: `${PAYLOAD}\0` }));
    await refused('a payload that throws', () =>
      publisher.enqueue('q', {
        toJSON: () => {
          throw new Error('no');
        },
        token: PAYLOAD,
      }),
    );
    await refused('a header that is none', () =>
      publisher.enqueue('q', {}, { headers: { a: [HEADER] } as never }),
    );
    await refused('a queue name', () => publisher.enqueue('', payload, options));
    await database.query(
      `alter table "${database.schema}".jobs add constraint small check (length(payload::text) < 30 or queue_name <> 'small')`,
    );
    await refused('a row that the table refuses', () => publisher.enqueue('small', payload, options));
    await refused('many of them', () => publisher.enqueueMany('small', [payload, payload], options));
    const client = await database.client();
    await refused('one in a transaction', () => publisher.enqueue('small', payload, { tx: client }));
    await refused('one in a transaction of a library', () =>
      publisher.enqueue('small', payload, {
        // As Knex does: the statement, values and all, is in the message.
        tx: {
          query: async (text: string, values: unknown[]) => {
            const error = await client.query(text, values).catch((thrown: Error) => thrown);
            const message = `insert into jobs values (${String(values)}) - ${(error as Error).message}`;
            throw Object.assign(new Error(message), { ...(error as object), message });
          },
        },
      }),
    );
    await admin.queues.setMaxPending('full', 1);
    await publisher.enqueue('full', payload, options);
    await refused('a job too many', () => publisher.enqueue('full', payload, options));
    await refused('a job filter', () => admin.jobs.list({ queue: 5 as never }));
    haystack.addValue('the health', await app.get(TaskmasterHealth).check());
    expect(haystack.found).toEqual([]);
  });

  it('that is the password of the database is in no error, event or dump, whatever is wrong with the connection', async () => {
    const { database, haystack, refused } = await setup();
    const role = await testRole(database);
    await database.query(`alter role "${role.name}" password '${PASSWORD}'`);
    const { host, port, user } = database.config;
    const url = (rest: string, name = role.name) => `postgres://${name}:${PASSWORD}@${rest}`;
    const connections: Readonly<Record<string, unknown>> = {
      'no privileges': url(`${host}:${port}/${database.name}`),
      'the wrong role': url(`${host}:${port}/${database.name}`, String(user)),
      'an unknown database': url(`${host}:${port}/nowhere`),
      'a closed port': url(`${host}:1/${database.name}`),
      'an unknown host': url(`no-such-host.invalid/${database.name}`),
      'TLS that is not there': url(`${host}:${port}/${database.name}?sslmode=require`),
      'a broken URL': url(`${host}:99999/${database.name}`),
      'a URL of another scheme': url(`${host}/${database.name}`).replace('postgres:', 'mysql:'),
      'a configuration': { ...role.config, password: PASSWORD, database: 'nowhere' },
      'a configuration with a URL': { connectionString: url(`${host}:${port}/nowhere`) },
      'an unknown key': { ...role.config, password: PASSWORD, hots: 'a' },
    };
    for (const [what, connection] of Object.entries(connections)) {
      await refused(what, async () => {
        const taskmaster = new Taskmaster({
          connection: connection as string,
          connectTimeoutMs: 300,
          lease: { heartbeat: 'main' },
        });
        taskmaster.events.subscribe((event) => haystack.addValue(`an event with ${what}`, event));
        haystack.addValue(`the engine with ${what}`, taskmaster);
        try {
          taskmaster.register({ queue: 'q', label: 'q', handle: () => undefined });
          await taskmaster.start();
        } finally {
          haystack.addValue(`the engine with ${what}`, taskmaster);
          await taskmaster.close();
        }
      });
    }
    expect(haystack.found).toEqual([]);
  });
});
