import type pg from 'pg';
import type { MultiHostConfig } from '../options.js';

/** One server that may be connected to: the configuration of a client, and how to speak of it without its secrets. */
export interface ConnectionTarget {
  readonly config: pg.ClientConfig;
  /** `host:port/database`. */
  readonly label: string;
}

/** The targets of a connection option, in the order given; several when it names several hosts. */
export function targetsOf(connection: string | MultiHostConfig): readonly ConnectionTarget[] {
  if (typeof connection === 'string') return urlTargets(connection, {});
  const { hosts, connectionString, ...rest } = connection;
  if (connectionString !== undefined) return urlTargets(connectionString, rest);
  if (hosts === undefined || hosts.length === 0) return [targetOf(rest)];
  return hosts.map(({ host, port }) => targetOf({ ...rest, host, ...(port === undefined ? {} : { port }) }));
}

/** `scheme://user:password@` | `h1:5432,h2:5433` | `/database?options`: Node's URL knows one host, so split before. */
const URL_PARTS = /^([a-z]+:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/is;
/** An `@` further on means that the password holds a `/`, `?` or `#`: where it ends is anybody's guess, so nothing is shown. */
const UNREADABLE = 'the host of its URL, whose user or password is not percent-encoded';

function urlTargets(url: string, rest: pg.ClientConfig): readonly ConnectionTarget[] {
  const [, prefix = '', authority = '', suffix = ''] = URL_PARTS.exec(url) ?? [];
  const labelOf = (host: string) =>
    suffix.includes('@') ? UNREADABLE : `${host || 'localhost'}${databaseOf(suffix)}`;
  if (!authority.includes(','))
    return [{ config: { ...rest, connectionString: url }, label: labelOf(authority) }];
  return authority.split(',').map((host) => ({
    config: { ...rest, connectionString: `${prefix}${host}${suffix}` },
    label: labelOf(host),
  }));
}

function databaseOf(suffix: string): string {
  return suffix.replace(/\?.*$/s, '');
}

function targetOf(config: pg.ClientConfig): ConnectionTarget {
  const {
    host = process.env.PGHOST ?? 'localhost',
    port = process.env.PGPORT ?? 5432,
    database = process.env.PGDATABASE ?? '',
  } = config;
  return { config, label: `${host}:${port}/${database}` };
}
