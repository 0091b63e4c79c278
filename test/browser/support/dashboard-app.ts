import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { onTestFinished } from 'vitest';
import { TaskmasterDashboardModule } from '../../../lib/dashboard/index.js';
import type { DashboardModuleOptions } from '../../../lib/dashboard/dashboard.options.js';
import { TaskmasterAdmin, TaskmasterModule } from '../../../lib/index.js';
import { taskmasterOptions } from '../../nest/support/nest-app.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';

export const ADAPTERS = ['express', 'fastify'] as const;
export type AdapterName = (typeof ADAPTERS)[number];

/** An application that serves a dashboard, on a port of its own. */
export interface DashboardApp {
  readonly app: INestApplication;
  readonly database: TestDatabase;
  readonly admin: TaskmasterAdmin;
  /** Of the dashboard, without a slash at the end. */
  readonly url: string;
}

/** What {@link dashboardApp} builds. */
export interface DashboardAppOptions extends Pick<ModuleMetadata, 'imports' | 'providers' | 'controllers'> {
  readonly dashboard?: DashboardModuleOptions;
  readonly adapter?: AdapterName;
  /** Called between creation and start. */
  readonly configure?: (app: INestApplication) => void;
  /** Below the origin. @default 'admin/jobs' */
  readonly path?: string;
}

/** Starts one; it is closed after the test. */
export async function dashboardApp({
  dashboard = { access: () => 'full' },
  adapter = 'express',
  configure,
  path = dashboard.path ?? 'admin/jobs',
  ...metadata
}: DashboardAppOptions = {}): Promise<DashboardApp> {
  const database = await testDatabase();
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [
      TaskmasterModule.forRoot(taskmasterOptions(database)),
      TaskmasterDashboardModule.forRoot(dashboard),
      ...(metadata.imports ?? []),
    ],
  }).compile();
  const app = module.createNestApplication(
    adapter === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
    {
      logger: false,
      forceCloseConnections: false,
    },
  );
  configure?.(app);
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const origin = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  return { app, database, admin: app.get(TaskmasterAdmin), url: `${origin}/${path}` };
}

const HEADERS = { 'content-type': 'application/json', 'x-taskmaster-dashboard': '1' };

/** Calls of the API as the page makes them. */
export function apiOf({ url }: Pick<DashboardApp, 'url'>, headers: Record<string, string> = {}) {
  const answerOf = async (response: Response) => ({
    status: response.status,
    body: (await response.json().catch(() => undefined)) as Record<string, never> & {
      error?: { code: string; message: string };
    },
  });
  return {
    get: async (path: string) => answerOf(await fetch(`${url}/api/${path}`, { headers })),
    post: async (path: string, body: unknown = {}, more: Record<string, string> = {}) =>
      answerOf(
        await fetch(`${url}/api/${path}`, {
          method: 'POST',
          headers: { ...HEADERS, ...headers, ...more },
          body: JSON.stringify(body),
        }),
      ),
  };
}
