import type { DiscoveredMethod } from './discovered-method.js';
import type { EnhancerKind } from './enhancers.js';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
} from './nest-internals.js';

const METADATA = {
  pipes: PIPES_METADATA,
  interceptors: INTERCEPTORS_METADATA,
  guards: GUARDS_METADATA,
  filters: EXCEPTION_FILTERS_METADATA,
} as const satisfies Record<EnhancerKind, string>;

/** The enhancers declared at a handler or its class with `@UseGuards()` and the like: instances and classes; of one kind, or of all. */
export function localEnhancers(
  handler: Pick<DiscoveredMethod<unknown>, 'classRef' | 'method'>,
  kind?: EnhancerKind,
): unknown[] {
  const keys = kind === undefined ? Object.values(METADATA) : [METADATA[kind]];
  const method = (handler.classRef.prototype as Record<string, object>)[handler.method] as object;
  return [handler.classRef, method].flatMap((target) =>
    keys.flatMap((key) => (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? []),
  );
}
