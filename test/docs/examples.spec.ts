import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pathToFileURL } from 'node:url';
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { childProcess } from '../support/child-process.js';
import { testDatabase } from '../support/test-database.js';
import { pages, ROOT, type Snippet, SNIPPETS, snippetsOf, writeSnippets } from './snippet.js';

const run = promisify(execFile);
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/** A bound for what hangs: a compiler on a busy machine takes its time. */
const COMPILE_BOUND_MS = 180_000;

describe('documentation', () => {
  let snippets: Snippet[];

  beforeAll(async () => {
    snippets = (await Promise.all((await pages()).map((page) => snippetsOf(page)))).flat();
    await writeSnippets(snippets);
  });

  it(
    'has examples that compile as written',
    async () => {
      expect(snippets.length).toBeGreaterThan(15);
      const { stdout } = await run(process.execPath, [TSC, '-p', SNIPPETS]).catch(
        (error: { stdout: string }) => error,
      );
      expect(stdout).toBe('');
    },
    COMPILE_BOUND_MS,
  );

  it('has a quick start that runs as written', async () => {
    const database = await testDatabase({ migrated: false });
    const app = childProcess(pathToFileURL(join(SNIPPETS, 'dist', 'readme', 'src', 'main.js')), {
      env: { DATABASE_URL: database.url },
    });
    await app.line(/^attempt 1: a mail to ada@example\.com$/);
    await database.query(
      `insert into taskmaster.jobs (queue_name, payload) values ('welcome_mail', '{"to": "bob@example.com"}')`,
    );
    await app.line(/^attempt 1: a mail to bob@example\.com$/);
    app.kill('SIGINT');
    expect(await app.exit()).toEqual({ code: null, signal: 'SIGINT' });
    expect(await database.query('select id from taskmaster.jobs')).toEqual([]);
  });

  it('links only to files that exist', async () => {
    const broken: string[] = [];
    for (const page of [...(await pages()), 'CONTRIBUTING.md', 'CHANGELOG.md']) {
      const text = await readFile(join(ROOT, page), 'utf8');
      for (const [, link = ''] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
        if (!existsSync(join(ROOT, dirname(page), link))) broken.push(`${page}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });
});
