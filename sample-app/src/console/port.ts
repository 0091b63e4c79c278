import { once } from 'node:events';
import { createServer } from 'node:net';

/** Looks before anything else is started, so that a port that is taken costs nobody a job. Rejects as `listen` does. */
export async function assertPortIsFree({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<void> {
  const probe = createServer().listen(port, host);
  await once(probe, 'listening'); // rejects with the probe's error
  probe.close();
  await once(probe, 'close');
}
