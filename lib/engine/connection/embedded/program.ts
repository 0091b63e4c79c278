import { execFile } from 'node:child_process';
import { EmbeddedPostgresError } from '../../errors.js';
import type { ServerAccount } from './account.js';

/**
 * The environment of every program of the server: that of this process without `PG...`, which they would take for
 * settings, and with messages in English, since some are read.
 */
export function programEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(inherited), LC_ALL: 'C' };
}

/** Runs a program to its end and answers with what it printed. Fails with the last lines it printed. */
export function runProgram(
  program: string,
  args: readonly string[],
  account: ServerAccount | undefined,
): Promise<string> {
  const options = { ...account, cwd: '/', env: programEnvironment(), windowsHide: true };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = lastLines(stderr || stdout || error.message);
      reject(new EmbeddedPostgresError(`${program} failed:\n${said}`, { cause: error }));
    });
  });
}

/** The end of a program's output, where it says why it ended. */
export function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-15).join('\n');
}
