import { settings } from './settings.js';

const NUMBER = new Intl.NumberFormat('en');
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number | undefined, capped = false): string {
  if (value === undefined) return '–';
  return `${NUMBER.format(value)}${capped ? '+' : ''}`;
}

export function compact(value: number): string {
  return value < 10_000 ? NUMBER.format(value) : COMPACT.format(value);
}

/** A span of time as people say it: two units at most. */
export function duration(ms: number | undefined): string {
  if (ms === undefined || Number.isNaN(ms)) return '–';
  if (ms < 1) return '<1 ms';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  if (ms < 3_600_000) return two(ms, 60_000, 'm', 1_000, 's');
  if (ms < 86_400_000) return two(ms, 3_600_000, 'h', 60_000, 'm');
  return two(ms, 86_400_000, 'd', 3_600_000, 'h');
}

function two(ms: number, unit: number, name: string, small: number, smallName: string): string {
  const whole = Math.floor(ms / unit);
  const rest = Math.floor((ms - whole * unit) / small);
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${smallName}`;
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  for (; size >= 1_000 && unit < units.length - 1; unit += 1) size /= 1_000;
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** Date and time, in the zone of the settings. */
export function moment(iso: string | undefined): string {
  if (iso === undefined) return '–';
  const options: Intl.DateTimeFormatOptions = {
    year: 'numeric',
    month: 'short',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  };
  if (settings.value.utc) options.timeZone = 'UTC';
  return new Intl.DateTimeFormat('en-GB', options).format(new Date(iso));
}

/** How long ago, or how soon. */
export function ago(iso: string | undefined, now = Date.now()): string {
  if (iso === undefined) return '–';
  const ms = now - Date.parse(iso);
  if (Math.abs(ms) < 1_000) return 'now';
  return ms >= 0 ? `${duration(ms)} ago` : `in ${duration(-ms)}`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${NUMBER.format(value)} ${value === 1 ? one : many}`;
}
