// Fails when a lint rule is silenced without a reason on the same line: `// oxlint-disable-next-line rule -- reason`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['lib', 'test', 'bench', 'scripts', 'sample-app/src'];

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => /\.[cm]?[jt]s$/.test(entry.name)).map((entry) => join(entry.parentPath, entry.name));
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
