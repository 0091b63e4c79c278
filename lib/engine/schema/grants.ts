import { check, problemsOf, throwProblems } from '../option-checker.js';
import { isSchemaName, tablesOf } from '../sql/tables.js';
import { ROLE_GRANTS, type RoleGrants, type RoleName } from './role-grants.js';

/** Options of {@link grantsSql}. */
export interface GrantsOptions {
  /** Where Taskmaster is, or will be. @default 'taskmaster' */
  readonly schema?: string;
  /** What the names of the roles begin with: `tm` makes `tm_owner`, `tm_worker` and so on. @default 'tm' */
  readonly prefix?: string;
}

const identifier = check(
  'a name of at most 48 small letters, digits and underscores that does not begin with a digit',
  (value) => typeof value === 'string' && isSchemaName(value),
);
const CHECKS = { schema: identifier, prefix: identifier };

/**
 * The statements that make the roles of a schema and give each what it needs: owner, migrator, worker, producer, viewer and auditor, all of them
 * without login, to be granted to those who log in. They run as a whole, by somebody who may create roles and owns the schema (or is a
 * superuser); again after each release, which changes nothing that is right. The library never runs them.
 *
 * @throws InvalidOptionsError listing every problem
 */
export function grantsSql(options: GrantsOptions = {}): string {
  throwProblems('grantsSql', problemsOf(options, CHECKS));
  const { schema = 'taskmaster', prefix = 'tm' } = options;
  const script = new GrantsScript(tablesOf(schema).schema, schema, prefix);
  return `${script.lines.join('\n')}\n`;
}

/** The statements, one by one. Names were checked: they need no escaping inside quotes of either kind. */
class GrantsScript {
  readonly lines: readonly string[];

  constructor(
    /** Quoted. */
    private readonly schema: string,
    private readonly schemaName: string,
    private readonly prefix: string,
  ) {
    this.lines = [
      `-- The roles of schema ${schemaName}. Run it as a whole; before the first migration and after it, and again after each release.`,
      'begin;',
      ...this.#role('owner', 'owns the schema and all that is in it'),
      ...ROLE_GRANTS.flatMap(({ role, purpose }) => this.#role(role, purpose)),
      ...this.#schemaOfOwner(),
      ...this.#objectsOfOwner(),
      ...this.#nothingForEverybody(),
      ...ROLE_GRANTS.flatMap((grants) => this.#general(grants)),
      ...this.#onceThereAreTables(ROLE_GRANTS.flatMap((grants) => this.#particular(grants))),
      'commit;',
    ];
  }

  /** `create role` knows no `if not exists`. */
  #role(role: RoleName, purpose: string): string[] {
    return [
      this.#unless(
        `exists (select from pg_catalog.pg_roles where rolname = '${this.prefix}_${role}')`,
        `create role ${this.#nameOf(role)} nologin`,
      ),
      `comment on role ${this.#nameOf(role)} is 'Taskmaster: ${purpose}';`,
    ];
  }

  /** `create schema if not exists` asks for the right to create one even where it exists. Who gives something away must be a member of who gets it. */
  #schemaOfOwner(): string[] {
    const owner = this.#nameOf('owner');
    return [
      this.#unless(
        `exists (select from pg_catalog.pg_namespace where nspname = '${this.schemaName}')`,
        `create schema ${this.schema}`,
      ),
      this.#unless(
        `pg_catalog.pg_has_role(current_user, '${this.prefix}_owner', 'member')`,
        `execute format('grant ${owner} to %I', current_user)`,
      ),
      `grant usage, create on schema ${this.schema} to ${owner};`,
      `alter schema ${this.schema} owner to ${owner};`,
    ];
  }

  /** Sequences of identity columns and indexes go with their tables. */
  #objectsOfOwner(): string[] {
    const owner = this.#nameOf('owner');
    return [
      `do $$
declare
  statement text;
begin
  for statement in
    select format('alter %s %I.%I owner to ${owner}', case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, n.nspname, c.relname)
      from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = '${this.schemaName}' and c.relkind in ('r', 'p', 'v', 'S') and c.relowner <> '${owner}'::regrole
       and not exists (select from pg_catalog.pg_depend as d
                        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') and c.relkind = 'S')
    union all
    select format('alter function %s owner to ${owner}', f.oid::regprocedure)
      from pg_catalog.pg_proc as f join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
     where n.nspname = '${this.schemaName}' and f.proowner <> '${owner}'::regrole
  loop
    execute statement;
  end loop;
end $$;`,
    ];
  }

  /** What PUBLIC has by default: to execute functions, also those of later migrations. */
  #nothingForEverybody(): string[] {
    return [
      `revoke all on schema ${this.schema} from public;`,
      `revoke execute on all functions in schema ${this.schema} from public;`,
      `alter default privileges for role ${this.#nameOf('owner')} revoke execute on functions from public;`,
    ];
  }

  /** Rights on all objects of a kind, those of later migrations included. */
  #general({ role, memberOf = [], tables = {}, sequences, functions }: RoleGrants): string[] {
    return [
      ...memberOf.map((other) => `grant ${this.#nameOf(other)} to ${this.#nameOf(role)};`),
      ...(memberOf.includes('owner')
        ? []
        : [`grant usage on schema ${this.schema} to ${this.#nameOf(role)};`]),
      ...(tables['*'] === undefined ? [] : this.#onAll('tables', tables['*'], role)),
      ...(sequences === '*' ? this.#onAll('sequences', 'usage', role) : []),
      ...(functions === '*' ? this.#onAll('functions', 'execute', role) : []),
    ];
  }

  #onAll(kind: 'tables' | 'sequences' | 'functions', rights: string, role: RoleName): string[] {
    const to = `grant ${rights} on ${kind} to ${this.#nameOf(role)};`;
    return [
      `grant ${rights} on all ${kind} in schema ${this.schema} to ${this.#nameOf(role)};`,
      `alter default privileges for role ${this.#nameOf('owner')} in schema ${this.schema} ${to}`,
    ];
  }

  /** Rights on single objects. What has been migrated is only for the migrator to say. */
  #particular({ role, tables = {}, sequences = [], functions = [] }: RoleGrants): string[] {
    const { '*': all, ...named } = tables;
    const to = `to ${this.#nameOf(role)};`;
    const changes = all?.includes('insert') === true;
    return [
      ...Object.entries(named).map(([table, rights]) => `grant ${rights} on ${this.schema}.${table} ${to}`),
      ...(sequences === '*'
        ? []
        : sequences.map((name) => `grant usage on sequence ${this.schema}.${name} ${to}`)),
      ...(functions === '*'
        ? []
        : functions.map((name) => `grant execute on function ${this.schema}.${name} ${to}`)),
      ...(changes
        ? [`revoke insert, update, delete on ${this.schema}.migrations from ${this.#nameOf(role)};`]
        : []),
    ];
  }

  #onceThereAreTables(statements: readonly string[]): string[] {
    return [
      'do $$ begin',
      `  if pg_catalog.to_regclass('${this.schema}.migrations') is null then`,
      `    raise notice 'There are no tables yet: migrate as a member of ${this.prefix}_migrator, then run this again.';`,
      '    return;',
      '  end if;',
      ...statements.map((statement) => `  ${statement}`),
      'end $$;',
    ];
  }

  #unless(condition: string, statement: string): string {
    return `do $$ begin if not ${condition} then ${statement}; end if; end $$;`;
  }

  #nameOf(role: RoleName): string {
    return `"${this.prefix}_${role}"`;
  }
}
