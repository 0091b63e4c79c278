import { count, duration, plural } from '../format.js';
import { Icon } from '../icons.js';
import { overview } from '../live.js';
import { Empty } from '../parts/error.js';
import { href } from '../router.js';
import type { Overview } from '../types.js';
import { Charts, RangePicker } from './charts.js';
import { QueueTable } from './queue-table.js';

export function OverviewPage() {
  const now = overview.value;
  return (
    <>
      <header class="page-head">
        <h1>Overview</h1>
        <RangePicker />
      </header>
      <Tiles now={now} />
      {now !== undefined && now.problems.length > 0 && <Problems now={now} />}
      <Charts />
      <h2 class="section">Queues</h2>
      {now !== undefined && now.queues.length === 0 ? (
        <Empty
          title="No queue yet"
          text="Queues appear with their first job, or with the first worker that takes their jobs."
        />
      ) : (
        <QueueTable queues={now?.queues ?? []} />
      )}
    </>
  );
}

function Tiles({ now }: { readonly now: Overview | undefined }) {
  const more = now?.capped === true;
  return (
    <ul class="tiles" aria-label="At a glance">
      <Tile
        label="Ready"
        value={count(now?.ready, more && (now?.ready ?? 0) >= 10_000)}
        note="wait for a slot"
        filter="state:ready"
      />
      <Tile
        label="Running"
        value={count(now?.running)}
        note={now === undefined ? ' ' : `of ${plural(now.slots, 'slot')}`}
        filter="state:running"
      />
      <Tile
        label="Scheduled"
        value={count(now?.scheduled, (now?.scheduled ?? 0) >= 10_000)}
        note="wait for their time"
        filter="state:scheduled"
      />
      <Tile
        label="Retrying"
        value={count(now?.retrying)}
        note="wait for another attempt"
        filter="state:scheduled attempts:>0"
      />
      <Tile
        label="Failed, 24 h"
        value={count(now?.lastDay.failed)}
        note={now === undefined ? ' ' : `${count(now.failed, now.failed >= 10_000)} to look at`}
        filter="state:failed"
        bad={(now?.lastDay.failed ?? 0) > 0}
      />
      <Tile
        label="Oldest ready"
        value={now?.oldestReadyMs === undefined ? '–' : duration(now.oldestReadyMs)}
        note={now?.oldestReadyMs === undefined ? 'nothing waits' : 'has waited so long'}
        filter="state:ready"
        bad={(now?.oldestReadyMs ?? 0) > 300_000}
      />
    </ul>
  );
}

function Tile({
  label,
  value,
  note,
  filter,
  bad = false,
}: {
  readonly label: string;
  readonly value: string;
  readonly note: string;
  readonly filter: string;
  readonly bad?: boolean;
}) {
  return (
    <li>
      <a class={`tile ${bad ? 'tile-bad' : ''}`} href={href(['jobs'], { filter })}>
        <span class="tile-label">{label}</span>
        <span class="tile-value">{value}</span>
        <span class="tile-note">{note}</span>
      </a>
    </li>
  );
}

function Problems({ now }: { readonly now: Overview }) {
  return (
    <section class="card problems" aria-label="What looks wrong">
      <ul>
        {now.problems.slice(0, 4).map((problem) => (
          <li key={problem.kind + problem.queue}>
            <Icon name="failures" />
            <a class="strong" href={href(['queues', problem.queue])}>
              {problem.queue}
            </a>
            <span>{problem.text}</span>
          </li>
        ))}
        {now.problems.length > 4 && <li class="faint">and {now.problems.length - 4} more</li>}
      </ul>
    </section>
  );
}
