import { DuplicateHandlerError } from './errors.js';
import type {
  AnyHandler,
  AnyRegistration,
  BatchHandler,
  Handler,
  HandlerRegistration,
  JobHandler,
} from './job/handler.js';
import type { AnyQueue } from './job/queue.js';
import type {
  PayloadOptions,
  QueueDefinitionOptions,
  QueueLimits,
  QueueOptions,
  QueueRules,
} from './job/queue-definition.js';
import { queueNameOf } from './job/queue-name.js';
import { withDefaults } from './option-checker.js';
import {
  checkBatchRegistration,
  checkDeadLetter,
  checkHandlerOptions,
  checkPayloadOptions,
} from './option-checks.js';
import { BATCH_DEFAULTS, type ResolvedOptions } from './options.js';

/**
 * The handlers of an engine, with their options resolved: the handler's own win over those of its queue's definition, and those over
 * the defaults. A definition in the option `queues` counts for handlers that name their queue by a string.
 */
export class HandlerList {
  readonly #handlers = new Map<string, AnyHandler>();
  readonly #definitions = new Map<string, QueueDefinitionOptions>();
  /** The present names of queues, by their former ones. */
  readonly #renamed = new Map<string, string>();

  constructor(private readonly options: ResolvedOptions) {
    for (const queue of options.queues)
      if (typeof queue !== 'string') this.#define(queue.name, queue.options);
  }

  #define(name: string, options: QueueDefinitionOptions): void {
    this.#definitions.set(name, options);
    for (const former of options.aliases ?? []) this.#renamed.set(former, name);
  }

  get all(): readonly AnyHandler[] {
    return [...this.#handlers.values()];
  }

  /** Those this process works for. */
  get consumed(): readonly AnyHandler[] {
    return this.all.filter((handler) => this.consumes(handler));
  }

  /** A former name of a queue is consumed where the present one is. */
  consumes({ queue, aliasOf }: Handler): boolean {
    return this.options.consumes(aliasOf ?? queue);
  }

  /** What is known of a queue, also by a former name. */
  rulesOf(queue: string): QueueRules | undefined {
    return this.#handlers.get(queue)?.options ?? this.#definitions.get(this.#renamed.get(queue) ?? queue);
  }

  /**
   * @returns the handler, and one for each former name of its queue
   * @throws DuplicateHandlerError, InvalidQueueNameError, InvalidOptionsError
   */
  add(registration: AnyRegistration): readonly AnyHandler[] {
    const handler = this.#checked(registration);
    checkPayloadOptions(handler.label, handler.queue, handler.options);
    const aliases = (handler.options.aliases ?? []).map((queue) => ({
      ...handler,
      queue,
      aliasOf: handler.queue,
    }));
    const all = [handler, ...aliases];
    for (const each of all) this.#assertFree(each);
    for (const each of all) this.#handlers.set(each.queue, each);
    return all;
  }

  #assertFree({ queue, label }: Handler): void {
    const taken = this.#handlers.get(queue);
    if (taken !== undefined) throw new DuplicateHandlerError(queue, taken.label, label);
  }

  #checked(registration: AnyRegistration): AnyHandler {
    const { queue, label, options = {} } = registration;
    const name = queueNameOf(queue);
    const ofBatches = 'handleBatch' in registration || 'batch' in registration;
    if (ofBatches) checkBatchRegistration(registration);
    else checkHandlerOptions(label, options);
    checkDeadLetter(label, name, options.deadLetter);
    const common = this.#resolve(registration, name);
    return ofBatches
      ? {
          ...common,
          batch: {
            size: registration.batch.size,
            waitMs: registration.batch.waitMs ?? BATCH_DEFAULTS.waitMs,
          },
          handleBatch: registration.handleBatch as BatchHandler['handleBatch'],
        }
      : { ...common, ...handlingOf(registration) };
  }

  #resolve({ queue, label, options: own }: AnyRegistration, name: string): Handler {
    const { schema, ...defined } = this.#definitionOf(queue, name);
    const queueOptions = withDefaults<Required<QueueOptions> & QueueLimits & PayloadOptions>(
      this.options.defaults,
      defined,
    );
    const options = withDefaults<Handler['options']>({ ...queueOptions, transactional: false }, own);
    return {
      queue: name,
      aliasOf: undefined,
      label,
      options,
      deadLetter: deadLetterOf(name, options.deadLetter),
      schema,
    };
  }

  #definitionOf(queue: AnyQueue, name: string): QueueDefinitionOptions {
    return typeof queue === 'string' ? (this.#definitions.get(name) ?? {}) : queue.options;
  }
}

function handlingOf({ handle, refusalOf }: HandlerRegistration): Pick<JobHandler, 'handle' | 'refusalOf'> {
  return { handle: handle as JobHandler['handle'], ...(refusalOf && { refusalOf }) };
}

/** The module's `defaults` may name a queue that has a handler too: it has no dead letters of its own then. */
function deadLetterOf(queue: string, given: AnyQueue | false): string | undefined {
  const name = given === false ? undefined : queueNameOf(given);
  return name === queue ? undefined : name;
}
