import { storableText } from '../codec/stored-text.js';
import { encodeJson } from '../codec/json-codec.js';
import { seal, unsealFor } from '../codec/sealed.js';
import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
import type { EncryptedKind, EncryptionOf } from '../job/encryption.js';
import type { ClaimedJob, ParentResult } from '../job/job.js';
import { MAX_LOG_LINES, noteJobs, parentsOf } from '../sql/note-jobs.js';

/** The most text of one line, in characters, and of one progress, in bytes. */
const MAX_LINE_LENGTH = 1_000;
const MAX_PROGRESS_BYTES = 16_384;
/** Notes are gathered for so long before they are stored. */
const GATHER_MS = 100;

interface Note {
  readonly claimed: ClaimedJob;
  progress?: unknown;
  /** Text, or what it was encrypted to. */
  lines: unknown[];
}

/** What handlers say about their jobs while they run: gathered, stored together, and before their outcome. */
export class JobNotes {
  #pending = new Map<string, Note>();
  #timer: NodeJS.Timeout | undefined;
  /** By their jobs, notes that are being encrypted. */
  readonly #sealing = new Map<string, Promise<void>>();

  constructor(
    private readonly session: Session,
    private readonly events: EventHub,
    private readonly encryptionOf: EncryptionOf,
  ) {}

  /** Something is to be stored. */
  get pending(): boolean {
    return this.#pending.size > 0;
  }

  /** @throws InvalidPayloadError, PayloadTooLargeError for what JSON cannot say */
  progress(claimed: ClaimedJob, value: unknown): void {
    encodeJson(value, { maxBytes: MAX_PROGRESS_BYTES, instances: false });
    this.#say(claimed, 'progress', value, (note, said) => (note.progress = said));
    const { queue, id: jobId } = claimed;
    this.events.emit({ type: 'progress', queue, jobId, runCount: claimed.runCount + 1, progress: value });
  }

  log(claimed: ClaimedJob, line: string): void {
    this.#say(claimed, 'log', storableText(line.slice(0, MAX_LINE_LENGTH)), ({ lines }, said) => {
      lines.push(said);
      if (lines.length > MAX_LOG_LINES) lines.shift();
    });
  }

  /** Resolves when all that a job has said is encrypted, where it is to be: to be waited for before the job is settled. */
  sealed({ id }: ClaimedJob): Promise<void> | undefined {
    return this.#sealing.get(id);
  }

  /** Stores what is pending. Never rejects: what a job says about itself is not worth failing for. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const notes = [...this.#pending.values()].map(({ claimed, ...said }) => ({
      id: claimed.id,
      seq: claimed.seq,
      ...said,
    }));
    this.#pending = new Map();
    if (notes.length === 0) return;
    await this.session
      .run(noteJobs, { notes })
      .catch((error: unknown) => reportFailure(this.events, 'note progress', error));
  }

  /** What the jobs have come to that a job depends on. @throws PayloadEncryptionError where a result cannot be decrypted here */
  async parents(claimed: ClaimedJob): Promise<ParentResult[]> {
    const rows = await this.session.run(parentsOf, { id: claimed.id });
    return Promise.all(
      rows.map(async ({ id, queue, outcome, result }) => ({
        id,
        queue: queue ?? undefined,
        outcome,
        result:
          result === null ? undefined : await unsealFor(JSON.parse(result), 'result', this.encryptionOf),
      })),
    );
  }

  #say(
    claimed: ClaimedJob,
    kind: EncryptedKind,
    value: unknown,
    add: (note: Note, said: unknown) => void,
  ): void {
    const { id, queue } = claimed;
    const encryption = this.encryptionOf(queue);
    if (encryption === undefined) return add(this.#note(claimed), value);
    const sealing = (this.#sealing.get(id) ?? Promise.resolve())
      .then(async () => {
        const said = await seal(JSON.stringify(value ?? null), encryption, { queue, kind });
        add(this.#note(claimed), said);
      })
      .catch((error: unknown) => reportFailure(this.events, 'note progress', error))
      .finally(() => {
        if (this.#sealing.get(id) === sealing) this.#sealing.delete(id);
      });
    this.#sealing.set(id, sealing);
  }

  #note(claimed: ClaimedJob): Note {
    let note = this.#pending.get(claimed.id);
    if (note === undefined) this.#pending.set(claimed.id, (note = { claimed, lines: [] }));
    this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS);
    return note;
  }
}
