import { describe, expect, it } from 'vitest';
import { childProcess } from '../support/child-process.js';
import { testDatabase } from '../support/test-database.js';
import { ALL, missing } from './support/when.js';

const JOBS = 200_000;
const skipped = missing('A23', { '--all': ALL });

describe.skipIf(skipped)('A23: one process that has run many jobs', () => {
  it(`needs no more memory after ${JOBS} than after a quarter of them`, { timeout: 600_000 }, async () => {
    const database = await testDatabase();
    const args = [JSON.stringify({ url: database.url, schema: database.schema, jobs: JOBS })];
    const child = childProcess(new URL('./support/memory-process.ts', import.meta.url), {
      args,
      execArgv: ['--expose-gc'],
    });
    const { code } = await child.exit({ timeoutMs: 600_000 });
    expect(child.stderr.values).toEqual([]);
    expect(code).toBe(0);
    const quarters = child.stdout.values.map((line) => Number(line.split(' ')[1]));
    console.info(`A23: megabytes of heap after each quarter: ${quarters.join(', ')}`);
    expect(quarters).toHaveLength(4);
    expect(quarters[3]! - quarters[0]!).toBeLessThan(4);
  });
});
