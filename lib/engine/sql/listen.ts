import { statement } from './statement.js';

/** Says to everybody on the schema's channel. */
export const notifyChannel = statement<{ readonly channel: string; readonly payload: string }, never>({
  name: 'notify_channel',
  text: () => `select pg_notify($1::text, $2::text) where pg_notification_queue_usage() < 0.5`,
  values: (args) => [args.channel, args.payload],
});

/** First key of the advisory locks by which idle workers ask to be rung; the second is the hash of the queue. */
const BELL_LOCK = 1413830740;

/** Asks for the bell of these queues; '' for newly scheduled jobs. Held by the session until it ends or {@link disarmBells}. */
export const armBells = statement<{ readonly queues: readonly string[] }, never>({
  name: 'arm_bells',
  text: () =>
    `select pg_advisory_lock_shared(${BELL_LOCK}, hashtext(queue)) from unnest($1::text[]) as queue`,
  values: (args) => [args.queues],
});

export const disarmBells = statement<{ readonly queues: readonly string[] }, never>({
  name: 'disarm_bells',
  text: () =>
    `select pg_advisory_unlock_shared(${BELL_LOCK}, hashtext(queue)) from unnest($1::text[]) as queue`,
  values: (args) => [args.queues],
});
