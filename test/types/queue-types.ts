/**
 * What the compiler must infer, and must refuse, for queues. Checked by `tsc`; nothing here runs.
 */
import { z } from 'zod';
import { defineQueue } from '../../lib/engine/job/define-queue.js';
import type { QueueDefinition } from '../../lib/engine/job/queue-definition.js';
import type { AnyQueue } from '../../lib/engine/job/queue.js';
import type { InputOf, KnownQueueName, PayloadOf, ResultOf } from '../../lib/engine/job/queue-types.js';

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the parameter is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the parameter is the assertion
declare function assertTrue<Proof extends true>(): Proof;

/* A schema types payload and input; they differ where it transforms. */
const Signup = defineQueue('signup', {
  schema: z.object({
    email: z.string(),
    age: z.string().transform(Number),
    plan: z.string().default('free'),
  }),
  maxAttempts: 3,
});
assertTrue<Equal<PayloadOf<typeof Signup>, { email: string; age: number; plan: string }>>();
assertTrue<Equal<InputOf<typeof Signup>, { email: string; age: string; plan?: string | undefined }>>();
assertTrue<Equal<ResultOf<typeof Signup>, unknown>>();

/* Types by hand. */
const Resize = defineQueue<{ key: string }, { url: string }>('resize', { concurrency: 2 });
assertTrue<Equal<PayloadOf<typeof Resize>, { key: string }>>();
assertTrue<Equal<InputOf<typeof Resize>, { key: string }>>();
assertTrue<Equal<ResultOf<typeof Resize>, { url: string }>>();
assertTrue<Equal<typeof Resize, QueueDefinition<{ key: string }, { url: string }>>>();

/* Types by hand, with a schema that agrees with them, or not. */
defineQueue<{ key: string }, number>('resize', { schema: z.object({ key: z.string() }) });
// @ts-expect-error -- the schema makes a number of it
defineQueue<{ key: string }, number>('resize', { schema: z.object({ key: z.number() }) });

/* No types at all. */
const Untyped = defineQueue('untyped');
assertTrue<Equal<PayloadOf<typeof Untyped>, unknown>>();
assertTrue<Equal<ResultOf<typeof Untyped>, unknown>>();

/* Options are checked. */
// @ts-expect-error -- no such option
defineQueue('typo', { concurency: 1 });
// @ts-expect-error -- not a number
defineQueue('typo', { concurrency: '1' });
// @ts-expect-error -- no schema
defineQueue('typo', { schema: {} });
// @ts-expect-error -- a definition cannot be changed
Resize.name = 'other';

/* Plain names: typed where declaration merging says so, by a payload or by a definition. */
declare module '../../lib/engine/job/queue-types.js' {
  interface TaskmasterQueues {
    'test:payload': { to: string };
    'test:definition': typeof Signup;
    'test:lookalike': { name: string; options: { maxAttempts: number } };
  }
}
assertTrue<Equal<PayloadOf<'test:payload'>, { to: string }>>();
assertTrue<Equal<InputOf<'test:payload'>, { to: string }>>();
assertTrue<Equal<ResultOf<'test:payload'>, unknown>>();
assertTrue<Equal<PayloadOf<'test:definition'>, PayloadOf<typeof Signup>>>();
assertTrue<Equal<InputOf<'test:definition'>, InputOf<typeof Signup>>>();
assertTrue<Equal<PayloadOf<'test:lookalike'>, { name: string; options: { maxAttempts: number } }>>();
assertTrue<Equal<PayloadOf<'unlisted'>, unknown>>();
assertTrue<Equal<PayloadOf<string>, unknown>>();
export const known: KnownQueueName = 'test:payload';
// @ts-expect-error -- not listed
export const unknown: KnownQueueName = 'unlisted';

/* The types reach a function that takes any queue, as `enqueue` does. */
declare function enqueue<Queue extends AnyQueue>(queue: Queue, payload: InputOf<Queue>): PayloadOf<Queue>;
enqueue(Signup, { email: 'ada@example.com', age: '36' });
enqueue(Resize, { key: 'a' });
enqueue('test:payload', { to: 'ada@example.com' });
enqueue('unlisted', 5);
enqueue(Untyped, { anything: true });
// @ts-expect-error -- the input, not the output
enqueue(Signup, { email: 'ada@example.com', age: 36 });
// @ts-expect-error -- no such key
enqueue(Resize, { kee: 'a' });
// @ts-expect-error -- not a string
enqueue('test:payload', { to: 5 });
const result = enqueue('test:definition', { email: 'ada@example.com', age: '36' });
assertTrue<Equal<typeof result, { email: string; age: number; plan: string }>>();
export { result };
