import { statement } from './statement.js';

export interface SetMaxPendingArgs {
  readonly queue: string;
  /** 0: no limit; `null`: what the code says. */
  readonly most: number | null;
}

/** What an operator says about the most jobs of a queue. */
export const setMaxPending = statement<SetMaxPendingArgs, never>({
  name: 'set_max_pending',
  text: ({ schema }) => `select ${schema}.set_max_pending($1::text, $2::integer)`,
  values: ({ queue, most }) => [queue, most],
});
