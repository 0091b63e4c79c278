import type { JobRecord } from '../../engine/job/job-record.js';
import { parseFilter } from '../../engine/admin/filter-text.js';
import type { ListFilter } from '../../engine/admin/job-filter.js';
import { queueNameOf } from '../../engine/job/queue-name.js';
import { ApiError, notFound } from '../dashboard.errors.js';
import type { Viewer } from '../viewer.js';
import type { ApiContext } from './route.js';

/** The queues that whoever asks sees; `undefined`: all there are. */
export async function queuesOf(
  { admin }: ApiContext,
  { sees }: Viewer,
): Promise<readonly string[] | undefined> {
  if (sees === undefined) return undefined;
  const overview = await admin.stats.overview({ maxAgeMs: 60_000 });
  return overview.queues.map(({ queue }) => queue).filter(sees);
}

/** @throws ApiError 404: a queue that somebody does not see does not exist for them */
export function assertSees({ sees }: Viewer, queue: string): void {
  if (sees !== undefined && !sees(queue)) throw notFound(`queue "${queue}"`);
}

/** A job that whoever asks may see. @throws ApiError 404 */
export async function seenJob(context: ApiContext, viewer: Viewer, id: string): Promise<JobRecord> {
  const decrypt = context.options.decrypt && viewer.permissions.has('view_payload');
  const job = await context.admin.jobs.get(id, { decrypt });
  if (job === undefined || viewer.sees?.(job.queue) === false) throw notFound(`job ${id}`);
  return job;
}

/** A filter in words, within what whoever asks may see. `undefined`: it can match nothing. @throws InvalidFilterError, ApiError 403 */
export async function seenFilter(
  context: ApiContext,
  viewer: Viewer,
  text: string,
): Promise<ListFilter | undefined> {
  const filter = parseFilter(text);
  assertSearchable(context, viewer, filter);
  const queues = await queuesOf(context, viewer);
  if (queues === undefined) return filter;
  const asked =
    filter.queue === undefined ? queues : [filter.queue].flat().map((queue) => queueNameOf(queue));
  const seen = asked.filter((queue) => queues.includes(queue));
  return seen.length === 0 ? undefined : { ...filter, queue: seen };
}

/** Whoever may not see a field may not find out what is in it by searching either. */
function assertSearchable(
  { redaction }: ApiContext,
  { permissions }: Viewer,
  { payload = [] }: ListFilter,
): void {
  if (payload.length > 0 && !permissions.has('view_payload'))
    throw new ApiError(403, 'forbidden', 'Searching in payloads needs the permission "view_payload".');
  const hidden = payload.find(({ path }) => redaction.hides(path));
  if (hidden !== undefined)
    throw new ApiError(403, 'forbidden', `payload.${hidden.path.join('.')} is not shown to anybody.`);
}
