import { part, post } from '../api.js';
import { useData } from '../data.js';
import { ago, count, duration, moment } from '../format.js';
import { Icon } from '../icons.js';
import { ask } from '../parts/dialog.js';
import { Refused } from '../parts/error.js';
import { href, place } from '../router.js';
import { attempt, may } from '../store.js';
import type { Queue, Worker } from '../types.js';
import { Charts, RangePicker } from './charts.js';
import { of } from './queue-table.js';
import { WorkerTable } from './workers.js';

type Detail = Queue & { workerList: Worker[] };

export function QueuePage() {
  const name = place.value.parts[1] ?? '';
  const { data: queue, error, reload } = useData<Detail>(`queues/${part(name)}`, {}, { everyMs: 3_000 });
  return (
    <>
      <header class="page-head">
        <h1>{name}</h1>
        {queue?.paused !== undefined && (
          <span class="tag warn">
            <Icon name="pause" size={11} /> paused
          </span>
        )}
        <RangePicker />
        {queue !== undefined && <Actions queue={queue} reload={reload} />}
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      {queue?.paused !== undefined && (
        <p class="note warn">
          Paused {ago(queue.paused.since)} by {queue.paused.by ?? 'somebody'}
          {queue.paused.reason === undefined ? '' : `: ${queue.paused.reason}`}
          {queue.paused.until === undefined
            ? '. Nothing starts until it is resumed.'
            : `. It goes on at ${moment(queue.paused.until)}.`}
        </p>
      )}
      <ul class="tiles" aria-label="At a glance">
        {(['ready', 'running', 'scheduled', 'blocked', 'failed'] as const).map((state) => (
          <li key={state}>
            <a
              class={`tile ${state === 'failed' && (queue?.failed ?? 0) > 0 ? 'tile-bad' : ''}`}
              href={href(['jobs'], { filter: `${of(name)} state:${state}` })}
            >
              <span class="tile-label">{state}</span>
              <span class="tile-value">{count(queue?.[state], (queue?.[state] ?? 0) >= 10_000)}</span>
              <span class="tile-note">{state === 'running' ? `of ${queue?.slots ?? 0} slots` : ' '}</span>
            </a>
          </li>
        ))}
        <li>
          <span class="tile">
            <span class="tile-label">Oldest ready</span>
            <span class="tile-value">{duration(queue?.oldestReadyMs)}</span>
            <span class="tile-note"> </span>
          </span>
        </li>
      </ul>
      <Charts queue={name} />
      <h2 class="section">Workers</h2>
      <WorkerTable workers={queue?.workerList ?? []} />
    </>
  );
}

function Actions({ queue, reload }: { readonly queue: Detail; readonly reload: () => void }) {
  const act = (verb: string, said: string, body: object = {}) =>
    void attempt(async () => {
      await post(`queues/${part(queue.queue)}/${verb}`, body);
      return said;
    }).then(reload);
  return (
    <div class="actions">
      {may('pause_queue') &&
        (queue.paused === undefined ? (
          <button
            type="button"
            onClick={() =>
              ask({
                title: `Pause ${queue.queue}?`,
                text: 'Nothing of it starts, in any process; what runs goes on, and jobs can be enqueued.',
                verb: 'Pause',
                input: { label: 'Why, for your colleagues' },
                onYes: (reason) => act('pause', `${queue.queue} is paused`, reason === '' ? {} : { reason }),
              })
            }
          >
            <Icon name="pause" size={14} /> Pause
          </button>
        ) : (
          <button type="button" class="primary" onClick={() => act('resume', `${queue.queue} goes on`)}>
            <Icon name="play" size={14} /> Resume
          </button>
        ))}
      {may('purge_queue') && (
        <button
          type="button"
          class="danger"
          onClick={() =>
            ask({
              title: `Empty ${queue.queue}?`,
              text: 'Jobs that are ready, scheduled or blocked are gone for good. Those that run or have failed stay.',
              verb: 'Empty it',
              typed: queue.queue,
              danger: true,
              onYes: () => act('purge', `${queue.queue} is empty`),
            })
          }
        >
          <Icon name="trash" size={14} /> Empty
        </button>
      )}
    </div>
  );
}
