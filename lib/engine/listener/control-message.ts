/** What is said to everybody on the channel of a schema, besides the names of queues that have work. */
export interface ControlMessage {
  /** `cancel`, `ended`, `emitted`, `paused`, `resumed`, `worker`; other kinds are of a later release. */
  readonly kind: string;
  /** The id of a job or of a worker, or the name of a queue. */
  readonly subject: string;
}

/** The name of a queue cannot begin like this. */
const CONTROL = /^\u0001([a-z]+):(.*)$/s;

/** `undefined`: it is the bell of a queue. */
export function controlOf(message: string): ControlMessage | undefined {
  const [, kind, subject = ''] = CONTROL.exec(message) ?? [];
  return kind === undefined ? undefined : { kind, subject };
}
