import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { SignalPoint } from './signal-point.js';
import { within } from './within.js';

/** Options of {@link childProcess}. */
export interface ChildProcessOptions {
  readonly args?: readonly string[];
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** More arguments for `node`, such as `--max-old-space-size=128`. */
  readonly execArgv?: readonly string[];
  /** In a process group of its own, so that `killGroup` reaches it and what it started, and not the test. @default false */
  readonly detached?: boolean;
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A Node process that a test watches and kills. */
export class TestProcess {
  /** The lines of its standard output. */
  readonly stdout = new SignalPoint<string>();
  /** The lines of its standard error. */
  readonly stderr = new SignalPoint<string>();
  /** Resolves when it has ended and everything it printed was read. */
  readonly ended: Promise<ProcessEnd>;

  constructor(private readonly child: ChildProcess) {
    createInterface(child.stdout!).on('line', this.stdout.signal);
    createInterface(child.stderr!).on('line', this.stderr.signal);
    this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Resolves with the first line of standard output that matches, also one printed before. Rejects when it ends without. */
  line(pattern: RegExp, { timeoutMs = 20_000 } = {}): Promise<string> {
    const line = this.stdout.find((candidate) => pattern.test(candidate));
    return within(timeoutMs, `the line ${pattern}`, Promise.race([line, this.#endedWithout(pattern)]));
  }

  /** Resolves when it has ended. */
  exit({ timeoutMs = 20_000 } = {}): Promise<ProcessEnd> {
    return within(timeoutMs, `the end of process ${this.pid}`, this.ended);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** What a terminal does at Ctrl-C. Only for a process that is `detached`. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  async #endedWithout(pattern: RegExp): Promise<never> {
    const { code, signal } = await this.ended;
    const said = this.stderr.values.join('\n');
    throw new Error(`Process ${this.pid} ended (${signal ?? code}) without the line ${pattern}:\n${said}`);
  }
}

/** Lets a child process run the TypeScript of this project as it stands. */
const HOOKS = new URL('./typescript-hooks.mjs', import.meta.url).href;
const REGISTER = `data:text/javascript,import{register}from"node:module";register(${JSON.stringify(HOOKS)})`;

/**
 * Runs a script, `.ts` or `.mjs`, as a process of its own: for what a test cannot do to its own, such as `kill -9`.
 * It is killed after the test if it still runs.
 */
export function childProcess(script: URL, options: ChildProcessOptions = {}): TestProcess {
  const { args = [], env = {}, execArgv = [], detached = false } = options;
  const child = spawn(process.execPath, ['--import', REGISTER, ...execArgv, fileURLToPath(script), ...args], {
    detached,
    env: { ...withoutVitest(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const started = new TestProcess(child);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await started.ended;
  });
  return started;
}

/** A child must not take itself for a part of the test run. */
function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('VITEST') && name !== 'NODE_OPTIONS'),
  );
}
