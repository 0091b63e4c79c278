import { Injectable } from '@nestjs/common';
import type { HealthReport } from '../engine/taskmaster.js';
import { TaskmasterCore } from './taskmaster.core.js';

/** Options of `TaskmasterHealth.isHealthy()`. */
export interface IsHealthyOptions {
  /** What is said when Taskmaster is `degraded`: it works, but not as it should. Terminus 11 knows only up and down. @default 'degraded' */
  readonly degradedAs?: HealthReport['status'];
}

/** The answer of a Terminus health indicator. */
export type HealthIndicatorAnswer = Record<
  string,
  { status: HealthReport['status'] } & Record<string, unknown>
>;

/** How an instance is doing. Answers from what is known, so it may be asked at every probe. */
@Injectable()
export class TaskmasterHealth {
  constructor(private readonly core: TaskmasterCore) {}

  async check(): Promise<HealthReport> {
    return this.core.engine.health();
  }

  /**
   * The same in the form of a Terminus health indicator:
   * `health.check([() => taskmasterHealth.isHealthy('taskmaster')])`.
   */
  async isHealthy(
    key: string = 'taskmaster',
    options: IsHealthyOptions = {},
  ): Promise<HealthIndicatorAnswer> {
    const { status, details } = await this.check();
    const { degradedAs = 'degraded' } = options;
    return { [key]: { ...details, status: status === 'degraded' ? degradedAs : status } };
  }
}
