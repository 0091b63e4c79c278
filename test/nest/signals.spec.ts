import { describe, expect, it } from 'vitest';
import { TaskmasterModule } from '../../lib/index.js';
import { childProcess } from '../support/child-process.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/test-database.js';
import { createApp, taskmasterOptions } from './support/nest-app.js';
import type { SignalAppOptions } from './support/signal-app.js';

/** Above what a process needs to start on a busy machine, all its TypeScript compiled on the way. */
const START_LIMIT_MS = 60_000;
const TIMEOUT = { timeout: 3 * START_LIMIT_MS };

/** Starts a process with one running job for each instance. */
async function signalApp(options: Partial<SignalAppOptions> & Pick<SignalAppOptions, 'hooks'>) {
  const database = await testDatabase();
  await database.query('create table go (instance text)');
  const { url, schema } = database;
  const all: SignalAppOptions = { url, schema, applications: [['default']], ...options };
  const script = new URL('./support/signal-app.ts', import.meta.url);
  const child = childProcess(script, { args: [JSON.stringify(all)], execArgv: nestOfTheRun() });
  for (const name of all.applications.flat()) {
    await child.line(new RegExp(`^${name} started$`), { timeoutMs: START_LIMIT_MS });
  }
  return {
    child,
    /** Lets the running job of an instance end. */
    go: (instance = 'default') => database.query('insert into go values ($1)', [instance]),
    jobs: () => database.query(`select queue_name, run_count from ${schema}.jobs`),
    /** Running jobs are held by leases; without one a job is free again. */
    leased: () => database.query(`select from ${schema}.leases`),
  };
}

/** Arguments with which a process loads the NestJS that this run tests, see `test/nest-11`. */
function nestOfTheRun(): string[] {
  const hooks = process.env['TASKMASTER_TEST_NEST'];
  return hooks === undefined ? [] : ['--import', hooks];
}

describe.each([
  ['without enableShutdownHooks()', false],
  ['with enableShutdownHooks()', true],
])('a process %s', TIMEOUT, (_title, hooks) => {
  it.each(['SIGTERM', 'SIGINT'] as const)('drains at %s, then ends by it', async (signal) => {
    const { child, go, jobs } = await signalApp({ hooks });
    child.kill(signal);
    await child.line(/^default engineDraining$/);
    await go();
    expect(await child.exit()).toEqual({ code: null, signal });
    expect(child.stdout.values).toContain('default done');
    expect(child.stdout.values.includes('default destroyed')).toBe(hooks);
    expect(await jobs()).toEqual([]);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('hands running jobs back at a second %s, and exits with %i', async (signal, code) => {
    const { child, jobs, leased } = await signalApp({ hooks });
    child.kill(signal);
    await child.line(/^default engineDraining$/);
    child.kill(signal);
    expect(await child.exit()).toEqual({ code, signal: null });
    expect(child.stdout.values).not.toContain('default done');
    expect(await jobs()).toEqual([{ queue_name: 'wait-default', run_count: 0 }]);
    expect(await leased()).toEqual([]);
  });

  it('drains all its instances', async () => {
    const { child, go, jobs } = await signalApp({ hooks, applications: [['default', 'other']] });
    child.kill('SIGTERM');
    await child.line(/^default engineDraining$/);
    await child.line(/^other engineDraining$/);
    await go('other');
    await child.line(/^other done$/);
    await go('default');
    expect(await child.exit()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(await jobs()).toEqual([]);
  });

  it('drains all its applications, whichever ends first', async () => {
    const { child, go, jobs } = await signalApp({ hooks, applications: [['one'], ['two']] });
    child.kill('SIGTERM');
    await child.line(/^two engineDraining$/);
    await go('one');
    await child.line(/^one engineStopped$/);
    await go('two');
    expect(await child.exit()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.stdout.values).toContain('two done');
    expect(await jobs()).toEqual([]);
  });

  it('hands back the jobs of all its applications at a second signal', async () => {
    const { child, jobs, leased } = await signalApp({ hooks, applications: [['one'], ['two']] });
    child.kill('SIGTERM');
    await child.line(/^one engineDraining$/);
    await child.line(/^two engineDraining$/);
    child.kill('SIGTERM');
    expect(await child.exit()).toEqual({ code: 143, signal: null });
    expect(await jobs()).toHaveLength(2);
    expect(await leased()).toEqual([]);
  });
});

describe('a process', TIMEOUT, () => {
  it("that asks for handleSignals: 'off' ends at once", async () => {
    const { child, jobs } = await signalApp({ hooks: false, handleSignals: 'off' });
    child.kill('SIGTERM');
    expect(await child.exit()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.stdout.values).not.toContain('default engineDraining');
    expect(await jobs()).toHaveLength(1);
  });

  it('is not kept alive by a listener that leaves the signal to others', async () => {
    const { child } = await signalApp({ hooks: false, signalExit: true });
    child.kill('SIGTERM');
    expect(await child.exit()).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describe('an application', () => {
  const listeners = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');

  it('listens to signals from its start until it is closed, as many instances as it has', async () => {
    const before = listeners();
    const options = taskmasterOptions(await testDatabase());
    const other = { ...taskmasterOptions(await testDatabase()), name: 'other' };
    const app = await createApp({
      imports: [TaskmasterModule.forRoot(options), TaskmasterModule.forRoot(other)],
    });
    expect(listeners()).toBe(before);
    await app.init();
    expect(listeners()).toBe(before + 4);
    await app.close();
    await eventually(() => listeners() === before);
  });
});
