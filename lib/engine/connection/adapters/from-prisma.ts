import type { Transaction } from '../executor.js';
import { assertHasMethod } from './adapted.js';

/** What is needed of Prisma's interactive transaction. */
export interface PrismaTransaction {
  // oxlint-disable-next-line typescript/no-explicit-any -- as Prisma declares it
  $queryRawUnsafe<T = unknown>(query: string, ...values: any[]): PromiseLike<T>;
}

/**
 * A transaction of Prisma: what `prisma.$transaction(async (tx) => ...)` hands to its function.
 *
 * @throws InvalidOptionsError when it is something else
 */
export function fromPrisma(tx: PrismaTransaction): Transaction {
  assertHasMethod('fromPrisma', tx, '$queryRawUnsafe', "Prisma's interactive transaction");
  return { query: async (text, values = []) => tx.$queryRawUnsafe<unknown[]>(text, ...values) };
}
