import type {
  EnqueuedJob,
  EnqueueOptions,
  Taskmaster,
  TaskmasterOptions,
} from '../../../lib/engine/index.js';
import { tablesOf } from '../../../lib/engine/sql/tables.js';
import { engine } from '../../support/engine.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';

/** One way to set an engine up, or to use it. */
export interface Variant {
  readonly name: string;
  readonly schema?: string;
  readonly options?: (database: TestDatabase) => Partial<TaskmasterOptions>;
  /** How jobs are put in. */
  readonly publish?: (world: Pick<World, 'database' | 'taskmaster'>) => Publish;
}

export type Publish = (queue: string, payload?: unknown, options?: EnqueueOptions) => Promise<EnqueuedJob>;

/** An engine of a variant with its database. */
export interface World {
  readonly database: TestDatabase;
  readonly taskmaster: Taskmaster;
  readonly publish: Publish;
  readonly jobs: string;
  /** The state of a job as everybody sees it; `undefined` when it is gone. */
  readonly state: (id: string) => Promise<Record<string, unknown> | undefined>;
}

export async function worldOf(variant: Variant): Promise<World> {
  const database = await testDatabase(variant.schema === undefined ? {} : { schema: variant.schema });
  const taskmaster = engine(database, variant.options?.(database));
  const { jobs, schema } = tablesOf(database.schema);
  const states = `select state, run_count, last_error ->> 'message' as error from ${schema}.job_states where id = $1`;
  return {
    database,
    taskmaster,
    publish: variant.publish?.({ database, taskmaster }) ?? plainly(taskmaster),
    jobs,
    state: async (id) => (await database.query(states, [id]))[0],
  };
}

function plainly({ publisher }: Taskmaster): Publish {
  return (queue, payload, options) => publisher.enqueue(queue, payload, options);
}
