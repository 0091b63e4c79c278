// `npm run build:ui [-- --check]`: builds the page of the dashboard and embeds it, compressed, in a module: whatever bundles an application bundles it too.
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'vite';

const ROOT = new URL('..', import.meta.url).pathname;
const DIST = join(ROOT, 'ui', 'dist');
const TARGET = join(ROOT, 'lib', 'dashboard', 'assets.generated.ts');
/** @type {Readonly<Record<string, string>>} */
const TYPES = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8' };

await build({ configFile: join(ROOT, 'ui', 'vite.config.ts'), logLevel: 'warn' });
const files = (await readdir(DIST)).toSorted();
const assets = await Promise.all(files.map(embedded));
const script = files.find((file) => file.startsWith('main-') && file.endsWith('.js'));
const style = files.find((file) => file.endsWith('.css'));
const text = `// Made by scripts/embed-ui.mjs from ui/: do not edit.
/** The files with which the page begins. */
export const ENTRY = { script: '${script}', style: '${style}' };

/** Files of the page by their names, compressed, in base64. */
export const ASSETS: Readonly<Record<string, { readonly type: string; readonly sha: string; readonly gzip: string; readonly brotli: string }>> = {
${assets.join('\n')}
};
`;
await rm(DIST, { recursive: true, force: true });

if (process.argv.includes('--check')) {
  if (shasIn(await readFile(TARGET, 'utf8')) !== shasIn(text)) {
    console.error('lib/dashboard/assets.generated.ts is not what ui/ builds to: run `npm run build:ui`.');
    process.exit(1);
  }
} else {
  await writeFile(TARGET, text);
}

/** @param {string} file */
async function embedded(file) {
  const content = await readFile(join(DIST, file));
  const type = TYPES[extname(file)];
  if (type === undefined) throw new Error(`ui/ has built a file of an unknown kind: ${file}`);
  const sha = createHash('sha256').update(content).digest('hex').slice(0, 32);
  const gzip = gzipSync(content, { level: 9 }).toString('base64');
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  const brotli = brotliCompressSync(content, { params }).toString('base64');
  return `  '${file}': { type: '${type}', sha: '${sha}', gzip: '${gzip}', brotli: '${brotli}' },`;
}

/**
 * Compressed bytes differ between releases of zlib: what is compared is what they hold.
 *
 * @param {string} module
 */
function shasIn(module) {
  return [...module.matchAll(/^ {2}'([^']+)': \{ type: '[^']+', sha: '([0-9a-f]+)'/gm)]
    .map(([, file, sha]) => `${file} ${sha}`)
    .join('\n');
}
