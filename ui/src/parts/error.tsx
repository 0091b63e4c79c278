import { useState } from 'preact/hooks';
import { plural } from '../format.js';
import type { ApiError } from '../api.js';
import type { JobError } from '../types.js';

/** What was thrown, with its causes; frames of packages are folded. */
export function ErrorView({ error, depth = 0 }: { readonly error: JobError; readonly depth?: number }) {
  const [all, setAll] = useState(false);
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const own = frames.filter((frame) => !/node_modules|node:internal|\(node:/.test(frame));
  const shown = all ? frames : own;
  return (
    <div class="error">
      <p class="error-head">
        {depth > 0 && <span class="faint">caused by </span>}
        <b>{error.name}</b>
        {error.code !== undefined && <code>{error.code}</code>}
      </p>
      <p class="error-message">{error.message}</p>
      {shown.length > 0 && <pre tabIndex={0}>{shown.map((frame) => frame.trim()).join('\n')}</pre>}
      {frames.length > own.length && (
        <button type="button" class="quiet small" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Hide' : 'Show'} {plural(frames.length - own.length, 'frame')} of packages
        </button>
      )}
      {error.cause !== undefined && <ErrorView error={error.cause} depth={depth + 1} />}
    </div>
  );
}

/** Why a page cannot show what it should. */
export function Refused({ error, onAgain }: { readonly error: ApiError; readonly onAgain?: () => void }) {
  return (
    <div class="note bad" role="alert">
      <p>
        <b>{error.message}</b> {error.hint}
      </p>
      {onAgain !== undefined && (
        <button type="button" class="small" onClick={onAgain}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, text }: { readonly title: string; readonly text: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      <p>{text}</p>
    </div>
  );
}
