import type { HappenedJson, OverviewJson, SnapshotJson } from '../sql/stats.js';
import { statsOf, type QueueStats } from './queue-reader.js';

/** What has happened to jobs. */
export interface Happened {
  readonly completed: number;
  /** For good. */
  readonly failed: number;
  readonly retried: number;
  readonly cancelled: number;
}

/** A queue at a glance. */
export interface QueueOverview extends QueueStats {
  /** Scheduled jobs that wait for another attempt, among the first 1,000. */
  readonly retrying: number;
  readonly lastDay: Happened;
  readonly lastHour: Happened;
  /** Completed and failed jobs of the last 60 minutes, minute by minute, the oldest first. */
  readonly minutes: readonly number[];
}

export type ProblemKind = 'noWorker' | 'failing' | 'late' | 'paused' | 'quiet';

/** Something that somebody should look at. */
export interface Problem {
  readonly kind: ProblemKind;
  readonly queue: string;
  /** In words. */
  readonly text: string;
}

/** All queues at a glance. */
export interface Overview {
  readonly at: Date;
  /** When somebody last looked at the queues; `undefined`: nobody has. */
  readonly takenAt: Date | undefined;
  readonly ready: number;
  readonly running: number;
  readonly slots: number;
  readonly scheduled: number;
  readonly retrying: number;
  readonly blocked: number;
  /** Failed jobs that are there. */
  readonly failed: number;
  /** Some count has stopped at 10,000 a queue. */
  readonly capped: boolean;
  readonly oldestReadyMs: number | undefined;
  readonly lastDay: Happened;
  readonly lastHour: Happened;
  readonly queues: readonly QueueOverview[];
  readonly problems: readonly Problem[];
}

/** Where each count stops. */
const COUNT_UP_TO = 10_000;
const MINUTES = 60;
const NOTHING: Happened = Object.freeze({ completed: 0, failed: 0, retried: 0, cancelled: 0 });
/** A queue with this share of failures, of this many jobs at least, is told of. */
const FAILING = 0.1;
const FAILING_OF = 10;
const LATE_MS = 300_000;

/** What the database knows, put together. */
export function overviewOf(json: OverviewJson): Overview {
  const at = new Date(json.now);
  const takenAt = json.takenAt === null ? undefined : new Date(json.takenAt);
  const sinceMs = takenAt === undefined ? 0 : Math.max(0, at.getTime() - takenAt.getTime());
  return summaryOf(
    at,
    takenAt,
    withMissing(json).map((queue) => queueOverview(queue, json, sinceMs)),
  );
}

/** The same as if there were no other queues than some. */
export function overviewOfSome(overview: Overview, includes: (queue: string) => boolean): Overview {
  return summaryOf(
    overview.at,
    overview.takenAt,
    overview.queues.filter(({ queue }) => includes(queue)),
  );
}

function summaryOf(at: Date, takenAt: Date | undefined, queues: readonly QueueOverview[]): Overview {
  const sum = (of: (queue: QueueOverview) => number) => queues.reduce((total, queue) => total + of(queue), 0);
  const oldest = queues.map((queue) => queue.oldestReadyMs).filter((ms) => ms !== undefined);
  return {
    at,
    takenAt,
    ready: sum((queue) => queue.ready),
    running: sum((queue) => queue.running),
    slots: sum((queue) => queue.slots),
    scheduled: sum((queue) => queue.scheduled),
    retrying: sum((queue) => queue.retrying),
    blocked: sum((queue) => queue.blocked),
    failed: sum((queue) => queue.failed),
    capped: queues.some((queue) => queue.capped),
    oldestReadyMs: oldest.length === 0 ? undefined : Math.max(...oldest),
    lastDay: queues.reduce((total, queue) => added(total, queue.lastDay), NOTHING),
    lastHour: queues.reduce((total, queue) => added(total, queue.lastHour), NOTHING),
    queues,
    problems: queues.flatMap(problemsOf),
  };
}

/** A queue that came after the last look has numbers already. */
function withMissing({ queues, day }: OverviewJson): SnapshotJson[] {
  const known = new Set(queues.map((queue) => queue.name));
  const missing = day.filter(({ queue }) => !known.has(queue)).map(({ queue }) => emptyQueue(queue));
  return [...queues, ...missing].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function emptyQueue(name: string): SnapshotJson {
  return {
    name,
    paused: null,
    heldUntil: null,
    maxPending: null,
    workers: 0,
    quietWorkers: 0,
    slots: 0,
    counts: { ready: 0, running: 0, scheduled: 0, blocked: 0, failed: 0 },
    retrying: 0,
    oldestReadyMs: null,
  };
}

function queueOverview(snapshot: SnapshotJson, { day, hour }: OverviewJson, sinceMs: number): QueueOverview {
  const stats = statsOf({ queue: JSON.stringify(snapshot) }, COUNT_UP_TO);
  const ofQueue = hour.filter(({ queue }) => queue === snapshot.name);
  const minutes = Array.from({ length: MINUTES }, () => 0);
  for (const { ago, completed, failed } of ofQueue) {
    const place = MINUTES - 1 - ago;
    if (place >= 0 && place < MINUTES) minutes[place] = completed + failed;
  }
  return {
    ...stats,
    oldestReadyMs: stats.oldestReadyMs === undefined ? undefined : stats.oldestReadyMs + sinceMs,
    retrying: snapshot.retrying,
    lastDay: happenedOf(day.find(({ queue }) => queue === snapshot.name)),
    lastHour: ofQueue.reduce((total, minute) => added(total, minute), NOTHING),
    minutes,
  };
}

function happenedOf(json: HappenedJson | undefined): Happened {
  return json === undefined ? NOTHING : added(NOTHING, json);
}

function added(a: Happened, b: HappenedJson): Happened {
  return {
    completed: a.completed + b.completed,
    failed: a.failed + b.failed,
    retried: a.retried + b.retried,
    cancelled: a.cancelled + b.cancelled,
  };
}

function problemsOf(queue: QueueOverview): Problem[] {
  const { ready, workers, quietWorkers, lastHour, oldestReadyMs, paused } = queue;
  const problems: Problem[] = [];
  const tell = (kind: ProblemKind, text: string) => problems.push({ kind, queue: queue.queue, text });
  if (ready > 0 && workers === 0 && quietWorkers === 0)
    tell('noWorker', 'jobs are ready and no worker takes them');
  if (ready > 0 && workers === 0 && quietWorkers > 0)
    tell('quiet', 'jobs are ready and all workers are quiet');
  const ended = lastHour.completed + lastHour.failed + lastHour.retried;
  const bad = lastHour.failed + lastHour.retried;
  if (ended >= FAILING_OF && bad / ended > FAILING)
    tell('failing', `${Math.round((bad / ended) * 100)} % of its attempts have failed within the last hour`);
  if (paused !== undefined && ready > 0) tell('paused', 'it is paused, and jobs wait');
  else if (oldestReadyMs !== undefined && oldestReadyMs > LATE_MS && workers > 0)
    tell('late', 'its oldest ready job has waited for more than five minutes');
  return problems;
}
