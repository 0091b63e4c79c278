import type { StatementPool } from '../connection/statement-pool.js';
import { unsealFor } from '../codec/sealed.js';
import type { TaskmasterEventType } from '../events.js';
import type { EncryptionOf } from '../job/encryption.js';
import { Wakeup } from '../lifecycle/wakeup.js';
import { check, listOf, problemsOf, throwProblems, type Checks } from '../option-checker.js';
import { queueName } from '../option-checks.js';
import { readEvents, watchEvents, type WatchEventsRow } from '../sql/watched-events.js';
import { jobId } from './job-filter.js';

/** What to watch; everything that is not said. */
export interface WatchFilter {
  /** Events of these queues and of their jobs. At most 100. */
  readonly queues?: readonly string[];
  /** Events of these jobs. At most 100. */
  readonly jobIds?: readonly string[];
  readonly types?: readonly TaskmasterEventType[];
  /** Goes on after this message, by its `id`: what a browser sends as `Last-Event-ID`. @default from now on */
  readonly after?: string;
}

/** An event of whatever process, in the shape that Nest's `@Sse()` sends. */
export interface WatchedEvent {
  /** For `after`. */
  readonly id: string;
  /** That of the event, or `gap`: what has happened between `after` and now was not kept. */
  readonly type: string;
  /** The event, as JSON: times are ISO 8601. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Hears that events were stored. */
export interface WatchListener {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Whether it hears, proven. */
  readonly healthy: boolean;
}

/** Options of an {@link EventWatch}. */
export interface EventWatchOptions {
  readonly statements: StatementPool;
  readonly encryptionOf: EncryptionOf;
  /** Makes what hears that events were stored, and calls. */
  readonly listen: (onStored: () => void) => WatchListener | undefined;
}

/** A watcher that has gone can come back within so many milliseconds, and has missed nothing. */
const KEEP_MS = 120_000;
const RENEW_MS = 20_000;
/** Between two looks, where somebody tells, and where nobody does. */
const TOLD_POLL_MS = 5_000;
const UNTOLD_POLL_MS = 500;
const PAGE = 500;

const MOST = 100;
const CURSOR = /^(\d{1,19})-(\d{1,19})$/;
const FILTER_CHECKS = {
  queues: listOf(queueName, { min: 1, max: MOST }),
  jobIds: listOf(jobId, { min: 1, max: MOST }),
  types: listOf(
    check('the type of an event', (value) => typeof value === 'string'),
    { min: 1, max: MOST },
  ),
  after: check('the id of a message', (value) => typeof value === 'string' && CURSOR.test(value)),
} satisfies Checks;

/**
 * Events of all processes, as they happen. Somebody who watches says so in the database, and processes that work on queues write down what is
 * watched, and nothing else. Told by notification, on a connection that is made when somebody first watches; looks from time to time all the same.
 */
export class EventWatch {
  readonly #wakeups = new Set<Wakeup>();
  readonly #closed = new AbortController();
  #listener: WatchListener | undefined;
  #listening = false;

  constructor(private readonly options: EventWatchOptions) {}

  /**
   * Yields until the signal aborts, or the engine is closed. Ids are in order, and none is left out: whoever comes back with the last one goes on where
   * it was, within two minutes.
   *
   * @throws InvalidOptionsError at once; DatabaseError, PermissionDeniedError when it cannot watch
   */
  watch(filter: WatchFilter, signal: AbortSignal): AsyncGenerator<WatchedEvent, void> {
    throwProblems('watch()', problemsOf(filter, FILTER_CHECKS));
    return this.#watch(filter, AbortSignal.any([signal, this.#closed.signal]));
  }

  /** Nobody watches any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    for (const wakeup of this.#wakeups) wakeup.call();
    await this.#listener?.stop();
  }

  async *#watch(filter: WatchFilter, over: AbortSignal): AsyncGenerator<WatchedEvent, void> {
    this.#listen();
    const wakeup = new Wakeup();
    const onAbort = () => wakeup.call();
    over.addEventListener('abort', onAbort, { once: true });
    this.#wakeups.add(wakeup);
    try {
      yield* this.#events(filter, wakeup, over);
    } catch (error) {
      if (!over.aborted) throw error;
    } finally {
      this.#wakeups.delete(wakeup);
      over.removeEventListener('abort', onAbort);
    }
  }

  async *#events(
    { queues = null, jobIds = null, types = null, after }: NullableFilter,
    wakeup: Wakeup,
    over: AbortSignal,
  ): AsyncGenerator<WatchedEvent, void> {
    const watched = { queues, jobIds, types };
    const [, known = null, seen] = CURSOR.exec(after ?? '') ?? [];
    let begun = await this.#renew({ ...watched, watcher: known });
    let renewed = performance.now();
    let last = begun.resumed && seen !== undefined ? seen : begun.last;
    if (after !== undefined && !begun.resumed) yield { id: `${begun.id}-${last}`, type: 'gap', data: {} };
    while (!over.aborted) {
      if (performance.now() - renewed > RENEW_MS) {
        begun = await this.#renew({ ...watched, watcher: begun.id });
        renewed = performance.now();
        if (!begun.resumed) yield { id: `${begun.id}-${last}`, type: 'gap', data: {} };
      }
      const page = await this.options.statements.run('watch', readEvents, {
        ...watched,
        after: last,
        limit: PAGE,
      });
      for (const { id, type, event } of page)
        yield { id: `${begun.id}-${(last = id)}`, type, data: await this.#opened(event) };
      if (page.length < PAGE && !over.aborted) await this.#wait(wakeup);
    }
  }

  /** Where it cannot be decrypted here, a progress is told as it is stored. */
  async #opened(event: Record<string, unknown>): Promise<Record<string, unknown>> {
    if (!('progress' in event)) return event;
    try {
      return {
        ...event,
        progress: await unsealFor(event['progress'], 'progress', this.options.encryptionOf),
      };
    } catch {
      return event;
    }
  }

  async #renew(args: Omit<Parameters<typeof watchEvents.values>[0], 'keepMs'>): Promise<WatchEventsRow> {
    const [row] = await this.options.statements.run('watch', watchEvents, { ...args, keepMs: KEEP_MS });
    return row as WatchEventsRow;
  }

  async #wait(wakeup: Wakeup): Promise<void> {
    await wakeup.wait(this.#listener?.healthy === true ? TOLD_POLL_MS : UNTOLD_POLL_MS);
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#listener = this.options.listen(() => {
      for (const wakeup of this.#wakeups) wakeup.call();
    });
    void this.#listener?.start();
  }
}

/** A filter, where what is not said is everything. */
type NullableFilter = {
  readonly [Key in keyof WatchFilter]: WatchFilter[Key] | (Key extends 'after' ? never : null);
};
