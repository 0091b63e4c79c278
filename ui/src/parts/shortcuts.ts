import { go } from '../router.js';
import { change, settings } from '../settings.js';
import { helpOpen, paletteOpen } from './palette.js';

const PLACES: Record<string, string[]> = {
  o: [],
  j: ['jobs'],
  q: ['queues'],
  s: ['schedules'],
  w: ['workers'],
  f: ['failures'],
};
const NEXT_THEME = { system: 'light', light: 'dark', dark: 'system' } as const;
const PAUSE_MS = 1_000;
let goAt = -Infinity;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function pressed(event: KeyboardEvent): void {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    paletteOpen.value = !paletteOpen.value;
    return;
  }
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    isTyping(event.target) ||
    document.querySelector('dialog[open]') !== null
  )
    return;
  const place = PLACES[event.key];
  if (place !== undefined && performance.now() - goAt < PAUSE_MS) {
    goAt = -Infinity;
    return go(place);
  }
  if (event.key === 'g') goAt = performance.now();
  else if (event.key === '/') search(event);
  else if (event.key === '?') helpOpen.value = true;
  else if (event.key === 'r') change({ live: !settings.value.live });
  else if (event.key === 't') change({ theme: NEXT_THEME[settings.value.theme] });
}

function search(event: KeyboardEvent): void {
  event.preventDefault();
  const field = document.querySelector<HTMLInputElement>('#filter');
  if (field === null) go(['jobs']);
  setTimeout(() => document.querySelector<HTMLInputElement>('#filter')?.focus(), field === null ? 50 : 0);
}

/** Keys for whoever does this all day. */
export function listenToKeys(): void {
  addEventListener('keydown', pressed);
}
