import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable, Scope, UseGuards, type CanActivate } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { QueueHandler, type Job, type JobMiddleware } from '../../lib/index.js';
import { createApp, nestApp, taskmasterOptions } from './support/nest-app.js';
import { TaskmasterModule } from '../../lib/index.js';
import { testDatabase } from '../support/test-database.js';

const context = new AsyncLocalStorage<string>();

@Injectable()
class InContext implements CanActivate {
  canActivate(): boolean {
    return context.getStore() !== undefined;
  }
}
@Injectable()
class Handlers {
  @UseGuards(InContext)
  @QueueHandler('mail')
  send() {
    return context.getStore();
  }
}

describe('middleware', () => {
  it('wraps the enhancers too, the first outermost', async () => {
    const { run } = await nestApp({
      providers: [Handlers],
      taskmaster: {
        middleware: [
          async (_job, next) => `outer(${String(await next())})`,
          (job: Job, next) => context.run(`context of ${job.queue}`, next),
        ],
      },
    });
    expect(await run('mail')).toEqual({ returned: 'outer(context of mail)' });
  });

  it('may be a provider, a class that nobody provides, or an object', async () => {
    @Injectable()
    class Words {
      readonly provided = 'provided';
    }
    @Injectable()
    class Provided implements JobMiddleware {
      used = 0;
      constructor(private readonly words: Words) {}
      async use(_job: Job, next: () => Promise<unknown>) {
        this.used += 1;
        return `${this.words.provided}(${String(await next())})`;
      }
    }
    @Injectable()
    class Made implements JobMiddleware {
      async use(_job: Job, next: () => Promise<unknown>) {
        return `made(${String(await next())})`;
      }
    }
    const object: JobMiddleware = { use: async (_job, next) => `object(${String(await next())})` };
    @Injectable()
    class Plain {
      @QueueHandler('plain')
      handle() {
        return 'x';
      }
    }
    const { get, run } = await nestApp({
      providers: [Words, Provided, Plain],
      taskmaster: { middleware: [Provided, Made, object] },
    });
    expect(await run('plain')).toEqual({ returned: 'provided(made(object(x)))' });
    expect(get(Provided).used).toBe(1);
  });

  it('decides the outcome', async () => {
    const { run } = await nestApp({
      providers: [Handlers],
      taskmaster: {
        middleware: [
          async () => {
            throw new Error('not today');
          },
        ],
      },
    });
    expect(await run('mail')).toMatchObject({ threw: { message: 'not today' } });
  });

  it('may not be request-scoped', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest implements JobMiddleware {
      use(_job: Job, next: () => Promise<unknown>) {
        return next();
      }
    }
    const options = taskmasterOptions(await testDatabase(), { middleware: [PerRequest] });
    const app = await createApp({ imports: [TaskmasterModule.forRoot(options)], providers: [PerRequest] });
    await expect(app.init()).rejects.toMatchObject({ code: 'TM_INVALID_OPTIONS' });
  });
});
