/**
 * Module hooks for child processes of tests: run TypeScript from its source, with the compiler options of the project.
 * What was transpiled once is kept, so that most processes start without loading the compiler.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const configFile = fileURLToPath(new URL('../../tsconfig.json', import.meta.url));
const cache = new URL('../../node_modules/.cache/taskmaster-typescript/', import.meta.url);
const config = await readFile(configFile, 'utf8');
/**
 * Changes to sources for this process alone, see `test/chaos/support/mutant.ts`.
 * @type {{ url: string, find: string, replace: string }[]}
 */
const patches = JSON.parse(process.env['TASKMASTER_TEST_PATCHES'] ?? '[]');

/**
 * `./job.js` is `./job.ts` in the source.
 * @type {import('node:module').ResolveHook}
 */
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (!/^\.{1,2}\/.*\.js$/.test(specifier)) throw error;
    return next(specifier.replace(/\.js$/, '.ts'), context);
  }
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const source = patched(await readFile(fileURLToPath(url), 'utf8'), url);
  const name = createHash('sha256').update(config).update(url).update(source).digest('hex');
  return {
    format: 'module',
    source: await transpiled(source, url, new URL(name, cache)),
    shortCircuit: true,
  };
}

/**
 * @param {string} source
 * @param {string} url
 */
function patched(source, url) {
  return patches
    .filter((patch) => patch.url === url)
    .reduce((text, { find, replace }) => text.replaceAll(find, () => replace), source);
}

/**
 * @param {string} source
 * @param {string} url
 * @param {URL} cached
 */
async function transpiled(source, url, cached) {
  const known = await readFile(cached, 'utf8').catch(() => undefined);
  if (known !== undefined) return known;
  const output = await transpile(source, fileURLToPath(url));
  await keep(cached, output);
  return output;
}

/**
 * @param {string} source
 * @param {string} fileName
 */
async function transpile(source, fileName) {
  const { default: ts } = await import('typescript');
  const { options } = ts.parseJsonConfigFileContent(
    ts.parseConfigFileTextToJson(configFile, config).config,
    ts.sys,
    '.',
  );
  // NodeNext would look for the package.json, which a transpiler does not read.
  const output = { module: ts.ModuleKind.ES2022, noEmit: false, declaration: false, sourceMap: false };
  const compilerOptions = { ...options, ...output, inlineSourceMap: true };
  return ts.transpileModule(source, { compilerOptions, fileName }).outputText;
}

/**
 * Written aside: several processes may do this at once.
 * @param {URL} cached
 * @param {string} output
 */
async function keep(cached, output) {
  const aside = new URL(`${cached.href}.${process.pid}`);
  await mkdir(cache, { recursive: true });
  await writeFile(aside, output);
  await rename(aside, cached);
}
