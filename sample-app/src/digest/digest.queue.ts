import { defineQueue, type PayloadOf } from 'nestjs-taskmaster';
import { z } from 'zod';

/** Digests to be written: one job a night. */
export const WriteDigest = defineQueue('write_digest', {
  schema: z.object({ night: z.iso.date() }),
  concurrency: 1,
});

export type WriteDigestPayload = PayloadOf<typeof WriteDigest>;
