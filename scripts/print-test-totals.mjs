// Prints the totals of a test run on a line of its own, from the file that Vitest's json reporter wrote.
// node scripts/print-test-totals.mjs FILE
import { readFileSync } from 'node:fs';

/** @typedef {{ status: string, assertionResults: { status: string }[] }} TestFile */

const [path = ''] = process.argv.slice(2);
const report = JSON.parse(readFileSync(path, 'utf8'));
/** @type {TestFile[]} */
const files = report.testResults;

// A file can fail without a failed test: it does not load, or it leaves something running.
const brokenFiles = files.filter(({ status, assertionResults }) => {
  return status === 'failed' && assertionResults.every((test) => test.status !== 'failed');
});

const failed = report.numFailedTests + brokenFiles.length;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(
  `${report.numPassedTests} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`,
);
