import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { unprivilegedAccount } from '../../lib/engine/connection/embedded/account.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { pgServer } from './support/pg-server.js';
import { AS_ROOT, missing } from './support/when.js';

const LEASE = { ttlMs: 3_000, heartbeatMs: 500, heartbeat: 'main' } as const;
const skipped = missing('B17', { root: AS_ROOT, 'network namespaces': AS_ROOT && namespacesWork() });

describe.skipIf(skipped)('B17: a network that loses every packet, and tells nobody', () => {
  it('makes the worker fence itself in time, and is found to be back', { timeout: 120_000 }, async () => {
    const network = await otherNetwork();
    const server = await pgServer({ host: network.host, wrapper: network.inside });
    const database = await server.database();
    const busy = gate();
    const told = gate();
    const { taskmaster, log } = await workingEngine(
      database,
      {
        mail: async (job) => {
          if (job.runCount > 1) return;
          await busy.pass();
          await new Promise<void>((resolve) => job.signal.addEventListener('abort', () => resolve()));
          await told.pass();
        },
      },
      { lease: LEASE, connectTimeoutMs: 2_000 },
    );
    const insert = `insert into "${database.schema}".jobs (queue_name, payload) values ('mail', '{}')`;
    await server.query(insert);
    await busy.reached();
    busy.open();
    network.down();
    const downAt = performance.now();
    await told.reached(1, { timeoutMs: 30_000 });
    expect(performance.now() - downAt).toBeLessThan(LEASE.ttlMs + 5_000);
    await delay(LEASE.ttlMs);
    network.up();
    told.open();
    await eventually(() => server.query(insert).then(() => true), { timeoutMs: 30_000 }); // the neighbours have to find each other
    await log.of('completed').count(1, { timeoutMs: 60_000 });
    await taskmaster.close();
  });
});

/** A network of its own for a server, that can be cut like a cable. */
async function otherNetwork() {
  const { uid, gid } = await unprivilegedAccount();
  const name = `tm${process.pid}`;
  const net = 10 + (process.pid % 200);
  ip(`netns add ${name}`);
  onTestFinished(() => ip(`netns del ${name}`));
  ip(`link add ${name}a type veth peer name ${name}b netns ${name}`);
  ip(`addr add 10.98.${net}.1/24 dev ${name}a`);
  ip(`link set ${name}a up`);
  ip(`-n ${name} addr add 10.98.${net}.2/24 dev ${name}b`);
  ip(`-n ${name} link set ${name}b up`);
  ip(`-n ${name} link set lo up`);
  return {
    host: `10.98.${net}.2`,
    inside: ['ip', 'netns', 'exec', name, 'setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    down: () => ip(`-n ${name} link set ${name}b down`),
    up: () => ip(`-n ${name} link set ${name}b up`),
  };
}

function namespacesWork(): boolean {
  const name = `tmtry${process.pid}`;
  try {
    ip(`netns add ${name}`);
    ip(`netns del ${name}`);
    return true;
  } catch {
    return false;
  }
}

function ip(args: string): void {
  execFileSync('ip', args.split(' '), { stdio: 'pipe' });
}
