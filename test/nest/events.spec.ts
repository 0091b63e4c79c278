import { Injectable, Logger, Scope } from '@nestjs/common';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  OnJobEvent,
  QueueHandler,
  reject,
  TaskmasterEvents,
  TaskmasterModule,
  type CompletedEvent,
  type FailedEvent,
  type StartedEvent,
  type TaskmasterEvent,
} from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { createApp, nestApp, taskmasterOptions } from './support/nest-app.js';

@Injectable()
class Handlers {
  @QueueHandler('mail')
  send() {}
  @QueueHandler('bad')
  bad() {
    return reject('no');
  }
}

describe('@OnJobEvent', () => {
  it('calls the method for each event of its type, of its queue if it names one', async () => {
    const calls: string[] = [];
    @Injectable()
    class Listeners {
      readonly name = 'listeners';
      @OnJobEvent('started')
      onStarted({ queue }: StartedEvent) {
        calls.push(`${this.name} started ${queue}`);
      }
      @OnJobEvent('started', 'bad')
      onBadStarted({ queue }: StartedEvent) {
        calls.push(`bad started ${queue}`);
      }
      @OnJobEvent('failed', { name: 'bad' })
      onFailed({ queue, error }: FailedEvent) {
        calls.push(`failed ${queue} ${error.message}`);
      }
    }
    const { run } = await nestApp({ providers: [Handlers, Listeners] });
    await run('mail');
    await run('bad');
    await eventually(() => calls.length === 4);
    expect(calls).toEqual([
      'listeners started mail',
      'listeners started bad',
      'bad started bad',
      'failed bad no',
    ]);
  });

  it('is inherited, works on wrapped methods, and several times on one', async () => {
    const calls: string[] = [];
    const Wrapped = (): MethodDecorator => (_target, _key, descriptor: PropertyDescriptor) => {
      const original = descriptor.value as (event: unknown) => void;
      descriptor.value = function (event: unknown) {
        original.call(this, event);
      };
    };
    class Base {
      @Wrapped()
      @OnJobEvent('started', 'mail')
      @OnJobEvent('completed', 'mail')
      on({ type }: StartedEvent | CompletedEvent) {
        calls.push(type);
      }
    }
    @Injectable()
    class Derived extends Base {}
    const { run } = await nestApp({ providers: [Handlers, Derived] });
    await run('mail');
    await eventually(() => calls.length === 2);
    expect(calls).toEqual(['started', 'completed']);
  });

  it('logs what a listener throws, and lets jobs and other listeners be', async () => {
    const error = vi.spyOn(Logger.prototype, 'error').mockReturnValue();
    onTestFinished(() => error.mockRestore());
    const calls: string[] = [];
    @Injectable()
    class Listeners {
      @OnJobEvent('started')
      sync() {
        throw new Error('sync broken');
      }
      @OnJobEvent('started')
      async async() {
        throw 'async broken';
      }
      @OnJobEvent('completed')
      onCompleted() {
        calls.push('completed');
      }
    }
    const { run } = await nestApp({ providers: [Handlers, Listeners] });
    expect(await run('mail')).toEqual({ returned: undefined });
    await eventually(() => calls.length === 1 && error.mock.calls.length === 2);
    expect(error.mock.calls.map(([message]) => String(message))).toEqual([
      "@OnJobEvent('started') Listeners.sync failed: sync broken",
      "@OnJobEvent('started') Listeners.async failed: async broken",
    ]);
  });

  it('is refused at boot on a provider that is no singleton', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Listeners {
      @OnJobEvent('failed')
      onFailed() {}
    }
    const options = taskmasterOptions(await testDatabase());
    const app = await createApp({ imports: [TaskmasterModule.forRoot(options)], providers: [Listeners] });
    await expect(app.init()).rejects.toMatchObject({
      code: 'TM_INVALID_HANDLER',
      handler: '@OnJobEvent() Listeners.onFailed',
    });
  });
});

describe('TaskmasterEvents', () => {
  it('emits typed events, to whoever is subscribed', async () => {
    const { get, run } = await nestApp({ providers: [Handlers] });
    const events: TaskmasterEvent[] = [];
    const subscription = get(TaskmasterEvents).events$.subscribe((event) => {
      if ('jobId' in event) events.push(event);
    });
    await run('bad');
    await eventually(() => events.length === 3);
    subscription.unsubscribe();
    await run('mail');
    expect(events).toMatchObject([
      { type: 'enqueued', instance: 'default', queue: 'bad' },
      { type: 'started', instance: 'default', queue: 'bad', runCount: 1 },
      { type: 'failed', instance: 'default', queue: 'bad', runCount: 1, cause: 'reject' },
    ]);
  });
});
