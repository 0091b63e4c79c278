import { createHash, timingSafeEqual } from 'node:crypto';
import type { DashboardRequest } from './dashboard.request.js';

/** Tells who asks, without the guards of an application. */
export interface DashboardAuth {
  /** The name of whoever asks; `undefined`: nobody who may. */
  readonly userOf: (request: DashboardRequest) => string | undefined;
  /** `WWW-Authenticate` of the answer to others. */
  readonly challenge: string;
}

/** Options of {@link basicAuth}. */
export interface BasicAuthOptions {
  /** Names and passwords. An empty password is refused: it is a variable that was not set. */
  readonly users: Readonly<Record<string, string>>;
  /** What the browser shows. @default 'Taskmaster' */
  readonly realm?: string;
}

/**
 * HTTP Basic authentication: `auth: basicAuth({ users: { admin: process.env.JOBS_PASSWORD! } })`. Names and passwords are compared in constant
 * time; serve it over HTTPS only.
 *
 * @throws TypeError when there is no user, or one without a password
 */
export function basicAuth({ users, realm = 'Taskmaster' }: BasicAuthOptions): DashboardAuth {
  const known = Object.entries(users).map(([name, password]) => ({ name, digest: digestOf(name, password) }));
  if (known.length === 0) throw new TypeError('basicAuth: expected at least one user');
  for (const [name, password] of Object.entries(users))
    if (typeof password !== 'string' || password === '')
      throw new TypeError(`basicAuth: the password of "${name}" is empty; is its environment variable set?`);
  return {
    challenge: `Basic realm="${realm.replaceAll(/["\\]/g, '')}", charset="UTF-8"`,
    userOf: (request) => userIn(request.headers['authorization'], known),
  };
}

function userIn(
  header: unknown,
  known: readonly { readonly name: string; readonly digest: Buffer }[],
): string | undefined {
  const [, encoded] = /^basic ([A-Za-z0-9+/=]+)$/i.exec(typeof header === 'string' ? header : '') ?? [];
  if (encoded === undefined) return undefined;
  const [, name = '', password = ''] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  const given = digestOf(name, password);
  // All of them are looked at, so that the time tells nothing.
  return known.reduce<string | undefined>(
    (found, user) => (timingSafeEqual(user.digest, given) ? user.name : found),
    undefined,
  );
}

/** Of one length, whatever was given. */
function digestOf(name: string, password: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([name, password]))
    .digest();
}
