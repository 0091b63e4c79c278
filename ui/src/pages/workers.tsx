import { post } from '../api.js';
import { useData } from '../data.js';
import { ago, duration, moment, plural } from '../format.js';
import { ask } from '../parts/dialog.js';
import { Empty, Refused } from '../parts/error.js';
import { href } from '../router.js';
import { attempt, may } from '../store.js';
import type { Worker } from '../types.js';

const BEAT_MS = 5_000;

export function WorkersPage() {
  const { data, error, reload } = useData<{ workers: Worker[] }>('workers', {}, { everyMs: 3_000 });
  const workers = data?.workers ?? [];
  return (
    <>
      <header class="page-head">
        <h1>Workers</h1>
        <p class="faint">
          {data === undefined
            ? ' '
            : `${plural(workers.length, 'worker')}, ${plural(
                workers.reduce((sum, worker) => sum + worker.running, 0),
                'job',
              )} running`}
        </p>
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      <WorkerTable workers={workers} onChange={reload} loading={data === undefined} />
    </>
  );
}

/** Late heartbeats are told in words too. */
function beatOf({ heartbeatAt }: Worker): [kind: string, text: string] {
  const ms = Date.now() - Date.parse(heartbeatAt);
  if (ms > 3 * BEAT_MS) return ['bad-text', `late: ${ago(heartbeatAt)}`];
  if (ms > 2 * BEAT_MS) return ['warn-text', ago(heartbeatAt)];
  return ['', ago(heartbeatAt)];
}

export function WorkerTable({
  workers,
  onChange,
  loading = false,
}: {
  readonly workers: readonly Worker[];
  readonly onChange?: () => void;
  readonly loading?: boolean;
}) {
  if (workers.length === 0 && !loading)
    return <Empty title="No worker" text="No process works on this. Jobs wait until one does." />;
  const tell = (worker: Worker, verb: string, said: string) =>
    void attempt(async () => {
      await post(`workers/${worker.id}/${verb}`);
      return said;
    }).then(onChange);
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Workers">
      <table class="rows">
        <caption class="sr">Workers</caption>
        <thead>
          <tr>
            <th scope="col">Worker</th>
            <th scope="col">State</th>
            <th scope="col">Host</th>
            <th scope="col" class="num hide-small">
              Version
            </th>
            <th scope="col">Queues</th>
            <th scope="col" class="num">
              Running
            </th>
            <th scope="col" class="num hide-small">
              Oldest job
            </th>
            <th scope="col" class="num hide-small">
              Up for
            </th>
            <th scope="col" class="num">
              Heartbeat
            </th>
            <th scope="col">
              <span class="sr">Orders</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => {
            const [kind, beat] = beatOf(worker);
            const slots = worker.queues.reduce((sum, { slots: each }) => sum + each, 0);
            return (
              <tr key={worker.id}>
                <th scope="row">
                  <span class="mono strong">{worker.id}</span> <span class="faint">{worker.name}</span>
                </th>
                <td>
                  <span class={`tag ${worker.state === 'running' ? 'good' : 'warn'}`}>{worker.state}</span>
                </td>
                <td class="mono">
                  {worker.host ?? '–'}
                  <span class="faint">{worker.pid === undefined ? '' : `:${worker.pid}`}</span>
                </td>
                <td class="num hide-small">{worker.version ?? '–'}</td>
                <td class="wrap">
                  {worker.queues.slice(0, 8).map(({ queue, slots: each }) => (
                    <a class="tag" key={queue} href={href(['queues', queue])}>
                      {queue} <span class="faint">{each}</span>
                    </a>
                  ))}
                  {worker.queues.length > 8 && <span class="faint"> +{worker.queues.length - 8}</span>}
                </td>
                <td class="num">
                  {worker.running}
                  <span class="faint">/{slots}</span>
                </td>
                <td class="num hide-small">{duration(worker.oldestRunningMs)}</td>
                <td class="num hide-small" title={moment(worker.startedAt)}>
                  {duration(Date.now() - Date.parse(worker.startedAt))}
                </td>
                <td class={`num ${kind}`}>{beat}</td>
                <td class="row-actions">
                  {may('control_worker') && worker.state !== 'draining' && onChange !== undefined && (
                    <>
                      {worker.state === 'running' ? (
                        <button
                          type="button"
                          class="small"
                          onClick={() => tell(worker, 'quiet', `Worker ${worker.id} takes nothing new`)}
                        >
                          Quiet
                        </button>
                      ) : (
                        <button
                          type="button"
                          class="small"
                          onClick={() => tell(worker, 'resume', `Worker ${worker.id} works again`)}
                        >
                          Resume
                        </button>
                      )}
                      <button
                        type="button"
                        class="small danger"
                        onClick={() =>
                          ask({
                            title: `Stop worker ${worker.id}?`,
                            text: 'It finishes what runs and stops. It does not come back by itself.',
                            verb: 'Stop it',
                            danger: true,
                            onYes: () => tell(worker, 'stop', `Worker ${worker.id} stops`),
                          })
                        }
                      >
                        Stop
                      </button>
                    </>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
