import type { QueueDefinition } from './queue-definition.js';

/** Anything that names a queue. */
// oxlint-disable-next-line typescript/no-explicit-any -- a definition of whatever payload and result
export type AnyQueue = string | QueueDefinition<any, any, any>;
