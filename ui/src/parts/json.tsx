import { useState } from 'preact/hooks';
import { bytes } from '../format.js';
import { toast } from '../store.js';
import type { Part } from '../types.js';

const OPEN_DEPTH = 2;
const MOST = 200;

/** Plain data, of which only what is open is drawn. */
export function Json({ part, label }: { readonly part: Part; readonly label: string }) {
  const [raw, setRaw] = useState(false);
  const text = part.truncated === true ? (part.text ?? '') : JSON.stringify(part.value, undefined, 2);
  return (
    <div class="json">
      <div class="json-bar">
        <span class="faint">
          {label}, {bytes(part.bytes)}
          {part.truncated === true ? ', cut' : ''}
        </span>
        <button type="button" class="quiet small" aria-pressed={raw} onClick={() => setRaw(!raw)}>
          {raw ? 'Tree' : 'Raw'}
        </button>
        <button
          type="button"
          class="quiet small"
          onClick={() => void navigator.clipboard?.writeText(text).then(() => toast('Copied'))}
        >
          Copy
        </button>
      </div>
      {raw || part.truncated === true ? (
        <pre tabIndex={0}>{text}</pre>
      ) : (
        <Node value={part.value} depth={0} />
      )}
    </div>
  );
}

function Node({
  name,
  value,
  depth,
}: {
  readonly name?: string;
  readonly value: unknown;
  readonly depth: number;
}) {
  const [open, setOpen] = useState(depth < OPEN_DEPTH);
  const key = name === undefined ? null : <span class="json-key">{name}: </span>;
  if (typeof value !== 'object' || value === null)
    return (
      <div class="json-row">
        {key}
        <span class={`json-${value === null ? 'null' : typeof value}`}>{JSON.stringify(value)}</span>
      </div>
    );
  const entries = Object.entries(value);
  const brackets = Array.isArray(value) ? '[]' : '{}';
  if (entries.length === 0)
    return (
      <div class="json-row">
        {key}
        {brackets}
      </div>
    );
  return (
    <div>
      <button type="button" class="json-row json-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        {key}
        <span class="faint">
          {brackets[0]}
          {open ? '' : ` ${entries.length} … ${brackets[1]}`}
        </span>
      </button>
      {open && (
        <div class="json-in">
          {entries.slice(0, MOST).map(([field, each]) => (
            <Node key={field} name={field} value={each} depth={depth + 1} />
          ))}
          {entries.length > MOST && <div class="json-row faint">… {entries.length - MOST} more: see Raw</div>}
        </div>
      )}
    </div>
  );
}
