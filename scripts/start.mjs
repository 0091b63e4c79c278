// Builds what has changed, then runs the sample application: `npm start`, `npm start -- --once`.
//
// The application is a process of its own, so that it gets each Ctrl-C once: the terminal sends it to all processes here,
// and npm once more to the one it has started, as if somebody had pressed twice. It is told by the end of a channel
// when somebody ends this script instead, or npm: signals to one process do not reach those behind it.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARENT_CHECK_MS = 500;

build('the package', 'build', {
  output: 'dist/index.js',
  sources: ['lib', 'package.json', 'tsconfig.json', 'tsconfig.build.json'],
});
build('the sample', 'build:sample', {
  output: 'sample-app/dist/main.js',
  sources: ['sample-app/src', 'sample-app/tsconfig.json', 'dist/index.js'],
});
run();

/**
 * @param {string} what
 * @param {string} script of package.json
 * @param {{ output: string, sources: string[] }} files
 */
function build(what, script, { output, sources }) {
  if (timeOf(output) > Math.max(...sources.map(timeOf))) return;
  console.log(`Building ${what} ...`);
  const { status } = npm('run', '--silent', script);
  if (status === 0) return;
  rmSync(join(ROOT, output), { force: true }); // the compiler writes in spite of errors: not to be taken for built
  process.exit(status ?? 1);
}

/** @param {string[]} args */
function npm(...args) {
  const cli = process.env['npm_execpath'];
  const options = /** @type {const} */ ({ cwd: ROOT, stdio: 'inherit' });
  return cli === undefined
    ? spawnSync('npm', args, { ...options, shell: true })
    : spawnSync(process.execPath, [cli, ...args], options);
}

/**
 * When a file, or the newest one in a folder, was written; 0 when there is none.
 * @param {string} path
 * @returns {number}
 */
function timeOf(path) {
  const stats = statSync(join(ROOT, path), { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(0, ...readdirSync(join(ROOT, path)).map((name) => timeOf(`${path}/${name}`)));
}

function run() {
  const args = [join(ROOT, 'sample-app/dist/main.js'), ...process.argv.slice(2)];
  const app = spawn(process.execPath, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  const stop = () => app.connected && app.disconnect();
  process.on('SIGINT', () => undefined); // the application has it from the terminal
  process.on('SIGTERM', stop);
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || stop(), PARENT_CHECK_MS).unref();
  app.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
