import { Logger } from '@nestjs/common';
import type { EventHub } from '../engine/events.js';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { logLineOf, textOf } from './log-line.js';

/** Writes the events of an instance through Nest's logger, one line each. The lines of single jobs have level `debug`. */
export class TaskmasterLogger {
  readonly #logger: Logger;

  /** @param instance the context of its lines, unless it is the default one */
  constructor(instance: string) {
    this.#logger = new Logger(
      instance === TASKMASTER_DEFAULTS.name ? 'Taskmaster' : `Taskmaster:${instance}`,
    );
  }

  /** @returns how to end it */
  follow(events: EventHub): () => void {
    return events.subscribe((event) => {
      const line = logLineOf(event);
      // Most lines are of level `debug`, and most processes in production do not write those.
      if (line === undefined || !Logger.isLevelEnabled(line.level)) return;
      this.#logger[line.level](textOf(line));
    });
  }
}
