// Faults, and what they may not break; see test/chaos/README.md.
// node scripts/test-chaos.mjs [--seed N] [--minutes M] [--soak]: faults of every kind, one after another, of that seed
// node scripts/test-chaos.mjs --all: every scenario, also those of minutes, and the mutations
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

const SOAK_MINUTES = 480;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string' },
    soak: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
});
for (const name of /** @type {const} */ (['seed', 'minutes'])) {
  const value = values[name];
  if (value !== undefined && !(Number(value) > 0))
    throw new Error(`--${name} must be a number, not "${value}"`);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const minutes = values.minutes ?? (values.soak ? String(SOAK_MINUTES) : '1');
const env = {
  ...process.env,
  TASKMASTER_CHAOS_MINUTES: minutes,
  ...(values.seed === undefined ? {} : { TASKMASTER_CHAOS_SEED: values.seed }),
  ...(values.all ? { TASKMASTER_CHAOS_ALL: '1' } : {}),
};
const files = values.all ? [] : ['test/chaos/chaos-run.spec.ts'];
const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'chaos', ...files];
process.exitCode = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status ?? 1;
