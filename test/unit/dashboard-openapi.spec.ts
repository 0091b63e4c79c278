import { describe, expect, it } from 'vitest';
import { openApiOf } from '../../lib/dashboard/api/openapi.js';
import { ROUTES } from '../../lib/dashboard/api/system-routes.js';

describe('the description of the API', () => {
  it('is docs/openapi.json (vitest -u writes it)', async () => {
    const text = `${JSON.stringify(openApiOf(ROUTES, '0.1.0'), undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot('../../docs/openapi.json');
  });

  it('names every operation once', () => {
    const { paths } = openApiOf(ROUTES, '0') as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const ids = Object.values(paths).flatMap((path) =>
      Object.values(path).map((operation) => operation.operationId),
    );
    expect(new Set(ids).size).toBe(ROUTES.length);
  });
});
