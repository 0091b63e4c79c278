import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import type pg from 'pg';
import { onTestFinished } from 'vitest';
import { Deferred } from '../../lib/engine/lifecycle/deferred.js';
import type { TestDatabase } from './test-database.js';
import { within } from './within.js';

/** Which reply {@link FaultyProxy.dropReply} is to lose. */
export interface LostReply {
  /** To a request that holds this text: the name of a prepared statement is in every execution of it. */
  readonly to?: RegExp;
  /** That holds this text itself. */
  readonly with?: RegExp;
}

interface Loss {
  readonly reply: LostReply;
  readonly lost: Deferred<void>;
}

/** A connection through the proxy. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Takes everything and passes nothing on, for good: what a firewall does that has forgotten a connection. */
  swallowing: boolean;
  /** The next chunk from the server is the one to lose. */
  losing: Loss | undefined;
  /** When the last chunk of each way may pass: on a slow network none overtakes another. */
  readonly passesAt: { request: number; reply: number };
}

/** See {@link FaultyProxy.slow}. */
export interface SlowNetwork {
  readonly latencyMs: number;
  /** Up to so much more, at random. @default 0 */
  readonly jitterMs?: number;
  /** @default no limit */
  readonly bytesPerSecond?: number;
}

/**
 * A network between an engine and its database that can fail in the ways networks do. Passes until it is told otherwise.
 *
 * pass <-> refuse, pass <-> stall, pass <-> blackhole; connections that were swallowed once never come back.
 */
export class FaultyProxy {
  #mode: 'pass' | 'refuse' | 'stall' | 'blackhole' = 'pass';
  #loss: Loss | undefined;
  #slow: SlowNetwork | undefined;
  /** Connections that were made so far. */
  accepted = 0;
  #oblivion: { readonly at: RegExp; readonly forgotten: Deferred<void> } | undefined;
  readonly #links = new Set<Link>();
  readonly #server: Server;

  constructor(private target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((client) => this.#accept(client));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** New connections lead to another server. */
  aim(target: { readonly host: string; readonly port: number }): void {
    this.target = target;
  }

  /** Everything takes its time, each way, in order; `undefined`: as fast as it can. */
  slow(network: SlowNetwork | undefined): void {
    this.#slow = network;
  }

  /** Connections now open. */
  get connections(): number {
    return this.#links.size;
  }

  /** New connections work again, and those that were stalled go on. */
  pass(): void {
    this.#mode = 'pass';
    for (const { client, server } of this.#links) [client, server].forEach((socket) => socket.resume());
  }

  /** Nothing passes, and nothing is lost: it all arrives when it passes again. */
  stall(): void {
    this.#mode = 'stall';
    for (const { client, server } of this.#links) [client, server].forEach((socket) => socket.pause());
  }

  /** Ends every connection, as a server that goes down; new ones work. */
  cut(): void {
    for (const link of this.#links) closeLink(link);
  }

  /** Ends every connection and refuses new ones. */
  refuse(): void {
    this.#mode = 'refuse';
    this.cut();
  }

  /** Nothing passes any more and nobody is told, on connections old and new. */
  blackhole(): void {
    this.#mode = 'blackhole';
    this.forget();
  }

  /** Nothing passes any more on the connections there are, and nobody is told; new ones work. */
  forget(): void {
    for (const link of this.#links) link.swallowing = true;
  }

  /** Forgets one connection, that on which a request with this text comes; it does not pass. Resolves when that has happened. */
  forgetAt(request: RegExp, { timeoutMs = 10_000 } = {}): Promise<void> {
    const forgotten = new Deferred();
    this.#oblivion = { at: request, forgotten };
    return within(timeoutMs, `the request ${request}`, forgotten.promise);
  }

  /** Loses one reply and ends its connection: the request was carried out. Resolves when that has happened. */
  dropReply(reply: LostReply, { timeoutMs = 10_000 } = {}): Promise<void> {
    const lost = new Deferred();
    const loss = { reply, lost };
    this.#loss = loss;
    return within(timeoutMs, 'a reply to lose', lost.promise).finally(() => {
      if (this.#loss === loss) this.#loss = undefined; // what did not come in time is lost no more
    });
  }

  async close(): Promise<void> {
    this.refuse();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined); // its end is what counts
    this.accepted += 1;
    if (this.#mode === 'refuse') return void client.destroy();
    const link: Link = {
      client,
      server: connect(this.target),
      swallowing: this.#mode === 'blackhole',
      losing: undefined,
      passesAt: { request: 0, reply: 0 },
    };
    this.#links.add(link);
    link.server.on('error', () => undefined);
    client.on('data', (chunk) => this.#requested(link, chunk));
    link.server.on('data', (chunk) => this.#replied(link, chunk));
    for (const socket of [client, link.server]) {
      socket.on('close', () => this.#ended(link));
      if (this.#mode === 'stall') socket.pause();
    }
  }

  #requested(link: Link, chunk: Buffer): void {
    if (this.#oblivion?.at.test(chunk.toString('latin1')) === true) this.#forget(link);
    if (link.swallowing) return;
    if (this.#loss?.reply.to?.test(chunk.toString('latin1')) === true) this.#lose(link);
    this.#pass(link, 'request', chunk);
  }

  #forget(link: Link): void {
    link.swallowing = true;
    this.#oblivion?.forgotten.resolve();
    this.#oblivion = undefined;
  }

  #replied(link: Link, chunk: Buffer): void {
    if (link.swallowing) return;
    if (this.#loss?.reply.with?.test(chunk.toString('latin1')) === true) this.#lose(link);
    if (link.losing === undefined) return this.#pass(link, 'reply', chunk);
    link.losing.lost.resolve();
    link.server.end(); // politely: what is on its way to the server arrives
    link.client.destroy();
  }

  #pass(link: Link, way: 'request' | 'reply', chunk: Buffer): void {
    const socket = way === 'request' ? link.server : link.client;
    if (this.#slow === undefined) return void socket.write(chunk);
    const { latencyMs, jitterMs = 0, bytesPerSecond = Infinity } = this.#slow;
    const now = performance.now();
    const free = Math.max(now + latencyMs + Math.random() * jitterMs, link.passesAt[way]);
    link.passesAt[way] = free + (chunk.length / bytesPerSecond) * 1_000;
    setTimeout(() => socket.writable && socket.write(chunk), link.passesAt[way] - now);
  }

  #lose(link: Link): void {
    link.losing = this.#loss;
    this.#loss = undefined;
  }

  #ended(link: Link): void {
    this.#links.delete(link);
    closeLink(link);
  }
}

function closeLink(link: Link): void {
  link.client.destroy();
  link.server.destroy();
}

/** A proxy in front of the database of a test, and the configuration that leads through it. Closed after the test. */
export async function faultyProxy(
  database: TestDatabase,
): Promise<{ proxy: FaultyProxy; connection: pg.ClientConfig }> {
  const { host, port } = database.config;
  const proxy = new FaultyProxy({ host: host!, port: port! });
  const connection = { ...database.config, host: '127.0.0.1', port: await proxy.listen() };
  onTestFinished(() => proxy.close());
  return { proxy, connection };
}
