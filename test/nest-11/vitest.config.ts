/**
 * Runs the Nest tests once more, on NestJS 11:
 *
 *     npm ci --prefix test/nest-11
 *     npx vitest run --config test/nest-11/vitest.config.ts
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('../..', import.meta.url));
const nest = fileURLToPath(new URL('./node_modules/@nestjs', import.meta.url));

export default defineConfig({
  root,
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: { alias: [{ find: /^@nestjs(?=\/)/, replacement: nest }] },
  test: {
    name: 'nest-11',
    include: ['test/nest/**/*.spec.ts', 'test/nest-11/*.spec.ts'],
    globalSetup: ['test/support/database-server.ts'],
    setupFiles: ['test/support/leak-check.ts'],
    // For child processes, which know nothing of the alias above.
    env: { TASKMASTER_TEST_NEST: new URL('./register.mjs', import.meta.url).href },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
  },
});
