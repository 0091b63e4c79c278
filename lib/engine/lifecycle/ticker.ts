import { pause } from './pause.js';
import type { Service } from './service.js';

/** Options of a {@link Ticker}. */
export interface TickerOptions {
  /** Between the end of one tick and the begin of the next, in milliseconds; a function is asked before every wait. */
  readonly intervalMs: number | (() => number);
  /** Each wait is drawn from `intervalMs` plus or minus this share of it, so that processes do not tick together. @default 0 */
  readonly jitter?: number;
  /** What a tick does. It must not throw: an error that does is handed to `onError`, and the ticks go on. */
  readonly tick: () => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** Does something again and again, never twice at once, until it is stopped. */
export class Ticker implements Service {
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;

  constructor(private readonly options: TickerOptions) {}

  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await pause(this.#waitMs(), this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
      await this.options.tick().catch((error: unknown) => this.#failed(error));
    }
  }

  /** What a tick meets while everything ends around it is no news. */
  #failed(error: unknown): void {
    if (!this.#stopped.signal.aborted) this.options.onError(error);
  }

  #waitMs(): number {
    const { intervalMs, jitter = 0 } = this.options;
    const base = typeof intervalMs === 'number' ? intervalMs : intervalMs();
    return base * (1 + jitter * (2 * Math.random() - 1));
  }
}
