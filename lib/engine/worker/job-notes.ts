import { storableText } from '../codec/stored-text.js';
import { encodeJson } from '../codec/json-codec.js';
import { reportFailure } from '../connection/pg-errors.js';
import type { Session } from '../connection/session.js';
import type { EventHub } from '../events.js';
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
  lines: string[];
}

/** What handlers say about their jobs while they run: gathered, stored together, and before their outcome. */
export class JobNotes {
  #pending = new Map<string, Note>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly session: Session,
    private readonly events: EventHub,
  ) {}

  /** Something is to be stored. */
  get pending(): boolean {
    return this.#pending.size > 0;
  }

  /** @throws InvalidPayloadError, PayloadTooLargeError for what JSON cannot say */
  progress(claimed: ClaimedJob, value: unknown): void {
    encodeJson(value, { maxBytes: MAX_PROGRESS_BYTES, instances: false });
    this.#note(claimed).progress = value;
    const { queue, id: jobId } = claimed;
    this.events.emit({ type: 'progress', queue, jobId, runCount: claimed.runCount + 1, progress: value });
  }

  log(claimed: ClaimedJob, line: string): void {
    const { lines } = this.#note(claimed);
    lines.push(storableText(line.slice(0, MAX_LINE_LENGTH)));
    if (lines.length > MAX_LOG_LINES) lines.shift();
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

  /** What the jobs have come to that a job depends on. */
  async parents(claimed: ClaimedJob): Promise<ParentResult[]> {
    const rows = await this.session.run(parentsOf, { id: claimed.id });
    return rows.map(({ id, queue, outcome, result }) => ({
      id,
      queue: queue ?? undefined,
      outcome,
      result: result === null ? undefined : (JSON.parse(result) as unknown),
    }));
  }

  #note(claimed: ClaimedJob): Note {
    let note = this.#pending.get(claimed.id);
    if (note === undefined) this.#pending.set(claimed.id, (note = { claimed, lines: [] }));
    this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS);
    return note;
  }
}
