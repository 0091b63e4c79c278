/** What somebody has told a worker: to work, to take nothing new until it is told to work again, or to drain and stop. */
export type Order = 'work' | 'quiet' | 'stop';

const ORDERS: readonly Order[] = ['work', 'quiet', 'stop'];

/** The last of the orders that `workers.orders` counts: the remainder by 4. */
export function lastOrderOf(orders: number): Order {
  return ORDERS[orders % 4] ?? 'work';
}
