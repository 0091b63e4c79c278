/** Asks for bells and takes the asking back; the listener does it. */
export interface Bells {
  arm(queues: readonly string[]): Promise<boolean>;
  disarm(queues: readonly string[]): Promise<void>;
}

/** Bells closer together than this on average are too many: each makes a commit slower for everybody. */
const TOO_FAST_MS = 50;
/** How many of them are looked at. */
const WINDOW = 8;

/**
 * Whether inserters should notify this process. An idle worker arms the bell and sleeps; one whose bells come fast disarms it and
 * polls for a while instead, as network cards do with interrupts.
 */
export class Doorbell {
  #armed: readonly string[] | undefined;
  readonly #rings: number[] = [];

  constructor(private readonly bells: Bells) {}

  get armed(): boolean {
    return this.#armed !== undefined;
  }

  /** After it resolves with true, whatever is inserted rings: look once more for what was inserted before. */
  async arm(queues: readonly string[]): Promise<boolean> {
    if (this.#armed === undefined && (await this.bells.arm(queues))) this.#armed = queues;
    return this.armed;
  }

  async disarm(): Promise<void> {
    const queues = this.#armed;
    this.#armed = undefined;
    this.#rings.length = 0;
    if (queues !== undefined) await this.bells.disarm(queues);
  }

  /** The connection that held the bells is gone, or new. */
  forget(): void {
    this.#armed = undefined;
    this.#rings.length = 0;
  }

  /** A bell rang. True when they come too fast. */
  rang(): boolean {
    const now = performance.now();
    this.#rings.push(now);
    if (this.#rings.length > WINDOW) this.#rings.shift();
    return this.#rings.length === WINDOW && now - (this.#rings[0] as number) < TOO_FAST_MS * WINDOW;
  }
}
