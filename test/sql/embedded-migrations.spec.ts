import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/embed-migrations.mjs', import.meta.url));

describe('migrations.generated.ts', () => {
  it('is what the migrations say', async () => {
    await expect(promisify(execFile)(process.execPath, [SCRIPT, '--check'])).resolves.toBeDefined();
  });
});
