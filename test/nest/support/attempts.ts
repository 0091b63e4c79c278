import type { Job } from '../../../lib/index.js';

/** How one attempt ended: what its handler, with its enhancers, returned or threw. */
export type Ending = { readonly returned: unknown } | { readonly threw: unknown };

/** Records how attempts end, as the outermost middleware. */
export class Attempts {
  readonly #endings = new Map<string, PromiseWithResolvers<Ending>>();

  readonly middleware = async (job: Job, next: () => Promise<unknown>): Promise<unknown> => {
    try {
      const returned = await next();
      this.#of(job.id).resolve({ returned });
      return returned;
    } catch (threw) {
      this.#of(job.id).resolve({ threw });
      throw threw;
    }
  };

  /** Resolves when the first attempt of a job has ended. */
  of(jobId: string): Promise<Ending> {
    return this.#of(jobId).promise;
  }

  #of(jobId: string): PromiseWithResolvers<Ending> {
    const known = this.#endings.get(jobId) ?? withResolvers<Ending>();
    this.#endings.set(jobId, known);
    return known;
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((resolvePromise) => (resolve = resolvePromise));
  return { promise, resolve };
}
