import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { afterAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { BROWSER_PATH, closeBrowser, openPage } from './support/browser.js';
import { ADAPTERS, dashboardApp } from './support/dashboard-app.js';
import { playScene } from './support/scene.js';
import type { Page } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const IMAGES = new URL('../../docs/images/', import.meta.url).pathname;
/** Pages of which the documentation has a picture. */
const PICTURED = new Set(['overview', 'job', 'failures', 'flow']);
/** Set to write the pictures of the documentation. */
const WRITES_IMAGES = process.env['TASKMASTER_WRITE_IMAGES'] === '1';

afterAll(closeBrowser);

/** What axe finds wrong with a page, in a line each. */
async function violationsOf(page: Page): Promise<string[]> {
  // Injected through the protocol: the content policy of the page stays as it is.
  const { readFile } = await import('node:fs/promises');
  await page.evaluate(await readFile(AXE, 'utf8'));
  return page.evaluate(async () => {
    type Result = { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] };
    const { violations } = await (globalThis as unknown as { axe: { run: () => Promise<Result> } }).axe.run();
    return violations.flatMap(({ id, nodes }) =>
      nodes
        .slice(0, 3)
        .map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary.slice(0, 200)}`),
    );
  });
}

/** The page has been told what it shows. */
async function settled(page: Page): Promise<void> {
  await page.waitForSelector('h1');
  await eventually(async () => expect(await page.locator('.waiting, [aria-busy="true"]').count()).toBe(0));
  await page.waitForTimeout(300); // for charts, which draw in frames of their own
}

describe.skipIf(BROWSER_PATH === undefined).each(ADAPTERS)('the pages on %s', (adapter) => {
  it.each(['light', 'dark'] as const)(
    'are readable by everybody and keep the content policy, %s',
    async (colorScheme) => {
      const { url, database, admin } = await dashboardApp({
        adapter,
        dashboard: {
          access: () => 'full',
          user: () => 'ada',
          title: 'Shop',
          environment: { label: 'production', color: 'crimson' },
          traceUrl: (id) => `https://traces.example/${id}`,
        },
      });
      await playScene(database);
      await admin.schedules.upsert({
        name: 'nightly-digest',
        queue: 'emails',
        payload: {},
        cron: '0 3 * * *',
      });
      await admin.schedules.upsert({ name: 'sync-stock', queue: 'webhooks', payload: {}, everyMs: 300_000 });
      const flow = await database.query<{ id: string }>(
        `select min(child_id)::text as id from "${database.schema}".dependencies`,
      );
      const pages: Record<string, string> = {
        overview: '',
        jobs: '#/jobs',
        'jobs-failed': '#/jobs?filter=state:failed%20queue:emails',
        job: '#/jobs/4',
        queues: '#/queues',
        queue: '#/queues/emails',
        failures: '#/failures',
        schedules: '#/schedules',
        workers: '#/workers',
        flows: '#/flows',
        flow: `#/flows/${flow[0]?.id}`,
        system: '#/system',
        audit: '#/audit',
        settings: '#/settings',
      };
      const { page, problems } = await openPage({ colorScheme });
      const found: Record<string, string[]> = {};
      await mkdir(IMAGES, { recursive: true });
      for (const [name, hash] of Object.entries(pages)) {
        await page.goto(`${url}${hash}`);
        await page.reload();
        await settled(page);
        const violations = await violationsOf(page);
        if (violations.length > 0) found[name] = violations;
        if (WRITES_IMAGES && adapter === 'express' && PICTURED.has(name))
          await page.screenshot({ path: `${IMAGES}dashboard-${name}-${colorScheme}.png` });
      }
      expect(found).toEqual({});
      expect(problems).toEqual([]);
    },
    180_000,
  );
});
