import type { CountedState, QueueJson, QueueRow, QueueStatsJson } from '../sql/read-queues.js';

/** A pause of a queue that is not over. */
export interface QueuePause {
  readonly by: string | undefined;
  readonly since: Date;
  /** `undefined`: until it is resumed. */
  readonly until: Date | undefined;
  readonly reason: string | undefined;
}

/** A queue, as far as it is known without counting its jobs. */
export interface QueueRecord {
  readonly queue: string;
  /** `undefined`: it is not paused. */
  readonly paused: QueuePause | undefined;
  /** A handler has thrown `rateLimited()`: nothing starts before. */
  readonly heldUntil: Date | undefined;
  /** How many of its jobs may be there that have not ended; `undefined`: any number. */
  readonly maxPending: number | undefined;
  /** Live workers that take its jobs. */
  readonly workers: number;
  /** Live workers that would, and are quiet or drain. */
  readonly quietWorkers: number;
  /** How many of its jobs may run at once on the workers that take them. */
  readonly slots: number;
}

/** What a queue holds. A count that has reached `countUpTo` stands for that many or more. */
export interface QueueStats extends QueueRecord, Readonly<Record<CountedState, number>> {
  /** Some count has stopped. */
  readonly capped: boolean;
  /** How long the oldest ready job has waited since it became ready, in milliseconds; `undefined`: none is ready. */
  readonly oldestReadyMs: number | undefined;
}

export function queueOf(row: QueueRow): QueueRecord {
  return recordOf(JSON.parse(row.queue) as QueueJson);
}

export function statsOf(row: QueueRow, countUpTo: number): QueueStats {
  const json = JSON.parse(row.queue) as QueueStatsJson;
  return {
    ...recordOf(json),
    ...json.counts,
    capped: Object.values(json.counts).some((count) => count >= countUpTo),
    oldestReadyMs: json.oldestReadyMs ?? undefined,
  };
}

function recordOf(json: QueueJson): QueueRecord {
  const { name, paused, heldUntil, maxPending, workers, quietWorkers, slots } = json;
  return {
    queue: name,
    paused: paused === null ? undefined : pauseOf(paused),
    heldUntil: heldUntil === null ? undefined : new Date(heldUntil),
    maxPending: maxPending ?? undefined,
    workers,
    quietWorkers,
    slots,
  };
}

function pauseOf({ by, since, until, reason }: NonNullable<QueueJson['paused']>): QueuePause {
  return {
    by: by ?? undefined,
    since: new Date(since),
    until: until === null ? undefined : new Date(until),
    reason: reason ?? undefined,
  };
}
