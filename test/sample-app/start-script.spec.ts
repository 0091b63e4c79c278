import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.js';
import { sampleDatabase, startSampleApp, type Command, type SampleApp } from './sample-app.js';

/** What `npm start` runs. */
const SCRIPT = fileURLToPath(new URL('../../scripts/start.mjs', import.meta.url));

const WAITING = /^waiting for [1-4] jobs?, /;

/** With an npm that builds nothing: other tests use what is built. */
async function start(command: Command): Promise<SampleApp> {
  const npm = join(await temporaryFolder(), 'npm.mjs');
  await writeFile(npm, '');
  const { url } = await sampleDatabase();
  return startSampleApp({
    command,
    env: { DATABASE_URL: url, MAIL_DELAY_MS: '1000', npm_execpath: npm },
  });
}

describe('scripts/start.mjs', () => {
  it('lets Ctrl-C reach the application once, and ends as it does', async () => {
    const app = await start([process.execPath, SCRIPT]);
    await app.line(/ status=start /);

    app.interruptGroup();

    await app.line(WAITING);
    expect(await app.exit()).toEqual({ code: 0, signal: null });
    expect(app.linesWith('released')).toEqual([]);
  });

  it('hands the jobs back when Ctrl-C comes again', async () => {
    const app = await start([process.execPath, SCRIPT]);
    await app.line(/ status=start /);
    app.interruptGroup();
    await app.line(WAITING);

    app.interruptGroup();

    expect(await app.exit()).toEqual({ code: 130, signal: null });
    expect(app.linesWith('released')).toHaveLength(app.linesWith('start').length);
  });

  it('stops the application when it is ended alone', async () => {
    const app = await start([process.execPath, SCRIPT]);
    await app.line(/ status=start /);

    app.kill('SIGTERM');

    await app.line(WAITING);
    // With its output closed, which the application holds open as long as it runs.
    await app.exit();
    expect(app.linesWith('released')).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('stops the application when who started it is gone', async () => {
    const app = await start(['/bin/sh', '-c', `"$0" "$1"; exit $?`, process.execPath, SCRIPT]);
    await app.line(/ status=start /);

    app.kill('SIGKILL');

    await app.line(WAITING);
    await app.exit();
    expect(app.linesWith('released')).toEqual([]);
  });
});
