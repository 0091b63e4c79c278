import { type CanActivate, Injectable } from '@nestjs/common';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { basicAuth } from '../../lib/dashboard/index.js';
import { ADAPTERS, apiOf, dashboardApp } from '../browser/support/dashboard-app.js';
import { JobTable } from '../integration/support/job-table.js';
import { eventually } from '../support/eventually.js';
import { within } from '../support/within.js';

@Injectable()
class Closed implements CanActivate {
  canActivate() {
    return false;
  }
}

const ERROR = JSON.stringify({
  name: 'Error',
  message: 'user 42 is gone',
  stack: 'Error: x\n    at send (/app/a.js:1:2)',
});
const FAILED = { run_at: 'infinity', failed_at: new Date().toISOString(), run_count: 1, last_error: ERROR };

/** Opens the stream of live updates and tells its events. */
const stream = async (url: string, topics = 'stats') => {
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const response = await fetch(`${url}/api/events?topics=${topics}`, { signal: over.signal });
  const events: string[] = [];
  const ended = (async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream()))
      events.push(...[...chunk.matchAll(/^event: (\w+)$/gm)].map(([, name = '']) => name));
  })().catch(() => undefined);
  return { response, events, ended };
};

describe.each(ADAPTERS)('the dashboard on %s', (adapter) => {
  it('serves the page, and its files compressed and for ever', async () => {
    const { url } = await dashboardApp({ adapter });
    const page = await fetch(url);
    const html = await page.text();
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(html).toContain('<base href="./jobs/">');
    const [, script] = /src="(assets\/main-[^"]+\.js)"/.exec(html) ?? [];
    const file = await fetch(`${url}/${script}`, { headers: { 'accept-encoding': 'gzip' } });
    expect(file.status).toBe(200);
    expect(file.headers.get('content-encoding')).toBe('gzip');
    expect(file.headers.get('cache-control')).toContain('immutable');
    const again = await fetch(`${url}/${script}`, {
      headers: { 'if-none-match': file.headers.get('etag')! },
    });
    expect(again.status).toBe(304);
    expect((await fetch(`${url}/assets/none.js`)).status).toBe(404);
  });

  it('works below a global prefix', async () => {
    const { url } = await dashboardApp({
      adapter,
      path: 'api/v1/admin/jobs',
      configure: (app) => void app.setGlobalPrefix('api/v1'),
    });
    expect((await fetch(url)).status).toBe(200);
    expect((await apiOf({ url }).get('meta')).status).toBe(200);
  });

  it('stands behind the guards of the application, all of it', async () => {
    const { url } = await dashboardApp({ adapter, dashboard: { guards: [Closed] } });
    for (const path of ['', '/assets/main.js', '/api/meta', '/api/events'])
      expect((await fetch(`${url}${path}`)).status).toBe(403);
    expect((await apiOf({ url }).post('queues/mail/pause')).status).toBe(403);
  });

  it('asks for name and password with basicAuth', async () => {
    const { url } = await dashboardApp({
      adapter,
      dashboard: { auth: basicAuth({ users: { ada: 'secret:word' } }) },
    });
    const closed = await fetch(url);
    expect(closed.status).toBe(401);
    expect(closed.headers.get('www-authenticate')).toContain('Basic');
    const header = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    expect((await fetch(url, { headers: header('ada:wrong') })).status).toBe(401);
    const { body } = await apiOf({ url }, header('ada:secret:word')).get('meta');
    expect(body).toMatchObject({ user: 'ada' });
  });

  it('closes with live updates open, and says goodbye', async () => {
    const { app, url } = await dashboardApp({ adapter });
    const { events, ended } = await stream(url);
    await eventually(() => expect(events).toContain('stats'));
    await within(3_000, 'the application to close', app.close());
    await ended;
    expect(events.at(-1)).toBe('bye');
  });

  it('changes jobs one by one, and writes down who did', async () => {
    const dashboard = { access: () => 'full' as const, user: () => 'ada' };
    const { url, database, admin } = await dashboardApp({ adapter, dashboard });
    const jobs = new JobTable(database);
    const id = await jobs.insert('mail', FAILED);
    const api = apiOf({ url });
    expect(await api.post(`jobs/${id}/retry`)).toMatchObject({ status: 200, body: { count: 1 } });
    expect((await jobs.of(id))?.state).toBe('ready');
    expect(await api.post(`jobs/${id}/retry`)).toMatchObject({
      status: 409,
      body: { error: { code: 'conflict' } },
    });
    expect(await api.post(`jobs/${id}/delete`)).toMatchObject({ status: 200 });
    expect(await api.post(`jobs/${id}/delete`)).toMatchObject({ status: 404 });
    const [last, first] = await admin.audit.list();
    expect(first).toMatchObject({ action: 'jobs.retry', by: 'ada', target: { id, queue: 'mail' }, count: 1 });
    expect(last).toMatchObject({ action: 'jobs.delete' });
  });

  it('takes names of queues as they are', async () => {
    const { url, database } = await dashboardApp({ adapter });
    const queue = 'a/b c?d#e%f"ü';
    await new JobTable(database).insert(queue);
    const { body } = await apiOf({ url }).get(`queues/${encodeURIComponent(queue)}`);
    expect(body).toMatchObject({ queue, ready: 1 });
  });
});

describe('the dashboard', () => {
  const environment = process.env['NODE_ENV'];
  afterEach(() => void (process.env['NODE_ENV'] = environment));

  it('refuses to start in production when nobody stands before it', async () => {
    process.env['NODE_ENV'] = 'production';
    await expect(dashboardApp({ dashboard: {} })).rejects.toMatchObject({ code: 'TM_DASHBOARD_OPEN' });
  });

  it('without anybody before it answers this machine only', async () => {
    const { url } = await dashboardApp({ dashboard: {} });
    expect((await fetch(url)).status).toBe(200);
    const statusOf = (headers: Record<string, string>) =>
      new Promise((resolve) =>
        request(url, { headers, agent: false }, (answer) => resolve(answer.resume().statusCode)).end(),
      );
    expect(await statusOf({ host: 'evil.example' })).toBe(403);
    expect(await statusOf({ 'x-forwarded-for': '10.0.0.1' })).toBe(403);
  });

  it('refuses options that it does not know', async () => {
    await expect(dashboardApp({ dashboard: { readonly: true } as never })).rejects.toThrow(
      /readonly: unknown option, did you mean "readOnly"/,
    );
    expect(() => basicAuth({ users: { admin: '' } })).toThrow(/is its environment variable set/);
  });

  it('refuses changes that another site may have asked for', async () => {
    const { url } = await dashboardApp();
    const api = apiOf({ url });
    expect(await api.post('queues/mail/pause', {}, { 'x-taskmaster-dashboard': '' })).toMatchObject({
      status: 403,
    });
    expect(await api.post('queues/mail/pause', {}, { 'sec-fetch-site': 'cross-site' })).toMatchObject({
      status: 403,
    });
    expect(await api.post('queues/mail/pause', {}, { 'content-type': 'text/plain' })).toMatchObject({
      status: 415,
    });
    expect(await api.post('queues/mail/pause', {}, { 'sec-fetch-site': 'same-origin' })).toMatchObject({
      status: 200,
    });
  });

  it('checks permissions on the server', async () => {
    const { url, database } = await dashboardApp({ dashboard: { access: () => ['view', 'retry'] } });
    const id = await new JobTable(database).insert('mail', FAILED);
    const api = apiOf({ url });
    expect((await api.get(`jobs/${id}/payload`)).status).toBe(403);
    expect((await api.get(`jobs?filter=${encodeURIComponent('payload.a:1')}`)).status).toBe(403);
    expect((await api.post(`jobs/${id}/delete`)).status).toBe(403);
    expect((await api.post('jobs/bulk', { action: 'delete', ids: [id] })).status).toBe(403);
    expect((await api.post(`jobs/${id}/retry`)).status).toBe(200);
  });

  it('answers 405 to changes when it is read-only', async () => {
    const { url } = await dashboardApp({ dashboard: { access: () => 'full', readOnly: true } });
    expect(await apiOf({ url }).post('queues/mail/pause')).toMatchObject({
      status: 405,
      body: { error: { code: 'read_only' } },
    });
  });

  it('hides what is redacted, also from searches', async () => {
    const { url, database } = await dashboardApp({
      dashboard: { access: () => 'full', redact: ['password', 'card.*'] },
    });
    const payload = JSON.stringify({ password: 'p', card: { number: '4' }, user: { Password: 'q', id: 7 } });
    const id = await new JobTable(database).insert('mail', { payload });
    const api = apiOf({ url });
    const { body } = await api.get(`jobs/${id}/payload`);
    expect(body).toMatchObject({
      payload: {
        value: {
          password: '[redacted]',
          card: { number: '[redacted]' },
          user: { Password: '[redacted]', id: 7 },
        },
      },
    });
    expect((await api.get('jobs?filter=payload.user.password:q')).status).toBe(403);
    expect((await api.get('jobs?filter=payload.user.id:7&fields=user.id,password')).body).toMatchObject({
      jobs: [{ id, fields: ['7', '[redacted]'] }],
    });
  });

  it('cuts large payloads, and shows none when they are hidden', async () => {
    const cut = await dashboardApp({ dashboard: { access: () => 'full', maxPayloadBytes: 100 } });
    const id = await new JobTable(cut.database).insert('mail', {
      payload: JSON.stringify({ text: 'x'.repeat(500) }),
    });
    expect((await apiOf(cut).get(`jobs/${id}/payload`)).body).toMatchObject({
      payload: { truncated: true, bytes: 511 },
    });
    const hidden = await dashboardApp({ dashboard: { access: () => 'full', hidePayloads: true } });
    expect((await apiOf(hidden).get('jobs/1/payload')).status).toBe(403);
  });

  it('shows queues only to those who may see them', async () => {
    const queues = (_request: unknown, queue: string) => queue === 'mail';
    const { url, database } = await dashboardApp({ dashboard: { access: () => 'full', queues } });
    const table = new JobTable(database);
    const [seen, hidden] = [await table.insert('mail', FAILED), await table.insert('secret', FAILED)];
    const api = apiOf({ url });
    const queuesIn = (body: unknown) =>
      (body as { queues: { queue: string }[] }).queues.map(({ queue }) => queue);
    expect(queuesIn((await api.get('overview')).body)).toEqual(['mail']);
    expect((await api.get('jobs')).body).toMatchObject({ jobs: [{ id: seen }] });
    expect((await api.get('jobs?filter=queue:secret')).body).toMatchObject({ jobs: [] });
    for (const path of [
      `jobs/${hidden}`,
      `jobs/${hidden}/payload`,
      `flows/${hidden}`,
      'queues/secret',
      'series?queue=secret',
    ])
      expect((await api.get(path)).status).toBe(404);
    expect((await api.post(`jobs/${hidden}/delete`)).status).toBe(404);
    expect((await api.post('jobs/bulk', { action: 'delete', ids: [hidden] })).status).toBe(200);
    await delay(200);
    expect(await table.of(hidden)).toBeDefined();
  });

  it('points at what is wrong with a filter', async () => {
    const { url } = await dashboardApp();
    expect(await apiOf({ url }).get('jobs?filter=qeue:mail')).toMatchObject({
      status: 400,
      body: { error: { code: 'TM_INVALID_FILTER', position: 0, length: 9 } },
    });
  });

  it('changes many jobs as an operation that can be followed', async () => {
    const { url, database } = await dashboardApp();
    const table = new JobTable(database);
    for (let index = 0; index < 12; index += 1) await table.insert('mail', FAILED);
    await table.insert('mail');
    const api = apiOf({ url });
    const groups = (await api.get('failures')).body as unknown as {
      groups: { fingerprint: string; count: number }[];
    };
    expect(groups.groups).toMatchObject([{ count: 12 }]);
    const filter = `state:failed fingerprint:${groups.groups[0]!.fingerprint}`;
    const { body } = await api.post('jobs/bulk', { action: 'retry', filter });
    const { operationId } = body as unknown as { operationId: string };
    await eventually(async () =>
      expect((await api.get(`operations/${operationId}`)).body).toMatchObject({
        state: 'done',
        done: 12,
        total: 12,
      }),
    );
    expect(await api.post('jobs/bulk', { action: 'delete', filter: '' })).toMatchObject({ status: 400 });
  });

  it('answers every address of its description, and no other', async () => {
    const { url } = await dashboardApp();
    const api = apiOf({ url });
    const { paths } = (await api.get('openapi.json')).body as unknown as { paths: Record<string, object> };
    const plain = Object.entries(paths).filter(([path, methods]) => 'get' in methods && !path.includes('{'));
    expect(plain.length).toBeGreaterThan(10);
    for (const [path] of plain) expect((await api.get(path.replace('/api/', ''))).status).toBe(200);
    expect((await api.get('nothing')).status).toBe(404);
    expect((await api.get('constructor')).status).toBe(404);
  });

  it('sends no more than so many live updates at once', async () => {
    const { url } = await dashboardApp({ dashboard: { access: () => 'full', live: { maxClients: 1 } } });
    expect((await stream(url)).response.status).toBe(200);
    expect((await fetch(`${url}/api/events`)).status).toBe(503);
  });
});
