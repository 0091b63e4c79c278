import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ConnectionOption } from 'nestjs-taskmaster';
import { z } from 'zod';
import { StartError } from './start-error.js';

const number = (minimum: number, maximum: number, fallback: number) =>
  z.coerce
    .number({ error: `must be a whole number from ${minimum} to ${maximum}` })
    .int()
    .min(minimum)
    .max(maximum)
    .default(fallback);

/** What the environment may say. A variable that is set to nothing counts as not set. */
const Environment = z.object({
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a URL such as postgres://user:password@localhost:5432/database')
    .optional(),
  DATA_DIR: z.string().default('.data'),
  HOST: z.string().default('127.0.0.1'),
  MAIL_DELAY_MS: number(0, 3_600_000, 250),
  PORT: number(0, 65_535, 3_000),
});

/** How the application was started: environment and arguments, checked. */
export class Settings {
  /** Run the first round of jobs, then exit. */
  readonly once: boolean;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** What the pretended mail server takes for a mail, in milliseconds. */
  readonly mailDelayMs: number;
  readonly outboxDir: string;
  /** `undefined` when a server of the user's is used. */
  readonly embeddedDataDir: string | undefined;
  readonly connection: ConnectionOption;
  /** How long running jobs may take to end at Ctrl-C, in milliseconds. */
  readonly drainTimeoutMs = 25_000;

  private constructor(environment: z.output<typeof Environment>, once: boolean) {
    const { DATABASE_URL, DATA_DIR, HOST, MAIL_DELAY_MS, PORT } = environment;
    const dataDir = resolve(DATA_DIR);
    this.once = once;
    this.host = HOST;
    this.port = PORT;
    this.mailDelayMs = MAIL_DELAY_MS;
    this.outboxDir = join(dataDir, 'outbox');
    this.embeddedDataDir = DATABASE_URL === undefined ? join(dataDir, 'postgres') : undefined;
    this.connection = DATABASE_URL ?? { embedded: { dataDir: join(dataDir, 'postgres') } };
  }

  /** @throws StartError saying what to correct */
  static from(env: NodeJS.ProcessEnv, args: readonly string[]): Settings {
    return new Settings(environmentOf(env), argumentsOf(args).once);
  }
}

function environmentOf(env: NodeJS.ProcessEnv): z.output<typeof Environment> {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = Environment.safeParse(set);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new StartError(`Correct the environment: ${problems.join('; ')}.`);
}

function argumentsOf(args: readonly string[]): { once: boolean } {
  try {
    const { values } = parseArgs({ args: [...args], options: { once: { type: 'boolean', default: false } } });
    return values;
  } catch (cause) {
    throw new StartError(
      'There is one argument: "npm start -- --once" runs the first round of jobs and exits.',
      {
        cause,
      },
    );
  }
}
