import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub, TaskmasterEvent } from '../events.js';
import { seal } from '../codec/sealed.js';
import type { EncryptionOf } from '../job/encryption.js';
import { toJobError } from '../job/job-error.js';
import type { Service } from '../lifecycle/service.js';
import { Ticker } from '../lifecycle/ticker.js';
import { liveWatchers, recordEvents, type WatcherRow } from '../sql/watched-events.js';

/** Options of an {@link EventRecorder}. */
export interface EventRecorderOptions {
  readonly session: Session;
  readonly events: EventHub;
  readonly encryptionOf: EncryptionOf;
  /** Whether notifications arrive: then it looks for watchers only when it is told to, and once in a while. */
  readonly hears: () => boolean;
}

/** Between two looks for watchers, where nobody tells, and where somebody does. */
const UNTOLD_MS = 5_000;
const TOLD_LOOKS = 6;
/** Events are stored together that happen within so many milliseconds. */
const FLUSH_MS = 20;
/** The most in one statement. */
const LARGEST_FLUSH = 1_000;
/** The most that wait for the database; what comes then is counted, and said to be missing. */
const MOST_WAITING = 10_000;

/**
 * Writes this process's events down for those who watch, in whatever process they do. While nobody watches, it does not even
 * listen to them.
 */
export class EventRecorder implements Service {
  readonly #ticker: Ticker;
  #watchers: readonly WatcherRow[] = [];
  #unsubscribe: (() => void) | undefined;
  #waiting: TaskmasterEvent[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #skipped = 0;

  constructor(private readonly options: EventRecorderOptions) {
    this.#ticker = new Ticker({
      intervalMs: UNTOLD_MS,
      jitter: 0.3,
      tick: () => this.#tick(),
      onError: (error) => this.#failed(error),
    });
  }

  async start(): Promise<void> {
    await this.#look().catch((error: unknown) => this.#failed(error));
    await this.#ticker.start();
  }

  /** What has happened until now is stored first. */
  async stop(): Promise<void> {
    await this.#ticker.stop();
    this.#unsubscribe?.();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#flush();
  }

  /** Somebody has begun to watch. */
  call(): void {
    void this.#look().catch((error: unknown) => this.#failed(error));
  }

  async #tick(): Promise<void> {
    const mayWait = this.options.hears() && this.#watchers.length === 0;
    this.#skipped = mayWait ? this.#skipped + 1 : 0;
    if (mayWait && this.#skipped % TOLD_LOOKS !== 0) return;
    await this.#look();
  }

  async #look(): Promise<void> {
    this.#watchers = await this.options.session.run(liveWatchers, {});
    if (this.#watchers.length > 0) {
      this.#unsubscribe ??= this.options.events.subscribe((event) => this.#happened(event));
      return;
    }
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  #happened(event: TaskmasterEvent): void {
    if (!this.#watchers.some((watcher) => isWatched(event, watcher))) return;
    if (this.#waiting.length >= MOST_WAITING) this.#dropped += 1;
    else this.#waiting.push(event);
    this.#timer ??= setTimeout(() => this.#due(), FLUSH_MS);
  }

  #due(): void {
    this.#timer = undefined;
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
  }

  async #flush(): Promise<void> {
    await this.#flushing;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, LARGEST_FLUSH);
      try {
        const events = await Promise.all(batch.map((event) => this.#sealed(event)));
        await this.options.session.run(recordEvents, { events: JSON.stringify(events.map(recorded)) });
      } catch (error) {
        return this.#failed(error);
      }
      this.#waiting.splice(0, batch.length);
      this.#sayDropped();
    }
  }

  /** What handlers say of payloads that are encrypted is stored as encrypted; or left out. */
  async #sealed(event: TaskmasterEvent): Promise<TaskmasterEvent> {
    if (event.type !== 'progress') return event;
    const { queue } = event;
    const encryption = this.options.encryptionOf(queue);
    if (encryption === undefined) return event;
    const text = JSON.stringify(event.progress ?? null);
    const progress = await seal(text, encryption, { queue, kind: 'progress' }).catch(() => undefined);
    return { ...event, progress };
  }

  #sayDropped(): void {
    if (this.#dropped === 0) return;
    const message = `${this.#dropped} events could not be stored in time for those who watch`;
    this.#dropped = 0;
    this.options.events.emit({ type: 'engineWarning', message });
  }

  #failed(error: unknown): void {
    reportFailure(this.options.events, 'recordEvents', error);
  }
}

function isWatched(event: TaskmasterEvent, { queues, job_ids: jobIds, types }: WatcherRow): boolean {
  const { queue, jobId } = event as { readonly queue?: string; readonly jobId?: string };
  return (
    (queues === null || (queue !== undefined && queues.includes(queue))) &&
    (jobIds === null || (jobId !== undefined && jobIds.includes(jobId))) &&
    (types === null || types.includes(event.type))
  );
}

/** As `record_events()` takes it. */
function recorded(event: TaskmasterEvent): object {
  const { queue, jobId, error } = event as {
    readonly queue?: string;
    readonly jobId?: string;
    readonly error?: unknown;
  };
  const plain = error === undefined ? event : { ...event, error: toJobError(error) };
  return { t: event.type, q: queue, j: jobId, e: plain };
}
