import {
  Catch,
  Injectable,
  UseFilters,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { catchError, map, of, retry as resubscribe } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { ack, QueueHandler, reject, retry, snooze } from '../../lib/index.js';
import { nestApp } from './support/nest-app.js';

const OUTCOMES = { ack: ack(1), reject: reject('no'), retry: retry({ delayMs: 50 }), snooze: snooze(50) };
type OutcomeName = keyof typeof OUTCOMES;
const names = Object.keys(OUTCOMES) as OutcomeName[];

/** What applications put around every response. */
@Injectable()
class Envelope implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(
      map((data: unknown) => ({ data })),
      catchError((error: Error) => of({ error: error.message })),
    );
  }
}
@Catch()
class CatchAll implements ExceptionFilter {
  catch(): string {
    return 'caught';
  }
}

@Injectable()
class Handlers {
  @QueueHandler('returns')
  async returns({ name }: { name: OutcomeName }) {
    return OUTCOMES[name];
  }
  @QueueHandler('throws')
  async throws({ name }: { name: OutcomeName }) {
    throw OUTCOMES[name];
  }
  @QueueHandler('observes')
  observes({ name }: { name: OutcomeName }) {
    return of('first', OUTCOMES[name]);
  }
}

describe('an outcome', () => {
  it('is the same returned and thrown, without enhancers', async () => {
    const { run } = await nestApp({ providers: [Handlers] });
    for (const name of names) {
      expect(await run('returns', { name })).toEqual({ returned: OUTCOMES[name] });
      expect(await run('observes', { name })).toEqual({ returned: OUTCOMES[name] });
      expect(await run('throws', { name })).toEqual({ threw: OUTCOMES[name] });
    }
  });

  it('passes interceptors that wrap values and catch errors', async () => {
    const { run } = await nestApp({
      providers: [Handlers, { provide: APP_INTERCEPTOR, useClass: Envelope }],
    });
    for (const name of names) {
      expect(await run('returns', { name })).toEqual({ returned: OUTCOMES[name] });
      expect(await run('observes', { name })).toEqual({ returned: OUTCOMES[name] });
      expect(await run('throws', { name })).toEqual({ returned: OUTCOMES[name] });
    }
  });

  it('passes filters that catch everything', async () => {
    @UseFilters(CatchAll)
    @Injectable()
    class Filtered extends Handlers {
      @QueueHandler('boom')
      boom() {
        throw new Error('boom');
      }
    }
    const { run } = await nestApp({ providers: [Filtered] });
    for (const name of names) {
      expect(await run('returns', { name })).toEqual({ returned: OUTCOMES[name] });
      expect(await run('throws', { name })).toEqual({ threw: OUTCOMES[name] });
    }
    expect(await run('boom')).toEqual({ returned: 'caught' });
  });

  it('may come from a pipe or an interceptor as well', async () => {
    @Injectable()
    class RejectOdd implements PipeTransform {
      transform(value: unknown): unknown {
        if (typeof value === 'number' && value % 2 === 1) throw reject('odd');
        return value;
      }
    }
    @Injectable()
    class SnoozeBig implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler) {
        return context.getArgByIndex<number>(0) > 100 ? of(snooze(1)) : next.handle();
      }
    }
    @UseFilters(CatchAll)
    @Injectable()
    class Scoped {
      @UseInterceptors(SnoozeBig)
      @UsePipes(RejectOdd)
      @QueueHandler('number')
      handle(value: number) {
        return value;
      }
    }
    const { run } = await nestApp({ providers: [Scoped] });
    expect(await run('number', 2)).toEqual({ returned: 2 });
    expect(await run('number', 3)).toEqual({ returned: reject('odd') });
    expect(await run('number', 200)).toEqual({ returned: snooze(1) });
  });

  it('of the last call counts when an interceptor calls again', async () => {
    @Injectable()
    class Again implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(resubscribe(1));
      }
    }
    let calls = 0;
    @Injectable()
    class Flaky {
      @UseInterceptors(Again)
      @QueueHandler('flaky')
      async handle() {
        calls += 1;
        if (calls === 1) throw reject('not yet');
        return 'done';
      }
    }
    const { run } = await nestApp({ providers: [Flaky] });
    expect(await run('flaky')).toEqual({ returned: 'done' });
  });
});
