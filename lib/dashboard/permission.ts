/** What somebody may do in the dashboard; `view` is needed for everything. */
export const PERMISSIONS = [
  'view',
  'view_payload',
  'enqueue',
  'retry',
  'cancel',
  'delete',
  'edit',
  'pause_queue',
  'purge_queue',
  'run_schedule',
  'pause_schedule',
  'control_worker',
  'cancel_flow',
  'retry_flow',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** `full`: everything; `read-only`: to look, payloads included; `false`: nothing at all. */
export type Access = 'full' | 'read-only' | readonly Permission[] | false;

/** The permissions that an answer of `access` stands for. */
export function permissionsOf(access: Access): ReadonlySet<Permission> {
  if (access === false) return new Set();
  if (access === 'full') return new Set(PERMISSIONS);
  return new Set(access === 'read-only' ? ['view', 'view_payload'] : access);
}
