import type { State } from '../types.js';
import { Icon, type IconName } from '../icons.js';

const ICON_OF: Record<State | 'gone', IconName> = {
  ready: 'bolt',
  running: 'play',
  scheduled: 'clock',
  blocked: 'lock',
  completed: 'check',
  failed: 'close',
  cancelled: 'cancel',
  gone: 'dot',
};

/** A state as a word and a sign: never by its colour only. */
export function StateBadge({ state }: { readonly state: State | undefined }) {
  const known = state ?? 'gone';
  return (
    <span class={`state state-${known}`}>
      <Icon name={ICON_OF[known]} size={12} />
      {state ?? 'ended'}
    </span>
  );
}
