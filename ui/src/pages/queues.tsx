import { useState } from 'preact/hooks';
import { plural } from '../format.js';
import { overview } from '../live.js';
import { Empty } from '../parts/error.js';
import type { Queue } from '../types.js';
import { QueueTable } from './queue-table.js';

/** Queues whose names begin alike, up to a dot, a slash or a colon, stand together. */
function grouped(queues: readonly Queue[]): [string, Queue[]][] {
  const groups = new Map<string, Queue[]>();
  for (const queue of queues) {
    const name = /^([^./:]+)[./:]/.exec(queue.queue)?.[1] ?? '';
    groups.set(name, [...(groups.get(name) ?? []), queue]);
  }
  return [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

export function QueuesPage() {
  const [text, setText] = useState('');
  const all = overview.value?.queues ?? [];
  const shown = all.filter(({ queue }) => queue.toLowerCase().includes(text.toLowerCase()));
  const groups = grouped(shown);
  return (
    <>
      <header class="page-head">
        <h1>Queues</h1>
        <p class="faint">{plural(all.length, 'queue')}</p>
        <input
          class="search-small"
          aria-label="Name"
          placeholder="Name"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </header>
      {shown.length === 0 && overview.value !== undefined && (
        <Empty
          title="No queue"
          text="Queues appear with their first job, or with the first worker that takes their jobs."
        />
      )}
      {groups.length > 1 && all.length > 8
        ? groups.map(([name, queues]) => (
            <section key={name}>
              <h2 class="section">{name === '' ? 'Others' : name}</h2>
              <QueueTable queues={queues} label={name === '' ? 'Other queues' : `Queues of ${name}`} />
            </section>
          ))
        : shown.length > 0 && <QueueTable queues={shown} />}
    </>
  );
}
