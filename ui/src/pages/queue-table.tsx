import { compact, count, duration } from '../format.js';
import { Icon } from '../icons.js';
import { Spark } from '../parts/spark.js';
import { href } from '../router.js';
import type { Queue } from '../types.js';

/** Queues, a row each. */
export function QueueTable({
  queues,
  label = 'Queues',
}: {
  readonly queues: readonly Queue[];
  readonly label?: string;
}) {
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label={label}>
      <table class="rows">
        <caption class="sr">{label}</caption>
        <thead>
          <tr>
            <th scope="col">Queue</th>
            <th scope="col" class="hide-small">
              Last hour
            </th>
            <th scope="col" class="num">
              Ready
            </th>
            <th scope="col" class="num">
              Running
            </th>
            <th scope="col" class="num hide-small">
              Scheduled
            </th>
            <th scope="col" class="num">
              Failed
            </th>
            <th scope="col" class="num hide-small">
              Done, 24 h
            </th>
            <th scope="col" class="num hide-small">
              Oldest ready
            </th>
            <th scope="col" class="num hide-small">
              Workers
            </th>
          </tr>
        </thead>
        <tbody>
          {queues.map((queue) => (
            <tr key={queue.queue}>
              <th scope="row">
                <a class="strong" href={href(['queues', queue.queue])}>
                  {queue.queue}
                </a>
                {queue.paused !== undefined && (
                  <span class="tag warn" title={queue.paused.reason ?? ''}>
                    <Icon name="pause" size={11} /> paused
                  </span>
                )}
              </th>
              <td class="hide-small">
                <Spark
                  values={queue.minutes}
                  label={`${queue.minutes.reduce((sum, each) => sum + each, 0)} jobs within the last hour`}
                />
              </td>
              <td class="num">
                <a href={href(['jobs'], { filter: `${of(queue.queue)} state:ready` })}>
                  {count(queue.ready, queue.ready >= 10_000)}
                </a>
              </td>
              <td class="num">
                <Gauge value={queue.running} most={queue.slots} />
              </td>
              <td class="num hide-small">
                <a href={href(['jobs'], { filter: `${of(queue.queue)} state:scheduled` })}>
                  {count(queue.scheduled, queue.scheduled >= 10_000)}
                </a>
              </td>
              <td class={`num ${queue.failed > 0 ? 'bad-text' : ''}`}>
                <a href={href(['jobs'], { filter: `${of(queue.queue)} state:failed` })}>
                  {count(queue.failed, queue.failed >= 10_000)}
                </a>
              </td>
              <td class="num hide-small">{compact(queue.lastDay.completed)}</td>
              <td class="num hide-small">{duration(queue.oldestReadyMs)}</td>
              <td class="num hide-small">
                {queue.workers}
                {queue.quietWorkers > 0 && <span class="faint"> +{queue.quietWorkers} quiet</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** How many slots are taken. */
function Gauge({ value, most }: { readonly value: number; readonly most: number }) {
  return (
    <span class="gauge">
      <svg viewBox="0 0 40 4" width="40" height="4" aria-hidden="true">
        <rect class="gauge-back" width="40" height="4" rx="2" />
        <rect
          class="gauge-fill"
          width={most === 0 ? 0 : Math.min(40, (value / most) * 40)}
          height="4"
          rx="2"
        />
      </svg>
      {value}
      <span class="faint">/{most}</span>
    </span>
  );
}

/** A queue as the filter names it. */
export function of(queue: string): string {
  return /[\s",]/.test(queue) ? `queue:${JSON.stringify(queue)}` : `queue:${queue}`;
}
