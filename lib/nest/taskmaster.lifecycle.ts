import {
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ModulesContainer, SerializedGraph } from '@nestjs/core';
import { UnknownInstanceError } from '../engine/errors.js';
import type { AnyRegistration } from '../engine/job/handler.js';
import { queueNameOf } from '../engine/job/queue-name.js';
import { labelOf } from './discovered-method.js';
import { resolveEnhancers, type EnhancerOptions } from './enhancers.js';
import type { Invoke } from './handler.chain.js';
import { HandlerExplorer, instanceOf, type DiscoveredHandler } from './handler.explorer.js';
import { HandlerInvoker } from './handler.invoker.js';
import { JobEventBinder, listenedInstanceOf } from './job-event.binder.js';
import { assertHandlesBatches } from './batch-handler.checks.js';
import { checkedBatchHandlerOptions, checkedHandlerOptions } from './module-options.checks.js';
import { ScheduleExplorer, type DiscoveredSchedule } from './schedule.explorer.js';
import { ProcessSignals } from './process.signals.js';
import { TASKMASTER_CONTEXT } from './taskmaster.context.js';
import { TaskmasterCore } from './taskmaster.core.js';

/**
 * Runs the worker pools of an instance. Its module comes last at start and first at shutdown, so that handlers
 * run only while everything they use is initialised and not yet destroyed.
 */
@Injectable()
export class TaskmasterLifecycle implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  readonly #signals: ProcessSignals;
  #stopping = false;

  constructor(
    private readonly core: TaskmasterCore,
    private readonly handlers: HandlerExplorer,
    private readonly schedules: ScheduleExplorer,
    private readonly invoker: HandlerInvoker,
    private readonly listeners: JobEventBinder,
    private readonly modules: ModulesContainer,
    private readonly graph: SerializedGraph,
  ) {
    this.#signals = new ProcessSignals(this.#signalTarget());
    core.onClosed(() => this.#signals.remove());
  }

  /** Finds, checks and registers what is decorated. */
  async onModuleInit(): Promise<void> {
    await this.core.orCloseAll(async () => {
      await this.core.prepareMiddleware();
      this.#registerHandlers();
      this.#bindListeners();
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.core.orCloseAll(async () => {
      if (this.core.nest.autoStart) await this.core.engine.start();
      if (this.core.nest.handleSignals === 'auto') this.#signals.install();
    });
  }

  /** All instances of the application drain at once: Nest would take one after the other, each with its own time limit. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.#siblings().map((lifecycle) => lifecycle.stop()));
  }

  /** Claims no more jobs and waits for those that run, up to the drain timeout. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.core.engine.stop();
  }

  #registerHandlers(): void {
    const handlers = this.handlers.explore();
    for (const handler of handlers) this.#registerHandler(handler);
    for (const schedule of this.schedules.explore(handlers)) this.#registerSchedule(schedule);
  }

  #registerHandler(handler: DiscoveredHandler): void {
    const registration = this.#registrationOf(handler);
    this.#assertInstanceExists(labelOf(handler), instanceOf(handler));
    if (instanceOf(handler) === this.core.name) this.#register(handler, registration());
  }

  #registerSchedule({ definition, label, instance, handler }: DiscoveredSchedule): void {
    this.#assertInstanceExists(label, instance);
    if (instance !== this.core.name) return;
    if (handler !== undefined) this.#registerHandler(handler);
    this.core.engine.schedule(definition, label);
  }

  /** Checked at once; made for the instance that runs it. */
  #registrationOf(handler: DiscoveredHandler): () => AnyRegistration {
    const { entry } = handler;
    const [queue, label] = [entry.queue, labelOf(handler)];
    const invokeWith = (enhancers: EnhancerOptions | undefined): Invoke =>
      this.invoker.create(handler, resolveEnhancers(this.core.nest.enhancers, enhancers));
    if (entry.batches !== true) {
      const { engine: options, enhancers } = checkedHandlerOptions(label, entry.options);
      const refusalOf = (error: unknown) => this.invoker.refusals.of(error);
      return () => ({ queue, label, options, handle: invokeWith(enhancers), refusalOf });
    }
    const { engine: options, batch, enhancers } = checkedBatchHandlerOptions(label, entry.options);
    assertHandlesBatches(handler);
    return () => ({ queue, label, options, batch, handleBatch: invokeWith(enhancers) });
  }

  #register({ classRef, method, entry, wrapper }: DiscoveredHandler, registration: AnyRegistration): void {
    this.core.register(registration, { className: classRef.name, methodName: method });
    this.#addToGraph(wrapper.id, classRef.name, method, queueNameOf(entry.queue));
  }

  /** Shows the handler in Nest's devtools, as it shows routes. */
  #addToGraph(classNodeId: string, className: string, methodName: string, queue: string): void {
    this.graph.insertEntrypoint(
      {
        id: `${classNodeId}_${methodName}_${queue}`,
        type: TASKMASTER_CONTEXT,
        methodName,
        className,
        classNodeId,
        metadata: { key: queue },
      },
      classNodeId,
    );
  }

  #bindListeners(): void {
    for (const listener of this.listeners.explore()) {
      this.#assertInstanceExists(labelOf(listener), listenedInstanceOf(listener));
      if (listenedInstanceOf(listener) !== this.core.name) continue;
      this.core.onClosed(this.core.engine.events.subscribe(this.listeners.bind(listener)));
    }
  }

  #assertInstanceExists(label: string, instance: string): void {
    const known = this.core.instanceNames();
    if (!known.includes(instance)) throw new UnknownInstanceError(label, instance, known);
  }

  #signalTarget() {
    const { core } = this;
    const isStopping = (): boolean => this.#stopping;
    return {
      get stopping() {
        return isStopping();
      },
      drain: async () => {
        await this.stop();
        await core.close();
      },
      handBack: async () => {
        core.engine.forceStop();
        await core.engine.stop();
      },
    };
  }

  #siblings(): TaskmasterLifecycle[] {
    return [...this.modules.values()]
      .map((module) => module.providers.get(TaskmasterLifecycle)?.instance)
      .filter((instance) => instance instanceof TaskmasterLifecycle);
  }
}
