/** A clock that differs by more than this from what the monotonic clock says has jumped. */
const JUMP_MS = 5_000;

/** By how much a clock may be ahead of ours: it was read at some moment between the question and the answer. */
interface Lead {
  readonly least: number;
  readonly most: number;
}

/** Notices when the clock of the database jumps, or when a failover leads to a server with another one. Pure: both clocks are given. */
export class ClockWatch {
  #lead: Lead | undefined;

  /**
   * Whether the clock has jumped since the last time.
   *
   * @param clockMs what it said
   * @param askedMs when it was asked, and `answeredMs`, when the answer was there, by the monotonic clock
   */
  jumped(clockMs: number, askedMs: number, answeredMs: number): boolean {
    const before = this.#lead;
    const lead = { least: clockMs - answeredMs, most: clockMs - askedMs };
    this.#lead = lead;
    if (before === undefined) return false;
    return lead.least - before.most > JUMP_MS || before.least - lead.most > JUMP_MS;
  }
}
