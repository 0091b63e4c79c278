import { FILTER_QUALIFIERS } from '../../engine/admin/filter-text.js';
import { ApiError } from '../dashboard.errors.js';
import { openApiOf } from './openapi.js';
import { JOB_ROUTES } from './job-routes.js';
import { QUEUE_ROUTES } from './queue-routes.js';
import type { Route } from './route.js';
import { badRequest, integerIn, param, textIn } from './values.js';

const SYSTEM_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: 'meta',
    summary: 'Who asks, what they may do, and what this is the dashboard of',
    permission: 'view',
    run: ({ options, version }, { viewer }) =>
      Promise.resolve({
        title: options.title,
        environment: options.environment,
        links: options.links,
        version,
        user: viewer.name,
        permissions: [...viewer.permissions],
        qualifiers: FILTER_QUALIFIERS,
        now: new Date(),
      }),
  },
  {
    method: 'GET',
    path: 'workers',
    summary: 'Workers that are alive',
    permission: 'view',
    run: async ({ admin }, { viewer }) => {
      const workers = await admin.workers.list();
      const { sees } = viewer;
      return {
        now: new Date(),
        workers: workers.map((worker) => ({
          ...worker,
          queues: worker.queues.filter(({ queue }) => sees?.(queue) !== false),
        })),
      };
    },
  },
  ...(['quiet', 'resume', 'stop'] as const).map((verb): Route => ({
    method: 'POST',
    path: `workers/:id/${verb}`,
    summary: { quiet: 'It takes nothing new', resume: 'It works again', stop: 'It drains and stops' }[verb],
    permission: 'control_worker',
    action: `workers.${verb}`,
    run: async ({ admin }, { params }) => {
      const id = Number(param(params));
      if (!Number.isInteger(id)) throw badRequest('The id of a worker is a number.');
      const told = await admin.workers[verb](id);
      if (!told) throw new ApiError(409, 'conflict', `Worker ${id} is gone, or stops already.`);
      return { answer: { told }, target: { worker: id } };
    },
  })),
  {
    method: 'GET',
    path: 'system',
    summary: 'The database, the tables and the migrations',
    permission: 'view',
    run: async ({ admin, health }) => ({ ...(await admin.system.get()), health: await health() }),
  },
  {
    method: 'GET',
    path: 'audit',
    summary: 'Who did what, the newest first',
    permission: 'view',
    query: { before: 'Only entries before this one, by its id', limit: '1 to 1000; 100 otherwise' },
    run: async ({ admin }, { viewer, query }) => {
      const before = textIn(query, 'before');
      const limit = integerIn(query, 'limit', 1, 1_000) ?? 100;
      const entries = await admin.audit.list({ limit, ...(before === undefined ? {} : { before }) });
      const { sees } = viewer;
      const isSeen = (queue: unknown) => sees === undefined || (typeof queue === 'string' && sees(queue));
      return { entries: entries.filter(({ target }) => isSeen(target['queue'])) };
    },
  },
  {
    method: 'GET',
    path: 'openapi.json',
    summary: 'This description',
    permission: 'view',
    run: ({ version }) => Promise.resolve(openApiOf(ROUTES, version)),
  },
];

/** Everything that the API can do, for the page, scripts and tools alike. */
export const ROUTES: readonly Route[] = [...SYSTEM_ROUTES, ...QUEUE_ROUTES, ...JOB_ROUTES];
