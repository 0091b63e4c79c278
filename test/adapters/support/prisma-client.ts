/** Vitest's global setup: generates the client that `prisma.spec.ts` uses. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = fileURLToPath(new URL('..', import.meta.url));

export async function setup(): Promise<void> {
  const program = `${folder}/node_modules/prisma/build/index.js`;
  await promisify(execFile)(process.execPath, [program, 'generate', '--schema', 'prisma/schema.prisma'], {
    cwd: folder,
    // Generating needs no engine; naming one keeps Prisma from downloading its own.
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' },
  });
}
