import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 10;

/**
 * Calls `attempt` again and again until it neither throws nor answers `false`, and answers with what it answered.
 *
 * For what gives no signal, such as rows of the database. The time limit bounds a failure; nothing waits for it.
 */
export async function eventually<T>(attempt: () => T | Promise<T>, { timeoutMs = 10_000 } = {}): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      const answer = await attempt();
      if (answer !== false) return answer;
      if (performance.now() > end) throw new Error(`Still false after ${timeoutMs} ms.`);
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await delay(POLL_MS);
  }
}
