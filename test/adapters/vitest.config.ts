/**
 * The adapters for the transactions of database libraries, each with the real library:
 *
 *     npm ci --prefix test/adapters --ignore-scripts
 *     npx vitest run --config test/adapters/vitest.config.ts
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    name: 'adapters',
    include: ['test/adapters/**/*.spec.ts'],
    globalSetup: ['test/support/database-server.ts', 'test/adapters/support/prisma-client.ts'],
    setupFiles: ['test/support/leak-check.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
  },
});
