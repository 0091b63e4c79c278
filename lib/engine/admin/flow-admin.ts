import type { StatementPool } from '../connection/statement-pool.js';
import type { JobState } from '../job/job-state.js';
import { problemsOf, throwProblems } from '../option-checker.js';
import { type FlowJson, readFlow } from '../sql/read-flow.js';
import { jobId } from './job-filter.js';

/** A job of a flow. */
export interface FlowMember {
  readonly id: string;
  /** `undefined`: it has ended and is not kept. */
  readonly queue: string | undefined;
  readonly state: JobState | undefined;
}

/** Jobs that depend on one another. */
export interface FlowRecord {
  readonly jobs: readonly FlowMember[];
  /** Which waits for which; `outcome`: how the parent has ended, when the child was told. */
  readonly edges: readonly {
    readonly parent: string;
    readonly child: string;
    readonly outcome: string | undefined;
  }[];
  /** There are more jobs than are told of. */
  readonly more: boolean;
}

const MOST = 500;

/** Flows: to look at. */
export class FlowAdmin {
  constructor(private readonly options: { readonly statements: StatementPool }) {}

  /** The flow that a job is in, at most 500 jobs of it; one that depends on nothing is alone in it. */
  async get(id: string): Promise<FlowRecord> {
    throwProblems('flows.get', problemsOf({ id }, { id: jobId }, ['id']));
    const [row] = await this.options.statements.run('flows.get', readFlow, { id, limit: MOST });
    const { jobs, edges } = JSON.parse(row?.flow ?? '{"jobs":[],"edges":[]}') as FlowJson;
    return {
      jobs: jobs.map((job) => ({
        id: job.id,
        queue: job.queue ?? undefined,
        state: (job.state ?? undefined) as JobState | undefined,
      })),
      edges: edges.map((edge) => ({ ...edge, outcome: edge.outcome ?? undefined })),
      more: jobs.length >= MOST,
    };
  }
}
