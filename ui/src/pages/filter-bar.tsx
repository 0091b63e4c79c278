import { useEffect, useState } from 'preact/hooks';
import type { ApiError } from '../api.js';
import { Icon } from '../icons.js';
import { overview } from '../live.js';
import { ask } from '../parts/dialog.js';
import { change, settings } from '../settings.js';
import { meta, toast } from '../store.js';

const STATES = ['ready', 'running', 'scheduled', 'blocked', 'failed', 'completed', 'cancelled'];

/** What may complete the last word. */
function suggestions(text: string): string[] {
  const word = /\S*$/.exec(text)?.[0] ?? '';
  const [qualifier = '', value] = word.split(/:(.*)/s);
  if (word === '') return [];
  if (value === undefined)
    return Object.keys(meta.value?.qualifiers ?? {})
      .filter((name) => name.toLowerCase().startsWith(qualifier.toLowerCase()))
      .map((name) => (name === 'payload' ? 'payload.' : `${name}:`));
  const names =
    qualifier === 'state'
      ? STATES
      : qualifier === 'queue'
        ? (overview.value?.queues ?? []).map(({ queue }) => queue)
        : [];
  return names
    .filter((name) => name.toLowerCase().includes(value.toLowerCase()) && name !== value)
    .slice(0, 8)
    .map((name) => `${qualifier}:${/[\s",]/.test(name) ? JSON.stringify(name) : name} `);
}

/** The filter in words, with completion, the states to click at, and the views that somebody has saved. */
export function FilterBar({
  filter,
  error,
  onFilter,
}: {
  readonly filter: string;
  readonly error: ApiError | undefined;
  readonly onFilter: (filter: string) => void;
}) {
  const [text, setText] = useState(filter);
  const [chosen, setChosen] = useState(-1);
  const [focused, setFocused] = useState(false);
  useEffect(() => setText(filter), [filter]);
  const list = focused ? suggestions(text) : [];
  const isOpen = list.length > 0;
  const take = (completion: string) => {
    const next = text.replace(/\S*$/, completion);
    setText(next);
    setChosen(-1);
    document.querySelector<HTMLInputElement>('#filter')?.focus();
    if (completion.endsWith(' ')) onFilter(next.trim());
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown' && isOpen) setChosen((chosen + 1) % list.length);
    else if (event.key === 'ArrowUp' && isOpen) setChosen((chosen - 1 + list.length) % list.length);
    else if (event.key === 'Tab' && isOpen && !event.shiftKey) take(list[Math.max(0, chosen)] as string);
    else if (event.key === 'Escape') (event.currentTarget as HTMLInputElement).blur();
    else return;
    event.preventDefault();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (chosen >= 0 && list[chosen] !== undefined) return take(list[chosen]);
    onFilter(text.trim());
  };
  const state = /(?:^|\s)state:(\w+)(?=\s|$)/.exec(filter)?.[1];
  const withState = (name: string | undefined) => {
    const rest = filter.replaceAll(/(?:^|\s)state:\S+/g, '').trim();
    onFilter(`${rest}${name === undefined ? '' : `${rest === '' ? '' : ' '}state:${name}`}`);
  };
  return (
    <div class="filter">
      <form onSubmit={submit} class={`filter-box ${error === undefined ? '' : 'filter-bad'}`} role="search">
        <Icon name="search" />
        <input
          id="filter"
          value={text}
          placeholder="queue:emails payload.user.id:42 created:>2h"
          aria-label="Filter"
          aria-describedby={error === undefined ? undefined : 'filter-error'}
          role="combobox"
          aria-expanded={isOpen}
          aria-controls="filter-list"
          aria-activedescendant={chosen >= 0 ? `filter-${chosen}` : undefined}
          autocomplete="off"
          spellcheck={false}
          onFocus={() => setFocused(true)}
          onBlur={() => setTimeout(() => setFocused(false), 150)}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setChosen(-1);
          }}
          onKeyDown={onKey}
        />
        {text !== '' && (
          <button
            type="button"
            class="quiet icon-only"
            aria-label="Clear the filter"
            onClick={() => onFilter('')}
          >
            <Icon name="close" />
          </button>
        )}
        <button
          type="button"
          class="quiet small"
          onClick={() =>
            ask({
              title: 'Save this view',
              text: 'It is kept in this browser.',
              verb: 'Save',
              input: { label: 'Name' },
              onYes: (name) => {
                change({
                  views: [
                    ...settings.value.views.filter((view) => view.name !== name),
                    { name: name || filter, filter },
                  ],
                });
                toast('Saved');
              },
            })
          }
        >
          Save
        </button>
        <ul id="filter-list" role="listbox" class="filter-list" aria-label="Completions" hidden={!isOpen}>
          {list.map((each, index) => (
            <li
              key={each}
              id={`filter-${index}`}
              role="option"
              aria-selected={index === chosen}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(each)}
            >
              <span class="mono">{each}</span>
              <span class="faint">{meta.value?.qualifiers[each.replace(/[:.]$/, '')] ?? ''}</span>
            </li>
          ))}
        </ul>
      </form>
      {error !== undefined && (
        <p id="filter-error" class="filter-error" role="alert">
          {error.position !== undefined && (
            <span class="mono marked">
              {filter.slice(0, error.position)}
              <mark>{filter.slice(error.position, error.position + Math.max(1, error.length ?? 1))}</mark>
              {filter.slice(error.position + Math.max(1, error.length ?? 1))}
            </span>
          )}{' '}
          {error.message}
        </p>
      )}
      <div class="chips">
        <div class="segments" role="group" aria-label="State">
          <button type="button" aria-pressed={state === undefined} onClick={() => withState(undefined)}>
            All
          </button>
          {STATES.map((name) => (
            <button key={name} type="button" aria-pressed={state === name} onClick={() => withState(name)}>
              {name}
            </button>
          ))}
        </div>
        {settings.value.views.map((view) => (
          <span class="chip" key={view.name}>
            <button type="button" class="link" onClick={() => onFilter(view.filter)}>
              {view.name}
            </button>
            <button
              type="button"
              class="quiet icon-only"
              aria-label={`Forget ${view.name}`}
              onClick={() =>
                change({ views: settings.value.views.filter((each) => each.name !== view.name) })
              }
            >
              <Icon name="close" size={12} />
            </button>
          </span>
        ))}
      </div>
    </div>
  );
}
