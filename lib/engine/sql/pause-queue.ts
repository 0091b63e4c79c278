import { statement } from './statement.js';

export interface PauseArgs {
  readonly queue: string;
  readonly until: Date | null;
  /** Instead of `until`, by the database's clock. */
  readonly forMs: number | null;
  readonly reason: string | null;
  /** `null`: the role of the connection. */
  readonly by: string | null;
}

/** Nothing of a queue starts in any process; see the database function. */
export const pauseQueue = statement<PauseArgs, never>({
  name: 'pause_queue',
  text: ({
    schema,
  }) => `select ${schema}.pause($1::text, coalesce($2::timestamptz, now() + $3::double precision * interval '1 millisecond'),
                        $4::text, coalesce($5::text, current_user))`,
  values: ({ queue, until, forMs, reason, by }) => [queue, until, forMs, reason, by],
});

/** It goes on. False: it was not paused. */
export const resumeQueue = statement<{ readonly queue: string }, { readonly resumed: boolean }>({
  name: 'resume_queue',
  text: ({ schema }) => `select ${schema}.resume($1::text) as resumed`,
  values: ({ queue }) => [queue],
});
