import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { InjectTaskmasterPool } from 'nestjs-taskmaster';
import type pg from 'pg';
import { SignupService } from './signups/signup.service.js';

/** How the jobs of the first round ended. */
export interface RoundResult {
  readonly acked: number;
  readonly rejected: number;
  /** Neither: not within the time. */
  readonly unfinished: number;
  /** Whether each ended as it was meant to. */
  readonly asExpected: boolean;
}

interface RoundJob {
  readonly id: string;
  readonly refused: boolean;
}

const POLL_MS = 100;
/** Far more than it takes; less than forever, for a process that was told to work on nothing. */
const LIMIT_MS = 60_000;

/** A first round of jobs, so that a start shows something: mails that are sent, one that is tried twice, one that is refused. */
@Injectable()
export class FirstRound implements OnModuleDestroy {
  readonly #logger = new Logger('Newsletter');
  readonly #stopping = new AbortController();
  #jobs: RoundJob[] = [];

  constructor(
    private readonly signups: SignupService,
    @InjectTaskmasterPool() private readonly pool: pg.Pool,
  ) {}

  onModuleDestroy(): void {
    this.#stopping.abort();
  }

  /** Signs up four subscribers, with new addresses at each start. */
  async start(): Promise<void> {
    const round = randomBytes(3).toString('hex');
    this.#logger.log('first round: four sign-ups; one mail server says "later", one address does not exist');
    const addresses = [
      'ada@example.com',
      'grace@example.com',
      'linus@greylist.example',
      'nobody@nowhere.invalid',
    ];
    for (const address of addresses) {
      if (this.#stopping.signal.aborted) return;
      const { jobId } = await this.signups.signUp(address.replace('@', `+${round}@`));
      this.#jobs.push({ id: jobId, refused: address.endsWith('.invalid') });
    }
  }

  /** Resolves when every job of the round has ended, here or in another process; with nothing when the application stops. */
  async ended(): Promise<RoundResult | undefined> {
    const end = performance.now() + LIMIT_MS;
    for (;;) {
      if (this.#stopping.signal.aborted) return undefined;
      const states = await this.#states();
      if ([...states.values()].every((state) => state === 'failed') || performance.now() > end)
        return this.#result(states);
      await pause(POLL_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Of jobs that are still in the table: an acked one is gone. */
  async #states(): Promise<Map<string, string>> {
    const { rows } = await this.pool.query<{ id: string; state: string }>(
      'select id, state from taskmaster.job_states where id = any ($1::bigint[])',
      [this.#jobs.map(({ id }) => id)],
    );
    return new Map(rows.map(({ id, state }) => [id, state]));
  }

  #result(states: ReadonlyMap<string, string>): RoundResult {
    const endOf = ({ id }: RoundJob) => states.get(id) ?? 'acked';
    const ended = (as: string) => this.#jobs.filter((job) => endOf(job) === as).length;
    const [acked, rejected] = [ended('acked'), ended('failed')];
    return {
      acked,
      rejected,
      unfinished: this.#jobs.length - acked - rejected,
      asExpected: this.#jobs.every((job) => endOf(job) === (job.refused ? 'failed' : 'acked')),
    };
  }
}
