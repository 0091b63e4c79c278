import { execFile } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { childProcess } from '../support/child-process.js';
import { engine } from '../support/engine.js';
import { eventually } from '../support/eventually.js';
import { makeTemporaryFolder, removeFolder } from '../support/temporary-folder.js';
import { testDatabase } from '../support/test-database.js';
import { consumer, ROOT } from './support/consumer.js';

const run = promisify(execFile);
const BOUND_MS = 180_000;
const JOBS = 20;

/** The newest release on npm: `none`, or why that cannot be known. */
async function published(): Promise<{ version?: string; none?: string }> {
  try {
    const { stdout } = await run('npm', ['view', 'nestjs-taskmaster', 'version'], {
      cwd: ROOT,
      timeout: 30_000,
    });
    return { version: stdout.trim() };
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error);
    return { none: said.includes('E404') ? 'there is no release yet' : 'npm cannot be asked' };
  }
}

/** Packs a release of npm, or this one: `.`. Answers with the tarball. */
async function packed(release: string): Promise<string> {
  const folder = await makeTemporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const { stdout } = await run('npm', ['pack', release, '--json', '--pack-destination', folder], {
    cwd: ROOT,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return join(folder, filename);
}

/** Runs that release on the schema of this one, beside it: each runs what the other has enqueued. Answers `works`, or why it was refused. */
async function besideThis(tarball: string): Promise<string> {
  const folder = await consumer(tarball);
  onTestFinished(() => removeFolder(folder));
  const script = join(folder, 'last-release.mjs');
  await copyFile(new URL('fixtures/last-release.mjs', import.meta.url), script);
  const database = await testDatabase({ schema: 'taskmaster' });
  const other = childProcess(pathToFileURL(script), {
    args: [JSON.stringify({ connection: database.url, jobs: JOBS })],
  });
  const line = await other.line(/^(ready|refused)/, { timeoutMs: 60_000 });
  if (line !== 'ready') {
    const [written] = await database.query<{ workers: number }>(
      'select count(*)::integer as workers from taskmaster.workers',
    );
    return written!.workers === 0 ? line : `${line}, after it has written`;
  }
  const handled = new Set<number>();
  const taskmaster = engine(database);
  taskmaster.register({
    queue: 'from-old',
    label: 'new',
    handle: (payload: { n: number }) => void handled.add(payload.n),
  });
  await taskmaster.start();
  await taskmaster.publisher.enqueueMany(
    'for-old',
    Array.from({ length: JOBS }, () => ({})),
  );
  await other.line(new RegExp(`^handled ${JOBS}$`), { timeoutMs: 60_000 });
  await eventually(() => handled.size === JOBS, { timeoutMs: 60_000 });
  await eventually(async () => (await database.query('select from taskmaster.jobs')).length === 0);
  other.kill('SIGTERM');
  await other.line(/^closed$/, { timeoutMs: 60_000 });
  return 'works';
}

describe('the last release', { timeout: BOUND_MS }, () => {
  it('works on the schema of this one, beside it, or is refused', async (test) => {
    const { version, none } = await published();
    if (version === undefined) {
      console.warn(`The last release is not tested on this schema: ${none}.`);
      return test.skip(none);
    }
    const beside = await besideThis(await packed(`nestjs-taskmaster@${version}`));
    expect(['works', 'refused TM_SCHEMA_TOO_NEW']).toContain(beside);
  });

  it('is tried in a way that this one passes', async () => {
    expect(await besideThis(await packed('.'))).toBe('works');
  });
});
