import {
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  createParamDecorator,
  type ExceptionFilter,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  ParseArrayPipe,
  Scope,
  type Type,
  UseFilters,
  UseGuards,
  UseInterceptors,
  ValidationPipe,
} from '@nestjs/common';
import { APP_INTERCEPTOR, APP_PIPE, ContextIdFactory, REQUEST, type ContextId } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { IsInt } from 'class-validator';
import { catchError, concatMap, map, of, throwError } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  ConsumerRegistry,
  defineQueue,
  getJob,
  getJobs,
  getTaskmasterToken,
  Job,
  JOB,
  JobHeaders,
  JobRef,
  JobSignal,
  JobTx,
  Payload,
  QueueBatchHandler,
  QueueHandler,
  reject,
  TaskmasterModule,
  TaskmasterRuntime,
  type AnyQueue,
  type JobBatch,
  type JobBatchMiddleware,
  type QueueBatchHandlerOptions,
} from '../../lib/index.js';
import { SignalPoint } from '../support/signal-point.js';
import { testDatabase } from '../support/test-database.js';
import type { Ending } from './support/attempts.js';
import { nestApp, taskmasterOptions, type NestAppOptions } from './support/nest-app.js';

/** An application in which a batch of these payloads has run: how it ended is what its handler, with its enhancers, returned or threw. */
async function batch(queue: AnyQueue, payloads: readonly unknown[], options: NestAppOptions) {
  const endings = new SignalPoint<Ending>();
  const record = (_jobs: JobBatch, next: () => Promise<unknown>) =>
    next().then(
      (returned) => {
        endings.signal({ returned });
        return returned;
      },
      (threw: unknown) => {
        endings.signal({ threw });
        throw threw;
      },
    );
  const { batchMiddleware = [], ...taskmaster } = options.taskmaster ?? {};
  const nest = await nestApp({
    ...options,
    taskmaster: { ...taskmaster, autoStart: false, batchMiddleware: [record, ...batchMiddleware] },
  });
  const jobs = await nest.publisher.enqueueMany(queue, payloads as never[]);
  await nest.get(TaskmasterRuntime).start();
  const [ending] = await endings.count(1);
  return { ...nest, jobs, ending };
}

/** How the batch ended, and nothing else. */
const ending = async (...args: Parameters<typeof batch>) => (await batch(...args)).ending;

const SIZE = { size: 10 };

describe('@QueueBatchHandler', () => {
  it('calls a method of a provider or controller with payloads and jobs', async () => {
    class Base {
      @QueueBatchHandler('inherited', SIZE)
      handle(payloads: unknown[], jobs: Job[]) {
        return [this instanceof Base, payloads, jobs.map((job) => [job instanceof Job, job.payload])];
      }
    }
    @Injectable()
    class Provider extends Base {}
    @Controller()
    class Owner {
      @QueueBatchHandler('controller', SIZE)
      handle(payloads: unknown[]) {
        return payloads.map((payload) => [this instanceof Owner, payload]);
      }
    }
    const options = { providers: [Provider], controllers: [Owner] };
    expect(await ending('controller', [1, 2], options)).toEqual({
      returned: [
        [true, 1],
        [true, 2],
      ],
    });
    expect(await ending('inherited', ['a', 'b', 'c'], options)).toEqual({
      returned: [
        true,
        ['a', 'b', 'c'],
        [
          [true, 'a'],
          [true, 'b'],
          [true, 'c'],
        ],
      ],
    });
  });

  it('awaits an Observable', async () => {
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle(payloads: unknown[]) {
        return of(['not yet'], payloads);
      }
    }
    expect(await ending('mail', [1, 2], { providers: [Handlers] })).toEqual({ returned: [1, 2] });
  });

  it('fills parameters: decorated, custom, and the signal of the batch', async () => {
    const Count = createParamDecorator(
      (_data: unknown, context: ExecutionContext) => getJobs(context).length,
    );
    @Injectable()
    class Handlers {
      // oxlint-disable-next-line typescript/no-explicit-any -- how the check of the parameters is turned off
      @QueueBatchHandler<any>(defineQueue('mail'), SIZE)
      handle(
        @JobRef() jobs: JobBatch,
        @JobSignal() signal: AbortSignal,
        @Payload() payloads: number[],
        @Count() count: number,
      ) {
        return [jobs.length === 2, signal === jobs.signal, payloads, count];
      }
    }
    const { returned } = (await ending('mail', [1, 2], { providers: [Handlers] })) as { returned: unknown };
    expect(returned).toEqual([true, true, [1, 2], 2]);
  });

  it('shows in the ConsumerRegistry, with its batches', async () => {
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', { size: 5, waitMs: 20, concurrency: 2 })
      handle() {}
    }
    const { get } = await batch('mail', [1], { providers: [Handlers] });
    get(TaskmasterRuntime).register('other', () => undefined);
    expect(get(ConsumerRegistry).list()).toMatchObject([
      {
        queue: 'mail',
        className: 'Handlers',
        methodName: 'handle',
        concurrency: 2,
        batch: { size: 5, waitMs: 20 },
      },
      { queue: 'other', concurrency: 10, batch: undefined },
    ]);
  });

  it('is bound to an instance', async () => {
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', { ...SIZE, instance: 'reports' })
      handle() {}
    }
    const reports = taskmasterOptions(await testDatabase());
    const { app } = await nestApp({
      providers: [Handlers],
      imports: [TaskmasterModule.forRoot({ ...reports, name: 'reports' })],
    });
    const registry = app.get<ConsumerRegistry>(getTaskmasterToken('reports', ConsumerRegistry));
    expect(app.get(ConsumerRegistry).list()).toEqual([]);
    expect(registry.list()).toMatchObject([{ queue: 'mail', instance: 'reports' }]);
  });
});

describe('enhancers around a batch', () => {
  it('see it once, with all of its jobs', async () => {
    const seen: unknown[] = [];
    const note = (who: string, context: ExecutionContext) =>
      seen.push([
        who,
        context.getType(),
        context.getArgByIndex<unknown[]>(0),
        getJobs(context).map((job) => job.payload),
        getJob(context).payload,
      ]);
    @Injectable()
    class Guard implements CanActivate {
      canActivate(context: ExecutionContext) {
        note('guard', context);
        return true;
      }
    }
    @Injectable()
    class Interceptor implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler) {
        note('interceptor', context);
        return next.handle();
      }
    }
    @Injectable()
    class Handlers {
      @UseGuards(Guard)
      @UseInterceptors(Interceptor)
      @QueueBatchHandler('mail', SIZE)
      handle() {}
    }
    await batch('mail', [1, 2], { providers: [Handlers] });
    const told = ['taskmaster', [1, 2], [1, 2], 1];
    expect(seen).toEqual([
      ['guard', ...told],
      ['interceptor', ...told],
    ]);
  });

  it('know the one job of other handlers as a list, too', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Interceptor implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler) {
        seen.push(getJobs(context).map((job) => job.payload));
        return next.handle();
      }
    }
    @Injectable()
    class Handlers {
      @UseInterceptors(Interceptor)
      @QueueHandler('mail')
      handle() {}
    }
    const { run } = await nestApp({ providers: [Handlers] });
    await run('mail', 5);
    expect(seen).toEqual([[5]]);
  });

  it('fail all of its jobs when a guard refuses', async () => {
    @Injectable()
    class Closed implements CanActivate {
      canActivate = () => false;
    }
    @UseGuards(Closed)
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle() {}
    }
    expect(await ending('mail', [1, 2], { providers: [Handlers] })).toMatchObject({
      threw: { message: 'Forbidden resource' },
    });
  });

  /** What applications put around every response. */
  @Injectable()
  class Envelope implements NestInterceptor {
    intercept(_context: ExecutionContext, next: CallHandler) {
      return next.handle().pipe(map((data: unknown) => ({ data })));
    }
  }

  it.each([
    ['nothing', () => undefined, undefined],
    ['an outcome a job', () => ['done', reject('no')], ['done', reject('no')]],
    ['one outcome', () => reject('no'), reject('no')],
  ])('leave alone what the handler says about its jobs: %s', async (_what, handle, returned) => {
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle() {
        return handle();
      }
    }
    const options = { providers: [Handlers, { provide: APP_INTERCEPTOR, useClass: Envelope }] };
    expect(await ending('mail', [1, 2], options)).toEqual({ returned });
  });

  it('fail all of its jobs when an interceptor throws after it', async () => {
    @Injectable()
    class Late implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(concatMap(() => throwError(() => new Error('late'))));
      }
    }
    @Injectable()
    class Handlers {
      @UseInterceptors(Late)
      @QueueBatchHandler('mail', SIZE)
      handle() {}
    }
    expect(await ending('mail', [1], { providers: [Handlers] })).toEqual({ threw: new Error('late') });
  });

  it('may answer in its place when it throws', async () => {
    @Injectable()
    class Catching implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(catchError(() => of(['by interceptor'])));
      }
    }
    @Injectable()
    class Handlers {
      @UseInterceptors(Catching)
      @QueueBatchHandler('mail', SIZE)
      handle(): void {
        throw new Error('boom');
      }
    }
    expect(await ending('mail', [1], { providers: [Handlers] })).toEqual({ returned: ['by interceptor'] });
  });

  it('may turn its failure into answers by a filter', async () => {
    @Catch()
    class Answering implements ExceptionFilter {
      catch = () => ['caught', 'caught'];
    }
    @UseFilters(Answering)
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle(): void {
        throw new Error('boom');
      }
    }
    expect(await ending('mail', [1, 2], { providers: [Handlers] })).toEqual({
      returned: ['caught', 'caught'],
    });
  });
});

describe('payloads of a batch', () => {
  class Order {
    @IsInt()
    readonly amount!: number;
  }

  it('are instances of the DTO class of the queue, and invalid ones are left out', async () => {
    const Orders = defineQueue('orders', { dto: Order });
    @Injectable()
    class Handlers {
      @QueueBatchHandler(Orders, { ...SIZE, maxAttempts: 1 })
      handle(orders: Order[]) {
        return orders.map((order) => [order instanceof Order, order.amount]);
      }
    }
    // Enqueued by name, so that nobody checks them before.
    const payloads = [{ amount: 1 }, { amount: 'two' }, { amount: 3 }];
    const { returned } = (await ending('orders', payloads, {
      providers: [Handlers, { provide: APP_PIPE, useValue: new ValidationPipe({ whitelist: true }) }],
    })) as { returned: unknown };
    expect(returned).toEqual([
      [true, 1],
      [true, 3],
    ]);
  });

  it('go through the pipes of their parameter as a list', async () => {
    @Injectable()
    class Handlers {
      // oxlint-disable-next-line typescript/no-explicit-any -- how the check of the parameters is turned off
      @QueueBatchHandler<any>(defineQueue('orders'), SIZE)
      handle(@Payload(new ParseArrayPipe({ items: Order })) orders: Order[]) {
        return orders.map((order) => order instanceof Order);
      }
    }
    expect(await ending('orders', [{ amount: 1 }, { amount: 2 }], { providers: [Handlers] })).toEqual({
      returned: [true, true],
    });
  });
});

describe('the scope of a handler of batches', () => {
  const noStrategy = { attach: (contextId: ContextId) => () => contextId };

  it('may be the request, which is the batch, whatever the context strategy of the application', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Current {
      constructor(@Inject(JOB) readonly jobs: JobBatch) {}
    }
    @Injectable({ scope: Scope.REQUEST })
    class Handlers {
      constructor(
        @Inject(REQUEST) private readonly request: JobBatch,
        private readonly current: Current,
      ) {}
      @QueueBatchHandler('mail', SIZE)
      handle(_payloads: unknown[], jobs: JobBatch) {
        return [this.request === jobs, this.current.jobs === jobs, this instanceof Handlers];
      }
    }
    ContextIdFactory.apply({
      attach: () => {
        throw new Error('a batch has no tenant');
      },
    });
    onTestFinished(() => ContextIdFactory.apply(noStrategy));
    expect(await ending('mail', [1, 2, 3], { providers: [Handlers, Current] })).toEqual({
      returned: [true, true, true],
    });
  });
});

describe('batchMiddleware', () => {
  it('may be a function, a provider, a class that nobody provides, or an object; middleware is left out', async () => {
    const wrapped = (by: string, returned: unknown) => (returned as string[]).map((each) => `${by}(${each})`);
    @Injectable()
    class Provided implements JobBatchMiddleware {
      used = 0;
      async use(jobs: JobBatch, next: () => Promise<unknown>) {
        this.used += jobs.length;
        return wrapped('provided', await next());
      }
    }
    @Injectable()
    class Made implements JobBatchMiddleware {
      async use(_jobs: JobBatch, next: () => Promise<unknown>) {
        return wrapped('made', await next());
      }
    }
    const object: JobBatchMiddleware = { use: async (_jobs, next) => wrapped('object', await next()) };
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle(payloads: string[]) {
        return payloads;
      }
    }
    const singles: string[] = [];
    const { get, ending: end } = await batch('mail', ['a', 'b'], {
      providers: [Provided, Handlers],
      taskmaster: {
        middleware: [(job, next) => (singles.push(job.id), next())],
        batchMiddleware: [Provided, Made, object, async (_jobs, next) => wrapped('function', await next())],
      },
    });
    const returned = ['a', 'b'].map((each) => `provided(made(object(function(${each}))))`);
    expect(end).toEqual({ returned });
    expect([get(Provided).used, singles]).toEqual([2, []]);
  });
});

describe('TaskmasterRuntime.registerBatch', () => {
  it('registers functions as handlers of batches', async () => {
    const Mail = defineQueue<{ to: string }>('mail');
    const { get, publisher } = await nestApp();
    const seen = new SignalPoint<unknown>();
    get(TaskmasterRuntime).registerBatch(
      Mail,
      function sendAll(payloads, jobs) {
        seen.signal([payloads.map(({ to }) => to), jobs.length]);
        return of(undefined);
      },
      { size: 2, waitMs: 60_000, concurrency: 1 },
    );
    await publisher.enqueueMany(Mail, [{ to: 'a' }, { to: 'b' }]);
    expect(await seen.count(1)).toEqual([[['a', 'b'], 2]]);
    expect(get(ConsumerRegistry).list()).toMatchObject([
      { methodName: 'sendAll', className: undefined, batch: { size: 2, waitMs: 60_000 }, concurrency: 1 },
    ]);
  });

  it('refuses bad options', async () => {
    const { get } = await nestApp();
    const register = (options: object) =>
      get(TaskmasterRuntime).registerBatch('mail', () => undefined, options as QueueBatchHandlerOptions);
    for (const options of [{}, { size: 0 }, { size: 1, waitms: 5 }, { size: 1, transactional: true }])
      expect(() => register(options)).toThrow(expect.objectContaining({ code: 'TM_INVALID_OPTIONS' }));
  });
});

describe('an application with a handler of batches does not start', () => {
  /** The error of a start that fails, before anything connects. */
  const boot = async (...providers: Type[]): Promise<unknown> => {
    const options = taskmasterOptions(await testDatabase());
    const imports = [TaskmasterModule.forRoot(options)];
    const module = await Test.createTestingModule({ imports, providers }).compile();
    const app = module.createNestApplication();
    return app.init().then(
      () => 'started',
      (error: unknown) => error,
    );
  };

  const handler = (options: object | undefined) => {
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', options as QueueBatchHandlerOptions)
      handle() {}
    }
    return Handlers;
  };

  it.each([
    ['no options', undefined, 'size: expected an integer from 1 to 10000, got undefined'],
    ['a bad size', { size: '5' }, 'size: expected an integer from 1 to 10000, got "5"'],
    ['a bad wait', { size: 5, waitMs: -1 }, 'waitMs: expected an integer from 0 to 3600000, got -1'],
    ['an unknown option', { size: 5, wait: 1 }, 'wait: unknown option, did you mean "waitMs"?'],
    [
      'a transaction',
      { size: 5, transactional: true },
      'transactional: expected false or nothing, since the jobs of a batch are settled one by one (each has job.transaction()), got true',
    ],
  ])('with %s', async (_what, options, problem) => {
    expect(await boot(handler(options))).toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      subject: '@QueueBatchHandler() Handlers.handle',
      problems: [problem],
    });
  });

  it('when its queue has another handler', async () => {
    @Injectable()
    class Single {
      @QueueHandler('mail')
      send() {}
    }
    expect(await boot(handler(SIZE), Single)).toMatchObject({
      code: 'TM_DUPLICATE_HANDLER',
      first: 'Handlers.handle',
      second: 'Single.send',
    });
  });

  it.each([
    ['@JobHeaders()', JobHeaders()],
    ['@JobHeaders()', JobHeaders('tenant')],
    ['@JobTx()', JobTx()],
    ["@Payload('to')", Payload('to')],
  ])('with a parameter of one job: %s', async (name, decorate) => {
    @Injectable()
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle(@decorate _one: unknown) {}
    }
    expect(await boot(Handlers)).toMatchObject({
      code: 'TM_INVALID_HANDLER',
      handler: '@QueueBatchHandler() Handlers.handle',
      reason: expect.stringContaining(name),
    });
  });

  it('when it is durable', async () => {
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Handlers {
      @QueueBatchHandler('mail', SIZE)
      handle() {}
    }
    expect(await boot(Handlers)).toMatchObject({
      code: 'TM_INVALID_HANDLER',
      reason: expect.stringContaining('durable'),
    });
  });

  it('when it is no method of an instance', () => {
    expect(() => {
      class Handlers {
        @QueueBatchHandler('mail', SIZE)
        static handle() {}
      }
      return Handlers;
    }).toThrow(/^@QueueBatchHandler\(\) Handlers\.handle cannot be used as decorated: it is static/);
  });
});
