import { constants } from 'node:os';

/** What a signal does to an instance. */
export interface SignalTarget {
  /** Whether it is draining or closing, for whatever reason. */
  readonly stopping: boolean;
  /** Ends running jobs in peace, then closes everything. */
  drain(): Promise<void>;
  /** Aborts running jobs and hands them back. Resolves when that is stored. */
  handBack(): Promise<void>;
}

type Signal = 'SIGINT' | 'SIGTERM';
const SIGNALS = ['SIGINT', 'SIGTERM'] as const satisfies readonly Signal[];

/** How long a forced end waits for the database to hear about the jobs; without that they are rescued later. */
const HAND_BACK_LIMIT_MS = 5_000;

/** Marks our listeners, also those of another copy of this package. */
const OWNER = Symbol.for('taskmaster:signals');
type SignalListener = (() => void) & { [OWNER]?: SignalOwner };

/** What several of us in one process must agree on. */
interface SignalOwner {
  handBack(): Promise<void>;
  /** The next signal was sent by this process, to end itself for somebody else. */
  expectReraise(): void;
}

/**
 * Listens to SIGTERM and SIGINT for one instance.
 *
 * - Nobody else listens: the instance is drained, then the signal is raised again.
 * - Somebody does, as Nest does after `enableShutdownHooks()`: ending is theirs, and draining part of it.
 *   This is looked at when the signal comes, because hooks are enabled late: after `createApplicationContext()` has started everything.
 * - A second signal while the instance stops: running jobs are handed back, and the process ends with 128 + the number of the
 *   signal. A third one does not wait for that.
 */
export class ProcessSignals implements SignalOwner {
  readonly #listeners = new Map<Signal, SignalListener>();
  #received = 0;
  #handedOver = false;
  #expectedReraises = 0;
  #pending: Signal | undefined;

  constructor(private readonly target: SignalTarget) {}

  install(): void {
    for (const signal of SIGNALS) {
      if (this.#listeners.has(signal)) continue;
      const listener: SignalListener = Object.assign(() => this.#on(signal), { [OWNER]: this });
      this.#listeners.set(signal, listener);
      // First in line, so that nobody has acted yet when we look who else listens.
      process.prependListener(signal, listener);
    }
  }

  /** Idempotent. Nothing of it is left afterwards. */
  remove(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
    this.#listeners.clear();
    // Nest raises the signal again when its application is closed; another application here may still drain.
    if (this.#handedOver) SIGNALS.flatMap(ownersOf).forEach((owner) => owner.expectReraise());
    if (this.#pending !== undefined) process.kill(process.pid, this.#pending);
    this.#pending = undefined;
  }

  handBack(): Promise<void> {
    return this.target.handBack();
  }

  expectReraise(): void {
    this.#expectedReraises = 1;
  }

  #on(signal: Signal): void {
    if (this.#expectedReraises > 0) {
      this.#expectedReraises -= 1;
      return;
    }
    this.#received += 1;
    if (this.target.stopping && this.#received > 1) return void this.#end(signal);
    if (othersListen(signal)) return this.#stepAside(signal);
    if (this.target.stopping) this.#pending = signal;
    else void this.#drain(signal);
  }

  /** Libraries that clean up at exit raise a signal again only if nobody but them listens: for this one signal that is so. */
  #stepAside(signal: Signal): void {
    this.#handedOver = true;
    const listener = this.#listeners.get(signal)!;
    process.off(signal, listener);
    setImmediate(() => {
      if (this.#listeners.get(signal) === listener) process.prependListener(signal, listener);
    });
  }

  async #drain(signal: Signal): Promise<void> {
    await this.target.drain().catch(() => undefined);
    this.remove();
    // The last one of several instances ends the process.
    if (ownersOf(signal).length === 0) process.kill(process.pid, signal);
  }

  /** Of all instances in the process, since it ends. */
  async #end(signal: Signal): Promise<void> {
    const code = 128 + constants.signals[signal];
    if (this.#received > 2) process.exit(code);
    const handedBack = Promise.allSettled(ownersOf(signal).map((owner) => owner.handBack()));
    await Promise.race([handedBack, elapsed(HAND_BACK_LIMIT_MS)]);
    process.exit(code);
  }
}

function othersListen(signal: Signal): boolean {
  return process.listeners(signal).some((listener) => (listener as SignalListener)[OWNER] === undefined);
}

function ownersOf(signal: Signal): SignalOwner[] {
  return process.listeners(signal).flatMap((listener) => (listener as SignalListener)[OWNER] ?? []);
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
