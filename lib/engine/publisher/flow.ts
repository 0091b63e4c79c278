import { InvalidOptionsError } from '../errors.js';
import type { AnyQueue } from '../job/queue.js';
import type { EnqueuedJob, JobOptions, NewJob, ParentEdge, ParentRef } from './enqueue-options.js';

/** A job of a graph that is being built. */
export interface FlowJob {
  readonly queue: AnyQueue;
}

/** A job of the graph, or one that is stored already. */
export type FlowRef = FlowJob | ParentRef;

/** Options of a job of a graph: it may depend on others of it, and on jobs that are stored already. */
export interface FlowJobOptions extends Omit<JobOptions, 'dependsOn'> {
  readonly dependsOn?: readonly (FlowRef | ParentEdge<FlowRef>)[];
}

/** Takes the jobs of a graph. */
export interface Flow {
  add(queue: AnyQueue, payload?: unknown, options?: FlowJobOptions): FlowJob;
}

/** One job of a graph, and what it depends on. */
export class FlowNode implements FlowJob {
  /** How many jobs of the graph are to be stored one after another before it. */
  readonly depth: number;
  #isParent = false;
  #enqueued: EnqueuedJob | undefined;

  constructor(
    readonly queue: AnyQueue,
    private readonly payload: unknown,
    private readonly options: FlowJobOptions,
  ) {
    const parents = (options.dependsOn ?? []).map(refOf).filter((parent) => parent instanceof FlowNode);
    for (const parent of parents) parent.#isParent = true;
    this.depth = parents.reduce((depth, parent) => Math.max(depth, parent.depth + 1), 0);
  }

  get enqueued(): EnqueuedJob | undefined {
    return this.#enqueued;
  }

  stored(enqueued: EnqueuedJob): void {
    this.#enqueued = enqueued;
  }

  /** As it is to be stored; its parents are. */
  job(): NewJob {
    const { dependsOn, ...options } = this.options;
    return {
      ...options,
      queue: this.queue,
      payload: this.payload,
      ...(this.#isParent && { keepResult: true }),
      ...(dependsOn !== undefined && { dependsOn: dependsOn.map(storedEdge) }),
    };
  }
}

/** Collects the jobs of a graph. A job can depend only on what was added before it, so there are no circles. */
export class FlowBuilder implements Flow {
  readonly nodes: FlowNode[] = [];

  add(queue: AnyQueue, payload?: unknown, options: FlowJobOptions = {}): FlowJob {
    const node = new FlowNode(queue, payload, options);
    this.nodes.push(node);
    return node;
  }
}

/** The jobs of a graph, those first that depend on none of it. */
export function levelsOf(nodes: readonly FlowNode[]): FlowNode[][] {
  const levels: FlowNode[][] = [];
  for (const node of nodes) (levels[node.depth] ??= []).push(node);
  return levels;
}

function refOf(parent: FlowRef | ParentEdge<FlowRef>): FlowRef {
  return isEdge(parent) ? parent.job : parent;
}

function storedEdge(parent: FlowRef | ParentEdge<FlowRef>): ParentRef | ParentEdge {
  return isEdge(parent) ? { ...parent, job: idOf(parent.job) } : idOf(parent);
}

function isEdge(parent: FlowRef | ParentEdge<FlowRef>): parent is ParentEdge<FlowRef> {
  return typeof parent === 'object' && !(parent instanceof FlowNode) && 'job' in parent;
}

function idOf(parent: FlowRef): ParentRef {
  if (typeof parent === 'string' || 'id' in parent) return parent;
  const enqueued = parent instanceof FlowNode ? parent.enqueued : undefined;
  if (enqueued === undefined)
    throw new InvalidOptionsError('flow', [
      'dependsOn: expected jobs of this flow, ids, or what enqueue answered',
    ]);
  return enqueued;
}
