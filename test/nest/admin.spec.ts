import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  getTaskmasterToken,
  InjectTaskmaster,
  PublisherService,
  QueueHandler,
  TaskmasterAdmin,
  TaskmasterModule,
  TaskmasterRuntime,
} from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { nestApp } from './support/nest-app.js';

describe('TaskmasterAdmin', () => {
  it('is injected by its class', async () => {
    @Injectable()
    class Console {
      constructor(readonly admin: TaskmasterAdmin) {}
    }
    const { get } = await nestApp({ providers: [Console] });
    expect(await get(Console).admin.schedules.list()).toEqual([]);
  });

  it('is injected by its token for a named instance', async () => {
    const reports = await testDatabase();
    @Injectable()
    class Console {
      constructor(@InjectTaskmaster('reports', TaskmasterAdmin) readonly admin: TaskmasterAdmin) {}
    }
    const instance = TaskmasterModule.forRoot({
      name: 'reports',
      connection: reports.config,
      schema: reports.schema,
    });
    @Module({ imports: [instance], providers: [Console] })
    class ReportsModule {}
    const { app, get } = await nestApp({ imports: [ReportsModule] });
    expect(await get(Console).admin.schedules.list()).toEqual([]);
    expect(app.get(getTaskmasterToken('reports', TaskmasterAdmin))).toBe(get(Console).admin);
    expect(get(TaskmasterAdmin)).not.toBe(get(Console).admin);
  });

  it('has jobs, queues, workers and schedules, and stops the pools of an application as its runtime does', async () => {
    @Injectable()
    class Mails {
      @QueueHandler('mail', { concurrency: 3 })
      send(): void {}
    }
    const { get } = await nestApp({ providers: [Mails] });
    const admin = get(TaskmasterAdmin);
    const { id } = await get(PublisherService).enqueue('mail', {}, { delayMs: 60_000 });
    expect(await admin.jobs.explain(id)).toMatchObject({ reason: 'scheduled' });
    expect(await admin.queues.stats('mail')).toMatchObject({ scheduled: 1, workers: 1, slots: 3 });
    const [worker] = await admin.workers.list();
    expect(await admin.workers.stop(worker!.id)).toBe(true);
    await eventually(() => expect(get(TaskmasterRuntime).state).toBe('stopped'));
    expect(await admin.jobs.cancel(id)).toMatchObject({ count: 1 });
    await get(TaskmasterRuntime).start();
    expect(await admin.workers.list()).toMatchObject([{ state: 'running' }]);
  });

  it('rejects with TM_CLOSED when the application has closed', async () => {
    const { app, get } = await nestApp();
    const admin = get(TaskmasterAdmin);
    await app.close();
    await expect(admin.schedules.list()).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });
});
