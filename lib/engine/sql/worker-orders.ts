import { statement } from './statement.js';

/** The worker whose row it is. */
interface WorkerArgs {
  readonly workerId: number;
}

/** What a worker was told last; see `workers.orders` in the migration. No row: it has been declared dead. */
export const workerOrders = statement<WorkerArgs, { readonly orders: number }>({
  name: 'worker_orders',
  text: ({ workers }) => `select orders from ${workers} where id = $1::integer`,
  values: (args) => [args.workerId],
});

/** What a worker works on, when that has changed. */
export const describeWorker = statement<
  WorkerArgs & { readonly queues: Readonly<Record<string, number>> },
  never
>({
  name: 'describe_worker',
  text: ({ workers }) => `update ${workers} set queues = $2::jsonb where id = $1::integer`,
  values: (args) => [args.workerId, JSON.stringify(args.queues)],
});

/** A worker says that it takes nothing new and will end. */
export const drainWorker = statement<WorkerArgs, never>({
  name: 'drain_worker',
  text: ({ workers }) => `update ${workers} set draining = true where id = $1::integer`,
  values: (args) => [args.workerId],
});

export interface OrderWorkerArgs extends WorkerArgs {
  /** 0 work, 1 be quiet, 2 stop. */
  readonly order: number;
}

/** Tells a worker what to do; see the database function. False: no such worker is alive, or it stops. */
export const orderWorker = statement<OrderWorkerArgs, { readonly told: boolean }>({
  name: 'order_worker',
  text: ({ schema }) => `select ${schema}.order_worker($1::integer, $2::integer) as told`,
  values: (args) => [args.workerId, args.order],
});
