import { Injectable, Module, type DynamicModule, type ModuleMetadata, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  DuplicateHandlerError,
  OnJobEvent,
  PublisherService,
  QueueHandler,
  TaskmasterModule,
  type QueueHandlerOptions,
  type TaskmasterModuleOptions,
} from '../../lib/index.js';
import { testDatabase } from '../support/test-database.js';
import { taskmasterOptions } from './support/nest-app.js';

/**
 * Starts an application that cannot start. Nobody closes it, as nobody closes one that fails in `main.ts`: `testDatabase`
 * sees to it that no connection is left all the same.
 */
async function boot(metadata: ModuleMetadata): Promise<unknown> {
  try {
    const module = await Test.createTestingModule(metadata).compile();
    await module.createNestApplication().init();
  } catch (error) {
    return error;
  }
  throw new Error('The application has started.');
}

async function bootWith(options: object): Promise<unknown> {
  const all = { ...taskmasterOptions(await testDatabase()), ...options } as TaskmasterModuleOptions;
  return boot({ imports: [TaskmasterModule.forRoot(all)] });
}

function handler(queue: string, options?: QueueHandlerOptions) {
  @Injectable()
  class Handlers {
    @QueueHandler(queue, options)
    handle() {}
  }
  return Handlers;
}

/** Has used the pool by the time the boot fails, so that there is something to close. */
@Injectable()
class Connected {
  constructor(private readonly publisher: PublisherService) {}
  async onModuleInit() {
    await this.publisher.enqueue('early');
  }
}

/** A global module, whose hooks run before those of the modules that are imported after it. */
function using(provider: Type): DynamicModule {
  return { module: class Using {}, global: true, providers: [provider] };
}

describe('an application does not start', () => {
  it('with unknown or wrong options, and lists every problem', async () => {
    const error = await bootWith({
      autostart: false,
      handleSignals: 'yes',
      enhancers: { pipe: true },
      middleware: [1],
      lease: { ttl: 1 },
    });
    expect(error).toMatchObject({ code: 'TM_INVALID_OPTIONS', subject: 'TaskmasterModule "default"' });
    expect((error as { problems: string[] }).problems.toSorted()).toEqual([
      'autostart: unknown option, did you mean "autoStart"?',
      'enhancers.pipe: unknown option, did you mean "pipes"?',
      "handleSignals: expected 'auto' or 'off', got \"yes\"",
      expect.stringMatching(/^lease.ttl: unknown option/),
      'middleware[0]: expected a function (job, next), a class with a method use(job, next), or an instance of one, got 1',
    ]);
  });

  it('without a connection, as when a variable is not set', async () => {
    expect(await bootWith({ connection: undefined })).toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      problems: [expect.stringMatching(/^connection: /)],
    });
  });

  it('when the factory throws, returns nothing, or names another instance', async () => {
    const database = await testDatabase();
    const bootAsync = (useFactory: () => unknown, name = 'default') =>
      boot({
        imports: [
          TaskmasterModule.forRootAsync({ name, useFactory: useFactory as () => TaskmasterModuleOptions }),
        ],
      });
    const thrown = new Error('no configuration');
    expect(
      await bootAsync(() => {
        throw thrown;
      }),
    ).toBe(thrown);
    expect(await bootAsync(async () => undefined)).toMatchObject({ code: 'TM_INVALID_OPTIONS' });
    const named = { ...taskmasterOptions(database), name: 'other' };
    expect(await bootAsync(() => named, 'reports')).toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      problems: [expect.stringMatching(/^name: expected "reports"/)],
    });
  });

  it('when the factory never answers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const useFactory = () => new Promise<never>(() => undefined);
    const booting = boot({ imports: [TaskmasterModule.forRootAsync({ useFactory })] });
    await vi.waitUntil(() => vi.getTimerCount() > 0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await booting).toMatchObject({
      code: 'TM_INVALID_OPTIONS',
      problems: [expect.stringContaining('does not answer')],
    });
  });

  it('with options beside the factory, or without one', () => {
    expect(() =>
      TaskmasterModule.forRootAsync({ connection: 'x', useFactory: () => undefined } as never),
    ).toThrow(
      expect.objectContaining({
        code: 'TM_INVALID_OPTIONS',
        problems: [expect.stringMatching(/^connection: /)],
      }),
    );
    expect(() => TaskmasterModule.forRootAsync({})).toThrow(
      expect.objectContaining({ code: 'TM_INVALID_OPTIONS' }),
    );
  });

  it('with two instances of one name', async () => {
    const options = taskmasterOptions(await testDatabase());
    const error = await boot({
      imports: [TaskmasterModule.forRoot(options), TaskmasterModule.forRoot(options)],
    });
    expect(error).toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });

  it('with two handlers for one queue', async () => {
    @Injectable()
    class Mail {
      @QueueHandler('mail')
      send() {}
    }
    @Injectable()
    class News {
      @QueueHandler('mail')
      publish() {}
    }
    const options = taskmasterOptions(await testDatabase());
    const error = await boot({
      imports: [TaskmasterModule.forRoot(options)],
      providers: [Mail, News, Connected],
    });
    expect(error).toEqual(new DuplicateHandlerError('mail', 'Mail.send', 'News.publish'));
  });

  it('with one handler class in two modules, which it names', async () => {
    const Handlers = handler('mail');
    @Module({ providers: [Handlers] })
    class One {}
    @Module({ providers: [Handlers] })
    class Two {}
    const options = taskmasterOptions(await testDatabase());
    const error = await boot({ imports: [TaskmasterModule.forRoot(options), One, Two] });
    expect(error).toMatchObject({ first: 'Handlers.handle (in One)', second: 'Handlers.handle (in Two)' });
  });

  it('with a handler or listener of an instance that does not exist', async () => {
    @Injectable()
    class Listeners {
      @OnJobEvent('failed', undefined, { instance: 'nowhere' })
      onFailed() {}
    }
    for (const provider of [handler('mail', { instance: 'nowhere' }), Listeners]) {
      const options = taskmasterOptions(await testDatabase());
      const error = await boot({ imports: [TaskmasterModule.forRoot(options)], providers: [provider] });
      expect(error).toMatchObject({ code: 'TM_UNKNOWN_INSTANCE', instance: 'nowhere', known: ['default'] });
    }
  });

  it('with a queue name or handler options that are not valid', async () => {
    const broken = [
      [handler(''), 'TM_INVALID_QUEUE_NAME'],
      [handler('a\nb'), 'TM_INVALID_QUEUE_NAME'],
      [handler('mail', { concurrency: 0 }), 'TM_INVALID_OPTIONS'],
      [handler('mail', { enhancers: { guard: true } } as QueueHandlerOptions), 'TM_INVALID_OPTIONS'],
      [handler('mail', { instance: '' }), 'TM_INVALID_OPTIONS'],
    ] as const;
    for (const [provider, code] of broken) {
      const options = taskmasterOptions(await testDatabase());
      const error = await boot({ imports: [TaskmasterModule.forRoot(options)], providers: [provider] });
      expect(error).toMatchObject({ code });
    }
  });

  it('when the database cannot be reached', async () => {
    const error = await bootWith({
      connection: 'postgres://nobody:secret@127.0.0.1:1/unreachable',
      connectTimeoutMs: 500,
    });
    expect(error).toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
    expect(String(error)).not.toContain('secret');
  });

  it('and leaves no other instance connected', async () => {
    const [good, bad] = [
      taskmasterOptions(await testDatabase()),
      { ...taskmasterOptions(await testDatabase()) },
    ];
    const connection = 'postgres://nobody:secret@127.0.0.1:1/unreachable';
    const error = await boot({
      imports: [
        TaskmasterModule.forRoot(good),
        using(Connected),
        TaskmasterModule.forRoot({ ...bad, connection, connectTimeoutMs: 500, name: 'bad' }),
      ],
    });
    expect(error).toMatchObject({ code: 'TM_DATABASE_UNREACHABLE' });
  });
});
