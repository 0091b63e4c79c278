import type { InjectionToken, Type } from '@nestjs/common';
import { TASKMASTER_DEFAULTS } from '../engine/options.js';
import { ConsumerRegistry } from './consumer.registry.js';
import { PublisherService } from './publisher.service.js';
import { TaskmasterAdmin } from './taskmaster.admin.js';
import { TaskmasterEvents } from './taskmaster.events.js';
import { TaskmasterHealth } from './taskmaster.health.js';
import { TaskmasterRuntime } from './taskmaster.runtime.js';

/**
 * The services of an instance that can be injected. Those of the default instance are injected by their class,
 * those of a named one by a token: several instances would otherwise offer the same class.
 */
export const INSTANCE_SERVICES = [
  PublisherService,
  TaskmasterRuntime,
  ConsumerRegistry,
  TaskmasterEvents,
  TaskmasterHealth,
  TaskmasterAdmin,
] as const;

/** Class of a service that each instance has. */
export type InstanceService = (typeof INSTANCE_SERVICES)[number];

/** Token of the {@link PublisherService} of an instance. */
export function getPublisherToken(name: string = TASKMASTER_DEFAULTS.name): InjectionToken {
  return getTaskmasterToken(name, PublisherService);
}

/**
 * Token of a service of an instance; of its {@link TaskmasterRuntime} unless another class is given.
 * For the default instance that is the class itself.
 */
export function getTaskmasterToken(
  name: string = TASKMASTER_DEFAULTS.name,
  service: InstanceService = TaskmasterRuntime,
): InjectionToken {
  return name === TASKMASTER_DEFAULTS.name ? (service as Type) : namedToken(name, service.name);
}

/** Token of the `pg.Pool` of an instance. */
export function getTaskmasterPoolToken(name: string = TASKMASTER_DEFAULTS.name): InjectionToken {
  return namedToken(name, 'Pool');
}

/** Token of an instance's engine and its lifecycle: between the modules of the library only. @internal */
export function getCoreToken(name: string): InjectionToken {
  return namedToken(name, 'Core');
}

/** `Symbol.for`: two copies of the package in one process agree. */
function namedToken(name: string, what: string): symbol {
  return Symbol.for(`taskmaster:${what}:${name}`);
}
