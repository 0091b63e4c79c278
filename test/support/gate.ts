import { onTestFinished } from 'vitest';
import { SignalPoint } from './signal-point.js';

/** Where code under test stops until the test lets it go on. Made by {@link gate}. */
export class Gate {
  readonly #arrivals = new SignalPoint();
  #open!: () => void;
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));

  /** For a handler: resolves when the gate is open; rejects when the signal aborts first, with its reason. */
  async pass(signal?: AbortSignal): Promise<void> {
    this.#arrivals.signal();
    if (signal === undefined) return this.#opened;
    await Promise.race([this.#opened, abortOf(signal)]);
  }

  /** For the test: resolves when that many have arrived, whether or not they went on. */
  async reached(count = 1, { timeoutMs = 10_000 } = {}): Promise<void> {
    await this.#arrivals.count(count, { timeoutMs });
  }

  /** Lets everybody pass, now and later. */
  open(): void {
    this.#open();
  }
}

/** A closed gate. It opens at the end of the test, so that a failed test leaves no handler waiting. */
export function gate(): Gate {
  const closed = new Gate();
  onTestFinished(() => closed.open());
  return closed;
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
