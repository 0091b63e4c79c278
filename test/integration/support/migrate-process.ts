/**
 * A process that migrates: for tests of what many of them do at once, and of what a killed one leaves behind.
 * Takes the connection and the schema, and the SQL of one more migration, as JSON. Prints `applied` and the versions.
 */
import pg from 'pg';
import { MIGRATIONS } from '../../../lib/engine/schema/migrations.generated.js';
import { Migrator } from '../../../lib/engine/schema/migrator.js';

interface Task {
  readonly config: pg.ClientConfig;
  readonly schema: string;
  readonly oneMore?: string;
}

const { config, schema, oneMore } = JSON.parse(process.argv[2]!) as Task;
const more = oneMore === undefined ? [] : [{ version: 999, name: 'more', breaking: false, sql: oneMore }];
const client = new pg.Client(config);
await client.connect();
const applied = await new Migrator(schema, [...MIGRATIONS, ...more]).run(client);
process.stdout.write(`applied ${JSON.stringify(applied)}\n`);
await client.end();
