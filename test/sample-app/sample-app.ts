import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { TestProcess, type ProcessEnd } from '../support/child-process.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

/** As `npm run build:sample` makes it. */
const MAIN = fileURLToPath(new URL('../../sample-app/dist/main.js', import.meta.url));

/** A program and its arguments. */
export type Command = readonly [string, ...string[]];

/** Bounds of what hangs: each test starts a whole application, some of them two, and a database server. */
const LINE_TIMEOUT = { timeoutMs: 60_000 };
vi.setConfig({ testTimeout: 120_000 });

/** A job as `GET /jobs` shows it. */
export interface ListedJob {
  readonly id: string;
  readonly state: string;
  readonly payload: { readonly to?: string };
  readonly runCount: number;
  readonly error: string | null;
}

/** Options of {@link startSampleApp}. */
export interface SampleAppOptions {
  /** How it is started. @default by `node` alone */
  readonly command?: Command;
  readonly args?: readonly string[];
  /** Added to the environment; by default it serves a free port and its mail server takes no time. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Mails that are never delivered within a test. */
export const ENDLESS_MAILS = { MAIL_DELAY_MS: '600000' };

/** The sample application, started as its users start it, and what is known about it. */
export class SampleApp {
  constructor(
    private readonly process: TestProcess,
    private readonly dataDir: string,
  ) {}

  /** What it has printed on standard output. */
  get output(): readonly string[] {
    return this.process.stdout.values;
  }

  /** What it has printed on standard error. */
  get errors(): readonly string[] {
    return this.process.stderr.values;
  }

  /** Resolves with the first line of standard output that matches. */
  line(pattern: RegExp): Promise<string> {
    return this.process.line(pattern, LINE_TIMEOUT);
  }

  exit(): Promise<ProcessEnd> {
    return this.process.exit(LINE_TIMEOUT);
  }

  /** As the terminal does at Ctrl-C. */
  interrupt(): void {
    this.process.kill('SIGINT');
  }

  /** The same where more than one process runs: all of them get it. */
  interruptGroup(): void {
    this.process.killGroup('SIGINT');
  }

  /** One process alone, the first one. */
  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Where it serves HTTP, once it does. */
  async url(): Promise<string> {
    return (await this.line(/^HTTP at /)).replace('HTTP at ', '');
  }

  async signUp(body: unknown): Promise<Response> {
    return fetch(`${await this.url()}/signups`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  async get<Body>(path: string): Promise<Body> {
    return (await fetch(`${await this.url()}${path}`)).json() as Promise<Body>;
  }

  /** Resolves with the mail to an address, when it has been sent. */
  mailTo(address: string): Promise<string> {
    return eventually(async () => {
      const [file] = await this.mailsTo(address);
      if (file === undefined) throw new Error(`There is no mail to ${address}.`);
      return readFile(file, 'utf8');
    });
  }

  /** The files of the mails to an address so far. */
  async mailsTo(address: string): Promise<string[]> {
    const outbox = join(this.dataDir, 'outbox');
    const files = await readdir(outbox).catch(() => []);
    return files.filter((file) => file.endsWith(`-${address}.eml`)).map((file) => join(outbox, file));
  }

  /** Log lines about jobs with this status, so far. */
  linesWith(status: string): string[] {
    return this.output.filter((line) => line.includes(` status=${status} `));
  }
}

/** Starts the built sample application with a data folder of its own. */
export async function startSampleApp(options: SampleAppOptions = {}): Promise<SampleApp> {
  const { command = [process.execPath, MAIN], args = [], env = {} } = options;
  const dataDir = env['DATA_DIR'] ?? (await temporaryFolder());
  const defaults = { DATA_DIR: dataDir, HOST: '', MAIL_DELAY_MS: '0', PORT: '0', TASKMASTER_CONSUME: '' };
  return new SampleApp(spawned([...command, ...args], { ...inherited(), ...defaults, ...env }), dataDir);
}

/** In a process group of its own, whatever it starts included. Killed after the test if it still runs. */
function spawned([program, ...args]: Command, env: NodeJS.ProcessEnv): TestProcess {
  const child = spawn(program, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const started = new TestProcess(child);
  onTestFinished(async () => {
    killIfAlive(-child.pid!);
    await started.ended;
  });
  return started;
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** It must not take itself for a part of the test run. */
function inherited(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(
    entries.filter(([name]) => !name.startsWith('VITEST') && name !== 'NODE_OPTIONS'),
  );
}

/** The sample application on a database of the test. */
export async function setup(options: SampleAppOptions = {}): Promise<{ app: SampleApp; db: TestDatabase }> {
  const db = await sampleDatabase();
  const app = await startSampleApp({ ...options, env: { DATABASE_URL: db.url, ...options.env } });
  return { app, db };
}

/** An empty database: the application makes what it needs. Its SQL names the schema that Taskmaster has by default. */
export function sampleDatabase(): Promise<TestDatabase> {
  return testDatabase({ migrated: false, schema: 'taskmaster' });
}
