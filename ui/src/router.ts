import { signal } from '@preact/signals';

/** Where the page is: everything after the `#`. */
export interface Place {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

function current(): Place {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { parts: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const place = signal<Place>(current());

/** The address of a place: with a `<base>`, a bare `#…` would load another page. */
export function href(parts: readonly string[], query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const search = new URLSearchParams(given).toString();
  const path = parts.map(encodeURIComponent).join('/');
  return `${location.pathname}${location.search}#/${path}${search === '' ? '' : `?${search}`}`;
}

export function go(parts: readonly string[], query: Record<string, string | undefined> = {}): void {
  location.assign(href(parts, query));
}

/** The same place with another query, without a step back in the history. */
export function amend(query: Record<string, string | undefined>): void {
  const now = Object.fromEntries(place.value.query);
  history.replaceState(null, '', href(place.value.parts, { ...now, ...query }));
  place.value = current();
}

addEventListener('hashchange', () => {
  place.value = current();
  scrollTo(0, 0);
});
