import { Injectable } from '@nestjs/common';
import { OnJobEvent, type EngineDrainingEvent } from 'nestjs-taskmaster';
import { Settings } from '../settings.js';

/** Says at Ctrl-C what is waited for. Taskmaster and Nest do the waiting. */
@Injectable()
export class ShutdownNotice {
  constructor(private readonly settings: Settings) {}

  @OnJobEvent('engineDraining')
  onDraining({ running }: EngineDrainingEvent): void {
    if (running === 0) return;
    const jobs = running === 1 ? '1 job' : `${running} jobs`;
    const seconds = this.settings.drainTimeoutMs / 1_000;
    console.log(`waiting for ${jobs}, up to ${seconds} s; press Ctrl-C again to hand them back`);
  }
}
