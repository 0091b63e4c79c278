import type { CanActivate, Type } from '@nestjs/common';
import {
  boolean,
  callable,
  check,
  integer,
  isObject,
  listOf,
  object,
  problemsOf,
  throwProblems,
  type Checks,
} from '../engine/option-checker.js';
import type { DashboardAuth } from './basic-auth.js';
import type { DashboardRequest } from './dashboard.request.js';
import type { Access } from './permission.js';

/** Where the dashboard is and who stands before it: known before anything is injected. */
export interface DashboardModuleExtras {
  /** Where it is served, below the global prefix if there is one. @default 'admin/jobs' */
  path?: string;
  /** Guards of the application, made by Nest's injection: they protect page, files, API and live updates. */
  guards?: readonly (Type<CanActivate> | CanActivate)[];
  /** Name of the Taskmaster instance. @default 'default' */
  instance?: string;
}

/** What a link at the top of the page leads to. */
export interface DashboardLink {
  readonly text: string;
  /** `https:`, `http:` or a path. */
  readonly url: string;
}

export interface LiveOptions {
  /** Between two looks at the numbers, for all who look together, in milliseconds: 1_000 to 60_000. @default 2_000 */
  readonly intervalMs?: number;
  /** How many pages may be connected at once; others ask from time to time. @default 50 */
  readonly maxClients?: number;
}

/** Options of the dashboard. Without `guards`, `auth` and `access` it is closed, but to this machine outside production. */
export interface DashboardOptions {
  /** Who asks: {@link basicAuth}, or an object of your own. */
  readonly auth?: DashboardAuth;
  /** What whoever asks may do. @default 'full' */
  readonly access?: (request: DashboardRequest) => Access | Promise<Access>;
  /** The name of whoever asks, for the audit log. @default from `auth`, or `name`, `username`, `email`, `sub` or `id` of `request.user` */
  readonly user?: (request: DashboardRequest) => string | undefined;
  /** Nobody changes anything. @default false */
  readonly readOnly?: boolean;
  /** Which queues whoever asks sees: others do not exist for them. @default all of them */
  readonly queues?: (request: DashboardRequest, queue: string) => boolean;
  /** What is never shown of payloads, results and progress: the name of a field, wherever it is, or a path with `*` for any one name. @default [] */
  readonly redact?: readonly string[];
  /** Payloads, results and progress are not shown to anybody. @default false */
  readonly hidePayloads?: boolean;
  /** Encrypted payloads are shown in clear to those who may see payloads. @default false */
  readonly decrypt?: boolean;
  /** Of a payload or a result no more than this is sent, in bytes. @default 262_144 */
  readonly maxPayloadBytes?: number;
  /** @default 'Taskmaster' */
  readonly title?: string;
  /** What the page is of: a word, and a colour of CSS. */
  readonly environment?: { readonly label: string; readonly color?: string };
  /** @default [] */
  readonly links?: readonly DashboardLink[];
  readonly live?: LiveOptions;
  /** A search that no index answers looks at so many of the newest jobs. @default 100_000 */
  readonly searchWindow?: number;
  /** The address of a trace, by the id in the `traceparent` header of a job. */
  readonly traceUrl?: (traceId: string) => string;
}

export type DashboardModuleOptions = DashboardOptions & DashboardModuleExtras;

export const DASHBOARD_DEFAULTS = Object.freeze({
  path: 'admin/jobs',
  readOnly: false,
  hidePayloads: false,
  decrypt: false,
  maxPayloadBytes: 262_144,
  title: 'Taskmaster',
  searchWindow: 100_000,
});

export const LIVE_DEFAULTS = Object.freeze({
  intervalMs: 2_000,
  maxClients: 50,
} satisfies Required<LiveOptions>);

/** Options with their defaults, and whether somebody stands before the dashboard. */
export interface ResolvedDashboard extends DashboardOptions {
  readonly readOnly: boolean;
  readonly hidePayloads: boolean;
  readonly decrypt: boolean;
  readonly maxPayloadBytes: number;
  readonly title: string;
  readonly searchWindow: number;
  readonly redact: readonly string[];
  readonly links: readonly DashboardLink[];
  readonly live: Required<LiveOptions>;
  /** Neither guards, nor `auth`, nor `access`. */
  readonly isOpen: boolean;
}

const text = check('a text', (value) => typeof value === 'string' && value !== '');
const url = check(
  'an http(s) URL or a path',
  (value) => typeof value === 'string' && /^(https?:\/\/|\/)/.test(value),
);
const CHECKS = {
  auth: check(
    'basicAuth(…), or an object with userOf and challenge',
    (value) => isObject(value) && typeof value['userOf'] === 'function',
  ),
  access: callable,
  user: callable,
  readOnly: boolean,
  queues: callable,
  redact: listOf(text),
  hidePayloads: boolean,
  decrypt: boolean,
  maxPayloadBytes: integer(1, 104_857_600),
  title: text,
  environment: object(
    {
      label: text,
      color: check(
        'a colour of CSS',
        (value) => typeof value === 'string' && /^[a-z0-9#(),.%/ -]+$/i.test(value),
      ),
    },
    ['label'],
  ),
  links: listOf(object({ text, url }, ['text', 'url'])),
  live: object({ intervalMs: integer(1_000, 60_000), maxClients: integer(1, 10_000) }),
  searchWindow: integer(1, Number.MAX_SAFE_INTEGER),
  traceUrl: callable,
  path: text,
  guards: check('an array of guards', Array.isArray),
  instance: text,
} satisfies Checks;

/** @throws InvalidOptionsError listing every problem */
export function resolveDashboard(options: DashboardOptions, guards: readonly unknown[]): ResolvedDashboard {
  throwProblems('TaskmasterDashboardModule', problemsOf(options, CHECKS));
  const { readOnly, hidePayloads, decrypt, maxPayloadBytes, title, searchWindow } = DASHBOARD_DEFAULTS;
  return {
    readOnly,
    hidePayloads,
    decrypt,
    maxPayloadBytes,
    title,
    searchWindow,
    redact: [],
    links: [],
    ...options,
    live: { ...LIVE_DEFAULTS, ...options.live },
    isOpen: guards.length === 0 && options.auth === undefined && options.access === undefined,
  };
}
