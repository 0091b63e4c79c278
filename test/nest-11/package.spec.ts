import { execFile } from 'node:child_process';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { consumer, ROOT } from '../package/support/consumer.js';
import { makeTemporaryFolder, removeFolder } from '../support/temporary-folder.js';
import { testDatabase } from '../support/test-database.js';

const run = promisify(execFile);
const NEST_11 = fileURLToPath(new URL('./node_modules', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../package/fixtures/', import.meta.url));

describe('the packed package, the same one for every release of Nest', () => {
  let folder: string;

  beforeAll(async () => {
    const packs = await makeTemporaryFolder();
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', packs], { cwd: ROOT });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    folder = await consumer(join(packs, filename), [NEST_11]);
    return () => Promise.all([packs, folder].map(removeFolder));
  });

  it.each(['esm.mjs', 'commonjs.cjs'])('works on NestJS 11 for a consumer written as %s', async (script) => {
    const database = await testDatabase({ migrated: false });
    await cp(join(FIXTURES, script), join(folder, script));
    const env = { ...process.env, DATABASE_URL: database.url };
    const { stdout } = await run(process.execPath, [join(folder, script)], { env, timeout: 30_000 });
    expect(stdout.trim().split('\n')).toEqual(['handled {"n":1}', 'closed']);
  });

  it('finds NestJS 11 there', async () => {
    await writeFile(
      join(folder, 'release.cjs'),
      `console.log(require('@nestjs/core/package.json').version, require.resolve('nestjs-taskmaster').startsWith(__dirname));`,
    );
    const { stdout } = await run(process.execPath, [join(folder, 'release.cjs')]);
    expect(stdout).toMatch(/^11\..* true/);
  });
});
