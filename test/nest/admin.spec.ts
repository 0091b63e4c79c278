import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { getTaskmasterToken, InjectTaskmaster, TaskmasterAdmin, TaskmasterModule } from '../../lib/index.js';
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

  it('rejects with TM_CLOSED when the application has closed', async () => {
    const { app, get } = await nestApp();
    const admin = get(TaskmasterAdmin);
    await app.close();
    await expect(admin.schedules.list()).rejects.toMatchObject({ code: 'TM_CLOSED' });
  });
});
