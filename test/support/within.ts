/** Bounds the wait for a signal, so that a failure says what did not come instead of that the test took too long. */
export async function within<T>(timeoutMs: number, awaited: string, signal: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${timeoutMs} ms for ${awaited}.`)), timeoutMs);
  });
  try {
    return await Promise.race([signal, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
