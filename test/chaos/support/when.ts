import { existsSync } from 'node:fs';
import { DEBIAN_POSTGRES } from './pg-server.js';

/** `npm run test:chaos -- --all`: scenarios of minutes run too. */
export const ALL = process.env['TASKMASTER_CHAOS_ALL'] !== undefined;

/** Network namespaces and mounts are root's. */
export const AS_ROOT = process.getuid?.() === 0 && process.platform === 'linux';

const FAKETIME_LIBRARIES = ['x86_64', 'aarch64'].map(
  (cpu) => `/usr/lib/${cpu}-linux-gnu/faketime/libfaketime.so.1`,
);

/** Debian's `libfaketime`. */
export const FAKETIME = FAKETIME_LIBRARIES.find((path) => existsSync(path));

/** Debian's programs of PostgreSQL, which has `pg_basebackup` and can be given another clock. */
export const DEBIAN = existsSync(`${DEBIAN_POSTGRES}/pg_basebackup`);

/** Whether a scenario cannot run here; then it says so, where everybody can read it. */
export function missing(scenario: string, needs: Readonly<Record<string, boolean>>): boolean {
  const absent = Object.keys(needs).filter((need) => needs[need] !== true);
  if (absent.length > 0) console.info(`SKIPPED ${scenario}: needs ${absent.join(', ')}`);
  return absent.length > 0;
}
