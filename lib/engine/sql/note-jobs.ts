import { statement } from './statement.js';

/** What a handler has said about its job since the last time. */
export interface JobNote {
  readonly id: string;
  readonly seq: string;
  /** `undefined`: nothing new. */
  readonly progress?: unknown;
  /** Text, or what it was encrypted to. */
  readonly lines: readonly unknown[];
}

/** The most lines that are kept of a job. */
export const MAX_LOG_LINES = 100;

/** Stores progress and log lines of running jobs; of a job that is no longer this attempt's, nothing. */
export const noteJobs = statement<{ readonly notes: readonly JobNote[] }, never>({
  name: 'note_jobs',
  text: ({ jobs }) => `update ${jobs} as job
       set progress = coalesce(note.progress, job.progress),
           logs = case when note.lines = '[]' then job.logs else (
             select jsonb_agg(line order by place)
               from (select line, place from jsonb_array_elements(coalesce(job.logs, '[]') || note.lines) with ordinality as l(line, place)
                      order by place desc limit ${MAX_LOG_LINES}) as newest) end
      from json_to_recordset($1::json) as note(id bigint, seq bigint, progress jsonb, lines jsonb)
     where job.id = note.id and job.seq = note.seq`,
  values: ({ notes }) => [JSON.stringify(notes)],
});

/** A job that a job depends on, and what it has come to. */
export interface ParentRow {
  readonly id: string;
  readonly queue: string | null;
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  /** JSON text; `null` where none is kept. */
  readonly result: string | null;
}

export const parentsOf = statement<{ readonly id: string }, ParentRow>({
  name: 'parents_of',
  text: ({ schema }) =>
    `select id, queue, outcome, result::text as result from ${schema}.parents_of($1::bigint)`,
  values: (args) => [args.id],
});
