import type { JobRecord } from '../../engine/job/job-record.js';
import type { OperationAction } from '../../engine/admin/operation-admin.js';
import type { ListFilter } from '../../engine/admin/job-filter.js';
import { ApiError, notFound } from '../dashboard.errors.js';
import type { Permission } from '../permission.js';
import { assertMay } from '../viewer.js';
import type { ApiCall, ApiContext, Done, Route } from './route.js';
import { seenFilter, seenJob } from './seen-jobs.js';
import { badRequest, idParam, integerIn, textIn, textsIn } from './values.js';

const PAGE = 50;
const LARGEST_PAGE = 1_000;
const COUNT_UP_TO = 10_000;

const PERMISSION_OF: Readonly<Record<OperationAction, Permission>> = {
  retry: 'retry',
  'run-now': 'retry',
  requeue: 'edit',
  cancel: 'cancel',
  delete: 'delete',
  reprocess: 'enqueue',
};

/** Jobs: to look at and to change, one by one and many at once. */
export const JOB_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: 'jobs',
    summary: 'Jobs that match a filter, the newest first, a page at a time',
    permission: 'view',
    query: {
      filter: 'A filter in words: queue:emails state:failed created:>2h',
      cursor: 'Of the page before',
      limit: '1 to 1000; 50 unless told otherwise',
      fields: 'Paths in payloads to show, separated by commas',
    },
    run: listJobs,
  },
  {
    method: 'GET',
    path: 'jobs/count',
    summary: 'How many jobs match a filter, up to 10,000',
    permission: 'view',
    query: { filter: 'A filter in words' },
    run: async (context, { viewer, query }) => {
      const filter = await seenFilter(context, viewer, textIn(query, 'filter') ?? '');
      return filter === undefined
        ? { count: 0, capped: false }
        : context.admin.jobs.count(filter, { countUpTo: COUNT_UP_TO });
    },
  },
  {
    method: 'GET',
    path: 'jobs/:id',
    summary: 'A job without its payload, and why it does not run',
    permission: 'view',
    run: async (context, { viewer, params }) => {
      const job = await seenJob(context, viewer, idParam(params));
      const { admin, options } = context;
      const [explanation, flow] = await Promise.all([admin.jobs.explain(job.id), admin.flows.get(job.id)]);
      const trace = traceIdOf(job);
      const visible = (queue: string | undefined) => queue === undefined || viewer.sees?.(queue) !== false;
      return {
        ...headOf(job),
        errors: job.errors,
        headers: job.headers,
        explanation,
        related: flow.jobs.filter((member) => member.id !== job.id && visible(member.queue)),
        traceUrl: trace === undefined ? undefined : options.traceUrl?.(trace),
      };
    },
  },
  {
    method: 'GET',
    path: 'jobs/:id/payload',
    summary: 'Payload, result and progress of a job',
    permission: 'view_payload',
    run: async (context, { viewer, params }) => {
      const job = await seenJob(context, viewer, idParam(params));
      return {
        payload: shown(context, job.payload),
        result: shown(context, job.result),
        progress: shown(context, job.progress),
      };
    },
  },
  {
    method: 'GET',
    path: 'jobs/:id/logs',
    summary: 'The newest lines that the handler of a job has logged',
    permission: 'view_payload',
    run: async (context, { viewer, params }) => ({
      lines: (await seenJob(context, viewer, idParam(params))).log,
    }),
  },
  ...(['retry', 'run-now', 'cancel', 'delete', 'reprocess'] as const).map((action): Route => ({
    method: 'POST',
    path: `jobs/:id/${action}`,
    summary: `${action} one job`,
    permission: PERMISSION_OF[action],
    action: `jobs.${action}`,
    run: (context, call) => changeOne(context, call, action),
  })),
  {
    method: 'POST',
    path: 'jobs/:id/requeue',
    summary: 'Lets a failed or scheduled job begin anew, with another payload if so wanted',
    permission: 'edit',
    action: 'jobs.requeue',
    body: {
      payload: 'Another payload; left out: its own',
      queue: 'Another queue',
      delayMs: 'Not before so many milliseconds',
    },
    run: requeueOne,
  },
  {
    method: 'POST',
    path: 'jobs/bulk',
    summary: 'Begins to change many jobs; answers with the operation, which goes on by itself',
    permission: 'view',
    action: 'jobs.bulk',
    body: {
      action: 'retry, run-now, requeue, cancel, delete or reprocess',
      filter: 'A filter in words',
      ids: 'Ids of jobs, instead of a filter',
      limit: 'At most so many',
    },
    run: changeMany,
  },
  {
    method: 'GET',
    path: 'operations',
    summary: 'Changes of many jobs, the newest first',
    permission: 'view',
    run: async ({ admin }, { viewer }) => ({
      operations: viewer.sees === undefined ? await admin.operations.list() : [],
    }),
  },
  {
    method: 'GET',
    path: 'operations/:id',
    summary: 'How far a change of many jobs is',
    permission: 'view',
    run: async ({ admin }, { params }) => {
      const id = idParam(params);
      const operation = await admin.operations.get(id);
      if (operation === undefined) throw notFound(`operation ${id}`);
      return operation;
    },
  },
  {
    method: 'POST',
    path: 'operations/:id/cancel',
    summary: 'Stops a change of many jobs after the part that is under way',
    permission: 'view',
    action: 'operations.cancel',
    run: async ({ admin }, { viewer, params }) => {
      const id = idParam(params);
      const operation = await admin.operations.get(id);
      if (operation === undefined) throw notFound(`operation ${id}`);
      assertMay(viewer, PERMISSION_OF[operation.action]);
      return { answer: { cancelled: await admin.operations.cancel(id) }, target: { operation: id } };
    },
  },
  {
    method: 'GET',
    path: 'flows/:id',
    summary: 'The jobs that a job depends on, and those that depend on it',
    permission: 'view',
    run: async (context, { viewer, params }) => {
      const id = idParam(params);
      await seenJob(context, viewer, id);
      const flow = await context.admin.flows.get(id);
      const hidden = new Set(
        flow.jobs
          .filter(({ queue }) => queue !== undefined && viewer.sees?.(queue) === false)
          .map((job) => job.id),
      );
      return {
        ...flow,
        jobs: flow.jobs.filter((job) => !hidden.has(job.id)),
        edges: flow.edges.filter(({ parent, child }) => !hidden.has(parent) && !hidden.has(child)),
      };
    },
  },
  {
    method: 'POST',
    path: 'flows/:id/:action',
    summary: 'Retries what has failed in a flow, or cancels what has not ended: action retry or cancel',
    permission: 'view',
    action: 'flows.change',
    run: changeFlow,
  },
];

async function listJobs(context: ApiContext, { viewer, query }: ApiCall): Promise<unknown> {
  const filter = await seenFilter(context, viewer, textIn(query, 'filter') ?? '');
  if (filter === undefined) return { jobs: [], cursor: undefined };
  const cursor = textIn(query, 'cursor');
  const mayRead = viewer.permissions.has('view_payload');
  const fields = mayRead ? (textIn(query, 'fields') ?? '').split(',').filter((field) => field !== '') : [];
  const { jobs, cursor: next } = await context.admin.jobs.list(filter, {
    limit: integerIn(query, 'limit', 1, LARGEST_PAGE) ?? PAGE,
    ...(cursor === undefined ? {} : { cursor }),
    ...(needsWindow(filter) ? { window: context.options.searchWindow } : {}),
    decrypt: context.options.decrypt && mayRead,
  });
  return {
    jobs: jobs.map((job) => ({
      ...headOf(job),
      fields: fields.map((path) => fieldOf(context, job.payload, path)),
    })),
    cursor: next,
    window: needsWindow(filter) ? context.options.searchWindow : undefined,
  };
}

/** What no index answers: the number of jobs that are looked at is bounded. */
function needsWindow({ payload, errorText, fingerprint, tags, uniqueKey, group, ids }: ListFilter): boolean {
  return (
    ids === undefined &&
    [payload, errorText, fingerprint, tags, uniqueKey, group].some((each) => each !== undefined)
  );
}

/** A job without what may be large, and without what somebody may not see. */
function headOf({
  payload: _payload,
  result,
  progress: _progress,
  log: _log,
  errors,
  headers: _headers,
  ...head
}: JobRecord) {
  return { ...head, attempts: errors.length, hasResult: result !== undefined };
}

function fieldOf({ redaction }: ApiContext, payload: unknown, path: string): unknown {
  let value: unknown = redaction.apply(payload);
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Without what is never shown, and not more than the page can take. */
function shown({ redaction, options }: ApiContext, value: unknown): unknown {
  if (value === undefined) return undefined;
  const text = JSON.stringify(redaction.apply(value));
  const bytes = Buffer.byteLength(text);
  if (bytes <= options.maxPayloadBytes) return { value: JSON.parse(text) as unknown, bytes };
  return { text: text.slice(0, options.maxPayloadBytes), bytes, truncated: true };
}

function traceIdOf({ headers }: JobRecord): string | undefined {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(String(headers['traceparent'] ?? ''))?.[1];
}

async function changeOne(
  context: ApiContext,
  { viewer, params }: ApiCall,
  action: OperationAction,
): Promise<Done> {
  const { jobs } = context.admin;
  const { id, queue } = await seenJob(context, viewer, idParam(params));
  const count = await changed(jobs, action, id);
  if (count === 0)
    throw new ApiError(
      409,
      'conflict',
      `Job ${id} is not in a state in which this can be done.`,
      'It may have changed: look again.',
    );
  return { answer: { count }, target: { id, queue }, count };
}

async function changed(
  jobs: ApiContext['admin']['jobs'],
  action: OperationAction,
  id: string,
): Promise<number> {
  switch (action) {
    case 'retry':
    case 'run-now':
      return (await jobs.retry(id)).count;
    case 'requeue':
      return (await jobs.requeue(id)).count;
    case 'cancel':
      return (await jobs.cancel(id)).count;
    case 'delete':
      return (await jobs.delete(id)) ? 1 : 0;
    case 'reprocess':
      return (await jobs.reprocess(id, { again: true })).count;
  }
}

async function requeueOne(context: ApiContext, { viewer, params, body }: ApiCall): Promise<Done> {
  const { id, queue } = await seenJob(context, viewer, idParam(params));
  const to = textIn(body, 'queue');
  if (to !== undefined && viewer.sees?.(to) === false) throw notFound(`queue "${to}"`);
  const delayMs = integerIn(body, 'delayMs', 0, Number.MAX_SAFE_INTEGER);
  const hasPayload = Object.hasOwn(body, 'payload');
  if (hasPayload) assertMay(viewer, 'view_payload');
  const { count } = await context.admin.jobs.requeue(id, {
    ...(hasPayload ? { payload: body['payload'] } : {}),
    ...(to === undefined ? {} : { queue: to }),
    ...(delayMs === undefined ? {} : { delayMs }),
  });
  if (count === 0)
    throw new ApiError(
      409,
      'conflict',
      `Job ${id} has not failed and does not wait.`,
      'Only such jobs can begin anew.',
    );
  return { answer: { count }, target: { id, queue, edited: hasPayload, to }, count };
}

async function changeMany(context: ApiContext, { viewer, body }: ApiCall): Promise<Done> {
  const action = textIn(body, 'action') ?? '';
  if (!Object.hasOwn(PERMISSION_OF, action))
    throw badRequest('action: expected retry, run-now, requeue, cancel, delete or reprocess.');
  assertMay(viewer, PERMISSION_OF[action as OperationAction]);
  const [text, ids] = [textIn(body, 'filter'), textsIn(body, 'ids')];
  if ((text === undefined) === (ids === undefined))
    throw badRequest(
      'Give either a filter or ids.',
      'An empty filter is no filter: name a queue or a state.',
    );
  const words = text ?? (ids === undefined || ids.length === 0 ? undefined : `id:${ids.join(',')}`);
  const filter = words === undefined ? undefined : await seenFilter(context, viewer, words);
  if (filter === undefined || Object.keys(filter).length === 0) throw badRequest('This matches no job.');
  const limit = integerIn(body, 'limit', 1, Number.MAX_SAFE_INTEGER);
  const operation = await context.admin.operations.begin({
    action: action as OperationAction,
    filter: fitting(action as OperationAction, filter),
    ...(limit === undefined ? {} : { limit }),
    ...(viewer.name === undefined ? {} : { by: viewer.name }),
  });
  return {
    answer: { operationId: operation.id, total: operation.total },
    target: { action, filter: words, operation: operation.id },
    count: operation.total,
  };
}

/** What an action asks of the state is said by the action; states in which nothing can be done are no mistake. */
function fitting(action: OperationAction, filter: ListFilter): ListFilter {
  const { state, ...rest } = filter;
  if (action === 'run-now') return rest;
  if (action !== 'retry' && action !== 'requeue') return filter;
  const states = state === undefined ? [] : [state].flat();
  if (states.includes('failed') || states.length === 0)
    return rest.ids === undefined || states.length > 0 ? { ...rest, state: 'failed' } : rest;
  return { ...rest, state: 'scheduled' };
}

async function changeFlow(context: ApiContext, { viewer, params }: ApiCall): Promise<Done> {
  const [id, action] = [idParam(params), params[1]];
  if (action !== 'retry' && action !== 'cancel') throw notFound(`action "${action}"`);
  assertMay(viewer, action === 'retry' ? 'retry_flow' : 'cancel_flow');
  await seenJob(context, viewer, id);
  const { jobs } = await context.admin.flows.get(id);
  const ids = jobs
    .filter(
      ({ queue, state }) =>
        queue !== undefined &&
        viewer.sees?.(queue) !== false &&
        (action === 'cancel') !== (state === 'failed'),
    )
    .map((job) => job.id);
  const filter = { ids };
  const { count } =
    action === 'retry'
      ? await context.admin.jobs.retry({ ...filter, state: 'failed' })
      : await context.admin.jobs.cancel(filter);
  return { answer: { count }, target: { flow: id, action }, count };
}
