import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from '../api.js';
import { useData } from '../data.js';
import { ago, count, moment, plural } from '../format.js';
import { ask } from '../parts/dialog.js';
import { Empty, Refused } from '../parts/error.js';
import { StateBadge } from '../parts/state.js';
import { go, href, place } from '../router.js';
import { change, settings } from '../settings.js';
import { beginOperation, may } from '../store.js';
import type { Job } from '../types.js';
import { FilterBar } from './filter-bar.js';

interface Page {
  jobs: Job[];
  cursor?: string;
  window?: number;
}

const LIMIT = 50;
const ACTIONS: [action: string, label: string, permission: string, danger: boolean][] = [
  ['retry', 'Retry', 'retry', false],
  ['run-now', 'Run now', 'retry', false],
  ['requeue', 'Begin anew', 'edit', false],
  ['cancel', 'Cancel', 'cancel', true],
  ['delete', 'Delete', 'delete', true],
];

export function JobsPage() {
  const { query } = place.value;
  const filter = query.get('filter') ?? '';
  const cursor = query.get('cursor') ?? undefined;
  const fields = settings.value.fields;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  // Rows do not move while somebody has chosen some.
  const still = selected.size > 0 || all || cursor !== undefined;
  const { data, error, loading, reload } = useData<Page>(
    'jobs',
    { filter, cursor, limit: LIMIT, fields: fields.join(',') },
    { everyMs: still ? 0 : 3_000 },
  );
  const counted = useData<{ count: number; capped: boolean }>(
    'jobs/count',
    { filter },
    { everyMs: still ? 0 : 6_000, when: error === undefined },
  );
  const jobs = data?.jobs ?? [];
  const setFilter = (next: string) => {
    setSelected(new Set());
    setAll(false);
    go(['jobs'], { filter: next });
  };
  useEffect(() => {
    setSelected(new Set());
    setAll(false);
  }, [filter]);
  const isFilterError = error?.status === 400 && error.position !== undefined;
  return (
    <>
      <header class="page-head">
        <h1>Jobs</h1>
        <p class="faint" aria-live="polite">
          {counted.data === undefined ? ' ' : `${count(counted.data.count, counted.data.capped)} match`}
        </p>
        <FieldsButton />
      </header>
      <FilterBar filter={filter} error={isFilterError ? error : undefined} onFilter={setFilter} />
      {error !== undefined && !isFilterError && <Refused error={error} onAgain={reload} />}
      {data?.window !== undefined && (
        <p class="faint note-line">
          Searched among the {count(data.window)} newest jobs. Add a queue or a state to look closer.
        </p>
      )}
      {jobs.length === 0 && !loading && error === undefined ? (
        <Empty
          title="Nothing here"
          text={
            filter === ''
              ? 'No job waits, runs or has failed. Completed jobs are gone unless their queue keeps them.'
              : 'No job matches this filter.'
          }
        />
      ) : (
        <JobTable
          jobs={jobs}
          fields={fields}
          selected={selected}
          all={all}
          onSelect={setSelected}
          busy={loading}
        />
      )}
      <footer class="pager">
        {cursor !== undefined && (
          <button type="button" onClick={() => history.back()}>
            Newer
          </button>
        )}
        {data?.cursor !== undefined && (
          <button type="button" onClick={() => go(['jobs'], { filter, cursor: data.cursor })}>
            Older
          </button>
        )}
      </footer>
      {(selected.size > 0 || all) && (
        <BulkBar
          filter={filter}
          ids={[...selected]}
          all={all}
          total={counted.data}
          onAll={() => setAll(true)}
          onNone={() => {
            setSelected(new Set());
            setAll(false);
          }}
        />
      )}
    </>
  );
}

/** Columns from payloads. */
function FieldsButton() {
  if (!may('view_payload')) return null;
  return (
    <button
      type="button"
      class="quiet small"
      onClick={() =>
        ask({
          title: 'Columns from payloads',
          text: 'Paths in payloads, separated by commas, such as user.id, to.',
          verb: 'Show',
          input: { label: 'Paths', value: settings.value.fields.join(', ') },
          onYes: (text) =>
            change({
              fields: text
                .split(',')
                .map((path) => path.trim())
                .filter(Boolean)
                .slice(0, 6),
            }),
        })
      }
    >
      Columns
    </button>
  );
}

interface TableProps {
  readonly jobs: readonly Job[];
  readonly fields: readonly string[];
  readonly selected: ReadonlySet<string>;
  readonly all: boolean;
  readonly busy: boolean;
  readonly onSelect: (ids: ReadonlySet<string>) => void;
}

function JobTable({ jobs, fields, selected, all, busy, onSelect }: TableProps) {
  const [row, setRow] = useState(-1);
  const last = useRef<number>(-1);
  const body = useRef<HTMLTableSectionElement>(null);
  const canChange = ['retry', 'cancel', 'delete', 'edit'].some(may);
  const toggle = (index: number, range: boolean) => {
    const next = new Set(selected);
    const job = jobs[index];
    if (job === undefined) return;
    const on = !selected.has(job.id);
    const [from, to] =
      range && last.current >= 0
        ? [Math.min(last.current, index), Math.max(last.current, index)]
        : [index, index];
    for (const each of jobs.slice(from, to + 1)) {
      if (on) next.add(each.id);
      else next.delete(each.id);
    }
    last.current = index;
    onSelect(next);
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as HTMLElement).tagName) ||
        document.querySelector('dialog[open]') !== null
      )
        return;
      const move = { j: 1, k: -1 }[event.key];
      if (move !== undefined) setRow(Math.max(0, Math.min(jobs.length - 1, row + move)));
      else if (event.key === 'x' && row >= 0 && canChange) toggle(row, event.shiftKey);
      else if (event.key === 'Enter' && row >= 0 && event.target === document.body && jobs[row] !== undefined)
        go(['jobs', jobs[row].id]);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });
  useEffect(() => body.current?.children[row]?.scrollIntoView({ block: 'nearest' }), [row]);
  const whole = jobs.length > 0 && jobs.every((job) => selected.has(job.id));
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Jobs" aria-busy={busy}>
      <table class="rows">
        <caption class="sr">Jobs, the newest first</caption>
        <thead>
          <tr>
            {canChange && (
              <th scope="col" class="check">
                <input
                  type="checkbox"
                  aria-label="Select all on this page"
                  checked={whole || all}
                  onChange={() => onSelect(whole ? new Set() : new Set(jobs.map((job) => job.id)))}
                />
              </th>
            )}
            <th scope="col">Job</th>
            <th scope="col">State</th>
            <th scope="col">Queue</th>
            <th scope="col" class="num hide-small">
              Attempts
            </th>
            {fields.map((field) => (
              <th scope="col" key={field} class="mono hide-small">
                {field}
              </th>
            ))}
            <th scope="col" class="grow hide-small">
              Last error
            </th>
            <th scope="col" class="num">
              When
            </th>
          </tr>
        </thead>
        <tbody ref={body}>
          {jobs.map((job, index) => (
            <tr
              key={job.id}
              class={`${index === row ? 'row-at' : ''} ${selected.has(job.id) || all ? 'row-on' : ''}`}
            >
              {canChange && (
                <td class="check">
                  <input
                    type="checkbox"
                    aria-label={`Select job ${job.id}`}
                    checked={selected.has(job.id) || all}
                    onClick={(event) => {
                      event.preventDefault();
                      setTimeout(() => toggle(index, event.shiftKey));
                    }}
                  />
                </td>
              )}
              <th scope="row">
                <a class="mono strong" href={href(['jobs', job.id])}>
                  {job.id}
                </a>
              </th>
              <td>
                <StateBadge state={job.state} />
              </td>
              <td class="clip">{job.queue}</td>
              <td class="num hide-small">
                {job.runCount}
                {job.maxAttempts !== undefined && <span class="faint">/{job.maxAttempts}</span>}
              </td>
              {fields.map((field, column) => (
                <td key={field} class="mono clip hide-small">
                  {job.fields?.[column] ?? <span class="faint">–</span>}
                </td>
              ))}
              <td class="clip grow hide-small">
                {job.lastError === undefined ? (
                  <span class="faint">–</span>
                ) : (
                  <span title={job.lastError.message}>
                    <span class="bad-text">{job.lastError.name}</span> {job.lastError.message}
                  </span>
                )}
              </td>
              <td class="num" title={moment(whenOf(job))}>
                {ago(whenOf(job))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function whenOf(job: Job): string {
  return job.finishedAt ?? job.failedAt ?? job.lockedAt ?? job.runAt ?? job.createdAt;
}

interface BulkProps {
  readonly filter: string;
  readonly ids: readonly string[];
  readonly all: boolean;
  readonly total: { count: number; capped: boolean } | undefined;
  readonly onAll: () => void;
  readonly onNone: () => void;
}

/** What can be done to the jobs that are chosen. */
function BulkBar({ filter, ids, all, total, onAll, onNone }: BulkProps) {
  const number = all ? count(total?.count ?? 0, total?.capped) : count(ids.length);
  const begin = (action: string) => {
    onNone();
    void beginOperation({ action, ...(all ? { filter } : { ids }) });
  };
  return (
    <div class="bulk" role="region" aria-label="Chosen jobs">
      <b>{number} chosen</b>
      {!all && total !== undefined && total.count > ids.length && filter !== '' && (
        <button type="button" class="link" onClick={onAll}>
          Select all {count(total.count, total.capped)} matching
        </button>
      )}
      <span class="bulk-actions">
        {ACTIONS.filter(([, , permission]) => may(permission)).map(([action, label, , danger]) => (
          <button
            key={action}
            type="button"
            class={danger ? 'danger' : ''}
            onClick={() =>
              danger || all
                ? ask({
                    title: `${label} ${number} jobs?`,
                    text: all
                      ? `All jobs that match ${filter}. Jobs for which it makes no sense are left alone.`
                      : 'Jobs for which it makes no sense are left alone.',
                    verb: `${label} ${number}`,
                    danger,
                    ...(danger && all ? { typed: action } : {}),
                    onYes: () => begin(action),
                  })
                : begin(action)
            }
          >
            {label}
          </button>
        ))}
        <button type="button" onClick={() => void download(filter, all ? undefined : ids)}>
          Export
        </button>
        <button type="button" class="quiet" onClick={onNone}>
          None
        </button>
      </span>
    </div>
  );
}

/** At most 1,000 jobs, as JSON. */
async function download(filter: string, ids: readonly string[] | undefined): Promise<void> {
  const { jobs } = await get<Page>('jobs', {
    filter: ids === undefined ? filter : `id:${ids.join(',')}`,
    limit: 1_000,
  });
  const url = URL.createObjectURL(
    new Blob([JSON.stringify(jobs, undefined, 2)], { type: 'application/json' }),
  );
  const link = Object.assign(document.createElement('a'), {
    href: url,
    download: `jobs-${plural(jobs.length, 'job').replaceAll(' ', '-')}.json`,
  });
  link.click();
  URL.revokeObjectURL(url);
}
