import {
  Controller,
  Injectable,
  Module,
  UseInterceptors,
  UsePipes,
  type PipeTransform,
} from '@nestjs/common';
import { SerializedGraph } from '@nestjs/core';
import { describe, expect, it } from 'vitest';
import { from, of, EMPTY } from 'rxjs';
import {
  ConsumerRegistry,
  defineQueue,
  InvalidHandlerError,
  JobSignal,
  Payload,
  QueueHandler,
  type Job,
} from '../../lib/index.js';
import { nestApp } from './support/nest-app.js';

/** A decorator that replaces the method, as `@Transactional()` and `@Span()` of other libraries do. */
function Wrapped(): MethodDecorator {
  return (_target, _key, descriptor: PropertyDescriptor) => {
    const original = descriptor.value as (...args: unknown[]) => Promise<unknown>;
    descriptor.value = async function (...args: unknown[]) {
      return `wrapped ${String(await original.apply(this, args))}`;
    };
  };
}

describe('@QueueHandler', () => {
  it('calls the method with payload and job', async () => {
    const seen: unknown[][] = [];
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send(...args: unknown[]) {
        seen.push(args);
        return 'sent';
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });

    expect(await run('mail', { to: 'a@example.com' })).toEqual({ returned: 'sent' });
    const [payload, job] = seen[0] as [unknown, Job];
    expect(payload).toEqual({ to: 'a@example.com' });
    expect(job).toMatchObject({ queue: 'mail', runCount: 1, payload: { to: 'a@example.com' } });
  });

  it('finds methods of controllers', async () => {
    @Controller()
    class Jobs {
      @QueueHandler('mail')
      send() {
        return 'from a controller';
      }
    }
    const { run } = await nestApp({ controllers: [Jobs] });
    expect(await run('mail')).toEqual({ returned: 'from a controller' });
  });

  it('gives the method its instance, with its dependencies', async () => {
    @Injectable()
    class Mailer {
      readonly name = 'mailer';
    }
    @Injectable()
    class Handlers {
      constructor(private readonly mailer: Mailer) {}
      @QueueHandler('mail')
      send() {
        return this.mailer.name;
      }
    }
    const { run } = await nestApp({ providers: [Mailer, Handlers] });
    expect(await run('mail')).toEqual({ returned: 'mailer' });
  });

  it('lets one method serve several queues', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('a')
      @QueueHandler('b')
      handle(_payload: unknown, job: Job) {
        return job.queue;
      }
    }
    const { get, run } = await nestApp({ providers: [Handlers] });
    expect(await run('a')).toEqual({ returned: 'a' });
    expect(await run('b')).toEqual({ returned: 'b' });
    expect(get(ConsumerRegistry).list()).toMatchObject([{ queue: 'a' }, { queue: 'b' }]);
  });

  it('survives a decorator above it, and below it, that wraps the method', async () => {
    @Injectable()
    class Handlers {
      @Wrapped()
      @QueueHandler('above')
      above() {
        return 'above';
      }
      @QueueHandler('below')
      @Wrapped()
      below() {
        return 'below';
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('above')).toEqual({ returned: 'wrapped above' });
    expect(await run('below')).toEqual({ returned: 'wrapped below' });
  });

  describe('on a base class', () => {
    abstract class Base {
      @QueueHandler('inherited')
      inherited() {
        return this.constructor.name;
      }
      @QueueHandler('overridden')
      overridden() {
        return 'base';
      }
      @QueueHandler('redecorated')
      redecorated() {
        return 'base';
      }
    }
    @Injectable()
    class Derived extends Base {
      override overridden() {
        return 'derived';
      }
      @QueueHandler('redecorated-by-derived')
      override redecorated() {
        return 'derived';
      }
    }

    it('is inherited', async () => {
      const { run } = await nestApp({ providers: [Derived] });
      expect(await run('inherited')).toEqual({ returned: 'Derived' });
    });

    it('is dropped by an override without it, and replaced by one with it', async () => {
      const { get, run } = await nestApp({ providers: [Derived] });
      expect(await run('redecorated-by-derived')).toEqual({ returned: 'derived' });
      const queues = get(ConsumerRegistry)
        .list()
        .map(({ queue }) => queue);
      expect(queues.toSorted()).toEqual(['inherited', 'redecorated-by-derived']);
    });
  });

  it('is found on a class that a class decorator replaced by a proxy', async () => {
    const Proxied = (): ClassDecorator => (target) => new Proxy(target, {});
    @Injectable()
    @Proxied()
    class Handlers {
      @QueueHandler('mail')
      send(payload: { n: number }, job: Job, @JobSignal() signal: AbortSignal) {
        return [payload.n, signal === job.signal];
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('mail', { n: 1 })).toEqual({ returned: [1, true] });
  });

  it('is found on what factories and values provide', async () => {
    class Made {
      constructor(private readonly from: string) {}
      @QueueHandler('factory')
      handle() {
        return this.from;
      }
    }
    class Value {
      @QueueHandler('value')
      handle() {
        return 'value';
      }
    }
    const { run } = await nestApp({
      providers: [
        { provide: 'FACTORY', useFactory: async () => new Made('factory') },
        { provide: 'VALUE', useValue: new Value() },
      ],
    });
    expect(await run('factory')).toEqual({ returned: 'factory' });
    expect(await run('value')).toEqual({ returned: 'value' });
  });

  it('counts once, as what its class says, where aliases and factories hand out the same instance', async () => {
    @Injectable()
    class Upper implements PipeTransform {
      transform(value: unknown) {
        return typeof value === 'string' ? value.toUpperCase() : value;
      }
    }
    @Injectable()
    class Handlers {
      @UsePipes(Upper)
      @QueueHandler('mail')
      send(payload: string) {
        return payload;
      }
    }
    @Module({ providers: [Handlers], exports: [Handlers] })
    class Feature {}
    @Module({
      imports: [Feature],
      providers: [
        { provide: 'SAME', useFactory: (handlers: Handlers) => handlers, inject: [Handlers] },
        { provide: 'ALIAS', useExisting: Handlers },
      ],
    })
    class Using {}
    const { get, run } = await nestApp({ imports: [Using] });
    expect(await run('mail', 'sent')).toEqual({ returned: 'SENT' });
    expect(get(ConsumerRegistry).list()).toHaveLength(1);
  });

  it('is looked for without touching what it cannot be on', async () => {
    const hostile = new Proxy(
      {},
      {
        getPrototypeOf: () => {
          throw new Error('touched');
        },
        get: (_target, key) => (key === 'then' ? undefined : () => undefined),
      },
    );
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send() {
        return 'sent';
      }
    }
    const { run } = await nestApp({
      providers: [
        Handlers,
        { provide: 'NULL_PROTOTYPE', useValue: Object.create(null) as object },
        { provide: 'NULL', useValue: null },
        { provide: 'UNDEFINED', useValue: undefined },
        { provide: 'TEXT', useValue: 'text' },
        { provide: 'CLASS', useValue: class {} },
        { provide: 'HOSTILE', useFactory: () => hostile },
      ],
    });
    expect(await run('mail')).toEqual({ returned: 'sent' });
  });

  it('keeps classes of one name apart', async () => {
    const first = (() => {
      @Injectable()
      class Handlers {
        @QueueHandler('one')
        handle(@Payload('first') value: string) {
          return value;
        }
      }
      return Handlers;
    })();
    const second = (() => {
      @Injectable()
      class Handlers {
        @QueueHandler('two')
        handle(@Payload('second') value: string) {
          return value;
        }
      }
      return Handlers;
    })();
    const { run } = await nestApp({ providers: [first, second] });
    const payload = { first: 1, second: 2 };
    expect(await run('one', payload)).toEqual({ returned: 1 });
    expect(await run('two', payload)).toEqual({ returned: 2 });
  });

  it('awaits a returned Observable to its last value', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('values')
      values() {
        return of(1, 2, 3);
      }
      @QueueHandler('later')
      async later() {
        return from(Promise.resolve('later'));
      }
      @QueueHandler('empty')
      empty() {
        return EMPTY;
      }
      @QueueHandler('empty-decorated')
      emptyDecorated(@Payload() _payload: unknown) {
        return EMPTY;
      }
      @UseInterceptors({ intercept: () => EMPTY })
      @QueueHandler('empty-intercepted')
      emptyIntercepted() {}
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('values')).toEqual({ returned: 3 });
    expect(await run('later')).toEqual({ returned: 'later' });
    expect(await run('empty')).toEqual({ returned: undefined });
    expect(await run('empty-decorated')).toEqual({ returned: undefined });
    expect(await run('empty-intercepted')).toEqual({ returned: undefined });
  });

  it('takes the options of its queue, and its own above them', async () => {
    const Resize = defineQueue<{ key: string }>('resize', { concurrency: 3 });
    const Crop = defineQueue<{ key: string }>('crop', { concurrency: 3 });
    @Injectable()
    class Handlers {
      @QueueHandler(Resize)
      resize() {}
      @QueueHandler(Crop, { concurrency: 7 })
      crop() {}
    }
    const { get } = await nestApp({ providers: [Handlers] });
    expect(get(ConsumerRegistry).list()).toMatchObject([
      { queue: 'resize', concurrency: 3 },
      { queue: 'crop', concurrency: 7 },
    ]);
  });

  it("shows in the graph of Nest's devtools", async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send() {}
    }
    const { get } = await nestApp({ providers: [Handlers] });
    const entrypoints = Object.values(get(SerializedGraph).toJSON().entrypoints).flat();
    expect(entrypoints).toContainEqual(
      expect.objectContaining({
        type: 'taskmaster',
        className: 'Handlers',
        methodName: 'send',
        metadata: { key: 'mail' },
      }),
    );
  });

  it('refuses, where the class is defined, what Nest cannot call', () => {
    expect(() => {
      class Handlers {
        @QueueHandler('mail')
        static send() {}
      }
      return Handlers;
    }).toThrow(InvalidHandlerError);
    expect(() => {
      class Handlers {
        @QueueHandler('mail')
        [Symbol('send')]() {}
      }
      return Handlers;
    }).toThrow(/@QueueHandler\(\) Handlers.Symbol\(send\).*its name is a symbol/);
    expect(() => {
      class Handlers {
        // @ts-expect-error a property is no method
        @QueueHandler('mail')
        send = () => undefined;
      }
      return Handlers;
    }).toThrow(/@QueueHandler\(\) Handlers.send.*it is not a method/);
    expect(() => {
      class Handlers {
        @QueueHandler('mail')
        get send() {
          return () => undefined;
        }
      }
      return Handlers;
    }).toThrow(expect.objectContaining({ code: 'TM_INVALID_HANDLER' }));
  });
});
