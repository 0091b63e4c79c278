import type { NestInterceptor } from '@nestjs/common';
import type { ContextId, ExternalContextCreator } from '@nestjs/core';
import type { Job } from '../engine/job/job.js';
import type { JobBatch } from '../engine/job/job-batch.js';
import { isHandlerOutcome } from '../engine/job/outcome.js';
import type { DiscoveredMethod, InstanceWrapper } from './discovered-method.js';
import type { EnhancerKind, EnhancerOptions } from './enhancers.js';
import type { GlobalEnhancers } from './global-enhancers.js';
import { HANDLER_ARGS_METADATA, HANDLER_PARAMS_FACTORY } from './handler.parameters.js';
import { localEnhancers } from './local-enhancers.js';
import { shadowContext, type ContextRules } from './nest-internals.js';
import { OutcomeKeeper } from './outcome.keeper.js';
import type { PayloadRefusals } from './payload.refusals.js';
import { settled } from './settled.js';
import { TASKMASTER_CONTEXT } from './taskmaster.context.js';

/** What a handler runs for: a job, or a batch of them. */
export type Subject = Job | JobBatch;

/** Runs a handler for one attempt, or for one batch. */
export type Invoke = (payload: unknown, job: Subject) => Promise<unknown>;

/** The method of a handler, and where it was found. */
export type HandlerMethodRef = Omit<DiscoveredMethod<unknown>, 'entry'>;

type Enhancers = Readonly<Record<EnhancerKind, readonly unknown[]>>;

/** Guards, interceptors, pipes and filters around the method of a handler, as Nest runs them, with the rules of jobs. */
export class HandlerChain {
  /** @param globals `undefined` when Nest alone decides which apply */
  constructor(
    private readonly contexts: ExternalContextCreator,
    private readonly handler: HandlerMethodRef,
    private readonly switches: Required<EnhancerOptions>,
    private readonly globals: GlobalEnhancers | undefined,
    private readonly refusals: PayloadRefusals,
  ) {}

  /** The chain around an instance; one attempt may need global enhancers of its own. */
  of(instance: unknown, enhancers = this.globals?.singletons, contextId?: ContextId): Invoke {
    if (enhancers === undefined) return this.#create(this.contexts, instance, this.switches, contextId);
    const keeper = new OutcomeKeeper();
    const contexts = shadowContext(this.contexts, jobRules(enhancers, keeper, this.refusals));
    const applying = { guards: true, interceptors: true, filters: enhancers.filters.length > 0 };
    const call = this.#create(contexts, instance, applying, contextId);
    return (payload, job) => keeper.keep(job, () => call(payload, job));
  }

  /** The global enhancers of one attempt. */
  async enhancersFor(
    resolveOne: (wrapper: InstanceWrapper) => Promise<unknown>,
  ): Promise<Enhancers | undefined> {
    return this.globals?.resolve(resolveOne);
  }

  #create(
    contexts: ExternalContextCreator,
    instance: unknown,
    switches: Omit<Required<EnhancerOptions>, 'pipes'>,
    contextId: ContextId | undefined,
  ): Invoke {
    const applies = (kind: Exclude<EnhancerKind, 'pipes'>): boolean =>
      switches[kind] || localEnhancers(this.handler, kind).length > 0;
    return contexts.create(
      ...calleeOf(instance, this.handler.method),
      HANDLER_ARGS_METADATA,
      HANDLER_PARAMS_FACTORY,
      contextId,
      this.handler.wrapper.id,
      // Without a filter Nest would log every error, which is done elsewhere.
      { guards: applies('guards'), interceptors: applies('interceptors'), filters: applies('filters') },
      TASKMASTER_CONTEXT,
    );
  }
}

function jobRules(enhancers: Enhancers, keeper: OutcomeKeeper, refusals: PayloadRefusals): ContextRules {
  return {
    refused: (error) => refusals.note(error),
    globals: (kind) => enhancers[kind],
    interceptors: (applying: readonly NestInterceptor[]) =>
      applying.length === 0 ? applying : [...applying, keeper],
    filtered: async (exception, answer) => {
      if (isHandlerOutcome(exception)) throw exception;
      const answered = await settled(await answer());
      // No filter caught it, or one that only looked on; NestJS 11 says null where 12 says undefined.
      if (answered === undefined || answered === null) throw exception;
      return answered;
    },
    result: async (result) => settled(result),
  };
}

type Create = ExternalContextCreator['create'];
type Callee =
  Parameters<Create> extends [infer Instance, infer Callback, infer Name, ...unknown[]]
    ? [Instance, Callback, Name]
    : never;

function calleeOf(instance: unknown, method: string): Callee {
  const methods = instance as Record<string, Callee[1]>;
  return [instance as Callee[0], methods[method] as Callee[1], method];
}
