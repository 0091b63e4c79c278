import type { Transaction } from '../../../lib/engine/index.js';

/** What the tests do within a transaction of a library. */
export interface Scope {
  /** The transaction, as the library's adapter makes it. */
  readonly tx: Transaction;
  /** Adds a row to `orders`, by the library's own means. */
  order(item: string): Promise<unknown>;
  /** Sends a statement that fails, and swallows its error. */
  breakIt(): Promise<void>;
  /** Runs `work` within a savepoint, to which a throw rolls back; it is thrown on. */
  savepoint<T>(work: (scope: Pick<Scope, 'tx'>) => Promise<T>): Promise<T>;
}

/** A library connected to the database of a test. */
export interface Library {
  /** Commits when `work` resolves, rolls back when it throws, which is thrown on. */
  transaction<T>(work: (scope: Scope) => Promise<T>): Promise<T>;
  close(): Promise<unknown>;
}

/** Opens a library on a database. */
export type OpenLibrary = (url: string) => Promise<Library>;

/** The table of the application. */
export const ORDERS = 'create table orders (id serial primary key, item text not null)';

/** What rolls a transaction back. */
export class Undo extends Error {}

/** Runs what is to fail with {@link Undo}. */
export async function undone(work: Promise<unknown>): Promise<void> {
  const error = await work.then(() => undefined).catch((reason: unknown) => reason);
  if (!(error instanceof Undo)) throw new Error('nothing was undone', { cause: error });
}

/** Swallows an error of the database. */
export async function broken(work: PromiseLike<unknown>): Promise<void> {
  await Promise.resolve(work).then(
    () => {
      throw new Error('the statement has not failed');
    },
    () => undefined,
  );
}
