import type { EmbeddedInternals } from '../../lib/engine/connection/embedded.js';

const binDir = process.env['TASKMASTER_TEST_PG'];

/**
 * How embedded servers of tests run: fast, since nothing has to survive a crash of the machine, and with the programs
 * in the folder that TASKMASTER_TEST_PG names, if it does (see `scripts/test-matrix.mjs`).
 */
export const FAST_SERVER: EmbeddedInternals = {
  initdbFlags: ['--no-sync'],
  serverFlags: ['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'max_connections=300'],
  ...(binDir === undefined ? {} : { binDir }),
};
