/**
 * A process for the signal tests: Nest applications whose handler ends when the table `go` has a row, or its signal aborts.
 * Argument: what to build, as JSON ({@link SignalAppOptions}).
 */
import 'reflect-metadata';
import { Injectable, Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  getPublisherToken,
  getTaskmasterToken,
  InjectTaskmasterPool,
  QueueHandler,
  TaskmasterEvents,
  TaskmasterModule,
  type Job,
  type PublisherService,
} from '../../../lib/index.js';

/** What the process is made of. */
export interface SignalAppOptions {
  readonly url: string;
  readonly schema: string;
  /** The applications, each with the names of its instances. */
  readonly applications: readonly (readonly string[])[];
  /** Whether `enableShutdownHooks()` is called. */
  readonly hooks: boolean;
  readonly handleSignals?: 'auto' | 'off';
  /** Adds a listener like that of the package `signal-exit`, which ends the process if it is the only one. */
  readonly signalExit?: boolean;
}

const options = JSON.parse(process.argv[2]!) as SignalAppOptions;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Pool {
  query(text: string): Promise<{ rowCount: number | null }>;
}

function handlersOf(instance: string): Type {
  @Injectable()
  class Handlers {
    constructor(@InjectTaskmasterPool(instance) private readonly pool: Pool) {}

    @QueueHandler(`wait-${instance}`, { instance })
    async wait(_payload: unknown, job: Job): Promise<void> {
      say(`${instance} started`);
      while (!(await this.#mayGo())) job.signal.throwIfAborted();
      say(`${instance} done`);
    }

    async #mayGo(): Promise<boolean> {
      const { rowCount } = await this.pool.query(`select from go where instance = '${instance}'`);
      return rowCount === 1;
    }

    onModuleDestroy(): void {
      say(`${instance} destroyed`);
    }
  }
  return Handlers;
}

async function start(instances: readonly string[]): Promise<INestApplicationContext> {
  @Module({
    imports: instances.map((name) =>
      TaskmasterModule.forRoot({
        name,
        connection: options.url,
        schema: options.schema,
        handleSignals: options.handleSignals ?? 'auto',
        lease: { heartbeat: 'main' },
        logger: false,
      }),
    ),
    providers: instances.map(handlersOf),
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  if (options.hooks) app.enableShutdownHooks();
  for (const name of instances) {
    const { events$ } = app.get<TaskmasterEvents>(getTaskmasterToken(name, TaskmasterEvents));
    events$.subscribe(({ type }) => say(`${name} ${type}`));
  }
  return app;
}

if (options.signalExit === true) {
  const listener = (): void => {
    if (process.listenerCount('SIGTERM') > 1) return;
    process.off('SIGTERM', listener);
    process.kill(process.pid, 'SIGTERM');
  };
  process.on('SIGTERM', listener);
}
const apps: INestApplicationContext[] = [];
for (const instances of options.applications) apps.push(await start(instances));
for (const [index, app] of apps.entries()) {
  for (const name of options.applications[index]!) {
    await app.get<PublisherService>(getPublisherToken(name)).enqueue(`wait-${name}`);
  }
}
