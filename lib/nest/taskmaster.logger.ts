import { Logger } from '@nestjs/common';
import type { EventHub } from '../engine/events.js';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { logLineOf, textOf, type LogLine } from './log-line.js';

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
      if (line === undefined || isDropped(line.level)) return;
      this.#logger[line.level](textOf(line));
    });
  }
}

/**
 * Lines of single jobs are many, and most processes in production do not write them: they are not even made then.
 * NestJS 11 denies every level, `error` too, as long as none has been set; that says nothing.
 */
function isDropped(level: LogLine['level']): boolean {
  return level === 'debug' && !Logger.isLevelEnabled('debug') && Logger.isLevelEnabled('error');
}
