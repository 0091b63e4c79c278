import { statement } from './statement.js';

/** The jobs around a job, as JSON text of a {@link FlowJson}. */
export interface FlowRow {
  readonly flow: string;
}

export interface FlowJson {
  readonly jobs: readonly {
    readonly id: string;
    /** `null`: it has ended and is not kept. */
    readonly queue: string | null;
    readonly state: string | null;
  }[];
  readonly edges: readonly {
    readonly parent: string;
    readonly child: string;
    readonly outcome: string | null;
  }[];
}

/** A job, those it depends on and those that depend on it, and so on; at most so many. */
export const readFlow = statement<{ readonly id: string; readonly limit: number }, FlowRow>({
  name: 'read_flow',
  text: ({ schema }) => `with recursive linked as (
      select $1::bigint as id
      union
      select other.id from linked cross join lateral (
        select dep.parent_id as id from ${schema}.dependencies as dep where dep.child_id = linked.id
        union all
        select dep.child_id from ${schema}.dependencies as dep where dep.parent_id = linked.id) as other
    ), members as materialized (select linked.id from linked limit $2::integer)
    select json_build_object(
             'jobs', (select coalesce(json_agg(json_build_object('id', m.id::text, 'queue', coalesce(live.queue_name, kept.queue_name), 'state', coalesce(live.state, kept.state)) order by m.id), '[]')
                        from members as m
                        left join lateral (select s.queue_name, s.state from ${schema}.job_states as s where s.id = m.id) as live on true
                        left join lateral (select f.queue_name, f.state from ${schema}.finished_jobs as f where f.id = m.id limit 1) as kept on true),
             'edges', (select coalesce(json_agg(json_build_object('parent', dep.parent_id::text, 'child', dep.child_id::text, 'outcome', dep.outcome) order by dep.parent_id, dep.child_id), '[]')
                         from ${schema}.dependencies as dep where dep.child_id in (select m.id from members as m) and dep.parent_id in (select m.id from members as m)))::text as flow`,
  values: (args) => [args.id, args.limit],
});
