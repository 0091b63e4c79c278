import {
  createParamDecorator,
  Injectable,
  ParseIntPipe,
  ValidationPipe,
  type ExecutionContext,
  type PipeTransform,
} from '@nestjs/common';
import { IsEmail } from 'class-validator';
import { describe, expect, it } from 'vitest';
import { getJob, Job, JobHeaders, JobRef, JobSignal, JobTx, Payload, QueueHandler } from '../../lib/index.js';
import { nestApp } from './support/nest-app.js';

class SendEmail {
  @IsEmail() to!: string;
}
const QueueOf = createParamDecorator(
  (prefix: string, context: ExecutionContext) => prefix + getJob(context).queue,
);

@Injectable()
class Upper implements PipeTransform<string, string> {
  transform(value: string): string {
    return value.toUpperCase();
  }
}

describe('parameters of a handler', () => {
  it('come in any order by decorators', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send(
        @JobHeaders('lang') lang: string,
        @JobRef() job: Job,
        @Payload('to') to: string,
        @QueueOf('queue ') queue: string,
        @Payload() payload: unknown,
        @JobHeaders() headers: unknown,
      ) {
        return { lang, id: job instanceof Job, to, queue, payload, headers };
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    const ending = await run('mail', { to: 'a@example.com' }, { headers: { lang: 'en' } });
    expect(ending).toEqual({
      returned: {
        lang: 'en',
        id: true,
        to: 'a@example.com',
        queue: 'queue mail',
        payload: { to: 'a@example.com' },
        headers: { lang: 'en' },
      },
    });
  });

  it('are payload and job where the first two have no decorator', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('payload-decorated')
      first(@Payload('n') n: number, job: Job) {
        return [n, job.queue];
      }
      @QueueHandler('job-decorated')
      second(payload: { n: number }, @JobRef() job: Job) {
        return [payload.n, job.queue];
      }
      @QueueHandler('third-decorated')
      third(payload: { n: number }, job: Job, @JobSignal() signal: AbortSignal) {
        return [payload.n, job.queue, signal === job.signal];
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('payload-decorated', { n: 1 })).toEqual({ returned: [1, 'payload-decorated'] });
    expect(await run('job-decorated', { n: 2 })).toEqual({ returned: [2, 'job-decorated'] });
    expect(await run('third-decorated', { n: 3 })).toEqual({ returned: [3, 'third-decorated', true] });
  });

  it('go through their own pipes, then find only own properties', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('pipes')
      pipes(
        @Payload('n', ParseIntPipe) n: number,
        @JobHeaders('lang', new Upper()) lang: string,
        @Payload(Upper) _p: unknown,
      ) {
        return [n, lang];
      }
      @QueueHandler('pollution')
      pollution(@Payload('constructor') constructor: unknown, @Payload('__proto__') proto: unknown) {
        return [constructor, proto];
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('pollution', { n: 1 })).toEqual({ returned: [undefined, undefined] });
    expect(await run('pipes', { n: '12' }, { headers: { lang: 'en' } })).toMatchObject({
      threw: { name: 'TypeError' },
    });
  });

  it('are validated like an undecorated payload', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send(@JobRef() _job: Job, @Payload() payload: SendEmail) {
        return payload instanceof SendEmail;
      }
    }
    const { run } = await nestApp({
      providers: [Handlers],
      configure: (app) => app.useGlobalPipes(new ValidationPipe({ transform: true })),
    });
    expect(await run('mail', { to: 'a@example.com' })).toEqual({ returned: true });
    expect(await run('mail', { to: 1 })).toMatchObject({ threw: { name: 'BadRequestException' } });
  });

  it('include the transaction of a transactional handler', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('with', { transactional: true })
      with(@JobTx() tx: unknown, @JobRef() job: Job) {
        return tx !== undefined && tx === job.tx;
      }
      @QueueHandler('without')
      without(@JobTx() tx: unknown) {
        return tx;
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('with')).toEqual({ returned: true });
    expect(await run('without')).toEqual({ returned: undefined });
  });

  it('of a base class do not leak into an override', async () => {
    class Base {
      handle(@Payload('n') n: unknown) {
        return n;
      }
    }
    @Injectable()
    class Derived extends Base {
      @QueueHandler('mail')
      override handle(payload: unknown) {
        return payload;
      }
    }
    const { run } = await nestApp({ providers: [Derived] });
    expect(await run('mail', { n: 1 })).toEqual({ returned: { n: 1 } });
  });
});
