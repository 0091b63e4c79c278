/** Where libraries keep the error of the driver that theirs stands for. */
const WITHIN = ['cause', 'original', 'driverError', 'driverAdapterError', 'meta', 'previous'] as const;
/** Errors are wrapped once or twice; what is deeper is not one of ours. */
const DEEPEST = 6;

/** Knex and MikroORM put the statement, values and all, before what the server has said. */
const STATEMENT = /^(insert into|select|with) [\s\S]* - /;

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
