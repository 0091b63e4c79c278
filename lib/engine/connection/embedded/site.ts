import { createHash } from 'node:crypto';
import {
  access,
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EmbeddedPostgresError } from '../../errors.js';
import { canReach, ownerOf, runsAsRoot, unprivilegedAccount, type ServerAccount } from './account.js';
import { movedTo, type ServerBinaries } from './binaries.js';

/** Where a server lives: its programs, its data folder, and the account it runs under (none: that of this process). */
export interface ServerSite {
  readonly binaries: ServerBinaries;
  readonly dataDir: string;
  readonly account: ServerAccount | undefined;
}

/**
 * The site as it was asked for. As root the server runs under another account; what that cannot reach, as in a
 * clone below a private home, is moved below `/var/tmp`, each time to the same place, and `onNotice` says so.
 */
export async function serverSite(
  wanted: Omit<ServerSite, 'account'>,
  onNotice: (message: string) => void,
): Promise<ServerSite> {
  const dataDir = await realDataDir(wanted.dataDir);
  if (!runsAsRoot()) return { binaries: wanted.binaries, dataDir, account: undefined };
  // Data that exists stays with its owner, so that who made it as an ordinary user can go on using it.
  const account = (await ownerOf(join(dataDir, 'PG_VERSION'))) ?? (await unprivilegedAccount());
  return {
    binaries: await reachableBinaries(wanted.binaries, account, onNotice),
    dataDir: await reachableDataDir(dataDir, account, onNotice),
    account,
  };
}

/** One spelling for one folder, since a running server is recognised by it. The folder itself need not exist yet. */
async function realDataDir(dataDir: string): Promise<string> {
  await mkdir(dirname(dataDir), { recursive: true });
  return realpath(dataDir).catch(async () => join(await realpath(dirname(dataDir)), basename(dataDir)));
}

async function reachableBinaries(
  binaries: ServerBinaries,
  account: ServerAccount,
  onNotice: (message: string) => void,
): Promise<ServerBinaries> {
  if (await canReach(account, binaries.postgres)) return binaries;
  // Size and time in the name: another release in the same place gets another copy.
  const { size, mtimeMs } = await stat(binaries.postgres);
  const copy = join(await refuge(binaries.root), `postgres-${size}-${mtimeMs}`);
  onNotice(`user ${account.uid} cannot run the programs in ${binaries.root}; using a copy in ${copy}`);
  if (!(await exists(copy))) await copyOnce(binaries.root, copy);
  return movedTo(copy, binaries);
}

async function reachableDataDir(
  dataDir: string,
  account: ServerAccount,
  onNotice: (message: string) => void,
): Promise<string> {
  if (await canReach(account, dirname(dataDir))) return dataDir;
  const moved = join(await refuge(dataDir), 'data');
  onNotice(`user ${account.uid} cannot reach ${dataDir}; the data is kept in ${moved}`);
  return moved;
}

/** A folder for what belongs to `path`: it outlives a reboot, and is the same at every start. */
async function refuge(path: string): Promise<string> {
  const name = createHash('sha256').update(path).digest('hex').slice(0, 16);
  const folder = `/var/tmp/taskmaster-${name}`;
  await mkdir(folder, { mode: 0o755 }).catch(ignoreExisting);
  await refuseForeign(folder);
  await chmod(folder, 0o755);
  return folder;
}

/** Anybody may create names in `/var/tmp`: programs put there by another user must not be run. */
async function refuseForeign(folder: string): Promise<void> {
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === 0 && (found.mode & 0o022) === 0) return;
  throw new EmbeddedPostgresError(`${folder} was made by another user. Remove it.`);
}

/** Copied aside, then renamed: a copy that is there is complete. */
async function copyOnce(source: string, target: string): Promise<void> {
  const aside = await mkdtemp(`${target}-`);
  try {
    await cp(source, aside, { recursive: true, verbatimSymlinks: true });
    await openToAll(aside);
    await rename(aside, target).catch(ignoreExisting);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** Whatever modes an installation under a strict umask gave them: everybody may read and run, root alone may write. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST' && error.code !== 'ENOTEMPTY') throw error;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
