import type { ServerResponse } from 'node:http';
import type { Admin } from '../engine/admin/admin.js';
import { type Overview, overviewOfSome } from '../engine/admin/overview.js';
import type { JobNews, JobWatch } from './job.watch.js';
import type { Viewer } from './viewer.js';

/** Options of a {@link LiveHub}. */
export interface LiveHubOptions {
  readonly admin: Pick<Admin, 'stats' | 'operations'>;
  readonly jobs: JobWatch;
  readonly intervalMs: number;
  readonly maxClients: number;
}

interface Client {
  readonly response: ServerResponse;
  readonly viewer: Viewer;
  readonly topics: readonly string[];
  readonly end: () => void;
}

const HEARTBEAT_MS = 15_000;
/** The queues are looked at anew once in so many looks at the numbers. */
const SNAPSHOT_EVERY = 5;
const SNAPSHOT_AGE_MS = 8_000;
/** A client that has not taken so many bytes is told to ask anew, and gets no more. */
const MOST_BUFFERED = 262_144;

/**
 * Live updates for all pages that are open: one look at the numbers for all of them, and none while there are none. Says goodbye when the
 * application closes, and ends the connections, which would hold it up otherwise.
 */
export class LiveHub {
  readonly #clients = new Set<Client>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #beat = 0;
  #looks = 0;
  #lastId = 0;
  #closed = false;

  constructor(private readonly options: LiveHubOptions) {}

  get clients(): number {
    return this.#clients.size;
  }

  /** False: there are too many, or the application closes. */
  get hasRoom(): boolean {
    return !this.#closed && this.#clients.size < this.options.maxClients;
  }

  /** Begins to send. Topics: `stats`, `job:<id>`, `op:<id>`. */
  join(response: ServerResponse, viewer: Viewer, topics: readonly string[]): void {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    const ids = topics.filter((topic) => topic.startsWith('job:')).map((topic) => topic.slice(4));
    const end =
      ids.length === 0 ? () => {} : this.options.jobs.watch(ids, (news) => this.#tell(client, news));
    const client: Client = { response, viewer, topics, end };
    this.#clients.add(client);
    response.on('close', () => this.#leave(client));
    response.write('retry: 2000\n\n');
    this.#send(client, 'hello', { topics });
    this.#timer ??= setInterval(() => this.#tick(), this.options.intervalMs);
    this.#tick();
  }

  /** Nobody is connected any more. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const client of this.#clients) {
      this.#send(client, 'bye', {});
      const { socket } = client.response;
      client.response.end();
      setImmediate(() => socket?.destroySoon());
      this.#leave(client);
    }
  }

  #leave(client: Client): void {
    if (!this.#clients.delete(client)) return;
    client.end();
    if (this.#clients.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look()
      .catch(() => this.#toAll('trouble', {})) // said, and tried again
      .finally(() => (this.#isLooking = false));
  }

  async #look(): Promise<void> {
    if (performance.now() - this.#beat > HEARTBEAT_MS) {
      this.#beat = performance.now();
      for (const { response } of this.#clients) response.write(':\n\n');
    }
    await Promise.all([this.#lookAtStats(), this.#lookAtOperations()]);
  }

  async #lookAtStats(): Promise<void> {
    const wanting = [...this.#clients].filter(({ topics }) => topics.includes('stats'));
    if (wanting.length === 0) return;
    const isDue = this.#looks++ % SNAPSHOT_EVERY === 0;
    const overview = await this.options.admin.stats.overview({
      maxAgeMs: isDue ? SNAPSHOT_AGE_MS : Infinity,
    });
    for (const client of wanting) this.#send(client, 'stats', seen(overview, client.viewer));
  }

  async #lookAtOperations(): Promise<void> {
    const ids = new Set(
      [...this.#clients].flatMap(({ topics }) => topics).filter((topic) => topic.startsWith('op:')),
    );
    for (const topic of ids) {
      const operation = await this.options.admin.operations.get(topic.slice(3));
      if (operation === undefined) continue;
      for (const client of this.#clients)
        if (client.topics.includes(topic)) this.#send(client, 'operation', operation);
    }
  }

  #tell(client: Client, news: JobNews): void {
    const { sees } = client.viewer;
    if (sees === undefined || news.queue === undefined || sees(news.queue)) this.#send(client, 'job', news);
  }

  #toAll(event: string, data: unknown): void {
    for (const client of this.#clients) this.#send(client, event, data);
  }

  #send({ response }: Client, event: string, data: unknown): void {
    if (response.writableEnded || response.destroyed) return;
    if (response.writableLength > MOST_BUFFERED) return;
    response.write(`id: ${++this.#lastId}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}

function seen(overview: Overview, { sees }: Viewer): Overview {
  return sees === undefined ? overview : overviewOfSome(overview, sees);
}
