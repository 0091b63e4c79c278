import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeTemporaryFolder } from '../../support/temporary-folder.js';

const run = promisify(execFile);

/** The folder of the package. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * A folder with a packed package installed for real, and its peers beside it by links, as a user would have them.
 *
 * @param first folders of modules that come before those of this project
 */
export async function consumer(tarball: string, first: readonly string[] = []): Promise<string> {
  const folder = await makeTemporaryFolder();
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, 'nestjs-taskmaster'), { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', join(modules, 'nestjs-taskmaster'), '--strip-components=1']);
  const taken = new Set(['nestjs-taskmaster']);
  for (const from of [...first, join(ROOT, 'node_modules')]) {
    const names = (await readdir(from)).filter((name) => !taken.has(name));
    for (const name of names) {
      taken.add(name);
      await symlink(join(from, name), join(modules, name));
    }
  }
  return folder;
}
