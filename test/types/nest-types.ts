/**
 * What the compiler must accept, and must refuse, of the Nest layer. Checked by `tsc`; nothing here runs.
 */
import { Injectable, Module } from '@nestjs/common';
import { of, type Observable } from 'rxjs';
import { z } from 'zod';
import {
  ack,
  defineQueue,
  Job,
  JobRef,
  JobSignal,
  OnJobEvent,
  Payload,
  PublisherService,
  QueueBatchHandler,
  QueueHandler,
  reject,
  Scheduled,
  snooze,
  TaskmasterAdmin,
  TaskmasterModule,
  TaskmasterRuntime,
  type CompletedEvent,
  type FailedEvent,
  type JobBatch,
  type JobMiddleware,
  type TaskmasterEvent,
} from '../../lib/index.js';

interface Email {
  readonly to: string;
}
interface Sent {
  readonly messageId: string;
}
const SendEmail = defineQueue<Email, Sent>('send_email');
const Signup = defineQueue('signup', { schema: z.object({ age: z.string().transform(Number) }) });
const Fire = defineQueue<Email, void>('fire');

/* Named by a definition, a handler may take fewer parameters, and return, promise or emit the result, or an outcome. */
@Injectable()
export class Accepted {
  @QueueHandler(SendEmail)
  async both(email: Email, job: Job<Email>): Promise<Sent> {
    return { messageId: email.to + job.payload.to };
  }
  @QueueHandler(SendEmail, {
    concurrency: 3,
    instance: 'reports',
    enhancers: { guards: true },
    transactional: true,
  })
  sync({ to }: Email): Sent {
    return { messageId: to };
  }
  @QueueHandler(SendEmail)
  none(): Observable<Sent> {
    return of({ messageId: '' });
  }
  @QueueHandler(SendEmail)
  async outcomes(email: Email) {
    if (email.to === '') return reject('nobody');
    if (email.to === 'later') return snooze(1_000);
    return { messageId: '1' };
  }
  @QueueHandler(SendEmail)
  acked() {
    return ack({ messageId: '1' });
  }
  @QueueHandler(Fire)
  async fire() {}
  @QueueHandler(Signup)
  signup(payload: { age: number }) {
    return payload.age;
  }
  @QueueHandler('anything')
  plain(payload: { whatever: boolean }) {
    return payload.whatever;
  }
  @QueueHandler('a')
  @QueueHandler('b')
  several(payload: unknown, job: Job) {
    return [payload, job.queue];
  }
}

/* Decorated parameters: beyond the second they are free, the second may be the signal, and `any` frees them all. */
@Injectable()
export class Decorated {
  @QueueHandler(SendEmail)
  third(@Payload() email: Email, @JobRef() job: Job<Email>, @Payload('to') to: string): Sent {
    return { messageId: email.to + job.id + to };
  }
  @QueueHandler(SendEmail)
  second(@Payload() email: Email, @JobSignal() signal: AbortSignal): Sent {
    return { messageId: `${email.to} ${signal.aborted}` };
  }
  // oxlint-disable-next-line typescript/no-explicit-any -- how the check is turned off
  @QueueHandler<any>(SendEmail)
  free(@JobRef() job: Job, @Payload('to') to: string): Sent {
    return { messageId: job.id + to };
  }
  // @ts-expect-error -- in another order, the check must be turned off
  @QueueHandler(SendEmail)
  order(@JobRef() job: Job, @Payload('to') to: string): Sent {
    return { messageId: job.id + to };
  }
}

@Injectable()
export class Refused {
  // @ts-expect-error -- another payload
  @QueueHandler(SendEmail)
  payload(email: { nope: number }): Sent {
    return { messageId: String(email.nope) };
  }
  // @ts-expect-error -- another payload of the job
  @QueueHandler(SendEmail)
  job(email: Email, job: Job<{ nope: number }>): Sent {
    return { messageId: email.to + job.id };
  }
  // @ts-expect-error -- another result
  @QueueHandler(SendEmail)
  async result() {
    return 5;
  }
  // @ts-expect-error -- no result
  @QueueHandler(SendEmail)
  nothing() {}
  // @ts-expect-error -- the input of the schema, not its output
  @QueueHandler(Signup)
  input(payload: { age: string }) {
    return payload.age;
  }
  // @ts-expect-error -- a known name with another payload
  @QueueHandler('known')
  known(payload: { n: string }) {
    return payload.n;
  }
  // @ts-expect-error -- an unknown option
  @QueueHandler(SendEmail, { retries: 3 })
  option(): Sent {
    return { messageId: '' };
  }
  // @ts-expect-error -- a property is no method
  @QueueHandler(SendEmail)
  property = 5;
}

/* Plain names are typed by declaration merging. */
declare module '../../lib/engine/job/queue-types.js' {
  interface TaskmasterQueues {
    known: { n: number };
  }
}
@Injectable()
export class Known {
  @QueueHandler('known')
  known(payload: { n: number }) {
    return payload.n;
  }
}

/* Handlers of batches get lists of payloads and jobs, and return nothing where that is a result, or an answer a job. */
@Injectable()
export class AcceptedBatches {
  @QueueBatchHandler(SendEmail, { size: 10 })
  async answers(emails: Email[], jobs: JobBatch<Email>) {
    if (jobs.signal.aborted) return emails.map(() => new Error('too late'));
    return emails.map((email, index) =>
      email.to === '' ? reject('nobody') : { messageId: jobs[index]!.id },
    );
  }
  @QueueBatchHandler(SendEmail, { size: 10, waitMs: 5, concurrency: 2, instance: 'reports' })
  promises(emails: readonly Email[], jobs: readonly Job<Email>[]) {
    return emails.map(async ({ to }): Promise<Sent> => ({ messageId: to + jobs.length }));
  }
  @QueueBatchHandler(SendEmail, { size: 10 })
  all(_emails: Email[], signal: AbortSignal): Observable<Sent[]> {
    return of([{ messageId: String(signal.aborted) }]);
  }
  @QueueBatchHandler(SendEmail, { size: 10 })
  outcome() {
    return snooze(1_000);
  }
  @QueueBatchHandler(Fire, { size: 10 })
  async fire(_emails: Email[]) {}
  @QueueBatchHandler(Signup, { size: 10 })
  signup(payloads: { age: number }[]) {
    return payloads.map(({ age }) => age);
  }
  @QueueBatchHandler('known', { size: 10 })
  known(payloads: { n: number }[]): void {
    payloads.map(({ n }) => n + 1);
  }
  @QueueBatchHandler('anything', { size: 10 })
  plain(payloads: { whatever: boolean }[]) {
    return payloads.length;
  }
}

@Injectable()
export class RefusedBatches {
  // @ts-expect-error -- one payload, not many
  @QueueBatchHandler(SendEmail, { size: 10 })
  payload(email: Email): Sent[] {
    return [{ messageId: email.to }];
  }
  // @ts-expect-error -- other payloads
  @QueueBatchHandler(SendEmail, { size: 10 })
  payloads(emails: { nope: number }[]): Sent[] {
    return emails.map(({ nope }) => ({ messageId: String(nope) }));
  }
  // @ts-expect-error -- jobs of other payloads
  @QueueBatchHandler(SendEmail, { size: 10 })
  jobs(_emails: Email[], jobs: Job<{ nope: number }>[]): Sent[] {
    return jobs.map((job) => ({ messageId: job.id }));
  }
  // @ts-expect-error -- other results
  @QueueBatchHandler(SendEmail, { size: 10 })
  async results() {
    return [5];
  }
  // @ts-expect-error -- one result, not many
  @QueueBatchHandler(SendEmail, { size: 10 })
  result(): Sent {
    return { messageId: '' };
  }
  // @ts-expect-error -- nothing, of a queue that promises a result
  @QueueBatchHandler(SendEmail, { size: 10 })
  nothing() {}
  // @ts-expect-error -- settled, not promised: a rejection would be a result
  @QueueBatchHandler(SendEmail, { size: 10 })
  settled(emails: Email[]) {
    return Promise.allSettled(emails.map(async ({ to }) => ({ messageId: to })));
  }
  // @ts-expect-error -- no size
  @QueueBatchHandler(SendEmail, { waitMs: 5 })
  size(): Sent[] {
    return [];
  }
  // @ts-expect-error -- no transaction
  @QueueBatchHandler(SendEmail, { size: 10, transactional: true })
  transactional(): Sent[] {
    return [];
  }
}

/* Publishing: the payload is what the queue takes, before validation. */
export async function publish(publisher: PublisherService, name: string): Promise<void> {
  const job = await publisher.enqueue(SendEmail, { to: 'a@example.com' }, { delayMs: 5 });
  job.id satisfies string;
  await publisher.enqueue(Signup, { age: '42' });
  await publisher.enqueue('known', { n: 1 });
  await publisher.enqueue('anything', { whatever: true });
  await publisher.enqueue('anything');
  await publisher.enqueue(name, 5);
  await publisher.enqueueMany(SendEmail, [{ to: 'a' }, { to: 'b' }]);
  await publisher.enqueueMany([{ queue: SendEmail, payload: { to: 'a' } }, { queue: 'other' }]);
  (await publisher.withTransaction(async (tx) => (await tx.query('select 1')).rowCount)) satisfies
    number | null;
  // @ts-expect-error -- another payload
  await publisher.enqueue(SendEmail, { nope: 1 });
  // @ts-expect-error -- no payload
  await publisher.enqueue(SendEmail);
  // @ts-expect-error -- the output of the schema, not its input
  await publisher.enqueue(Signup, { age: 42 });
  // @ts-expect-error -- a known name with another payload
  await publisher.enqueue('known', { n: '1' });
  // @ts-expect-error -- one of the payloads is another
  await publisher.enqueueMany(SendEmail, [{ to: 'a' }, { nope: 1 }]);
  // @ts-expect-error -- an unknown option
  await publisher.enqueue(SendEmail, { to: 'a' }, { delay: 5 });
}

/* Batches, and dependencies with a policy of their own. */
export async function batches(publisher: PublisherService, job: Job): Promise<void> {
  const batch = await publisher.batch((each) => each.add(SendEmail, { to: 'a' }, { priority: 1 }), {
    onSucceeded: { queue: 'known', payload: { n: 1 }, delayMs: 5 },
    open: true,
  });
  batch.id satisfies string;
  batch.jobs[0]?.deduplicated satisfies boolean | undefined;
  await publisher.enqueue(SendEmail, { to: 'b' }, { batch });
  await publisher.enqueue(SendEmail, { to: 'c' }, { batch: batch.id });
  (await publisher.closeBatch(batch)) satisfies boolean;
  job.batch?.id satisfies string | undefined;
  job.batch?.failed satisfies number | undefined;
  await publisher.enqueue('anything', 1, { dependsOn: ['1', { job: '2', onFailure: 'ignore' }] });
  // @ts-expect-error -- a callback counts in no batch
  await publisher.batch(() => undefined, { onFinished: { queue: 'anything', batch: '1' } });
  // @ts-expect-error -- its batch is the one that is built
  await publisher.batch((each) => each.add('anything', 1, { batch: '1' }));
  // @ts-expect-error -- no policy
  await publisher.enqueue('anything', 1, { dependsOn: [{ job: '2', onFailure: 'continue' }] });
}

/* Handlers without decorators. */
export function register(runtime: TaskmasterRuntime): void {
  runtime.register(SendEmail, async ({ to }, job) => ({ messageId: to + job.payload.to }));
  runtime.register('known', ({ n }) => n + 1);
  runtime.register('anything', (payload) => String(payload), { concurrency: 1 });
  // @ts-expect-error -- another result
  runtime.register(SendEmail, () => 5);
  // @ts-expect-error -- another payload
  runtime.register(SendEmail, (payload: { nope: number }) => ({ messageId: String(payload.nope) }));
}

/* Those of batches. */
export function registerBatches(runtime: TaskmasterRuntime): void {
  runtime.registerBatch(
    SendEmail,
    async (emails, jobs) => emails.map(({ to }) => ({ messageId: to + jobs[0]?.payload.to })),
    {
      size: 10,
    },
  );
  runtime.registerBatch('known', (payloads) => payloads.map(({ n }) => n + 1), { size: 10, waitMs: 50 });
  runtime.registerBatch('anything', () => undefined, { size: 10, concurrency: 1 });
  // @ts-expect-error -- other results
  runtime.registerBatch(SendEmail, () => [5], { size: 10 });
  // @ts-expect-error -- no size
  runtime.registerBatch(SendEmail, () => [], {});
}

/* Listeners. */
@Injectable()
export class Listeners {
  @OnJobEvent('failed', SendEmail)
  onFailed({ error }: FailedEvent) {
    return error.message;
  }
  @OnJobEvent('completed', 'send_email', { instance: 'reports' })
  onAny({ at }: TaskmasterEvent) {
    return at;
  }
  // @ts-expect-error -- another event
  @OnJobEvent('failed')
  wrong({ runMs }: CompletedEvent) {
    return runMs;
  }
  // @ts-expect-error -- no such event
  @OnJobEvent('exploded')
  unknown() {}
}

/* The module. */
class Tracing implements JobMiddleware {
  async use(_job: Job, next: () => Promise<unknown>) {
    return next();
  }
}
@Module({
  imports: [
    TaskmasterModule.forRoot({ connection: process.env['DATABASE_URL'] }),
    TaskmasterModule.forRoot({
      name: 'reports',
      isGlobal: false,
      connection: { host: 'localhost' },
      autoStart: false,
      handleSignals: 'off',
      enhancers: { guards: true },
      middleware: [
        Tracing,
        new Tracing(),
        (job, next) => (job.signal.aborted ? Promise.resolve(undefined) : next()),
      ],
      batchMiddleware: [(jobs, next) => (jobs.signal.aborted ? Promise.resolve(undefined) : next())],
    }),
    TaskmasterModule.forRootAsync({
      name: 'async',
      inject: ['URL'],
      useFactory: async (url: string) => ({ connection: url, logger: false }),
    }),
    // @ts-expect-error -- an unknown option
    TaskmasterModule.forRoot({ connection: '', autostart: false }),
    // @ts-expect-error -- no connection
    TaskmasterModule.forRoot({}),
  ],
})
export class AppModule {}

/* A schedule whose queue is given by a definition has its payload and its method checked; nothing is known of a plain name. */
@Injectable()
export class ScheduledMethods {
  constructor(private readonly admin: TaskmasterAdmin) {}

  @Scheduled('0 2 * * *', { name: 'plain' })
  plain(): number {
    return 1;
  }
  @Scheduled({ everyMs: 60_000 }, { name: 'typed', queue: SendEmail, payload: { to: 'a' }, missed: 'all' })
  typed(email: Email, job: Job<Email>): Sent {
    return { messageId: `${email.to} ${job.scheduledFor?.toISOString() ?? ''}` };
  }
  // @ts-expect-error -- not the payload of the queue
  @Scheduled('0 2 * * *', { name: 'payload', queue: SendEmail, payload: { to: 1 } })
  payload(_email: Email): Sent {
    return { messageId: '' };
  }
  // @ts-expect-error -- not the result of the queue
  @Scheduled('0 2 * * *', { name: 'result', queue: SendEmail, payload: { to: 'a' } })
  result(_email: Email): number {
    return 1;
  }
  // @ts-expect-error -- a schedule has a name
  @Scheduled('0 2 * * *', { queue: 'mail' })
  nameless(): void {}

  async store(): Promise<Date | undefined> {
    await this.admin.schedules.upsert({ name: 'a', cron: '* * * * *', queue: Signup, payload: { age: '7' } });
    // @ts-expect-error -- what is enqueued is a string, what the handler gets is a number
    await this.admin.schedules.upsert({ name: 'a', cron: '* * * * *', queue: Signup, payload: { age: 7 } });
    // @ts-expect-error -- an expression or an interval
    await this.admin.schedules.upsert({ name: 'a', cron: '* * * * *', everyMs: 1_000 });
    const { nextRunAt } = await this.admin.schedules.upsert({ name: 'a', everyMs: 1_000 });
    return nextRunAt;
  }
}

/* What is known of a reason follows from its code. */
export async function facts(admin: TaskmasterAdmin): Promise<string | undefined> {
  const explanation = await admin.jobs.explain('1');
  // @ts-expect-error -- there may be no such job
  explanation.text.trim();
  for (const reason of explanation?.reasons ?? []) {
    if (reason.code === 'globalConcurrency') return reason.facts.holders[0];
    if (reason.code === 'paused') return reason.facts.by;
    // @ts-expect-error -- no reason of this code
    if (reason.code === 'tired') return undefined;
  }
  // @ts-expect-error -- a job that has failed cannot be cancelled
  await admin.jobs.cancel({ state: 'failed' });
  await admin.jobs.reprocess(
    { queue: SendEmail, state: ['completed'] },
    { edit: ({ to }: Email) => ({ to }) },
  );
  await admin.queues.pause(SendEmail, { forMs: 1_000 });
  const { ready, capped } = await admin.queues.stats('mail');
  const [worker] = await admin.workers.list();
  return `${ready} ${capped} ${worker?.queues[0]?.slots}`;
}
