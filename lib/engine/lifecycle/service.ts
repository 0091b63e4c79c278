/**
 * The contract of every part that runs in the background. `start` once, `stop` once; both are idempotent,
 * `stop` works before and during `start`, and resolves only when nothing of the part is left:
 * timers cleared, listeners removed, promises settled.
 */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts in order; when one fails, those already started are stopped before the error goes on. */
export async function startAll(services: readonly Service[]): Promise<void> {
  for (const [index, service] of services.entries()) {
    try {
      await service.start();
    } catch (error) {
      await stopAll(services.slice(0, index + 1));
      throw error;
    }
  }
}

/** Stops all of them together. Every service is stopped, even when one fails; the first failure is thrown at the end. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  const results = await Promise.allSettled(services.map((service) => service.stop()));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
