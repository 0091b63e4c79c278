import { PrismaPg } from '@prisma/adapter-pg';
import { fromPrisma } from '../../lib/engine/index.js';
import { PrismaClient } from './.data/prisma/client.js';
import { describeTransactions } from './support/behaviour.js';
import { broken } from './support/library.js';

describeTransactions('Prisma', async (url) => {
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  return {
    transaction: (work) =>
      prisma.$transaction((tx) =>
        work({
          tx: fromPrisma(tx),
          order: (item) => tx.order.create({ data: { item } }),
          breakIt: () => broken(tx.$queryRawUnsafe('select 1 / 0')),
          // Prisma has no savepoints of its own.
          savepoint: async (inner) => {
            await tx.$executeRawUnsafe('savepoint inside');
            try {
              return await inner({ tx: fromPrisma(tx) });
            } catch (error) {
              await tx.$executeRawUnsafe('rollback to savepoint inside');
              throw error;
            }
          },
        }),
      ),
    close: () => prisma.$disconnect(),
  };
});
