import { setTimeout as delay } from 'node:timers/promises';
import type { PgServer } from './pg-server.js';
import type { Random } from './random.js';
import type { ChaosWorker, ChaosWorld } from './world.js';

/** What a fault may need: everything there is. */
export interface FaultScene {
  readonly world: ChaosWorld;
  readonly server: PgServer;
  readonly random: Random;
}

/** Something bad that happens to processes, to the network or to the server, from beginning to end. */
export type FaultScript = (scene: FaultScene) => Promise<void>;

const ENGINES = `datname = current_database() and backend_type = 'client backend' and application_name not in ('test', 'audit')`;

/** The mix of a chaos run; which of them, and how, is decided by its seed. */
export const FAULTS: Readonly<Record<string, FaultScript>> = {
  /** A1, A3 */
  kill: (scene) => toOne(scene, 'kill', ({ world }, worker) => killAndRestart(world, worker)),

  /** A4: for less than the lease, or for up to three times that. */
  freeze: (scene) =>
    toOne(scene, 'freeze', async ({ world, random }, { process }) => {
      process.kill('SIGSTOP');
      await delay(world.lease.ttlMs * (0.3 + 2.5 * random.next()));
      process.kill('SIGCONT');
    }),

  /** B1, B2: some connections, whatever they are at. */
  terminateSome: (scene) =>
    toAll(scene, 'terminate', async ({ world }) => {
      await world.server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where ${ENGINES} and random() < 0.3`,
      );
    }),

  /** B3: all connections, again and again. */
  terminateAll: (scene) =>
    toAll(scene, 'terminate', async ({ world, random }) => {
      for (let times = random.between(3, 12); times > 0; times -= 1) {
        await world.server.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${ENGINES}`);
        await delay(200);
      }
    }),

  /** B4 */
  loseClaimReply: (scene) =>
    toOne(scene, 'lost reply', (_, { proxy }) =>
      lost(proxy.dropReply({ to: /claim_jobs|claim_limited|sweep_jobs/ })),
    ),

  /** B5 */
  loseSettlementReply: (scene) =>
    toOne(scene, 'lost reply', (_, { proxy }) =>
      lost(proxy.dropReply({ to: /ack_jobs|ack_and_claim|reschedule_jobs/ })),
    ),

  /** B7: nothing is written any more; then it recovers. */
  crash: (scene) =>
    toAll(scene, 'crash', async ({ server, random }) => {
      await server.crash();
      await delay(random.between(0, 2_000));
      await server.start();
    }),

  /** B15, B16: what passes is swallowed, and nobody is told. */
  blackhole: (scene) =>
    toOne(scene, 'cut off', async ({ world, random }, { proxy }) => {
      proxy.blackhole();
      await delay(world.lease.ttlMs * (0.3 + 1.7 * random.next()));
      proxy.refuse();
      proxy.pass();
    }),

  /** What passes is held up, and all of it arrives later: late acks of those that have lost their lease. */
  stall: (scene) =>
    toOne(scene, 'cut off', async ({ world, random }, { proxy }) => {
      proxy.stall();
      await delay(world.lease.ttlMs * (0.3 + 1.7 * random.next()));
      proxy.pass();
    }),

  /** Connections end, and new ones are refused for a moment. */
  refuse: (scene) =>
    toOne(scene, 'cut off', async ({ random }, { proxy }) => {
      proxy.refuse();
      await delay(random.between(50, 1_500));
      proxy.pass();
    }),

  /** A firewall that has forgotten the connections there are. */
  forget: (scene) => toOne(scene, 'cut off', async (_, { proxy }) => proxy.forget()),

  /** A deploy: one process ends politely, another begins. */
  deploy: (scene) =>
    toOne(scene, 'deploy', async ({ world }, worker) => {
      worker.process.kill('SIGTERM');
      await world.gone(worker);
      await world.restart(worker);
    }),
};

/** At any moment; another process with its name begins. */
async function killAndRestart(world: ChaosWorld, worker: ChaosWorker): Promise<void> {
  worker.process.kill('SIGKILL');
  await worker.process.exit();
  await world.restart(worker);
}

async function toAll(scene: FaultScene, kind: string, script: FaultScript): Promise<void> {
  const startedAt = Date.now();
  await script(scene);
  scene.world.history.note(kind, null, startedAt);
}

async function toOne(
  scene: FaultScene,
  kind: string,
  script: (scene: FaultScene, worker: ChaosWorker) => Promise<void>,
): Promise<void> {
  const worker = scene.random.pick(scene.world.workers);
  const startedAt = Date.now();
  await script(scene, worker);
  scene.world.history.note(kind, worker.name, startedAt);
}

/** A worker with nothing to do sends nothing whose reply could be lost. */
async function lost(reply: Promise<void>): Promise<void> {
  await reply.catch(() => undefined);
}
