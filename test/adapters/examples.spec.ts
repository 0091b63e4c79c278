import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT, snippetsOf } from '../docs/snippet.js';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const EXAMPLES = `${FOLDER}.data/examples`;

describe('the adapters and the examples with real libraries', () => {
  it('compile as written', { timeout: 180_000 }, async () => {
    const snippets = await snippetsOf('docs/transactions.md', 'ts library');
    expect(snippets.length).toBe(8);
    await rm(EXAMPLES, { recursive: true, force: true });
    await mkdir(EXAMPLES, { recursive: true });
    for (const { file, source } of snippets) await writeFile(`${EXAMPLES}/${file}`, source);
    const { stdout } = await promisify(execFile)(process.execPath, [
      `${ROOT}node_modules/typescript/bin/tsc`,
      '-p',
      FOLDER,
    ]).catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  });
});
