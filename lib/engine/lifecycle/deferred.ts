/**
 * A promise that is settled from outside. The first `resolve` or `reject` counts, later ones do nothing.
 * (`Promise.withResolvers` is not in Node 20.)
 */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  #resolve!: (value: T | PromiseLike<T>) => void;
  #reject!: (reason: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Bound: may be handed on as a callback. */
  readonly resolve = (value: T | PromiseLike<T>): void => this.#resolve(value);

  /** Bound: may be handed on as a callback. */
  readonly reject = (reason: unknown): void => this.#reject(reason);
}
