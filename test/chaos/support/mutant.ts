import { readFile } from 'node:fs/promises';

/** One change to the text of the library. */
export interface Patch {
  /** Below `lib`. */
  readonly file: string;
  /** Must occur, else the mutation is refused: a guard that has moved must not go untested. */
  readonly find: string;
  readonly replace: string;
}

/** The environment of processes in which a guard is missing from the library; nothing is written to the disk. */
export type Mutant = Readonly<Record<string, string>>;

const LIB = new URL('../../../lib/', import.meta.url);

/**
 * The patches are applied one after another.
 *
 * @throws when one does not apply
 */
export async function mutant(patches: readonly Patch[]): Promise<Mutant> {
  const texts = new Map<string, string>();
  for (const patch of patches) texts.set(patch.file, apply(await textOf(patch.file, texts), patch));
  const urls = patches.map(({ file, find, replace }) => ({ url: new URL(file, LIB).href, find, replace }));
  return { TASKMASTER_TEST_PATCHES: JSON.stringify(urls) };
}

async function textOf(file: string, known: ReadonlyMap<string, string>): Promise<string> {
  return known.get(file) ?? readFile(new URL(file, LIB), 'utf8');
}

function apply(text: string, { file, find, replace }: Patch): string {
  if (!text.includes(find)) throw new Error(`This is not in lib/${file} any more:\n${find}`);
  return text.replaceAll(find, () => replace);
}
