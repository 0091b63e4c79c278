import { useData } from '../data.js';
import { bytes, compact, count, duration, moment } from '../format.js';
import { Refused } from '../parts/error.js';
import type { System } from '../types.js';

const SAID = {
  up: 'All is well',
  degraded: 'It works, but not as it should',
  down: 'It does not work',
} as const;

export function SystemPage() {
  const { data: system, error, reload } = useData<System>('system', {}, { everyMs: 10_000 });
  return (
    <>
      <header class="page-head">
        <h1>System</h1>
        {system !== undefined && (
          <span class={`tag ${system.health.status === 'up' ? 'good' : 'bad'}`}>
            {SAID[system.health.status]}
          </span>
        )}
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      {system === undefined ? <div class="card waiting" /> : <Facts system={system} />}
    </>
  );
}

function Facts({ system }: { readonly system: System }) {
  const { details } = system.health;
  const rows: [string, string, boolean?][] = [
    ['PostgreSQL', system.server],
    ['Database', system.database],
    ['Schema version', String(system.migrations.at(-1)?.version ?? 0)],
    [
      'Connections',
      `${system.connections} of ${system.maxConnections}`,
      system.connections > system.maxConnections * 0.8,
    ],
    [
      'Oldest transaction',
      `${duration(system.oldestTransactionMs)}${system.oldestTransaction === undefined ? '' : `, ${system.oldestTransaction}`}`,
      (system.oldestTransactionMs ?? 0) > 300_000,
    ],
    ['Notifications', `queue ${Math.round(system.notifyUsage * 100)} % full`, system.notifyUsage > 0.25],
    ['This process', `${String(details['state'])}, ${details['listening'] === true ? 'listens' : 'polls'}`],
  ];
  return (
    <>
      <section class="card">
        <dl class="facts facts-wide">
          {rows.map(([name, value, isBad = false]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class={isBad ? 'bad-text' : ''}>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <h2 class="section">Tables</h2>
      <div class="scroll card flush" tabIndex={0} role="region" aria-label="Tables">
        <table class="rows">
          <caption class="sr">Tables</caption>
          <thead>
            <tr>
              <th scope="col">Table</th>
              <th scope="col" class="num">
                Rows, about
              </th>
              <th scope="col" class="num">
                Dead rows
              </th>
              <th scope="col" class="num">
                Size
              </th>
              <th scope="col" class="num">
                Indexes
              </th>
              <th scope="col" class="num hide-small">
                Vacuumed
              </th>
            </tr>
          </thead>
          <tbody>
            {system.tables.map((table) => (
              <tr key={table.name}>
                <th scope="row" class="mono">
                  {table.name}
                </th>
                <td class="num">{compact(table.rows)}</td>
                <td
                  class={`num ${table.deadRows > 10_000 && table.deadRows > table.rows * 0.2 ? 'bad-text' : ''}`}
                >
                  {count(table.deadRows)}
                </td>
                <td class="num">{bytes(table.bytes)}</td>
                <td class="num">{bytes(table.indexBytes)}</td>
                <td class="num hide-small">{moment(table.vacuumedAt)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2 class="section">Migrations</h2>
      <div class="scroll card flush" tabIndex={0} role="region" aria-label="Migrations">
        <table class="rows">
          <caption class="sr">Migrations</caption>
          <thead>
            <tr>
              <th scope="col" class="num">
                Version
              </th>
              <th scope="col">Name</th>
              <th scope="col" class="num">
                Applied
              </th>
            </tr>
          </thead>
          <tbody>
            {system.migrations.toReversed().map((migration) => (
              <tr key={migration.version}>
                <td class="num">{migration.version}</td>
                <th scope="row">{migration.name}</th>
                <td class="num">{moment(migration.appliedAt)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
