import { InvalidHandlerError } from '../engine/errors.js';
import { labelOf } from './discovered-method.js';
import type { HandlerMethodRef } from './handler.chain.js';
import { parametersOfOneJob } from './handler.parameters.js';

/** @throws InvalidHandlerError for what belongs to one job and means nothing in a batch */
export function assertHandlesBatches(handler: HandlerMethodRef): void {
  const [parameter] = parametersOfOneJob(handler.classRef, handler.method);
  if (parameter !== undefined) {
    throw new InvalidHandlerError(
      `@QueueBatchHandler() ${labelOf(handler)}`,
      `${parameter} is about one job, and it gets many. Take it from the jobs, its second parameter.`,
    );
  }
  if (handler.wrapper.isDependencyTreeDurable()) {
    throw new InvalidHandlerError(
      `@QueueBatchHandler() ${labelOf(handler)}`,
      'its class is durable, so an instance belongs to a tenant, and the jobs of a batch may belong to several. ' +
        'Make it a singleton or request-scoped.',
    );
  }
}
