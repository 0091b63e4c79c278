/** What a step does: with a transaction, a `pg` client, when it is transactional, otherwise without an argument. */
export type StepWork = (tx: never) => unknown;

/** Options of `job.step`. */
export interface StepOptions {
  /**
   * The step gets a transaction, in which its result is remembered: its writes happen exactly once. The transaction holds a connection
   * for as long as the step takes. @default false
   */
  readonly transactional?: boolean;
}

/** Options of `job.waitForEvent`. */
export interface WaitOptions {
  /** How long to wait, in milliseconds from the first call, by the database's clock. @default Infinity */
  readonly timeoutMs?: number;
  /**
   * Tells this wait from others of the job, in at most 256 bytes, also where a later version of the handler waits more or less often.
   * @default the event, and how often it has been waited for
   */
  readonly name?: string;
}

/** What an attempt does for the steps of its job. */
export interface DurableSteps {
  step(name: string, work: StepWork, options: StepOptions): Promise<unknown>;
  /** @param name `undefined`: the calls without a name are told apart by their order */
  sleep(name: string | undefined, ms: number): Promise<void>;
  waitForEvent(event: string, options: WaitOptions): Promise<unknown>;
}

/** What becomes of a value that is remembered: plain JSON, dates as text, `undefined` as it is. */
export type StepResult<T> = 0 extends 1 & T
  ? T
  : T extends { toJSON(): infer Written }
    ? StepResult<Written>
    : T extends object
      ? { [Key in keyof T]: StepResult<T[Key]> }
      : T;
