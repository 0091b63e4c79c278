import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { tap, type Observable } from 'rxjs';
import type { Job } from '../engine/job/job.js';
import { isHandlerOutcome, type HandlerOutcome } from '../engine/job/outcome.js';

/**
 * Keeps what a handler says about its job out of the hands of interceptors: the one that wraps every response in
 * `{ data }` would turn `return reject()` into an ack. The innermost interceptor of a handler.
 */
export class OutcomeKeeper implements NestInterceptor {
  readonly #outcomes = new WeakMap<Job, HandlerOutcome>();

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const job: Job = context.getArgByIndex(1);
    const note = (said: unknown): void => {
      if (isHandlerOutcome(said)) this.#outcomes.set(job, said);
      // The last word counts: an interceptor may have called the handler again.
      else this.#outcomes.delete(job);
    };
    return next.handle().pipe(tap({ next: note, error: note }));
  }

  /** Runs an attempt; the outcome its handler returned or threw wins over what `call` made of it. */
  async keep(job: Job, call: () => Promise<unknown>): Promise<unknown> {
    try {
      const result = await call();
      return this.#outcomes.get(job) ?? result;
    } catch (error) {
      const outcome = this.#outcomes.get(job);
      if (outcome !== undefined) return outcome;
      throw error;
    }
  }
}
