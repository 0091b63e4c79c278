// Removes the folders named as arguments, so that nothing of an earlier build is left in them.
import { rmSync } from 'node:fs';

for (const folder of process.argv.slice(2)) rmSync(folder, { recursive: true, force: true });
