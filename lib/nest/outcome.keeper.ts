import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { tap, type Observable } from 'rxjs';
import { isHandlerOutcome } from '../engine/job/outcome.js';
import type { Subject } from './handler.chain.js';

/**
 * Keeps what a handler says about its job out of the hands of interceptors: the one that wraps every response in
 * `{ data }` would turn `return reject()` into an ack. What a handler of batches returns is all about its jobs.
 * The innermost interceptor of a handler.
 */
export class OutcomeKeeper implements NestInterceptor {
  readonly #said = new WeakMap<Subject, { readonly outcome: unknown }>();

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const job: Subject = context.getArgByIndex(1);
    const note = (said: unknown, isOutcome: boolean): void => {
      if (isOutcome) this.#said.set(job, { outcome: said });
      // The last word counts: an interceptor may have called the handler again.
      else this.#said.delete(job);
    };
    const returned = (value: unknown) => note(value, isHandlerOutcome(value) || Array.isArray(job));
    const threw = (error: unknown) => note(error, isHandlerOutcome(error));
    return next.handle().pipe(tap({ next: returned, error: threw }));
  }

  /** Runs an attempt; the outcome its handler returned or threw wins over what `call` made of it. */
  async keep(job: Subject, call: () => Promise<unknown>): Promise<unknown> {
    try {
      const result = await call();
      const said = this.#said.get(job);
      return said === undefined ? result : said.outcome;
    } catch (error) {
      const outcome = this.#said.get(job)?.outcome;
      if (isHandlerOutcome(outcome)) return outcome;
      throw error;
    }
  }
}
