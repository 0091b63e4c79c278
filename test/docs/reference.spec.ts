import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as engine from '../../lib/engine/index.js';
import * as nest from '../../lib/index.js';
import {
  BATCH_DEFAULTS,
  LEASE_DEFAULTS,
  LISTEN_DEFAULTS,
  QUEUE_DEFAULTS,
  SHUTDOWN_DEFAULTS,
  TASKMASTER_DEFAULTS,
} from '../../lib/engine/options.js';
import { MODULE_DEFAULTS } from '../../lib/nest/taskmaster.options.js';
import { ROOT } from './snippet.js';

/** `| \`option\` | \`default\` |` of a page, values read as TypeScript literals. */
async function documentedDefaults(): Promise<Map<string, string>> {
  const text = await readFile(join(ROOT, 'docs', 'configuration.md'), 'utf8');
  return new Map(
    [...text.matchAll(/^\| `(\w+)`\s+\| `([^`]+)`\s+\|/gm)].map(([, option = '', value = '']) => [
      option,
      value,
    ]),
  );
}

/** `@default` of an option's doc comment in a source file. */
async function commentedDefaults(file: string): Promise<Map<string, string>> {
  const text = await readFile(join(ROOT, file), 'utf8');
  const found = text.matchAll(/@default ([^*\n]+?)\s*(?:\*\/|\n\s*\*\/)\s*(?:readonly )(\w+)\??:/g);
  return new Map([...found].map(([, value = '', option = '']) => [option, value]));
}

const literal = (value: unknown) =>
  typeof value === 'number'
    ? value.toLocaleString('en').replaceAll(',', '_')
    : typeof value === 'string'
      ? `'${value}'`
      : JSON.stringify(value);
const scalars = (defaults: object) =>
  Object.entries(defaults).filter(
    ([, value]) => typeof value !== 'object' || (Array.isArray(value) && value.length === 0),
  );

describe('configuration reference', () => {
  const real = [
    TASKMASTER_DEFAULTS,
    MODULE_DEFAULTS,
    QUEUE_DEFAULTS,
    BATCH_DEFAULTS,
    LISTEN_DEFAULTS,
    LEASE_DEFAULTS,
    SHUTDOWN_DEFAULTS,
  ].flatMap(scalars);

  it.each(real.filter(([option]) => option !== 'name'))(
    'documents the real default of %s',
    async (option, value) => {
      expect((await documentedDefaults()).get(option)).toBe(literal(value));
    },
  );

  it.each(scalars({ ...TASKMASTER_DEFAULTS, ...LISTEN_DEFAULTS, ...LEASE_DEFAULTS, ...SHUTDOWN_DEFAULTS }))(
    'says the real default of %s where it is declared',
    async (option, value) => {
      expect((await commentedDefaults('lib/engine/options.ts')).get(option)).toBe(literal(value));
    },
  );
});

describe('error reference', () => {
  const classes = Object.entries({ ...engine, ...nest }).filter(
    ([name, value]) => name.endsWith('Error') && typeof value === 'function' && name !== 'TaskmasterError',
  );

  it.each(classes.map(([name]) => name))('lists %s with its code', async (name) => {
    const source = await readFile(join(ROOT, 'lib', 'engine', 'errors.ts'), 'utf8');
    const code = new RegExp(`class ${name} extends.*?code = '(TM_\\w+)'`, 's').exec(source)?.[1];
    expect(code).toBeDefined();
    const page = await readFile(join(ROOT, 'docs', 'errors.md'), 'utf8');
    const rows = page.split('\n').filter((line) => line.includes(`\`${code}\``));
    expect(rows.some((line) => line.includes(`\`${name}\``))).toBe(true);
  });
});

describe('event reference', () => {
  it('lists every event', async () => {
    const source = await readFile(join(ROOT, 'lib', 'engine', 'events.ts'), 'utf8');
    const types = [...source.matchAll(/readonly type: '(\w+)'/g)].map(([, type]) => type);
    expect(types.length).toBeGreaterThan(10);
    const page = await readFile(join(ROOT, 'docs', 'events.md'), 'utf8');
    expect(types.filter((type) => !page.includes(`\`${type}\``))).toEqual([]);
  });
});

describe('the table of features, and those of security and of bad input', () => {
  it.each([
    ['docs/features.md', 20],
    ['docs/security.md', 10],
    ['test/README.md', 25],
  ])('names tests that exist: %s', async (file, least) => {
    const page = await readFile(join(ROOT, file), 'utf8');
    const folders = 'unit|property|integration|nest|sql|package|adapters';
    const named = [...page.matchAll(new RegExp(`\`((?:${folders})(?:/[\\w-]+)+)\``, 'g'))].map(
      ([, name]) => name,
    );
    expect(named.length).toBeGreaterThan(least);
    const missing = named.filter((name) => !existsSync(join(ROOT, 'test', `${name}.spec.ts`)));
    expect(missing).toEqual([]);
  });
});
