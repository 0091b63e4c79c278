import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmbeddedPostgresError } from '../../errors.js';

/** An operating system account that the server runs under, instead of root. */
export interface ServerAccount {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root. */
export function runsAsRoot(): boolean {
  return process.getuid?.() === 0;
}

/** `postgres`, or `nobody` where that does not exist. Accounts are never created. */
export async function unprivilegedAccount(): Promise<ServerAccount> {
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find(([name]) => name === wanted) ?? [];
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL refuses to run as root, and there is no account "postgres" or "nobody". Run as another user, or create one of them.',
  );
}

/** Who owns a file or folder; nothing when that is root, or when it does not exist. */
export async function ownerOf(path: string): Promise<ServerAccount | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined || found.uid === 0 ? undefined : { uid: found.uid, gid: found.gid };
}

/** Whether the account may execute a program, or enter a folder, that exists: every folder above must let it through. */
export async function canReach(account: ServerAccount, path: string): Promise<boolean> {
  for (let current = await realpath(path); ; current = dirname(current)) {
    const { mode, uid, gid } = await stat(current);
    const execute = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & execute) === 0) return false;
    if (current === dirname(current)) return true;
  }
}
