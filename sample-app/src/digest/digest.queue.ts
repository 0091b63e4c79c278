import { defineQueue, type PayloadOf } from 'nestjs-taskmaster';
import { z } from 'zod';

/** Digests to be written: of a night, or of the night for which the schedule asks. */
export const WriteDigest = defineQueue('write_digest', {
  schema: z.object({ night: z.iso.date().optional() }),
  concurrency: 1,
});

export type WriteDigestPayload = PayloadOf<typeof WriteDigest>;
