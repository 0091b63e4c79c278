import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { unprivilegedAccount } from '../../../lib/engine/connection/embedded/account.js';
import { makeTemporaryFolder, removeFolder } from '../../support/temporary-folder.js';
import { AS_ROOT } from './when.js';

/** A disk of so many megabytes, in memory. Needs root. */
export interface SmallDisk {
  /** Where a server may write. */
  readonly folder: string;
  /** Takes all the space there is. */
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** Unmounted after the test. */
export async function smallDisk(megabytes: number): Promise<SmallDisk> {
  const mount = await makeTemporaryFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', mount]);
  onTestFinished(async () => {
    execFileSync('umount', ['-l', mount]);
    await removeFolder(mount);
  });
  await chmod(mount, 0o711);
  const folder = join(mount, 'server');
  await mkdir(folder, { mode: 0o700 });
  const { uid, gid } = await unprivilegedAccount();
  await chown(folder, uid, gid);
  const filler = join(mount, 'filler');
  return {
    folder,
    fill: async () => {
      const megabyte = Buffer.alloc(1 << 20);
      for (const size of [megabyte, megabyte.subarray(0, 4_096)]) {
        for (let full = false; !full; ) full = await writeFile(filler, size, { flag: 'a' }).then(() => false, () => true); // prettier-ignore
      }
    },
    free: () => rm(filler, { force: true }),
  };
}

/** Whether disks can be mounted here. */
export function disksWork(): boolean {
  if (!AS_ROOT) return false;
  try {
    execFileSync(
      'sh',
      ['-c', 'd=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d && rmdir $d'],
      { stdio: 'pipe' },
    );
    return true;
  } catch {
    return false;
  }
}
