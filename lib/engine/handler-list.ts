import { DuplicateHandlerError } from './errors.js';
import type { AnyHandler, AnyRegistration, BatchHandler, Handler, JobHandler } from './job/handler.js';
import type { AnyQueue } from './job/queue.js';
import type { QueueDefinitionOptions, QueueLimits, QueueOptions } from './job/queue-definition.js';
import { queueNameOf } from './job/queue-name.js';
import { withDefaults } from './option-checker.js';
import { checkBatchRegistration, checkDeadLetter, checkHandlerOptions } from './option-checks.js';
import { BATCH_DEFAULTS, type ResolvedOptions } from './options.js';

/**
 * The handlers of an engine, with their options resolved: the handler's own win over those of its queue's definition, and those over
 * the defaults. A definition in the option `queues` counts for handlers that name their queue by a string.
 */
export class HandlerList {
  readonly #handlers = new Map<string, AnyHandler>();
  readonly #definitions = new Map<string, QueueDefinitionOptions>();

  constructor(private readonly options: ResolvedOptions) {
    for (const queue of options.queues)
      if (typeof queue !== 'string') this.#definitions.set(queue.name, queue.options);
  }

  get all(): readonly AnyHandler[] {
    return [...this.#handlers.values()];
  }

  /** Those this process works for. */
  get consumed(): readonly AnyHandler[] {
    return this.all.filter((handler) => this.options.consumes(handler.queue));
  }

  /** What is known of a queue's limits. */
  limitsOf(queue: string): QueueLimits | undefined {
    return this.#handlers.get(queue)?.options ?? this.#definitions.get(queue);
  }

  /** @throws DuplicateHandlerError, InvalidQueueNameError, InvalidOptionsError */
  add(registration: AnyRegistration): AnyHandler {
    const { queue, label, options = {} } = registration;
    const name = queueNameOf(queue);
    const ofBatches = 'handleBatch' in registration || 'batch' in registration;
    if (ofBatches) checkBatchRegistration(registration);
    else checkHandlerOptions(label, options);
    checkDeadLetter(label, name, options.deadLetter);
    const taken = this.#handlers.get(name);
    if (taken !== undefined) throw new DuplicateHandlerError(name, taken.label, label);
    const common = this.#resolve(registration, name);
    const handler = ofBatches
      ? {
          ...common,
          batch: {
            size: registration.batch.size,
            waitMs: registration.batch.waitMs ?? BATCH_DEFAULTS.waitMs,
          },
          handleBatch: registration.handleBatch as BatchHandler['handleBatch'],
        }
      : { ...common, handle: registration.handle as JobHandler['handle'] };
    this.#handlers.set(name, handler);
    return handler;
  }

  #resolve({ queue, label, options: own }: AnyRegistration, name: string): Handler {
    const { schema, ...defined } = this.#definitionOf(queue, name);
    const queueOptions = withDefaults<Required<QueueOptions> & QueueLimits>(this.options.defaults, defined);
    const options = withDefaults<Handler['options']>({ ...queueOptions, transactional: false }, own);
    return {
      queue: name,
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

/** The module's `defaults` may name a queue that has a handler too: it has no dead letters of its own then. */
function deadLetterOf(queue: string, given: AnyQueue | false): string | undefined {
  const name = given === false ? undefined : queueNameOf(given);
  return name === queue ? undefined : name;
}
