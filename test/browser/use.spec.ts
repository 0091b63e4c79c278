import { afterAll, describe, expect, it } from 'vitest';
import { JobTable } from '../integration/support/job-table.js';
import { eventually } from '../support/eventually.js';
import { BROWSER_PATH, closeBrowser, openPage } from './support/browser.js';
import { ADAPTERS, dashboardApp } from './support/dashboard-app.js';

afterAll(closeBrowser);

const failedJobs = (schema: string, message: string, from: number, to: number) => `
  insert into "${schema}".jobs (queue_name, payload, run_at, failed_at, run_count, last_error)
  select 'emails', jsonb_build_object('n', n), 'infinity', now(), 1,
         jsonb_build_object('name', 'Error', 'message', '${message} ' || n, 'stack', E'Error: x\\n    at send (/app/a.js:1:2)')
    from generate_series(${from}, ${to}) as n`;

describe.skipIf(BROWSER_PATH === undefined).each(ADAPTERS)('whoever is on call, on %s', (adapter) => {
  it('finds the 1,000 that failed alike among 1,500, retries only those, and sees it happen', async () => {
    const { url, database } = await dashboardApp({ adapter });
    await database.query(failedJobs(database.schema, 'mail server refused', 1, 1_000));
    await database.query(failedJobs(database.schema, 'no such template', 1_001, 1_500));
    const { page, problems } = await openPage();
    await page.goto(url);
    await page.click('nav >> text=Failures');
    const group = page.locator('.failure', { hasText: 'mail server refused' });
    await group.locator('text=1,000').waitFor();
    await group.locator('text=Retry all').click();
    await page.locator('dialog button.primary').click();
    await page.locator('.operation', { hasText: '1,000' }).locator('text=retried').waitFor();
    await page.locator('.failure', { hasText: 'mail server refused' }).waitFor({ state: 'detached' });
    expect(await page.locator('.failure').count()).toBe(1);
    const jobs = await new JobTable(database).all();
    expect(jobs.filter((job) => job.state === 'ready')).toHaveLength(1_000);
    expect(jobs.filter((job) => job.state === 'failed')).toHaveLength(500);
    expect(problems).toEqual([]);
  }, 90_000);

  it('sees numbers move without asking', async () => {
    const { url, database } = await dashboardApp({
      adapter,
      dashboard: { access: () => 'full', live: { intervalMs: 1_000 } },
    });
    const { page } = await openPage();
    await page.goto(url);
    await page.locator('.beacon', { hasText: 'Live' }).waitFor();
    await new JobTable(database).insertMany('emails', 7);
    await page.locator('.tile', { hasText: 'Ready' }).locator('text=7').first().waitFor({ timeout: 25_000 });
  }, 60_000);
});

describe.skipIf(BROWSER_PATH === undefined)('the page', () => {
  it('runs nothing that is stored in jobs', async () => {
    const { url, database, admin } = await dashboardApp();
    const evil = `"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>{{7*7}}`;
    const queue = '<img src=x onerror=document.title="owned">';
    const jobs = new JobTable(database);
    const id = await jobs.insert(queue, {
      payload: JSON.stringify({ [evil]: evil, url: 'javascript:document.title="owned"' }),
      run_at: 'infinity',
      failed_at: new Date().toISOString(),
      run_count: 1,
      group_key: evil,
      last_error: JSON.stringify({ name: evil, message: evil, code: evil, stack: `x\n    at ${evil}` }),
      errors: JSON.stringify([
        { name: evil, message: evil, at: new Date().toISOString(), attempt: 1, worker: evil },
      ]),
      meta: JSON.stringify({ tags: [evil], headers: { [evil]: evil } }),
    });
    await admin.queues.pause(queue, { reason: evil, by: evil });
    await admin.audit.write({ action: evil, by: evil, ip: evil, target: { [evil]: evil } });
    const { page, problems } = await openPage();
    for (const hash of [
      '',
      '#/jobs',
      `#/jobs/${id}`,
      `#/queues/${encodeURIComponent(queue)}`,
      '#/queues',
      '#/failures',
      '#/audit',
      `#/jobs?filter=${encodeURIComponent(evil)}`,
    ]) {
      await page.goto(`${url}${hash}`);
      await page.reload();
      await page.waitForSelector('h1');
      await eventually(async () => expect(await page.locator('[aria-busy="true"]').count()).toBe(0));
      expect(await page.title()).toBe('Taskmaster');
      expect(await page.locator('main img, main script').count()).toBe(0);
    }
    expect(problems.filter((problem) => !problem.includes('400'))).toEqual([]);
  }, 90_000);

  it('is led by keys', async () => {
    const { url, database } = await dashboardApp();
    const [first] = await new JobTable(database).insertMany('emails', 3);
    const { page } = await openPage();
    await page.goto(url);
    await page.waitForSelector('h1');
    await page.keyboard.press('g');
    await page.keyboard.press('j');
    await page.waitForSelector(`tbody >> text="${first}"`);
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    await page.locator('.bulk', { hasText: '1 chosen' }).waitFor();
    await page.keyboard.press('/');
    expect(await page.evaluate('document.activeElement.id')).toBe('filter');
    await page.keyboard.type(`id:${first}`);
    await page.keyboard.press('Enter');
    await eventually(async () => expect(await page.locator('tbody tr').count()).toBe(1));
    expect(new URL(page.url()).hash).toContain(`id%3A${first}`);
    await page.keyboard.press('Escape');
    await page.locator('h1').click();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('emails');
    await page.keyboard.press('Enter');
    await page.waitForSelector('h1 >> text=emails');
  }, 60_000);

  it('fits a phone', async () => {
    const { url, database } = await dashboardApp();
    await new JobTable(database).insertMany('emails', 3);
    const { page } = await openPage({ viewport: { width: 390, height: 844 } });
    for (const hash of ['', '#/jobs', '#/queues', '#/workers', '#/settings']) {
      await page.goto(`${url}${hash}`);
      await page.waitForSelector('h1');
      expect({ hash, width: await page.evaluate('document.documentElement.scrollWidth') }).toEqual({
        hash,
        width: 390,
      });
    }
  }, 60_000);

  it('works behind a proxy that cuts off a part of the path', async () => {
    const { createServer, request } = await import('node:http');
    const { url } = await dashboardApp();
    const target = new URL(url);
    const proxy = createServer((incoming, outgoing) => {
      const path = (incoming.url ?? '').replace('/corp/tools', '');
      const onward = request(
        {
          host: target.hostname,
          port: target.port,
          path,
          method: incoming.method,
          headers: incoming.headers,
        },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        },
      );
      onward.on('error', () => outgoing.destroy());
      outgoing.on('close', () => onward.destroy());
      incoming.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { page, problems } = await openPage();
    const { port } = proxy.address() as { port: number };
    await page.goto(`http://127.0.0.1:${port}/corp/tools/admin/jobs`);
    await page.locator('.beacon', { hasText: 'Live' }).waitFor();
    expect(problems).toEqual([]);
    await page.close();
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  }, 60_000);
});
