import { defineConfig } from 'vitest/config';

/** Totals for machines, beside the report for people: `.ci/run` names the file. */
const report = process.env['TASKMASTER_TEST_REPORT'];

/** Folders of `test/` whose tests need no database. */
const PURE = ['unit'];

/** Folders of `test/` whose tests share one embedded server, each test with a database of its own. */
const DATABASE = [
  'property',
  'sql',
  'integration',
  'conformance',
  'nest',
  'docs',
  'package',
  'sample-app',
  'regressions',
  'chaos',
  'browser',
];

export default defineConfig({
  // Nest's injection reads the types of constructor parameters, which only this emits.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    // Bounds for what hangs, far above what anything takes: no test waits for time.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    // On a machine that many share a process may be starved for longer than the shortest leases that tests use. What
    // passes at the second try is reported as such.
    retry: process.env['CI'] === undefined ? 0 : 1,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      ...PURE.map((name) => project(name, [])),
      ...DATABASE.map((name) => project(name, ['test/support/database-server.ts'])),
    ],
  },
});

function project(name: string, globalSetup: string[]) {
  const include = [`test/${name}/**/*.spec.ts`];
  return {
    extends: true as const,
    test: { name, include, globalSetup, setupFiles: ['test/support/leak-check.ts'] },
  };
}
