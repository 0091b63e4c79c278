// @ts-check
// The heartbeat of a worker, in a thread of its own: a handler that blocks the main thread keeps its lease. Plain JavaScript, so
// that the same file runs from the sources and from the package. LeaseKeeper starts it and reads `shared`.
import { parentPort, workerData } from 'node:worker_threads';
import pg from 'pg';

/**
 * @typedef {object} ThreadData
 * @property {SharedArrayBuffer} shared 0: the main thread's tick; 1: send time of the last confirmed beat, ns of the monotonic
 *   clock; 2: id of the worker; 3: 1 when it was declared dead; 4: database time of the last beat, ms;
 *   5: what the worker was told, `workers.orders`
 * @property {pg.ClientConfig[]} configs servers of the cluster, tried in order
 * @property {string} text the heartbeat statement
 * @property {number} ttlMs
 * @property {number} heartbeatMs
 * @property {number} stallLimitMs without a tick for this long the main thread counts as stuck for good, and the lease is let go
 */
const { shared, configs, text, ttlMs, heartbeatMs, stallLimitMs } = /** @type {ThreadData} */ (workerData);
const cells = new BigInt64Array(shared);
/** A beat without an answer for this long is lost, and its connection with it: others still fit into the lease. */
const timeoutMs = Math.min(10_000, ttlMs / 3);
/** @type {pg.Client | undefined} */
let client;
let lastTick = -1n;
let lastTickAt = process.hrtime.bigint();

/** @returns {Promise<pg.Client>} */
async function connected() {
  if (client !== undefined) return client;
  /** @type {unknown} */
  let failure;
  for (const config of configs) {
    const candidate = new pg.Client({
      ...config,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    candidate.on('error', () => {});
    try {
      await candidate.connect();
      const { rows } = await candidate.query('select pg_is_in_recovery() as recovering');
      if (rows[0].recovering) throw new Error('in recovery');
      candidate.once('end', () => (client = client === candidate ? undefined : client));
      return (client = candidate);
    } catch (error) {
      failure = error;
      destroy(candidate);
    }
  }
  throw failure;
}

function mainThreadLives() {
  const tick = Atomics.load(cells, 0);
  const now = process.hrtime.bigint();
  if (tick !== lastTick) [lastTick, lastTickAt] = [tick, now];
  return now - lastTickAt < BigInt(stallLimitMs) * 1_000_000n;
}

async function beat() {
  const workerId = Number(Atomics.load(cells, 2));
  if (workerId === 0 || Atomics.load(cells, 3) === 1n || !mainThreadLives()) return;
  const sentAt = process.hrtime.bigint();
  try {
    const { rows } = await (await connected()).query({ text, values: [workerId, ttlMs] });
    if (BigInt(workerId) !== Atomics.load(cells, 2)) return;
    if (rows.length === 0) {
      Atomics.store(cells, 3, 1n);
    } else {
      Atomics.store(cells, 4, BigInt(Math.round(rows[0].now_ms)));
      Atomics.store(cells, 5, BigInt(rows[0].orders));
      Atomics.store(cells, 1, sentAt);
    }
    parentPort?.postMessage(rows.length === 0 ? 'dead' : 'beat');
  } catch {
    if (client !== undefined) destroy(client); // validity simply runs out; the next beat connects again
    client = undefined;
  }
}

/**
 * At once: a server that does not answer would not answer a goodbye either.
 * @param {pg.Client} unused
 */
function destroy(unused) {
  const { connection } = /** @type {{ connection: { stream: { destroy(): void } } }} */ (
    /** @type {unknown} */ (unused)
  );
  connection.stream.destroy();
}

let beating = false;
const timer = setInterval(() => {
  if (beating) return;
  beating = true;
  void beat().finally(() => (beating = false));
}, heartbeatMs);

parentPort?.on('message', () => {
  clearInterval(timer);
  parentPort?.close();
  client?.end().catch(() => {});
});
