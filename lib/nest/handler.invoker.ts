import { Injectable, Logger } from '@nestjs/common';
import { ContextIdFactory, ExternalContextCreator, ModuleRef, type ContextId } from '@nestjs/core';
import { InvalidHandlerError } from '../engine/errors.js';
import type { Job } from '../engine/job/job.js';
import type { JobBatch } from '../engine/job/job-batch.js';
import { isSingleton, labelOf, type InstanceWrapper } from './discovered-method.js';
import type { EnhancerOptions } from './enhancers.js';
import { GlobalEnhancers } from './global-enhancers.js';
import { HandlerChain, type HandlerMethodRef, type Invoke, type Subject } from './handler.chain.js';
import { completeParameters } from './handler.parameters.js';
import { localEnhancers } from './local-enhancers.js';
import { canShadow } from './nest-internals.js';
import { PayloadRefusals } from './payload.refusals.js';
import { settled } from './settled.js';

/**
 * Makes the function that runs a handler: finds the instance, and runs guards, interceptors, pipes and filters
 * around the method, by Nest's `ExternalContextCreator`.
 */
@Injectable()
export class HandlerInvoker {
  /** Payloads that pipes have refused. */
  readonly refusals = new PayloadRefusals();
  readonly #logger = new Logger('Taskmaster');

  constructor(
    private readonly contexts: ExternalContextCreator,
    private readonly moduleRef: ModuleRef,
  ) {}

  /**
   * @param switches the kinds of global enhancers that apply
   * @throws InvalidHandlerError when an enhancer of the handler could not be created by Nest
   */
  create(handler: HandlerMethodRef, switches: Required<EnhancerOptions>): Invoke {
    const decorated = completeParameters(handler.classRef, handler.method);
    assertEnhancersExist(handler);
    const globals = this.#globalsFor(handler, switches);
    const perAttempt = !isSingleton(handler.wrapper) || globals?.scoped === true;
    const bare = !decorated && globals?.empty === true && localEnhancers(handler).length === 0;
    if (bare && !perAttempt) return direct(handler);
    const chain = new HandlerChain(this.contexts, handler, switches, globals, this.refusals);
    return perAttempt ? this.#perAttempt(handler, chain) : chain.of(handler.wrapper.instance);
  }

  /** `undefined` in a NestJS whose internals are not known: handlers run, but global enhancers cannot be told from local ones. */
  #globalsFor(handler: HandlerMethodRef, switches: Required<EnhancerOptions>): GlobalEnhancers | undefined {
    if (canShadow(this.contexts)) return new GlobalEnhancers(this.contexts, switches);
    this.#logger.warn(
      `${labelOf(handler)}: nestjs-taskmaster does not know this version of NestJS, so the option "enhancers" is only partly obeyed. Look for an update.`,
    );
    return undefined;
  }

  /** A new instance for every attempt, or one that is shared by the jobs of a tenant (durable providers). */
  #perAttempt({ wrapper }: HandlerMethodRef, chain: HandlerChain): Invoke {
    const durable = wrapper.isDependencyTreeDurable();
    return async (payload, job) => {
      const contextId = this.#contextOf(job, durable);
      const instance = await resolve(wrapper, contextId);
      const enhancers = await chain.enhancersFor((enhancer) => resolve(enhancer, contextId));
      return chain.of(instance, enhancers, contextId)(payload, job);
    };
  }

  /** `REQUEST` is the job; for durable trees what the application's context strategy says, as with HTTP requests. */
  #contextOf(job: Subject, durable: boolean): ContextId {
    if (Array.isArray(job)) return this.#contextOfBatch(job);
    const contextId = ContextIdFactory.getByRequest(job);
    if (contextId.getParent === undefined) {
      this.moduleRef.registerRequestByContextId(job, contextId);
      return contextId;
    }
    const { payload } = contextId as { payload?: object };
    if (!durable) addMissing(job, payload ?? {});
    this.moduleRef.registerRequestByContextId(durable ? payload : job, contextId);
    return contextId;
  }

  /** `REQUEST` is the batch. No context strategy is asked: its jobs may belong to several tenants. */
  #contextOfBatch(jobs: JobBatch): ContextId {
    const contextId = ContextIdFactory.create();
    this.moduleRef.registerRequestByContextId(jobs, contextId);
    return contextId;
  }
}

/** Nothing to run around the method: it is called as it is, some microseconds faster. */
function direct({ wrapper, method }: HandlerMethodRef): Invoke {
  const instance = wrapper.instance as Record<string, (payload: unknown, job: Subject) => unknown>;
  return async (payload, job) => settled(await instance[method]!(payload, job));
}

/** The instance of a provider in a context, by the `ModuleRef` of its own module: another may provide the same class. */
async function resolve(wrapper: InstanceWrapper, contextId: ContextId): Promise<unknown> {
  const moduleRef = wrapper.host?.getProviderByKey<ModuleRef>(ModuleRef)?.instance;
  return moduleRef?.resolve(wrapper.token as Parameters<ModuleRef['resolve']>[0], contextId, {
    strict: true,
  });
}

/** What a context strategy knows about the job is put where it puts it on requests, but replaces nothing. */
function addMissing(job: Job, properties: object): void {
  for (const [name, value] of Object.entries(properties)) {
    if (!(name in job)) Object.defineProperty(job, name, { value });
  }
}

/** Enhancers given as classes are created for class providers only; elsewhere Nest would silently leave them out. */
function assertEnhancersExist(handler: HandlerMethodRef): void {
  if (!handler.wrapper.isNotMetatype) return;
  const injectables = handler.wrapper.host?.injectables;
  const missing = localEnhancers(handler).find(
    (enhancer) => typeof enhancer === 'function' && injectables?.has(enhancer) !== true,
  );
  if (missing === undefined) return;
  throw new InvalidHandlerError(
    labelOf(handler),
    `Nest does not create ${(missing as { name: string }).name} for it, because it is provided by a factory or as a value. ` +
      'Provide the class itself, or give the decorator an instance.',
  );
}
