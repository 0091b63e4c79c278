import type { EncodedJob } from './job-text.js';

/** The most jobs in one statement. */
export const LARGEST_BATCH = 1_000;
/** The most text in one statement, in characters. */
export const LONGEST_BATCH = 4_000_000;

/**
 * The jobs of one call in pieces that each fit one statement. A piece is encoded when it is asked for, so that no more of them are held
 * than that, and every payload is read once.
 */
export async function* encodedChunks(
  count: number,
  encode: (index: number) => Promise<EncodedJob>,
): AsyncGenerator<EncodedJob[], void> {
  for (let index = 0; index < count;) {
    const chunk: EncodedJob[] = [];
    let length = 0;
    for (; index < count && chunk.length < LARGEST_BATCH && length < LONGEST_BATCH; index += 1) {
      const job = await encode(index);
      chunk.push(job);
      length += job.text.length;
    }
    yield chunk;
  }
}

/** The same pieces, the next of which is encoded while the caller stores one. */
export async function* encodedAhead<Chunk>(chunks: AsyncIterator<Chunk, void>): AsyncGenerator<Chunk, void> {
  let next = chunks.next();
  for (;;) {
    const { value, done } = await next;
    if (done === true) return;
    next = chunks.next();
    next.catch(() => undefined); // thrown when it is asked for
    yield value;
  }
}
