import { describe, expect, it } from 'vitest';
import * as engine from '../../lib/engine/index.js';

const ADAPTERS = {
  fromDrizzle: (given: never) => engine.fromDrizzle(given, () => undefined),
  fromKnex: engine.fromKnex as (given: never) => unknown,
  fromKysely: engine.fromKysely as (given: never) => unknown,
  fromMikroOrm: engine.fromMikroOrm as (given: never) => unknown,
  fromPostgresJs: engine.fromPostgresJs as (given: never) => unknown,
  fromPrisma: engine.fromPrisma as (given: never) => unknown,
  fromSequelize: (given: never) => engine.fromSequelize(given, { commit: async () => undefined }),
};

describe('an adapter', () => {
  it.each(Object.entries(ADAPTERS))(
    '%s refuses what is not a transaction of its library',
    (name, adapter) => {
      for (const wrong of [undefined, null, {}, 'tx', { query: 1 }]) {
        expect(() => adapter(wrong as never)).toThrow(
          expect.objectContaining({ code: 'TM_INVALID_OPTIONS', subject: `${name}()` }),
        );
      }
    },
  );

  it('of Drizzle says that it needs the sql tag', () => {
    expect(() => engine.fromDrizzle({ execute: async () => undefined }, undefined as never)).toThrow(
      /sql tag/,
    );
  });

  it('of Sequelize says that it needs the transaction', () => {
    const sequelize = { query: async () => undefined };
    expect(() => engine.fromSequelize(sequelize, {} as never)).toThrow(/transaction/);
  });
});
