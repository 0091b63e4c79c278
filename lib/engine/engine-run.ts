import type { Database } from './connection/database.js';
import type { Session } from './connection/session.js';
import type { TransactionScope } from './connection/transaction.js';
import type { EventHub } from './events.js';
import type { EncryptionOf } from './job/encryption.js';
import type { AnyHandler } from './job/handler.js';
import { type Service, startAll, stopAll } from './lifecycle/service.js';
import { type ControlMessage, controlOf } from './listener/control-message.js';
import { Listener } from './listener/listener.js';
import { EffectApplier } from './maintenance/effect-applier.js';
import { Pruner } from './maintenance/pruner.js';
import { Expirer } from './maintenance/expirer.js';
import { VersionKeeper } from './maintenance/version-keeper.js';
import { EventRecorder } from './maintenance/event-recorder.js';
import { EventDeliverer } from './maintenance/event-deliverer.js';
import { Rescuer } from './maintenance/rescuer.js';
import { SnapshotTaker } from './maintenance/snapshot-taker.js';
import type { ResolvedOptions } from './options.js';
import type { EncodedSchedule } from './schedule/schedule-definition.js';
import { Promoter } from './scheduler/promoter.js';
import { Scheduler } from './scheduler/scheduler.js';
import { notifyChannel } from './sql/listen.js';
import { Worker } from './worker/worker.js';

/** What an {@link EngineRun} is made of. */
export interface EngineRunOptions {
  readonly database: Database;
  readonly scope: TransactionScope;
  readonly events: EventHub;
  readonly resolved: ResolvedOptions;
  readonly encryptionOf: EncryptionOf;
  /** What the code of this process defines. */
  readonly schedules: () => readonly EncodedSchedule[];
  /** Somebody has told this worker to stop. */
  readonly onStop: () => void;
}

/** The bell of newly scheduled jobs. */
const SCHEDULED = '';

/**
 * One run of the background parts, from `start` to `stop`: a session of their own, the listener, the worker, the promoter,
 * the scheduler, the rescuer and the expirer. It introduces them to each other; what they do is theirs.
 */
export class EngineRun implements Service {
  readonly #session: Session;
  readonly #listener: Listener | undefined;
  readonly #worker: Worker;
  readonly #promoter: Promoter;
  readonly #scheduler: Scheduler;
  readonly #rescuer: Rescuer;
  readonly #effects: EffectApplier;
  readonly #pruner: Pruner;
  readonly #expirer: Expirer;
  readonly #deliverer: EventDeliverer;
  readonly #versions: VersionKeeper;
  readonly #recorder: EventRecorder;
  readonly #snapshots: SnapshotTaker;

  constructor(private readonly options: EngineRunOptions) {
    const { database, events, resolved, scope } = options;
    this.#session = database.session(true);
    this.#worker = new Worker({
      session: this.#session,
      pool: database.clients,
      scope,
      tables: database.tables,
      events,
      resolved,
      configs: () => database.configs,
      encryptionOf: options.encryptionOf,
      bells: { arm: (queues) => this.#arm(queues), disarm: (queues) => this.#disarm(queues) },
      onScheduled: (inMs) => this.#promoter.scheduled(inMs),
      onEffects: () => this.#effects.call(),
      onOutage: () => this.#rescuer.grace(),
      onStop: options.onStop,
    });
    this.#effects = new EffectApplier({ session: this.#session, events });
    this.#pruner = new Pruner({ session: this.#session, events, ages: () => this.#worker.ages });
    this.#deliverer = new EventDeliverer({
      session: this.#session,
      events,
      hears: () => this.#listener?.healthy === true,
      onReady: (queue) => this.#worker.hint(queue),
    });
    this.#recorder = new EventRecorder({
      session: this.#session,
      events,
      encryptionOf: options.encryptionOf,
      hears: () => this.#listener?.healthy === true,
    });
    this.#versions = new VersionKeeper({
      session: this.#session,
      events,
      queues: () => this.#worker.versions,
      onReady: (queue) => this.#worker.hint(queue),
    });
    this.#promoter = new Promoter({
      session: this.#session,
      events,
      onReady: (queue) => this.#worker.hint(queue),
      arm: () => this.#arm([SCHEDULED]),
      disarm: () => this.#disarm([SCHEDULED]),
    });
    this.#scheduler = new Scheduler({
      session: this.#session,
      events,
      pollIntervalMs: resolved.listen.pollIntervalMs,
      definitions: options.schedules,
      onReady: (queue) => this.#worker.hint(queue),
    });
    this.#rescuer = new Rescuer({
      session: this.#session,
      events,
      lease: resolved.lease,
      mayRescue: () => this.#worker.steady,
      queues: () => this.#worker.queues,
      onReady: (queue) => this.#worker.hint(queue),
      onFailed: (queue) => this.#worker.failedElsewhere(queue),
      onAlone: () => this.#worker.aloneFound(),
    });
    this.#expirer = new Expirer({
      session: this.#session,
      events,
      intervalMs: resolved.lease.heartbeatMs,
      onFailed: (queue) => this.#worker.failedElsewhere(queue),
    });
    this.#snapshots = new SnapshotTaker({ session: this.#session, events });
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

  serve(handler: AnyHandler): Promise<void> {
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

  /** Schedules were changed or defined in this process. */
  schedulesChanged(): void {
    this.#scheduler.changed();
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
      this.#expirer,
      this.#deliverer,
      this.#versions,
      this.#recorder,
      this.#worker,
      this.#pruner,
      this.#snapshots,
      this.#scheduler,
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
    const control = controlOf(message);
    if (control !== undefined) return this.#told(control);
    if (message !== SCHEDULED) return this.#worker.rang(message);
    this.#promoter.rang();
    this.#scheduler.rang();
    this.#effects.call();
  }

  /** Other kinds are for others, or of a later release. */
  #told({ kind, subject }: ControlMessage): void {
    const { events } = this.options;
    if (kind === 'cancel') this.#worker.cancel(subject);
    if (kind === 'paused') {
      events.emit({ type: 'paused', queue: subject });
      this.#worker.paused(subject);
    }
    if (kind === 'emitted') this.#deliverer.call();
    if (kind === 'watch') this.#recorder.call();
    if (kind === 'worker') this.#worker.told(subject);
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
