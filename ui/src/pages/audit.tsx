import { useData } from '../data.js';
import { ago, count, moment } from '../format.js';
import { Empty, Refused } from '../parts/error.js';
import type { AuditEntry } from '../types.js';

/** What it was done to, in a few words. */
function targetOf(target: Record<string, unknown>): string {
  return Object.entries(target)
    .filter(([, value]) => value !== undefined && value !== null && value !== false)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}

export function AuditPage() {
  const { data, error, reload } = useData<{ entries: AuditEntry[] }>('audit', {}, { everyMs: 10_000 });
  const entries = data?.entries ?? [];
  return (
    <>
      <header class="page-head">
        <h1>Audit</h1>
        <p class="faint">What has been done by hand, within 90 days</p>
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      {data !== undefined && entries.length === 0 ? (
        <Empty title="Nothing yet" text="Whoever changes something here is written down." />
      ) : (
        <div class="scroll card flush" tabIndex={0} role="region" aria-label="Audit log">
          <table class="rows">
            <caption class="sr">Audit log</caption>
            <thead>
              <tr>
                <th scope="col" class="num">
                  When
                </th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col" class="grow">
                  To what
                </th>
                <th scope="col" class="num">
                  Jobs
                </th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={entry.id}>
                  <td class="num" title={ago(entry.at)}>
                    {moment(entry.at)}
                  </td>
                  <td>
                    {entry.by ?? 'somebody'} <span class="faint">{entry.ip}</span>
                  </td>
                  <th scope="row" class="mono">
                    {entry.action}
                  </th>
                  <td class="clip grow">{targetOf(entry.target)}</td>
                  <td class="num">{count(entry.count)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
