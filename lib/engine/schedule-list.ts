import { DuplicateScheduleError, InvalidOptionsError, InvalidPayloadError } from './errors.js';
import { checkSchedule } from './option-checks.js';
import {
  checkSchedulePayload,
  type EncodedSchedule,
  encodeSchedule,
  type ScheduleDefinition,
} from './schedule/schedule-definition.js';

interface ListedSchedule {
  readonly definition: ScheduleDefinition;
  readonly encoded: EncodedSchedule;
  readonly label: string;
}

/** The schedules that the code of this process defines. */
export class ScheduleList {
  readonly #schedules = new Map<string, ListedSchedule>();
  /** Those whose payload has passed its schema. */
  readonly #checked = new Set<string>();

  constructor(private readonly maxPayloadBytes: number) {}

  /** @throws DuplicateScheduleError, InvalidOptionsError, InvalidPayloadError, PayloadTooLargeError */
  add(definition: ScheduleDefinition, label = `schedule ${JSON.stringify(definition?.name)}`): void {
    checkSchedule(label, definition);
    const taken = this.#schedules.get(definition.name);
    if (taken !== undefined) throw new DuplicateScheduleError(definition.name, taken.label, label);
    const encoded = encodeSchedule(definition, this.maxPayloadBytes);
    this.#schedules.set(definition.name, { definition, encoded, label });
  }

  remove(name: string): void {
    this.#schedules.delete(name);
  }

  /** All of them, their payloads checked against the schemas of their queues. @throws InvalidOptionsError for one that is refused */
  async checked(): Promise<readonly EncodedSchedule[]> {
    const all = [...this.#schedules.values()];
    for (const schedule of all) await this.#check(schedule);
    return all.map(({ encoded }) => encoded);
  }

  async #check({ definition, label }: ListedSchedule): Promise<void> {
    if (this.#checked.has(definition.name)) return;
    try {
      await checkSchedulePayload(definition);
    } catch (error) {
      if (!(error instanceof InvalidPayloadError)) throw error;
      throw new InvalidOptionsError(label, [`${error.path}: ${error.reason}`]);
    }
    this.#checked.add(definition.name);
  }
}
