/** Where libraries keep the error of the driver that theirs stands for. */
const WITHIN = ['cause', 'original', 'driverError', 'driverAdapterError', 'meta', 'previous'] as const;
/** Errors are wrapped once or twice; what is deeper is not one of ours. */
const DEEPEST = 6;

/** Knex and MikroORM put the statement, values and all, before what the server has said. */
const STATEMENT = /^(insert into|select|with) [\s\S]* - /;

/** The five characters PostgreSQL sends with an error. */
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** An error as drivers report it. */
interface Reported {
  readonly code: string | undefined;
  readonly message: string;
}

/**
 * The error of the database behind one that a library has thrown: the innermost, since what a library says of it may hold values of the
 * statement.
 */
export function serverErrorOf(thrown: unknown): unknown {
  let found: unknown = reportedOf(thrown) ?? thrown;
  let error: unknown = thrown;
  for (let depth = 0; depth < DEEPEST; depth += 1) {
    error = withinOf(error);
    if (error === undefined) break;
    found = reportedOf(error) ?? found;
  }
  return found;
}

/** What of an error of the server names objects, and no data. */
const FIELDS = [
  'severity',
  'hint',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'routine',
] as const;

/**
 * An error of the server without what may hold data of others: `detail` ("Failing row contains ..."), `where`, the statement that a library has
 * put into its message, and that library's own error around it. Any other error as it is.
 */
export function withoutData(thrown: unknown): unknown {
  const found = serverErrorOf(thrown);
  const { code, message } = (found ?? {}) as Partial<Reported>;
  if (typeof code !== 'string' || !SQLSTATE.test(code) || typeof message !== 'string') return thrown;
  const error = new Error(message);
  const original = innermostOf(thrown) as Record<string, unknown>;
  const kept = FIELDS.filter((field) => typeof original[field] === 'string').map((field) => [
    field,
    original[field],
  ]);
  const [frames = ''] = /(\n\s+at [\s\S]*)?$/.exec(String((thrown as Error).stack ?? '')) ?? [];
  return Object.assign(error, { code, ...Object.fromEntries(kept), stack: `error: ${message}${frames}` });
}

/** The error that says what the server has said. */
function innermostOf(thrown: unknown): unknown {
  let [found, error] = [thrown, thrown];
  for (let depth = 0; depth < DEEPEST && error !== undefined; depth += 1) {
    if (reportedOf(error) !== undefined) found = error;
    error = withinOf(error);
  }
  return found;
}

function withinOf(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return undefined;
  const fields = error as Record<string, unknown>;
  const key = WITHIN.find((name) => typeof fields[name] === 'object' && fields[name] !== null);
  return key === undefined ? undefined : fields[key];
}

/** Prisma's adapters keep the original's code and message under names of their own. */
function reportedOf(error: unknown): Reported | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, message, originalCode, originalMessage } = error as Record<string, unknown>;
  const said = originalMessage ?? message;
  if (typeof said !== 'string' || said === '') return undefined;
  const number = originalCode ?? code;
  return { code: typeof number === 'string' ? number : undefined, message: said.replace(STATEMENT, '') };
}
