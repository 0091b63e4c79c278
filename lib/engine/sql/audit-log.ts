import { statement } from './statement.js';

export interface WriteAuditArgs {
  readonly action: string;
  readonly by: string | null;
  readonly ip: string | null;
  /** JSON text. */
  readonly target: string;
  readonly count: number | null;
}

/** Writes down who did what. */
export const writeAudit = statement<WriteAuditArgs, { readonly id: string }>({
  name: 'write_audit',
  text: ({ auditLog }) => `insert into ${auditLog} (action, by_whom, ip, target, count)
    values ($1::text, $2::text, $3::text, $4::jsonb, $5::bigint)
    returning id::text as id`,
  values: (args) => [args.action, args.by, args.ip, args.target, args.count],
});

/** An entry, as JSON text; times in ISO 8601. */
export interface AuditRow {
  readonly entry: string;
}

/** The newest entries first. */
export const readAudit = statement<{ readonly before: string | null; readonly limit: number }, AuditRow>({
  name: 'read_audit',
  text: ({
    auditLog,
  }) => `select json_build_object('id', log.id::text, 'at', log.at, 'action', log.action, 'by', log.by_whom, 'ip', log.ip,
             'target', log.target, 'count', log.count)::text as entry
      from ${auditLog} as log
     where $1::bigint is null or log.id < $1::bigint
     order by log.id desc
     limit $2::integer`,
  values: (args) => [args.before, args.limit],
});
