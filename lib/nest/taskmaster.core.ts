import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../engine/errors.js';
import type { AnyRegistration } from '../engine/job/handler.js';
import type { Job } from '../engine/job/job.js';
import type { JobBatch } from '../engine/job/job-batch.js';
import { Taskmaster } from '../engine/taskmaster.js';
import { MiddlewareChain } from './middleware.chain.js';
import { checkedModuleOptions, type NestOptions } from './module-options.checks.js';
import { TaskmasterLogger } from './taskmaster.logger.js';
import { INSTANCE_NAME, MODULE_OPTIONS, type TaskmasterModuleOptions } from './taskmaster.options.js';

/** Where a handler comes from. */
export interface HandlerSource {
  /** `undefined` for a function given to `TaskmasterRuntime.register()`. */
  readonly className: string | undefined;
  readonly methodName: string;
}

/**
 * One instance of Taskmaster in an application: its engine, opened before and closed after everything that uses it.
 * Its module comes first at start and last at shutdown; the worker pools are `TaskmasterLifecycle`'s, which comes last and first.
 */
@Injectable()
export class TaskmasterCore implements OnModuleInit, OnApplicationShutdown {
  readonly engine: Taskmaster;
  readonly nest: NestOptions;
  readonly sources = new Map<string, HandlerSource>();
  readonly #middleware: MiddlewareChain<Job>;
  readonly #batchMiddleware: MiddlewareChain<JobBatch>;
  readonly #cleanups: (() => void)[] = [];
  #opened = false;
  #closing: Promise<void> | undefined;

  /** @throws InvalidOptionsError listing every problem */
  constructor(
    @Inject(INSTANCE_NAME) readonly name: string,
    @Inject(MODULE_OPTIONS) options: TaskmasterModuleOptions,
    private readonly modules: ModulesContainer,
    private readonly moduleRef: ModuleRef,
  ) {
    const { engine, nest } = checkedModuleOptions(name, options);
    this.nest = nest;
    this.#middleware = new MiddlewareChain(nest.middleware);
    this.#batchMiddleware = new MiddlewareChain(nest.batchMiddleware);
    this.engine = new Taskmaster({
      ...engine,
      name,
      middleware: this.#middleware.functions,
      batchMiddleware: this.#batchMiddleware.functions,
    });
    if (nest.logger) this.onClosed(new TaskmasterLogger(name).follow(this.engine.events));
  }

  async onModuleInit(): Promise<void> {
    await this.orCloseAll(async () => {
      this.#assertNameIsFree();
      await this.open();
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  /** The publisher works afterwards. Costs nothing once it does. */
  async open(): Promise<void> {
    if (this.#opened) return;
    await this.engine.open();
    this.#opened = true;
  }

  /** Nothing of the instance is left afterwards. Running jobs are drained first, if that has not been done. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** Runs when the engine has been closed. */
  onClosed(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  register(handler: AnyRegistration, source: HandlerSource): void {
    this.engine.register(handler);
    this.sources.set(typeof handler.queue === 'string' ? handler.queue : handler.queue.name, source);
  }

  /** Makes the middleware that is given as classes. */
  async prepareMiddleware(): Promise<void> {
    await this.#middleware.resolve(this.modules, this.moduleRef);
    await this.#batchMiddleware.resolve(this.modules, this.moduleRef);
  }

  /** A boot that fails leaves no connection open, in none of the application's instances: Nest calls no hooks then. */
  async orCloseAll(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      await Promise.allSettled(this.#siblings().map((core) => core.close()));
      throw error;
    }
  }

  /** Names of the instances in this application. */
  instanceNames(): string[] {
    return this.#siblings().map((core) => core.name);
  }

  async #close(): Promise<void> {
    try {
      await this.engine.close();
    } finally {
      for (const cleanup of this.#cleanups) cleanup();
    }
  }

  #assertNameIsFree(): void {
    if (this.#siblings().filter((core) => core.name === this.name).length === 1) return;
    throw new InvalidOptionsError('TaskmasterModule', [
      `two instances of this application are named "${this.name}": import the module once, or give one of them another name`,
    ]);
  }

  /** All instances of the application, this one included. Each is found twice: their runtime modules have it too. */
  #siblings(): TaskmasterCore[] {
    const found = [...this.modules.values()]
      .map((module) => module.providers.get(TaskmasterCore)?.instance)
      .filter((instance) => instance instanceof TaskmasterCore);
    return [...new Set(found)];
  }
}
