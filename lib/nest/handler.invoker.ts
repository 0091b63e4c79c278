import { Injectable, Logger, type NestInterceptor } from '@nestjs/common';
import { ContextIdFactory, ExternalContextCreator, ModuleRef, type ContextId } from '@nestjs/core';
import { InvalidHandlerError } from '../engine/errors.js';
import type { Job } from '../engine/job/job.js';
import { isHandlerOutcome } from '../engine/job/outcome.js';
import { isSingleton, labelOf, type DiscoveredMethod, type InstanceWrapper } from './discovered-method.js';
import type { EnhancerKind, EnhancerOptions } from './enhancers.js';
import { GlobalEnhancers } from './global-enhancers.js';
import { completeParameters, HANDLER_ARGS_METADATA, HANDLER_PARAMS_FACTORY } from './handler.parameters.js';
import { localEnhancers } from './local-enhancers.js';
import { canShadow, shadowContext, type ContextRules } from './nest-internals.js';
import { OutcomeKeeper } from './outcome.keeper.js';
import { settled } from './settled.js';
import { TASKMASTER_CONTEXT } from './taskmaster.context.js';

/** Runs a handler for one attempt. */
export type Invoke = (payload: unknown, job: Job) => Promise<unknown>;

type HandlerMethodRef = Omit<DiscoveredMethod<unknown>, 'entry'>;
type Switches = Required<EnhancerOptions>;

/**
 * Makes the function that runs a handler: finds the instance, and runs guards, interceptors, pipes and filters
 * around the method, by Nest's `ExternalContextCreator`.
 */
@Injectable()
export class HandlerInvoker {
  readonly #logger = new Logger('Taskmaster');
  readonly #shadows: boolean;

  constructor(
    private readonly contexts: ExternalContextCreator,
    private readonly moduleRef: ModuleRef,
  ) {
    this.#shadows = canShadow(contexts);
  }

  /**
   * @param switches the kinds of global enhancers that apply
   * @throws InvalidHandlerError when an enhancer of the handler could not be created by Nest
   */
  create(handler: HandlerMethodRef, switches: Switches): Invoke {
    const decorated = completeParameters(handler.classRef, handler.method);
    assertEnhancersExist(handler);
    if (!this.#shadows) return this.#unshadowed(handler, switches);
    const globals = new GlobalEnhancers(this.contexts, switches);
    if (!isSingleton(handler.wrapper) || globals.scoped) return this.#perAttempt(handler, globals);
    if (!decorated && globals.empty && localEnhancers(handler).length === 0) return direct(handler);
    return this.#singleton(handler, globals);
  }

  /** One chain of enhancers, made once. */
  #singleton(handler: HandlerMethodRef, globals: GlobalEnhancers): Invoke {
    return this.#chain(handler, handler.wrapper.instance, (kind) => globals.singletons(kind));
  }

  /** A new instance for every attempt, or one that is shared by the jobs of a tenant (durable providers). */
  #perAttempt(handler: HandlerMethodRef, globals: GlobalEnhancers): Invoke {
    const durable = handler.wrapper.isDependencyTreeDurable();
    return async (payload, job) => {
      const contextId = this.#contextOf(job, durable);
      const instance = await resolve(handler.wrapper, contextId);
      const enhancers = await globals.resolve((wrapper) => resolve(wrapper, contextId));
      return this.#chain(handler, instance, (kind) => enhancers[kind], contextId)(payload, job);
    };
  }

  /** `REQUEST` is the job; for durable trees what the application's context strategy says, as with HTTP requests. */
  #contextOf(job: Job, durable: boolean): ContextId {
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

  #chain(
    { classRef, method, wrapper }: HandlerMethodRef,
    instance: unknown,
    globals: ContextRules['globals'],
    contextId?: ContextId,
  ): Invoke {
    const keeper = new OutcomeKeeper();
    const contexts = shadowContext(this.contexts, handlerRules(globals, keeper));
    const filters = localEnhancers({ classRef, method }, 'filters').length > 0 || globals('filters').length > 0;
    const call = contexts.create(
      ...callee(instance, method),
      HANDLER_ARGS_METADATA,
      HANDLER_PARAMS_FACTORY,
      contextId,
      wrapper.id,
      { guards: true, interceptors: true, filters },
      TASKMASTER_CONTEXT,
    );
    return (payload, job) => keeper.keep(job, () => call(payload, job));
  }

  /** For a NestJS whose internals have changed: handlers run, but global enhancers cannot be told from local ones. */
  #unshadowed(handler: HandlerMethodRef, switches: Switches): Invoke {
    this.#logger.warn(
      `${labelOf(handler)}: this version of NestJS is unknown to nestjs-taskmaster, so the option "enhancers" is only partly obeyed. Look for an update.`,
    );
    const applies = (kind: EnhancerKind): boolean => switches[kind] || localEnhancers(handler, kind).length > 0;
    const options = {
      guards: applies('guards'),
      interceptors: applies('interceptors'),
      filters: applies('filters'),
    };
    const chain = (instance: unknown, contextId?: ContextId): Invoke =>
      this.contexts.create(
        ...callee(instance, handler.method),
        HANDLER_ARGS_METADATA,
        HANDLER_PARAMS_FACTORY,
        contextId,
        handler.wrapper.id,
        options,
        TASKMASTER_CONTEXT,
      );
    if (isSingleton(handler.wrapper)) return chain(handler.wrapper.instance);
    const durable = handler.wrapper.isDependencyTreeDurable();
    return async (payload, job) => {
      const contextId = this.#contextOf(job, durable);
      return chain(await resolve(handler.wrapper, contextId), contextId)(payload, job);
    };
  }
}

/** Nothing to run around the method: it is called as it is, some microseconds faster. */
function direct({ wrapper, method }: HandlerMethodRef): Invoke {
  const instance = wrapper.instance as Record<string, (payload: unknown, job: Job) => unknown>;
  return async (payload, job) => settled(await instance[method]!(payload, job));
}

function handlerRules(globals: ContextRules['globals'], keeper: OutcomeKeeper): ContextRules {
  return {
    globals,
    interceptors: (applying: readonly NestInterceptor[]) =>
      applying.length === 0 ? applying : [...applying, keeper],
    filtered: async (exception, answer) => {
      if (isHandlerOutcome(exception)) throw exception;
      const answered = await settled(answer());
      // A filter that answers nothing has looked on: the attempt has failed, whatever it did.
      if (answered === undefined) throw exception;
      return answered;
    },
    result: async (result) => settled(result),
  };
}

type Callee = Parameters<ExternalContextCreator['create']> extends [infer Instance, infer Callback, infer Name, ...unknown[]]
  ? [Instance, Callback, Name]
  : never;

function callee(instance: unknown, method: string): Callee {
  const methods = instance as Record<string, Callee[1]>;
  return [instance as Callee[0], methods[method] as Callee[1], method];
}

/** The instance of a provider in a context, by the `ModuleRef` of its own module: another may provide the same class. */
async function resolve(wrapper: InstanceWrapper, contextId: ContextId): Promise<unknown> {
  const moduleRef = wrapper.host?.getProviderByKey<ModuleRef>(ModuleRef)?.instance;
  return moduleRef?.resolve(wrapper.token as Parameters<ModuleRef['resolve']>[0], contextId, { strict: true });
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
