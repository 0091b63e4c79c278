import { relative } from 'node:path';

/** A path as people read it: from where they are, if it is below that. */
export function shownPath(path: string): string {
  const fromHere = relative('.', path);
  return fromHere.startsWith('..') ? path : fromHere;
}
