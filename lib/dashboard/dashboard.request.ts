import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request as Express and Fastify have it, as far as the dashboard looks. */
export interface DashboardRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly query: unknown;
  readonly body?: unknown;
  readonly ip?: string;
  readonly user?: unknown;
  /** As the browser sent it, as far as this application sees it. */
  readonly originalUrl?: string;
  readonly url: string;
  readonly socket?: IncomingMessage['socket'];
  /** Fastify's is around Node's own. */
  readonly raw?: IncomingMessage;
}

/** The same of a response: Express's is Node's own, Fastify's is around it. */
export type DashboardResponse = ServerResponse | { readonly raw: ServerResponse; hijack(): unknown };

/** Node's response. Fastify is told to leave it alone. */
export function rawResponse(response: DashboardResponse): ServerResponse {
  if (!('raw' in response)) return response;
  response.hijack();
  return response.raw;
}

export function header(request: DashboardRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The address at the other end of the connection. */
export function remoteAddress(request: DashboardRequest): string | undefined {
  return (request.raw ?? request).socket?.remoteAddress;
}
