import {
  type CanActivate,
  Controller,
  Get,
  Param,
  Post,
  Req,
  Res,
  type Type,
  UseGuards,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import type { DashboardRequest, DashboardResponse } from './dashboard.request.js';
import { DashboardServer } from './dashboard.server.js';

/** Addresses below the API, by how many parts they have; nothing is written at those of one. */
const API_PATHS = ['api/:a', 'api/:a/:b', 'api/:a/:b/:c'];

interface ApiPath {
  readonly a: string;
  readonly b?: string;
  readonly c?: string;
}

function partsOf({ a, b, c }: ApiPath): string[] {
  return [a, b, c].filter((part) => part !== undefined);
}

/**
 * A controller at that path behind those guards: they protect page, files, API and live updates on every adapter. No wildcards, which
 * adapters do not agree about: the page has its own addresses after the `#`.
 */
export function dashboardController(
  path: string,
  guards: readonly (Type<CanActivate> | CanActivate)[],
): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseGuards(...guards)
  class TaskmasterDashboardController {
    constructor(private readonly server: DashboardServer) {}

    @Get()
    page(@Req() request: DashboardRequest, @Res() response: unknown): Promise<void> {
      return this.server.page(request, response as DashboardResponse);
    }

    @Get('assets/:name')
    asset(
      @Req() request: DashboardRequest,
      @Res() response: unknown,
      @Param('name') name: string,
    ): Promise<void> {
      return this.server.asset(request, response as DashboardResponse, name);
    }

    @Get(API_PATHS)
    read(@Req() request: DashboardRequest, @Res() response: unknown, @Param() below: ApiPath): Promise<void> {
      return this.server.api(request, response as DashboardResponse, partsOf(below));
    }

    @Post(API_PATHS.slice(1))
    write(
      @Req() request: DashboardRequest,
      @Res() response: unknown,
      @Param() below: ApiPath,
    ): Promise<void> {
      return this.server.api(request, response as DashboardResponse, partsOf(below));
    }
  }
  return TaskmasterDashboardController;
}
