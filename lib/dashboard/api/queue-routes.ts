import { overviewOfSome } from '../../engine/admin/overview.js';
import { notFound } from '../dashboard.errors.js';
import type { ApiCall, ApiContext, Route } from './route.js';
import { assertSees, queuesOf } from './seen-jobs.js';
import { integerIn, param, textIn, timeIn } from './values.js';

async function overviewFor({ admin }: ApiContext, { viewer }: ApiCall) {
  const overview = await admin.stats.overview();
  return viewer.sees === undefined ? overview : overviewOfSome(overview, viewer.sees);
}

/** Numbers, queues and failures. */
export const QUEUE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: 'overview',
    summary: 'All queues at a glance, and what looks wrong',
    permission: 'view',
    run: overviewFor,
  },
  {
    method: 'GET',
    path: 'queues',
    summary: 'Queues, with what they hold and who works on them',
    permission: 'view',
    run: async (context, call) => ({ queues: (await overviewFor(context, call)).queues }),
  },
  {
    method: 'GET',
    path: 'queues/:queue',
    summary: 'A queue: what it holds now, and its workers',
    permission: 'view',
    run: async ({ admin }, { viewer, params }) => {
      const queue = param(params);
      assertSees(viewer, queue);
      const [stats, workers] = await Promise.all([admin.queues.stats(queue), admin.workers.list({ queue })]);
      return { ...stats, workerList: workers };
    },
  },
  {
    method: 'POST',
    path: 'queues/:queue/pause',
    summary: 'Nothing of the queue starts until it is resumed',
    permission: 'pause_queue',
    action: 'queues.pause',
    body: { reason: 'For people', forMs: 'For so long, in milliseconds' },
    run: async ({ admin }, { viewer, params, body }) => {
      const queue = param(params);
      assertSees(viewer, queue);
      const reason = textIn(body, 'reason');
      const forMs = integerIn(body, 'forMs', 1, 31_536_000_000);
      await admin.queues.pause(queue, {
        ...(reason === undefined ? {} : { reason }),
        ...(forMs === undefined ? {} : { forMs }),
        ...(viewer.name === undefined ? {} : { by: viewer.name }),
      });
      return { answer: { paused: true }, target: { queue, reason } };
    },
  },
  {
    method: 'POST',
    path: 'queues/:queue/resume',
    summary: 'The queue goes on',
    permission: 'pause_queue',
    action: 'queues.resume',
    run: async ({ admin }, { viewer, params }) => {
      const queue = param(params);
      assertSees(viewer, queue);
      return { answer: { resumed: await admin.queues.resume(queue) }, target: { queue } };
    },
  },
  {
    method: 'POST',
    path: 'queues/:queue/purge',
    summary: 'Deletes the jobs of the queue that wait',
    permission: 'purge_queue',
    action: 'queues.purge',
    run: async ({ admin }, { viewer, params }) => {
      const queue = param(params);
      assertSees(viewer, queue);
      const { count } = await admin.queues.purge(queue);
      return { answer: { count }, target: { queue }, count };
    },
  },
  {
    method: 'GET',
    path: 'series',
    summary: 'Points of a chart: what has happened, how long jobs waited and ran, and what queues held',
    permission: 'view',
    query: {
      queue: 'A queue; all of them otherwise',
      from: 'ISO 8601; an hour before `to` otherwise',
      to: 'ISO 8601; now otherwise',
      points: 'About so many, 10 to 1000; 120 otherwise',
    },
    run: async (context, { viewer, query }) => {
      const queue = textIn(query, 'queue');
      if (queue !== undefined) assertSees(viewer, queue);
      const to = timeIn(query, 'to') ?? new Date();
      const from = timeIn(query, 'from') ?? new Date(to.getTime() - 3_600_000);
      const points = integerIn(query, 'points', 10, 1_000) ?? 120;
      const stepMs = Math.max(60_000, Math.ceil((to.getTime() - from.getTime()) / points / 60_000) * 60_000);
      const seen = queue ?? (await queuesOf(context, viewer));
      return {
        from,
        to,
        stepMs,
        points: await context.admin.stats.series({
          from,
          to,
          stepMs,
          ...(seen === undefined ? {} : { queue: seen }),
        }),
      };
    },
  },
  {
    method: 'GET',
    path: 'failures',
    summary: 'Failed jobs by what their errors have in common',
    permission: 'view',
    query: { queue: 'A queue; all of them otherwise', since: 'ISO 8601' },
    run: async ({ admin }, { viewer, query }) => {
      const queue = textIn(query, 'queue');
      const since = timeIn(query, 'since');
      if (queue !== undefined) assertSees(viewer, queue);
      const groups = await admin.failures.list({
        ...(queue === undefined ? {} : { queue }),
        ...(since === undefined ? {} : { since }),
      });
      const { sees } = viewer;
      return { groups: sees === undefined ? groups : groups.filter((group) => group.queues.every(sees)) };
    },
  },
  {
    method: 'GET',
    path: 'suggest',
    summary: 'What may come next in a filter: names of queues',
    permission: 'view',
    query: { q: 'How it begins' },
    run: async (context, { viewer, query }) => {
      const begin = (textIn(query, 'q') ?? '').toLowerCase();
      const known = await context.admin.queues.list();
      const names = known.map(({ queue }) => queue).filter((queue) => viewer.sees?.(queue) !== false);
      return { queues: names.filter((name) => name.toLowerCase().includes(begin)).slice(0, 20) };
    },
  },
  {
    method: 'GET',
    path: 'schedules',
    summary: 'Schedules, with their next due times',
    permission: 'view',
    run: async ({ admin }, { viewer }) => {
      const schedules = (await admin.schedules.list()).filter(({ queue }) => viewer.sees?.(queue) !== false);
      const next = await Promise.all(
        schedules
          .slice(0, 200)
          .map(({ name }) => admin.schedules.preview(name, { count: 5 }).catch(() => [])),
      );
      return {
        schedules: schedules.map(({ payload: _payload, ...schedule }, index) => ({
          ...schedule,
          next: next[index] ?? [],
        })),
      };
    },
  },
  ...(['pause', 'resume', 'run'] as const).map((verb): Route => ({
    method: 'POST',
    path: `schedules/:name/${verb}`,
    summary:
      verb === 'run' ? 'Fires a schedule now' : `${verb === 'pause' ? 'Pauses' : 'Resumes'} a schedule`,
    permission: verb === 'run' ? 'run_schedule' : 'pause_schedule',
    action: `schedules.${verb}`,
    ...(verb === 'pause' ? { body: { reason: 'For people' } } : {}),
    run: async ({ admin }, { viewer, params, body }) => {
      const name = param(params);
      const schedule = await admin.schedules.get(name);
      if (schedule === undefined || viewer.sees?.(schedule.queue) === false)
        throw notFound(`schedule "${name}"`);
      const target = { schedule: name, queue: schedule.queue };
      if (verb === 'run') return { answer: { jobId: await admin.schedules.trigger(name) }, target };
      const reason = textIn(body, 'reason');
      if (verb === 'pause') await admin.schedules.pause(name, reason === undefined ? {} : { reason });
      else await admin.schedules.resume(name);
      return { answer: { name }, target };
    },
  })),
];
