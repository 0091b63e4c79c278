import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tablesOf } from '../../lib/engine/sql/tables.js';
import { readEvents, recordEvents } from '../../lib/engine/sql/watched-events.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';

const TABLES = tablesOf('taskmaster');

interface Writer {
  /** How many events each of its transactions records; each is committed, or rolled back. */
  readonly writes: readonly { readonly events: number; readonly commits: boolean }[];
}

const writers = fc.array(
  fc.record({
    writes: fc.array(fc.record({ events: fc.integer({ min: 1, max: 5 }), commits: fc.boolean() }), {
      minLength: 1,
      maxLength: 8,
    }),
  }),
  { minLength: 2, maxLength: 5 },
);

describe('events that are recorded by many at once', () => {
  it('are read once each, and in the order of their writers, wherever the reader goes on', async () => {
    await fc.assert(
      fc.asyncProperty(writers, fc.integer({ min: 1, max: 7 }), async (all: Writer[], limit) => {
        const database = await testDatabase({ schema: 'taskmaster' });
        const expected = all.map((): string[] => []);
        const write = async (writer: Writer, index: number) => {
          const client = await database.client();
          for (const [at, { events, commits }] of writer.writes.entries()) {
            const names = Array.from({ length: events }, (_, n) => `${index}:${at}:${n}`);
            await client.query('begin');
            const recorded = JSON.stringify(names.map((name) => ({ t: 'progress', e: { name } })));
            await client.query(recordEvents.text(TABLES), recordEvents.values({ events: recorded }));
            await client.query(commits ? 'commit' : 'rollback');
            if (commits) expected[index]!.push(...names);
          }
        };
        const seen: string[] = [];
        let last = '0';
        const read = async () => {
          const everything = { queues: null, jobIds: null, types: null };
          const rows = await database.query<{ id: string; event: { name: string } }>(
            readEvents.text(TABLES),
            readEvents.values({ ...everything, after: last, limit }),
          );
          for (const { id, event } of rows) {
            seen.push(event.name);
            last = id;
          }
          return rows.length;
        };
        const state = { written: false };
        const writing = Promise.all(all.map(write)).finally(() => (state.written = true));
        while (!state.written) await read();
        await writing;
        await eventually(async () => (await read()) === 0);
        for (const [index, names] of expected.entries())
          expect(seen.filter((name) => name.startsWith(`${index}:`))).toEqual(names);
        expect(seen).toHaveLength(expected.flat().length);
        // Somebody who comes late reads the same.
        const live = seen.splice(0);
        last = '0';
        while ((await read()) > 0);
        expect(seen).toEqual(live);
      }),
      { numRuns: 12 },
    );
  });
});
