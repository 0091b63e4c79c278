import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { OnJobEvent, type EngineDrainingEvent } from 'nestjs-taskmaster';
import { Settings } from '../settings.js';

/** Says at Ctrl-C what is waited for. Taskmaster and Nest do the waiting. */
@Injectable()
export class ShutdownNotice implements OnModuleDestroy {
  #stopping = false;

  constructor(private readonly settings: Settings) {}

  /** Whether the application has begun to stop, for whatever reason. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Also without a drain: when nothing has been started yet. */
  onModuleDestroy(): void {
    this.#stopping = true;
  }

  @OnJobEvent('engineDraining')
  onDraining({ running }: EngineDrainingEvent): void {
    this.#stopping = true;
    if (running === 0) return;
    const jobs = running === 1 ? '1 job' : `${running} jobs`;
    const seconds = this.settings.drainTimeoutMs / 1_000;
    console.log(`waiting for ${jobs}, up to ${seconds} s; press Ctrl-C again to hand them back`);
  }
}
