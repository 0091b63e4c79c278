import type { ExternalContextCreator } from '@nestjs/core';
import type { InstanceWrapper } from './discovered-method.js';
import type { EnhancerKind, EnhancerOptions } from './enhancers.js';
import { applicationConfig } from './nest-internals.js';

const KINDS = ['pipes', 'interceptors', 'guards', 'filters'] as const satisfies readonly EnhancerKind[];

/** The global enhancers of an application that apply to a handler. Read when the handler is registered, after `app.useGlobal...()`. */
export class GlobalEnhancers {
  /** Those that exist once. */
  readonly singletons: Readonly<Record<EnhancerKind, readonly unknown[]>>;
  readonly #scoped: Readonly<Record<EnhancerKind, readonly InstanceWrapper[]>>;

  constructor(contexts: ExternalContextCreator, switches: Required<EnhancerOptions>) {
    const config = applicationConfig(contexts);
    const when = <T>(kind: EnhancerKind, enhancers: readonly T[]): readonly T[] =>
      switches[kind] ? enhancers : [];
    this.singletons = {
      pipes: when('pipes', config.getGlobalPipes()),
      interceptors: when('interceptors', config.getGlobalInterceptors()),
      guards: when('guards', config.getGlobalGuards()),
      filters: when('filters', config.getGlobalFilters()),
    };
    this.#scoped = {
      pipes: when('pipes', config.getGlobalRequestPipes()),
      interceptors: when('interceptors', config.getGlobalRequestInterceptors()),
      guards: when('guards', config.getGlobalRequestGuards()),
      filters: when('filters', config.getGlobalRequestFilters()),
    };
  }

  get empty(): boolean {
    return !this.scoped && KINDS.every((kind) => this.singletons[kind].length === 0);
  }

  /** Whether one of them is request-scoped or transient, so that each attempt needs its own. */
  get scoped(): boolean {
    return KINDS.some((kind) => this.#scoped[kind].length > 0);
  }

  /** All of them, for one attempt. */
  async resolve(
    resolveOne: (wrapper: InstanceWrapper) => Promise<unknown>,
  ): Promise<Record<EnhancerKind, readonly unknown[]>> {
    const resolved = { pipes: [], interceptors: [], guards: [], filters: [] } as Record<
      EnhancerKind,
      readonly unknown[]
    >;
    for (const kind of KINDS) {
      const scoped = await Promise.all(this.#scoped[kind].map(resolveOne));
      resolved[kind] = [...this.singletons[kind], ...scoped];
    }
    return resolved;
  }
}
