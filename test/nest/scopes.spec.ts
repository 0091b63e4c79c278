import { Controller, Inject, Injectable, Module, Optional, Scope } from '@nestjs/common';
import { ContextIdFactory, REQUEST, type ContextId } from '@nestjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import { JOB, QueueHandler, type Job } from '../../lib/index.js';
import { nestApp } from './support/nest-app.js';

@Injectable({ scope: Scope.REQUEST })
class CurrentJob {
  static made = 0;
  readonly number = ++CurrentJob.made;
  constructor(@Inject(JOB) readonly job: Job) {}
}

describe('a request-scoped handler', () => {
  it('has an instance for each attempt, whose request is the job', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Handlers {
      constructor(
        @Inject(REQUEST) private readonly request: Job,
        private readonly current: CurrentJob,
      ) {}
      @QueueHandler('mail')
      send(_payload: unknown, job: Job) {
        return [
          this.request === job,
          this.current.job === job,
          this instanceof Handlers,
          this.current.number,
        ];
      }
    }
    const { run } = await nestApp({ providers: [Handlers, CurrentJob] });
    CurrentJob.made = 0;
    expect(await run('mail')).toEqual({ returned: [true, true, true, 1] });
    expect(await run('mail')).toEqual({ returned: [true, true, true, 2] });
  });

  it('is one by a dependency, also deep down, and on controllers', async () => {
    @Injectable()
    class Middle {
      constructor(readonly current: CurrentJob) {}
    }
    @Controller()
    class Handlers {
      constructor(private readonly middle: Middle) {}
      @QueueHandler('mail')
      send(_payload: unknown, job: Job) {
        return this.middle.current.job === job;
      }
    }
    const { run } = await nestApp({ controllers: [Handlers], providers: [Middle, CurrentJob] });
    expect(await run('mail')).toEqual({ returned: true });
  });

  it('comes from its own module when another provides the same class', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Handlers {
      constructor(@Inject('WHERE') private readonly where: string) {}
      @QueueHandler('mail')
      send() {
        return this.where;
      }
    }
    @Module({ providers: [Handlers, { provide: 'WHERE', useValue: 'feature' }] })
    class Feature {}
    // No handler, but the last provider of the token, which is what Nest finds when it looks through all modules.
    @Module({ providers: [{ provide: Handlers, useValue: {} }] })
    class Other {}
    const { run } = await nestApp({ imports: [Feature, Other] });
    expect(await run('mail')).toEqual({ returned: 'feature' });
  });
});

describe('a transient handler', () => {
  it('has an instance for each attempt', async () => {
    let made = 0;
    @Injectable({ scope: Scope.TRANSIENT })
    class Handlers {
      readonly number = ++made;
      @QueueHandler('mail')
      send() {
        return [this instanceof Handlers, this.number];
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    made = 0;
    expect(await run('mail')).toEqual({ returned: [true, 1] });
    expect(await run('mail')).toEqual({ returned: [true, 2] });
  });
});

describe('a durable handler', () => {
  const noStrategy = { attach: (contextId: ContextId) => () => contextId };
  afterEach(() => ContextIdFactory.apply(noStrategy));

  @Injectable({ scope: Scope.REQUEST, durable: true })
  class TenantDb {
    static made = 0;
    readonly number = ++TenantDb.made;
    constructor(@Inject(REQUEST) readonly context: { tenantId: string }) {}
  }

  it('is shared by the jobs of a tenant', async () => {
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Handlers {
      constructor(private readonly db: TenantDb) {}
      @QueueHandler('mail')
      send() {
        return `${this.db.context.tenantId} ${this.db.number}`;
      }
    }
    @Injectable({ scope: Scope.REQUEST })
    class Mixed {
      constructor(
        private readonly db: TenantDb,
        @Inject(JOB) private readonly job: Job & { tenantId?: string },
      ) {}
      @QueueHandler('mixed')
      send(_payload: unknown, job: Job) {
        return [this.db.number, this.job === job, this.job.tenantId];
      }
    }
    ContextIdFactory.apply(tenants());
    const { run } = await nestApp({ providers: [Handlers, Mixed, TenantDb] });
    TenantDb.made = 0;
    expect(await run('mail', { tenant: 'a' })).toEqual({ returned: 'a 1' });
    expect(await run('mail', { tenant: 'a' })).toEqual({ returned: 'a 1' });
    expect(await run('mail', { tenant: 'b' })).toEqual({ returned: 'b 2' });
    expect(await run('mixed', { tenant: 'a' })).toEqual({ returned: [1, true, 'a'] });
  });

  it('never keeps the job it was made for', async () => {
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Handlers {
      constructor(@Optional() @Inject(REQUEST) private readonly request: unknown) {}
      @QueueHandler('mail')
      send() {
        return this.request === undefined;
      }
    }
    ContextIdFactory.apply(noStrategy);
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('mail')).toEqual({ returned: true });
  });
});

/** As in Nest's documentation on durable providers. */
function tenants() {
  const subTrees = new Map<string, ContextId>();
  return {
    attach(contextId: ContextId, request: Job<{ tenant?: string }>) {
      const tenantId = request.payload.tenant ?? 'none';
      const subTree = subTrees.get(tenantId) ?? ContextIdFactory.create();
      subTrees.set(tenantId, subTree);
      return {
        resolve: (info: { isTreeDurable: boolean }) => (info.isTreeDurable ? subTree : contextId),
        payload: { tenantId },
      };
    },
  };
}
