import { effect, signal } from '@preact/signals';
import { get } from './api.js';
import { settings } from './settings.js';
import type { Overview } from './types.js';

/** What the queues hold, as last told. */
export const overview = signal<Overview | undefined>(undefined);
/** How the page hears of news. */
export const connection = signal<'live' | 'connecting' | 'polling' | 'paused'>('connecting');
/** Counts up when something may have changed. */
export const beat = signal(0);

const POLL_MS = 5_000;
const FAILURES = 3;
let source: EventSource | undefined;
let timer: number | undefined;
let failures = 0;
let watchedJob: string | undefined;
let onJob: (() => void) | undefined;

function topics(): string {
  return watchedJob === undefined ? 'stats' : `stats,job:${watchedJob}`;
}

function told(next: Overview): void {
  overview.value = next;
  beat.value += 1;
}

function poll(): void {
  get<Overview>('overview').then(told, () => {});
}

function stop(): void {
  source?.close();
  source = undefined;
  clearInterval(timer);
  timer = undefined;
}

function connect(): void {
  stop();
  if (!settings.value.live || document.hidden) {
    connection.value = 'paused';
    return;
  }
  connection.value = 'connecting';
  const events = new EventSource(`api/events?topics=${encodeURIComponent(topics())}`);
  source = events;
  events.addEventListener('hello', () => {
    failures = 0;
    connection.value = 'live';
  });
  events.addEventListener('stats', (event) =>
    told(JSON.parse((event as MessageEvent<string>).data) as Overview),
  );
  events.addEventListener('job', () => onJob?.());
  events.addEventListener('error', () => failed(events));
}

/** Most often the server restarts; the browser tries again by itself, unless it was refused. */
function failed(events: EventSource): void {
  failures += 1;
  connection.value = 'connecting';
  if (failures < FAILURES && events.readyState !== EventSource.CLOSED) return;
  stop();
  connection.value = 'polling';
  poll();
  timer = window.setInterval(() => {
    poll();
    if (++failures % 12 === 0) connect();
  }, POLL_MS);
}

/** Begins to listen; once. */
export function begin(): void {
  poll();
  let before: boolean | undefined;
  effect(() => {
    if (settings.value.live !== before) connect();
    before = settings.value.live;
  });
  document.addEventListener('visibilitychange', () => {
    connect();
    if (!document.hidden) poll();
  });
}

/** Hears also what happens to a job, until the answer is called. */
export function watchJob(id: string, onNews: () => void): () => void {
  watchedJob = id;
  onJob = onNews;
  connect();
  return () => {
    if (watchedJob !== id) return;
    watchedJob = undefined;
    onJob = undefined;
    connect();
  };
}
