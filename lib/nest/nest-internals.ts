/**
 * The only file that reaches into Nest beyond its documented surface: metadata keys by deep import, and private
 * members of `ExternalContextCreator`. Their names are the same in NestJS 11 and 12, and they are looked for at
 * boot (see `canShadow`): handlers work without them, with less control over enhancers.
 */
import type { ArgumentsHost, NestInterceptor } from '@nestjs/common';
import { ApplicationConfig, type ExternalContextCreator } from '@nestjs/core';
import type { EnhancerKind } from './enhancers.js';

export {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';

/** One of the four creators an `ExternalContextCreator` collects the enhancers of a method with. */
interface EnhancerCreator {
  readonly config?: unknown;
  create(...args: unknown[]): unknown;
  /** The enhancers that are not declared at the method or its class. */
  getGlobalMetadata(): unknown[];
}

/** What `filtersContextCreator.create()` makes. */
interface ExceptionsHandler {
  next(exception: unknown, host: ArgumentsHost): unknown;
  /** The answer of the filter that catches the exception; without one `undefined`, or `null` in NestJS 11. */
  invokeCustomFilters(exception: unknown, host: ArgumentsHost): unknown;
}

interface MetadataStorage {
  get(): unknown;
  set(instance: unknown, method: unknown, metadata: unknown): void;
}

interface Internals {
  pipesContextCreator: EnhancerCreator;
  interceptorsContextCreator: EnhancerCreator;
  guardsContextCreator: EnhancerCreator;
  filtersContextCreator: EnhancerCreator;
  handlerMetadataStorage: MetadataStorage;
  transformToResult(result: unknown): Promise<unknown>;
  createPipesFn(...args: unknown[]): PipesFn | null;
}

/** Runs the pipes of all parameters. */
type PipesFn = (...args: unknown[]) => Promise<void>;

const CREATORS = {
  pipes: 'pipesContextCreator',
  interceptors: 'interceptorsContextCreator',
  guards: 'guardsContextCreator',
  filters: 'filtersContextCreator',
} as const satisfies Record<EnhancerKind, keyof Internals>;

/** How the calls of one handler differ from what `ExternalContextCreator` does by itself. */
export interface ContextRules {
  /** The global enhancers that apply, in place of all of them. */
  globals(kind: EnhancerKind): readonly unknown[];
  /** Gets the interceptors that apply, and answers with those to use. */
  interceptors(applying: readonly NestInterceptor[]): readonly NestInterceptor[];
  /** Gets an exception, and what asks the filter that catches it; answers or throws for the call. */
  filtered(exception: unknown, answer: () => unknown): Promise<unknown>;
  /** A pipe has thrown this. */
  refused(error: unknown): void;
  /** Awaits what the method, or its interceptors, made. */
  result(result: unknown): Promise<unknown>;
}

/** Whether this NestJS is built as {@link shadowContext} expects. */
export function canShadow(contexts: ExternalContextCreator): boolean {
  const internals = contexts as unknown as Partial<Internals>;
  return (
    Object.values(CREATORS).every((name) => isEnhancerCreator(internals[name])) &&
    typeof internals.handlerMetadataStorage === 'object' &&
    typeof internals.transformToResult === 'function' &&
    typeof internals.createPipesFn === 'function'
  );
}

function isEnhancerCreator(creator: Partial<EnhancerCreator> | undefined): boolean {
  return (
    typeof creator?.create === 'function' &&
    typeof creator.getGlobalMetadata === 'function' &&
    creator.config instanceof ApplicationConfig
  );
}

/** The configuration that holds the global enhancers of an application. Only where {@link canShadow}. */
export function applicationConfig(contexts: ExternalContextCreator): ApplicationConfig {
  return (contexts as unknown as Internals).guardsContextCreator.config as ApplicationConfig;
}

/**
 * The same creator under other rules: an object whose prototype it is, so that nothing changes for its other users.
 *
 * It has its own cache of parameter metadata: that of NestJS 11 is keyed by the names of class and method, so two
 * classes of one name in different files would share the parameters of the first.
 */
export function shadowContext(contexts: ExternalContextCreator, rules: ContextRules): ExternalContextCreator {
  const internals = contexts as unknown as Internals;
  const shadow = Object.create(contexts) as Internals;
  for (const [kind, name] of Object.entries(CREATORS) as [EnhancerKind, (typeof CREATORS)[EnhancerKind]][]) {
    shadow[name] = inherit(internals[name], { getGlobalMetadata: () => [...rules.globals(kind)] });
  }
  shadow.interceptorsContextCreator = ruledInterceptors(shadow.interceptorsContextCreator, rules);
  shadow.filtersContextCreator = ruledFilters(shadow.filtersContextCreator, rules);
  shadow.handlerMetadataStorage = singleEntryStorage();
  shadow.transformToResult = (result) => rules.result(result);
  shadow.createPipesFn = (...args) => notedPipes(internals.createPipesFn.apply(shadow, args), rules);
  return shadow as unknown as ExternalContextCreator;
}

function notedPipes(pipes: PipesFn | null, rules: ContextRules): PipesFn | null {
  if (pipes === null) return null;
  return async (...args) => {
    try {
      await pipes(...args);
    } catch (error) {
      rules.refused(error);
      throw error;
    }
  };
}

function ruledInterceptors(creator: EnhancerCreator, rules: ContextRules): EnhancerCreator {
  return inherit(creator, {
    create: (...args) => rules.interceptors(creator.create(...args) as NestInterceptor[]),
  });
}

function ruledFilters(creator: EnhancerCreator, rules: ContextRules): EnhancerCreator {
  return inherit(creator, {
    create: (...args) => {
      const handler = creator.create(...args) as ExceptionsHandler;
      return inherit(handler, {
        next: (exception, host) =>
          rules.filtered(exception, () => handler.invokeCustomFilters(exception, host)),
      });
    },
  });
}

function singleEntryStorage(): MetadataStorage {
  let stored: unknown;
  return {
    get: () => stored,
    set: (_instance, _method, metadata) => {
      stored = metadata;
    },
  };
}

function inherit<T extends object>(base: T, own: Partial<T>): T {
  return Object.assign(Object.create(base) as T, own);
}
