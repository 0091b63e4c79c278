import { DuplicateScheduleError, InvalidOptionsError, InvalidPayloadError } from './errors.js';
import type { QueueRules } from './job/queue-definition.js';
import { queueNameOf } from './job/queue-name.js';
import { checkSchedule } from './option-checks.js';
import {
  checkSchedulePayload,
  type EncodedSchedule,
  encodeSchedule,
  type ScheduleDefinition,
  sealSchedule,
} from './schedule/schedule-definition.js';

interface ListedSchedule {
  readonly definition: ScheduleDefinition;
  readonly encoded: EncodedSchedule;
  readonly label: string;
}

/** Options of a {@link ScheduleList}. */
export interface ScheduleListOptions {
  readonly maxPayloadBytes: number;
  /** What is known here of a queue, when the schedules are stored. */
  readonly rulesOf: (queue: string) => QueueRules | undefined;
}

/** The schedules that the code of this process defines. */
export class ScheduleList {
  readonly #schedules = new Map<string, ListedSchedule>();
  readonly #accepted = new Set<string>();

  constructor(private readonly options: ScheduleListOptions) {}

  /** Those that have passed {@link check}. */
  get accepted(): readonly EncodedSchedule[] {
    return [...this.#accepted].map((name) => this.#schedules.get(name)!.encoded);
  }

  /** @throws DuplicateScheduleError, InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError */
  add(definition: ScheduleDefinition, label = `schedule ${JSON.stringify(definition?.name)}`): void {
    checkSchedule(label, definition);
    const taken = this.#schedules.get(definition.name);
    if (taken !== undefined) throw new DuplicateScheduleError(definition.name, taken.label, label);
    const encoded = encodeSchedule(definition, this.options.maxPayloadBytes, undefined);
    this.#schedules.set(definition.name, { definition, encoded, label });
  }

  remove(name: string): void {
    this.#schedules.delete(name);
    this.#accepted.delete(name);
  }

  /** Checks the payloads of all against the schemas of their queues. @throws InvalidOptionsError for the first that is refused */
  async checkAll(): Promise<void> {
    for (const name of this.#schedules.keys()) await this.check(name);
  }

  /** @throws InvalidOptionsError when the payload is refused */
  async check(name: string): Promise<void> {
    const schedule = this.#schedules.get(name);
    if (schedule === undefined || this.#accepted.has(name)) return;
    try {
      await checkSchedulePayload(schedule.definition);
      this.#schedules.set(name, { ...schedule, encoded: await this.#stored(schedule.definition) });
    } catch (error) {
      if (!(error instanceof InvalidPayloadError)) throw error;
      throw new InvalidOptionsError(schedule.label, [`${error.path}: ${error.reason}`]);
    }
    this.#accepted.add(name);
  }

  /** By what is known of its queue now: handlers may have come after it. */
  #stored(definition: ScheduleDefinition): Promise<EncodedSchedule> {
    const { maxPayloadBytes, rulesOf } = this.options;
    const rules = rulesOf(queueNameOf(definition.queue ?? definition.name));
    return sealSchedule(definition, encodeSchedule(definition, maxPayloadBytes, rules), rules);
  }
}
