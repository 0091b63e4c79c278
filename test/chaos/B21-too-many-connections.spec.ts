import pg from 'pg';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { JobTable } from '../integration/support/job-table.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { pgServer } from './support/pg-server.js';

const FULL_MS = 5_000;

describe('B21: a server that has no connection left', () => {
  it(
    'is asked now and then, not again and again, and work goes on when it has one',
    { timeout: 90_000 },
    async () => {
      const server = await pgServer({ settings: ['max_connections=20'] });
      const database = await server.database();
      const proxy = new FaultyProxy({ host: '127.0.0.1', port: server.port });
      const connection = { ...server.config, port: await proxy.listen() };
      onTestFinished(() => proxy.close());
      const { taskmaster, log } = await workingEngine(database, { mail: () => undefined }, { connection });
      const mine = await server.client();
      const others = await occupy(server.config);
      proxy.cut();
      others.push(...(await occupy(server.config))); // those that were just given up
      const before = proxy.accepted;
      await mine.query(`insert into "${database.schema}".jobs (queue_name, payload) values ('mail', '{}')`);
      await delay(FULL_MS);
      const attempts = (proxy.accepted - before) / (FULL_MS / 1_000);
      expect(attempts).toBeLessThan(2 * 5); // at most two a second for each connection that the engine wants
      await Promise.all(others.map((client) => client.end()));
      await log.of('completed').count(1, { timeoutMs: 30_000 });
      await mine.end();
      await new JobTable(database).empty();
      await taskmaster.close();
    },
  );
});

/** Takes every connection there is. */
async function occupy(config: pg.ClientConfig): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  for (;;) {
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    try {
      await client.connect();
      taken.push(client);
    } catch (error) {
      if ((error as { code?: string }).code === '53300') return taken;
      throw error;
    }
  }
}
