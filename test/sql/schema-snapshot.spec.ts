import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { testDatabase } from '../support/test-database.js';
import { schemaDump } from './support/schema-dump.js';

const SNAPSHOT = new URL('./schema.snapshot.txt', import.meta.url);

/** Set to write the snapshot instead of comparing with it, after a new migration. */
const UPDATE = process.env['TASKMASTER_UPDATE_SNAPSHOT'] === '1';

describe('the migrated schema', () => {
  it('is the one of schema.snapshot.txt (TASKMASTER_UPDATE_SNAPSHOT=1 writes it)', async () => {
    const dump = await schemaDump(await testDatabase({ schema: 'taskmaster' }));
    if (UPDATE) await writeFile(SNAPSHOT, dump);
    expect(dump).toBe(await readFile(SNAPSHOT, 'utf8'));
  });

  it('is the same under another name', async () => {
    const dump = await schemaDump(await testDatabase({ schema: 'another_name' }));
    const channel = /\btm_[0-9a-f]{16}\b/g;
    const snapshot = await readFile(SNAPSHOT, 'utf8');
    expect(dump.replaceAll('another_name', 'taskmaster').replaceAll(channel, 'tm_')).toBe(
      snapshot.replaceAll(channel, 'tm_'),
    );
  });
});
