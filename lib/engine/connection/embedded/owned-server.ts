import type { RunningServer } from './server.js';
import type { Watchdog } from './watchdog.js';

/** A server that this process is to stop, with the watchdog that does so if it cannot. */
export class OwnedServer {
  constructor(
    readonly server: RunningServer,
    private readonly watchdog: Watchdog,
  ) {}

  async stop(): Promise<void> {
    this.watchdog.dismiss();
    await this.server.stop();
  }
}
