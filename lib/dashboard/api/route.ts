import type { ResolvedDashboard } from '../dashboard.options.js';
import type { Permission } from '../permission.js';
import type { Redaction } from '../redaction.js';
import type { TaskmasterAdmin } from '../../nest/taskmaster.admin.js';
import type { Viewer } from '../viewer.js';
import type { HealthReport } from '../../engine/taskmaster.js';

/** What the routes work with. */
export interface ApiContext {
  readonly admin: TaskmasterAdmin;
  readonly options: ResolvedDashboard;
  readonly redaction: Redaction;
  readonly version: string;
  readonly health: () => Promise<HealthReport>;
}

/** A call of a route. */
export interface ApiCall {
  readonly viewer: Viewer;
  /** The variable parts of the path, in order. */
  readonly params: readonly string[];
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What a change was done to, for the audit log. */
export interface Done {
  readonly answer: unknown;
  readonly target: Readonly<Record<string, unknown>>;
  readonly count?: number;
}

interface RouteBase {
  /** Segments below `api/`; `:name` is a variable one. */
  readonly path: string;
  /** For people, and the OpenAPI document. */
  readonly summary: string;
  readonly permission: Permission;
}

/** Something to look at. */
export interface ReadRoute extends RouteBase {
  readonly method: 'GET';
  /** What may stand after the question mark, and what it is. */
  readonly query?: Readonly<Record<string, string>>;
  readonly run: (context: ApiContext, call: ApiCall) => Promise<unknown>;
}

/** Something to change; it is written to the audit log under `action`. */
export interface WriteRoute extends RouteBase {
  readonly method: 'POST';
  readonly action: string;
  /** Fields of the JSON body, and what they are. */
  readonly body?: Readonly<Record<string, string>>;
  readonly run: (context: ApiContext, call: ApiCall) => Promise<Done>;
}

export type Route = ReadRoute | WriteRoute;

/** The route of a request and the variable parts of its path; `undefined`: there is none. */
export function matchRoute(
  routes: readonly Route[],
  method: string,
  segments: readonly string[],
): { readonly route: Route; readonly params: readonly string[] } | undefined {
  for (const route of routes) {
    const parts = route.path.split('/');
    if (route.method !== method || parts.length !== segments.length) continue;
    if (!parts.every((part, index) => part.startsWith(':') || part === segments[index])) continue;
    return { route, params: segments.filter((_, index) => parts[index]?.startsWith(':')) };
  }
  return undefined;
}
