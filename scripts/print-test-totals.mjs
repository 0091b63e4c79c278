// Prints the totals of a test run on a line of its own, from the file that Vitest's json reporter wrote.
// node scripts/print-test-totals.mjs FILE
import { readFileSync } from 'node:fs';

const [file = ''] = process.argv.slice(2);
const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
  readFileSync(file, 'utf8'),
);
const skipped = numPendingTests + numTodoTests;
console.log(
  `${numPassedTests} passed, ${numFailedTests} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`,
);
