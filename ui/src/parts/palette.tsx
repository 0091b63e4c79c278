import { signal } from '@preact/signals';
import { useMemo, useState } from 'preact/hooks';
import { overview } from '../live.js';
import { go } from '../router.js';
import { Dialog } from './dialog.js';

export const paletteOpen = signal(false);
export const helpOpen = signal(false);

interface Entry {
  readonly label: string;
  readonly hint: string;
  readonly run: () => void;
}

const PAGES = [
  'overview',
  'jobs',
  'queues',
  'schedules',
  'workers',
  'flows',
  'failures',
  'system',
  'audit',
  'settings',
];

function entries(text: string): Entry[] {
  const found: Entry[] = [];
  const wanted = text.trim().toLowerCase();
  if (/^\d+$/.test(wanted))
    found.push({ label: `Job ${wanted}`, hint: 'open', run: () => go(['jobs', wanted]) });
  for (const page of PAGES)
    if (page.includes(wanted))
      found.push({
        label: page[0]?.toUpperCase() + page.slice(1),
        hint: 'page',
        run: () => go(page === 'overview' ? [] : [page]),
      });
  for (const { queue } of overview.value?.queues ?? [])
    if (queue.toLowerCase().includes(wanted))
      found.push({ label: queue, hint: 'queue', run: () => go(['queues', queue]) });
  if (wanted !== '')
    found.push({ label: text.trim(), hint: 'filter jobs', run: () => go(['jobs'], { filter: text.trim() }) });
  return found.slice(0, 12);
}

/** Goes anywhere by typing a part of its name. */
export function Palette() {
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState(0);
  const list = useMemo(() => entries(text), [text]);
  const close = () => (paletteOpen.value = false);
  const take = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    close();
    entry.run();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setChosen(Math.min(list.length - 1, chosen + 1));
    else if (event.key === 'ArrowUp') setChosen(Math.max(0, chosen - 1));
    else if (event.key === 'Enter') take(list[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog label="Go to" onClose={close}>
      <div class="palette">
        <input
          aria-label="A page, a queue, the id of a job, or a filter"
          placeholder="A page, a queue, the id of a job, or a filter"
          value={text}
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={`palette-${chosen}`}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setChosen(0);
          }}
          onKeyDown={onKey}
        />
        <ul id="palette-list" role="listbox" aria-label="Places">
          {list.map((entry, index) => (
            <li
              key={`${entry.hint}${entry.label}`}
              id={`palette-${index}`}
              role="option"
              aria-selected={index === chosen}
              onClick={() => take(entry)}
            >
              {entry.label}
              <span class="faint">{entry.hint}</span>
            </li>
          ))}
        </ul>
      </div>
    </Dialog>
  );
}

const KEYS: [string, string][] = [
  ['Ctrl K', 'go anywhere'],
  ['/', 'search jobs'],
  ['g o', 'overview'],
  ['g j', 'jobs'],
  ['g q', 'queues'],
  ['g s', 'schedules'],
  ['g w', 'workers'],
  ['g f', 'failures'],
  ['j, k', 'next and previous row'],
  ['x', 'select the row'],
  ['Enter', 'open the row'],
  ['r', 'live on or off'],
  ['t', 'light, dark, as the system'],
  ['?', 'this list'],
];

export function Help() {
  return (
    <Dialog label="Keys" onClose={() => (helpOpen.value = false)}>
      <h2>Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <footer>
        <button type="button" onClick={() => (helpOpen.value = false)}>
          Close
        </button>
      </footer>
    </Dialog>
  );
}
