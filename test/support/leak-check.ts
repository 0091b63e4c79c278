/**
 * Vitest's setup file of every project: fails a test file that leaves something behind that keeps the process alive,
 * such as a pool, a timer, a socket or a child process. Connections of single tests are {@link testDatabase}'s to check.
 */
import { afterAll } from 'vitest';
import { closeAdminConnection } from './admin-connection.js';
import { eventually } from './eventually.js';

/** Requests under way of Vitest itself, such as source maps it reads; they end by themselves and hold nothing. */
const TRANSIENT = new Set(['CloseReq', 'FSReqCallback', 'FSReqPromise']);

/** What Vitest itself holds while it runs this file. */
const BASELINE = activeResources();

// Registered before any hook of the test file, so it runs after them.
afterAll(async () => {
  await closeAdminConnection();
  await eventually(expectNothingLeft, { timeoutMs: 5_000 });
});

function expectNothingLeft(): void {
  const left = [...activeResources()].filter(([kind, count]) => count > (BASELINE.get(kind) ?? 0));
  if (left.length === 0) return;
  const kinds = left.map(([kind, count]) => `${count - (BASELINE.get(kind) ?? 0)} ${kind}`);
  throw new Error(`The test file leaves something running: ${kinds.join(', ')}.`);
}

function activeResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (!TRANSIENT.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}
