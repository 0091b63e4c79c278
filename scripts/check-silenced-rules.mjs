// Fails when a lint rule is silenced without a reason on the same line: `// oxlint-disable-next-line rule -- reason`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['lib', 'test', 'bench', 'scripts', 'sample-app/src'];
/** What is installed, and what is generated. */
const OTHERS = new Set(['node_modules', '.data']);

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return OTHERS.has(entry.name) ? [] : filesBelow(path);
    return /\.[cm]?[jt]s$/.test(entry.name) ? [path] : [];
  });
}

/**
 * @param {string} file
 * @returns {string[]} `file:line` of each directive without a reason
 */
function unexplained(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) =>
    /(oxlint|eslint)-disable/.test(line) && !/-disable.* -- \S/.test(line) ? [`${file}:${index + 1}`] : [],
  );
}

const found = FOLDERS.flatMap(filesBelow)
  .filter((file) => !file.endsWith('check-silenced-rules.mjs'))
  .flatMap(unexplained);
for (const place of found) console.error(`${place}: a silenced rule needs a reason: -- why`);
process.exitCode = found.length === 0 ? 0 : 1;
