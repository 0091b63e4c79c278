import type { DashboardRequest } from './dashboard.request.js';
import { ApiError } from './dashboard.errors.js';
import type { ResolvedDashboard } from './dashboard.options.js';
import { type Permission, permissionsOf } from './permission.js';

/** Whoever asks, and what they may do. */
export interface Viewer {
  readonly request: DashboardRequest;
  readonly name: string | undefined;
  readonly ip: string | undefined;
  readonly permissions: ReadonlySet<Permission>;
  /** `undefined`: every queue. */
  readonly sees: ((queue: string) => boolean) | undefined;
}

/** What whoever asks may do, as the options say. */
export async function viewerOf(
  request: DashboardRequest,
  name: string | undefined,
  { access, readOnly, hidePayloads, queues }: ResolvedDashboard,
): Promise<Viewer> {
  const permissions = new Set(permissionsOf(access === undefined ? 'full' : await access(request)));
  if (readOnly)
    for (const each of permissions) if (each !== 'view' && each !== 'view_payload') permissions.delete(each);
  if (hidePayloads) permissions.delete('view_payload');
  if (!permissions.has('view')) permissions.clear();
  const sees = queues === undefined ? undefined : (queue: string) => queues(request, queue);
  return { request, name, ip: request.ip, permissions, sees };
}

/** @throws ApiError 405 for whoever may only look, 403 otherwise */
export function assertMay(viewer: Viewer, permission: Permission): void {
  const { permissions } = viewer;
  if (permissions.has(permission)) return;
  const looksOnly = permissions.has('view') && [...permissions].every((each) => each.startsWith('view'));
  if (looksOnly && !permission.startsWith('view'))
    throw new ApiError(405, 'read_only', 'You may look here, and change nothing.');
  throw new ApiError(403, 'forbidden', `This needs the permission "${permission}".`);
}

/** The name of a user as guards leave it in the request. */
export function nameOf(user: unknown): string | undefined {
  if (typeof user === 'string') return user;
  if (typeof user !== 'object' || user === null) return undefined;
  for (const key of ['name', 'username', 'email', 'sub', 'id']) {
    const value = (user as Record<string, unknown>)[key];
    if (typeof value === 'string' || typeof value === 'number') return String(value);
  }
  return undefined;
}
