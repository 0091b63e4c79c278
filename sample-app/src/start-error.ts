/** The application cannot start, for a reason that its user can do something about: the message says what. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** What Node and Taskmaster tell about an error. */
interface KnownError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly hostname?: string;
  readonly port?: number;
}

/** What a user is told about an error at start: a sentence where one says it all, else the stack. */
export function explanationOf(error: unknown): string {
  const { code = '', message, stack = String(error), address, hostname, port } = error as KnownError;
  if (code === 'EADDRINUSE')
    return `Port ${port} of ${address} is taken. Choose another one: PORT=${Number(port) + 1} npm start`;
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL')
    return `Cannot listen on port ${port} of ${address} (${code}). Choose another port with PORT, or another address with HOST.`;
  if (code === 'ENOTFOUND')
    return `There is no address "${hostname}". Correct HOST, or unset it to use 127.0.0.1.`;
  if (code === 'TM_DATABASE_UNREACHABLE')
    return `${message} Correct DATABASE_URL, or unset it to use an embedded PostgreSQL.`;
  // The library's own errors say what happened and what to do about it.
  return error instanceof StartError || code.startsWith('TM_') ? message : stack;
}
