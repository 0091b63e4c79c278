import { describe, expect, it } from 'vitest';
import { openEngine } from '../support/engine.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { testDatabase } from '../support/test-database.js';

describe('B6: an enqueue whose reply is lost', () => {
  it('is tried again with the same unique key, and is there once', async () => {
    const database = await testDatabase();
    const { proxy, connection } = await faultyProxy(database);
    const { publisher } = await openEngine(database, { connection });
    await publisher.enqueue('other');
    const enqueue = () => publisher.enqueue('mail', { to: 'ada' }, { unique: { key: 'order 7' } });
    const lost = proxy.dropReply({ to: /enqueue_/ });
    await expect(enqueue()).rejects.toMatchObject({ code: 'TM_ENQUEUE_OUTCOME_UNKNOWN' });
    await lost;
    expect(await enqueue()).toMatchObject({ deduplicated: true });
    const rows = await database.query(`select from "${database.schema}".jobs where queue_name = 'mail'`);
    expect(rows).toHaveLength(1);
  });
});
