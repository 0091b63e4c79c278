import { RETENTION_DEFAULTS } from './retention.js';
import type { QueueLimits, QueueOptions } from './queue-definition.js';

/** What the database must know of a queue to hold its jobs back and to keep them, whoever asks it. */
export interface QueueSettings {
  readonly name: string;
  readonly maxRunning: number | null;
  readonly rateLimit: number | null;
  readonly ratePeriodMs: number | null;
  readonly rateByGroup: boolean;
  readonly groupSlots: number;
  readonly groupFifo: boolean;
  readonly groupBlock: boolean;
  /** Milliseconds; `null`: for ever. */
  readonly completedMs: number | null;
  readonly failedMs: number | null;
  readonly cancelledMs: number | null;
  readonly ageingMs: number | null;
  readonly maxPending: number | null;
}

/** The settings that follow from the options of a queue. */
export function settingsOf(
  name: string,
  options: QueueLimits & Pick<QueueOptions, 'retention'>,
): QueueSettings {
  const { globalConcurrency, keyConcurrency, rateLimit, groupConcurrency, onFailure, ageing, maxPending } =
    options;
  const { completedMs, failedMs, cancelledMs } = { ...RETENTION_DEFAULTS, ...options.retention };
  return {
    name,
    maxRunning: globalConcurrency ?? null,
    rateLimit: rateLimit?.limit ?? null,
    ratePeriodMs: rateLimit?.periodMs ?? null,
    rateByGroup: rateLimit?.key !== undefined,
    groupSlots: groupConcurrency ?? 1,
    groupFifo: keyConcurrency === undefined && rateLimit?.key === undefined,
    groupBlock: onFailure === 'block',
    completedMs: orNull(completedMs),
    failedMs: orNull(failedMs),
    cancelledMs: orNull(cancelledMs),
    ageingMs: ageing?.everyMs ?? null,
    maxPending: maxPending ?? null,
  };
}

function orNull(ms: number): number | null {
  return ms === Infinity ? null : ms;
}
