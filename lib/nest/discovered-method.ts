import type { DiscoveryService } from '@nestjs/core';
import { MethodMetadata, type ClassRef } from './method-metadata.js';

/** Nest's record of a provider or controller. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A decorated method of a provider or controller. */
export interface DiscoveredMethod<Entry> {
  readonly wrapper: InstanceWrapper;
  readonly classRef: ClassRef;
  readonly method: string;
  readonly entry: Entry;
}

/** `MailHandlers.send` */
export function labelOf({
  classRef,
  method,
}: Pick<DiscoveredMethod<unknown>, 'classRef' | 'method'>): string {
  return `${classRef.name}.${method}`;
}

/** Every method of every provider and controller that a decorator has left entries on, once for each entry. */
export function discoverMethods<Entry>(
  discovery: DiscoveryService,
  metadata: MethodMetadata<Entry>,
): DiscoveredMethod<Entry>[] {
  return hostsOf(discovery).flatMap(({ wrapper, classRef }) =>
    metadata.of(classRef).map((found) => ({ wrapper, classRef, ...found })),
  );
}

/**
 * Providers that are created from a class come first: when a factory or value hands out the same instance again,
 * it is the class whose module and enhancers count.
 */
function hostsOf(discovery: DiscoveryService): { wrapper: InstanceWrapper; classRef: ClassRef }[] {
  const seen = new Set<unknown>();
  return [...discovery.getProviders(), ...discovery.getControllers()]
    .filter((wrapper) => !wrapper.isAlias)
    .toSorted((a, b) => Number(a.isNotMetatype) - Number(b.isNotMetatype))
    .flatMap((wrapper) => {
      const classRef = classOf(wrapper);
      if (classRef === undefined || (isSingleton(wrapper) && seen.has(wrapper.instance))) return [];
      seen.add(wrapper.instance);
      return [{ wrapper, classRef }];
    });
}

/** Whether there is one instance, made at boot. */
export function isSingleton(wrapper: InstanceWrapper): boolean {
  return wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
}

/** The class of a provider; of what it made, for factories and values. */
function classOf(wrapper: InstanceWrapper): ClassRef | undefined {
  const classRef: unknown = wrapper.isNotMetatype ? constructorOf(wrapper) : wrapper.metatype;
  if (typeof classRef !== 'function' || typeof classRef.prototype !== 'object') return undefined;
  return classRef.prototype === null ? undefined : classRef;
}

/** Values may be anything: primitives, objects without a prototype, proxies that throw. */
function constructorOf(wrapper: InstanceWrapper): unknown {
  try {
    const instance: unknown = wrapper.instance;
    return typeof instance === 'object' && instance !== null
      ? Object.getPrototypeOf(instance)?.constructor
      : undefined;
  } catch {
    return undefined;
  }
}
