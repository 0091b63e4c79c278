import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A TypeScript example of a page of documentation. */
export interface Snippet {
  readonly page: string;
  /** From a first line `// file: src/x.ts`, else its number on the page. */
  readonly file: string;
  readonly source: string;
}

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the package, so that its own name resolves; ignored by git. */
export const SNIPPETS = join(ROOT, '.data', 'snippets');

const FILE = /^\/\/ file: (\S+)\n/;

/** All pages that may hold examples. */
export async function pages(): Promise<string[]> {
  const docs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
  return ['README.md', ...docs.map((name) => join('docs', name))];
}

/** @param language what stands after the backticks */
export async function snippetsOf(page: string, language = 'ts'): Promise<Snippet[]> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const blocks = new RegExp('^```' + language + '\\n(.*?)^```', 'gms');
  return [...text.matchAll(blocks)].map(([, source = ''], index) => ({
    page: basename(page, '.md').toLowerCase(),
    file: FILE.exec(source)?.[1] ?? `example-${index + 1}.ts`,
    source,
  }));
}

/** Writes the examples of all pages, a folder a page, with a project that compiles them to `dist`. */
export async function writeSnippets(snippets: readonly Snippet[]): Promise<void> {
  await rm(SNIPPETS, { recursive: true, force: true });
  for (const { page, file, source } of snippets) {
    const target = join(SNIPPETS, page, file);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, source);
  }
  await writeFile(join(SNIPPETS, 'tsconfig.json'), JSON.stringify(PROJECT));
}

const PROJECT = {
  extends: '../../tsconfig.json',
  compilerOptions: {
    noEmit: false,
    declaration: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    rootDir: '.',
    outDir: './dist',
  },
  include: ['**/*.ts'],
  exclude: ['dist'],
};
