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

    @Get('api/:a')
    get1(@Req() request: DashboardRequest, @Res() response: unknown, @Param('a') a: string): Promise<void> {
      return this.server.api(request, response as DashboardResponse, [a]);
    }

    @Get('api/:a/:b')
    get2(
      @Req() request: DashboardRequest,
      @Res() response: unknown,
      @Param('a') a: string,
      @Param('b') b: string,
    ): Promise<void> {
      return this.server.api(request, response as DashboardResponse, [a, b]);
    }

    @Get('api/:a/:b/:c')
    get3(
      @Req() request: DashboardRequest,
      @Res() response: unknown,
      @Param('a') a: string,
      @Param('b') b: string,
      @Param('c') c: string,
    ): Promise<void> {
      return this.server.api(request, response as DashboardResponse, [a, b, c]);
    }

    @Post('api/:a/:b')
    post2(
      @Req() request: DashboardRequest,
      @Res() response: unknown,
      @Param('a') a: string,
      @Param('b') b: string,
    ): Promise<void> {
      return this.server.api(request, response as DashboardResponse, [a, b]);
    }

    @Post('api/:a/:b/:c')
    post3(
      @Req() request: DashboardRequest,
      @Res() response: unknown,
      @Param('a') a: string,
      @Param('b') b: string,
      @Param('c') c: string,
    ): Promise<void> {
      return this.server.api(request, response as DashboardResponse, [a, b, c]);
    }
  }
  return TaskmasterDashboardController;
}
