import type { Route } from './route.js';

const HEADER = {
  name: 'x-taskmaster-dashboard',
  in: 'header',
  required: true,
  schema: { type: 'string', const: '1' },
};

/** The API as an OpenAPI 3.1 document; paths are relative to where the dashboard is served. */
export function openApiOf(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = `/api/${route.path.replaceAll(/:(\w+)/g, '{$1}')}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Taskmaster dashboard',
      version,
      description: 'The API behind the dashboard. Ids are strings, times ISO 8601, durations milliseconds.',
    },
    paths,
    components: { schemas: { Error: errorSchema } },
  };
}

const errorSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: { code: { type: 'string' }, message: { type: 'string' }, hint: { type: 'string' } },
    },
  },
};

function operationOf(route: Route): object {
  const variables = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const operationId = `${route.method.toLowerCase()} ${route.path}`.replaceAll(
    /\W+(\w)/g,
    (_, letter: string) => letter.toUpperCase(),
  );
  return {
    operationId,
    summary: route.summary,
    'x-permission': route.permission,
    parameters: [...variables, ...(route.method === 'GET' ? queryOf(route.query) : [HEADER])],
    ...(route.method === 'POST' ? { requestBody: bodyOf(route.body) } : {}),
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: {} } } },
      default: {
        description: 'Refused',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  };
}

function queryOf(query: Readonly<Record<string, string>> = {}): object[] {
  return Object.entries(query).map(([name, description]) => ({
    name,
    in: 'query',
    description,
    schema: { type: 'string' },
  }));
}

function bodyOf(body: Readonly<Record<string, string>> = {}): object {
  const properties = Object.fromEntries(
    Object.entries(body).map(([name, description]) => [name, { description }]),
  );
  return { content: { 'application/json': { schema: { type: 'object', properties } } } };
}
