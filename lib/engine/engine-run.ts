import type { Database } from './connection/database.js';
import type { Session } from './connection/session.js';
import type { TransactionScope } from './connection/transaction.js';
import type { EventHub } from './events.js';
import type { Handler } from './job/handler.js';
import { type Service, startAll, stopAll } from './lifecycle/service.js';
import { Listener } from './listener/listener.js';
import { EffectApplier } from './maintenance/effect-applier.js';
import { EventDeliverer } from './maintenance/event-deliverer.js';
import { Rescuer } from './maintenance/rescuer.js';
import type { ResolvedOptions } from './options.js';
import { Promoter } from './scheduler/promoter.js';
import { notifyChannel } from './sql/listen.js';
import { Worker } from './worker/worker.js';

/** What an {@link EngineRun} is made of. */
export interface EngineRunOptions {
  readonly database: Database;
  readonly scope: TransactionScope;
  readonly events: EventHub;
  readonly resolved: ResolvedOptions;
}

/** What is said to everybody, and no bell of a queue: its name could not begin like this. */
const CONTROL = /^\u0001([a-z]+):(.*)$/s;
/** The bell of newly scheduled jobs. */
const SCHEDULED = '';

/**
 * One run of the background parts, from `start` to `stop`: a session of their own, the listener, the worker, the promoter and
 * the rescuer. It introduces them to each other; what they do is theirs.
 */
export class EngineRun implements Service {
  readonly #session: Session;
  readonly #listener: Listener | undefined;
  readonly #worker: Worker;
  readonly #promoter: Promoter;
  readonly #rescuer: Rescuer;
  readonly #effects: EffectApplier;
  readonly #deliverer: EventDeliverer;

  constructor(private readonly options: EngineRunOptions) {
    const { database, events, resolved, scope } = options;
    this.#session = database.session(true);
    this.#worker = new Worker({
      session: this.#session,
      pool: database.pool,
      scope,
      tables: database.tables,
      events,
      resolved,
      configs: () => database.configs,
      bells: { arm: (queues) => this.#arm(queues), disarm: (queues) => this.#disarm(queues) },
      onScheduled: (inMs) => this.#promoter.scheduled(inMs),
      onEffects: () => this.#effects.call(),
      onOutage: () => this.#rescuer.grace(),
    });
    this.#effects = new EffectApplier({ session: this.#session, events });
    this.#deliverer = new EventDeliverer({
      session: this.#session,
      events,
      onReady: (queue) => this.#worker.hint(queue),
    });
    this.#promoter = new Promoter({
      session: this.#session,
      events,
      onReady: (queue) => this.#worker.hint(queue),
      arm: () => this.#arm([SCHEDULED]),
      disarm: () => this.#disarm([SCHEDULED]),
    });
    this.#rescuer = new Rescuer({
      session: this.#session,
      events,
      lease: resolved.lease,
      mayRescue: () => this.#worker.steady,
      queues: () => this.#worker.queues,
      onReady: (queue) => this.#worker.hint(queue),
      onAlone: () => this.#worker.aloneFound(),
    });
    this.#listener = resolved.listen.enabled ? this.#createListener() : undefined;
  }

  get running(): number {
    return this.#worker.running;
  }

  runningOf(queue: string): number {
    return this.#worker.runningOf(queue);
  }

  /** Whether bells ring; `undefined` when they were not asked for. */
  get listening(): boolean | undefined {
    return this.#listener?.healthy;
  }

  serves(queue: string): boolean {
    return this.#worker.queues.includes(queue);
  }

  serve(handler: Handler): Promise<void> {
    return this.#worker.serve(handler);
  }

  async start(): Promise<void> {
    await startAll(this.#parts);
  }

  /** The worker drains first. Then everything ends at once: who still waits for the database is told that it is over. */
  async stop(): Promise<void> {
    await this.#worker.drain();
    const stopped = stopAll(this.#parts);
    await this.#session.close();
    await stopped;
  }

  forceStop(): void {
    this.#worker.forceStop();
  }

  /** A publisher of this process has committed a job. */
  committed(queue: string, delayMs: number | undefined): void {
    if (delayMs === undefined || delayMs <= 0) this.#worker.hint(queue);
    if (delayMs !== undefined) this.#promoter.scheduled(Math.max(0, delayMs));
  }

  /** A publisher of this process has emitted an event. */
  emitted(): void {
    this.#deliverer.call();
  }

  get #parts(): readonly Service[] {
    return [
      ...(this.#listener === undefined ? [] : [this.#listener]),
      this.#promoter,
      this.#rescuer,
      this.#effects,
      this.#deliverer,
      this.#worker,
    ];
  }

  #createListener(): Listener {
    const { database, events } = this.options;
    return new Listener({
      cluster: database.listenCluster,
      tables: database.tables,
      events,
      notify: async (channel, payload) => void (await this.#session.run(notifyChannel, { channel, payload })),
      onRing: (message) => this.#heard(message),
      onRestored: () => this.#bellsLost(),
      onLost: () => this.#bellsLost(),
    });
  }

  #heard(message: string): void {
    const [, kind, subject = ''] = CONTROL.exec(message) ?? [];
    if (kind !== undefined) return this.#told(kind, subject);
    if (message !== SCHEDULED) return this.#worker.rang(message);
    this.#promoter.rang();
    this.#effects.call();
  }

  /** Other kinds are for others, or of a later release. */
  #told(kind: string, subject: string): void {
    const { events } = this.options;
    if (kind === 'cancel') this.#worker.cancel(subject);
    if (kind === 'emitted') this.#deliverer.call();
    if (kind === 'paused') events.emit({ type: 'paused', queue: subject });
    if (kind === 'resumed') {
      events.emit({ type: 'resumed', queue: subject });
      this.#worker.hint(subject);
    }
  }

  /** Whatever was armed is not armed any more. */
  #bellsLost(): void {
    this.#worker.bellsLost();
    this.#promoter.bellLost();
  }

  async #arm(queues: readonly string[]): Promise<boolean> {
    return (await this.#listener?.arm(queues)) ?? false;
  }

  async #disarm(queues: readonly string[]): Promise<void> {
    await this.#listener?.disarm(queues);
  }
}
