import { Inject, Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { InvalidFilterError, InvalidOptionsError, TaskmasterError } from '../engine/errors.js';
import { TaskmasterAdmin } from '../nest/taskmaster.admin.js';
import { TaskmasterEvents } from '../nest/taskmaster.events.js';
import { TaskmasterHealth } from '../nest/taskmaster.health.js';
import { getTaskmasterToken } from '../nest/taskmaster.tokens.js';
import { type ApiContext, matchRoute, type Route } from './api/route.js';
import { ROUTES } from './api/system-routes.js';
import { ApiError, DashboardOpenError, notFound } from './dashboard.errors.js';
import { DASHBOARD_EXTRAS, DASHBOARD_OPTIONS } from './dashboard.tokens.js';
import {
  type DashboardModuleExtras,
  type DashboardOptions,
  resolveDashboard,
  type ResolvedDashboard,
} from './dashboard.options.js';
import { type DashboardRequest, type DashboardResponse, rawResponse } from './dashboard.request.js';
import { ChallengeError, Doorkeeper } from './doorkeeper.js';
import { JobWatch } from './job.watch.js';
import { LiveHub } from './live.hub.js';
import { sendAsset, sendPage } from './page.js';
import { Redaction } from './redaction.js';
import { assertMay, type Viewer } from './viewer.js';

const logger = new Logger('TaskmasterDashboard');

const STATUS_OF: Readonly<Record<string, number>> = {
  TM_UNKNOWN_SCHEDULE: 404,
  TM_DATABASE_UNREACHABLE: 503,
  TM_CLOSED: 503,
  TM_NOT_OPEN: 503,
  TM_INVALID_PAYLOAD: 400,
  TM_PAYLOAD_TOO_LARGE: 413,
};

/** Answers the requests that guards have let pass: the page, its files, the API and live updates. */
@Injectable()
export class DashboardServer implements OnModuleInit, OnModuleDestroy {
  readonly #options: ResolvedDashboard;
  readonly #doorkeeper: Doorkeeper;
  #context: ApiContext | undefined;
  #hub: LiveHub | undefined;

  constructor(
    @Inject(DASHBOARD_OPTIONS) options: DashboardOptions,
    @Inject(DASHBOARD_EXTRAS) private readonly extras: DashboardModuleExtras,
    private readonly moduleRef: ModuleRef,
  ) {
    this.#options = resolveDashboard(options, extras.guards ?? []);
    this.#doorkeeper = new Doorkeeper(this.#options);
  }

  /** @throws DashboardOpenError in production, when nobody stands before it */
  onModuleInit(): void {
    if (this.#options.isOpen) {
      if (process.env['NODE_ENV'] === 'production') throw new DashboardOpenError();
      logger.warn('The dashboard has no guards, no auth and no access: it answers this machine only.');
    }
    const admin = this.#service(TaskmasterAdmin);
    const jobs = new JobWatch(this.#service(TaskmasterEvents));
    const health = this.#service(TaskmasterHealth);
    this.#hub = new LiveHub({ admin, jobs, ...this.#options.live });
    this.#context = {
      admin,
      options: this.#options,
      redaction: new Redaction(this.#options.redact),
      version: versionOfPackage(),
      health: () => health.check(),
    };
  }

  onModuleDestroy(): void {
    this.#hub?.close();
  }

  async page(request: DashboardRequest, response: DashboardResponse): Promise<void> {
    await this.#answer(request, response, async (raw) => {
      await this.#doorkeeper.admit(request);
      await sendPage(raw, request, this.#options);
    });
  }

  async asset(request: DashboardRequest, response: DashboardResponse, name: string): Promise<void> {
    await this.#answer(request, response, async (raw) => {
      await this.#doorkeeper.admit(request);
      await sendAsset(raw, request, name);
    });
  }

  async api(
    request: DashboardRequest,
    response: DashboardResponse,
    segments: readonly string[],
  ): Promise<void> {
    await this.#answer(request, response, async (raw) => {
      const viewer = await this.#doorkeeper.admit(request);
      if (request.method === 'GET' && segments.join('/') === 'events') return this.#live(raw, viewer);
      const found = matchRoute(ROUTES, request.method === 'HEAD' ? 'GET' : request.method, segments);
      if (found === undefined) throw notFound(`such address: ${request.method} api/${segments.join('/')}`);
      sendJson(raw, 200, await this.#run(found.route, found.params, viewer));
    });
  }

  #live(raw: ServerResponse, viewer: Viewer): void {
    if (this.#hub?.hasRoom !== true)
      throw new ApiError(503, 'too_many', 'Too many pages are connected; ask from time to time instead.');
    const { topics } = (viewer.request.query ?? {}) as { topics?: unknown };
    this.#hub.join(raw, viewer, typeof topics === 'string' ? topics.split(',').slice(0, 100) : ['stats']);
  }

  async #run(route: Route, params: readonly string[], viewer: Viewer): Promise<unknown> {
    const context = this.#context as ApiContext;
    const query = plainIn(viewer.request.query);
    if (route.method === 'GET') {
      assertMay(viewer, route.permission);
      return route.run(context, { viewer, params, query, body: {} });
    }
    this.#doorkeeper.assertSameSite(viewer.request);
    assertMay(viewer, route.permission);
    const done = await route.run(context, { viewer, params, query, body: plainIn(viewer.request.body) });
    const { name: by, ip } = viewer;
    const { target, count } = done;
    await context.admin.audit.write({ action: route.action, by, ip, target, count });
    logger.log(
      `${route.action} by ${by ?? 'somebody'}: ${JSON.stringify(target)}${count === undefined ? '' : `, ${count} jobs`}`,
    );
    return done.answer;
  }

  /** Whatever is thrown becomes an answer; what nobody has foreseen is told to the log only. */
  async #answer(
    request: DashboardRequest,
    response: DashboardResponse,
    send: (raw: ServerResponse) => Promise<void>,
  ): Promise<void> {
    const raw = rawResponse(response);
    try {
      await send(raw);
    } catch (error) {
      if (raw.headersSent) return void raw.destroy();
      if (error instanceof ChallengeError) raw.setHeader('www-authenticate', error.challenge);
      const { status, code, message, hint, details } = refusalOf(error);
      if (status >= 500)
        logger.error(
          `${request.method} ${request.url}: ${message}`,
          error instanceof Error ? error.stack : undefined,
        );
      sendJson(raw, status, { error: { code, message, hint, ...details } });
    }
  }

  #service<T>(type: abstract new (...args: never[]) => T): T {
    const token = getTaskmasterToken(this.extras.instance, type as never);
    return this.moduleRef.get<T>(token as never, { strict: false });
  }
}

function refusalOf(error: unknown): Pick<ApiError, 'status' | 'code' | 'message' | 'hint' | 'details'> {
  if (error instanceof ApiError) return error;
  if (error instanceof InvalidFilterError) {
    const { position, length } = error;
    return {
      status: 400,
      code: error.code,
      message: error.reason,
      hint: undefined,
      details: { position, length },
    };
  }
  if (error instanceof InvalidOptionsError)
    return {
      status: 400,
      code: error.code,
      message: error.problems.join('; '),
      hint: undefined,
      details: undefined,
    };
  if (error instanceof TaskmasterError)
    return {
      status: STATUS_OF[error.code] ?? 500,
      code: error.code,
      message: error.message,
      hint: undefined,
      details: undefined,
    };
  return {
    status: 500,
    code: 'internal',
    message: 'Something went wrong; the log of the application says what.',
    hint: undefined,
    details: undefined,
  };
}

function sendJson(raw: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value ?? {});
  raw.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  raw.end(text);
}

function plainIn(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** From the file that npm installs beside this one's folder. */
function versionOfPackage(): string {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  return version;
}
