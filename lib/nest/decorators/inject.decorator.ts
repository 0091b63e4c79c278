import { Inject } from '@nestjs/common';
import {
  getPublisherToken,
  getTaskmasterPoolToken,
  getTaskmasterToken,
  type InstanceService,
} from '../taskmaster.tokens.js';

/** Injects the `PublisherService` of an instance, the default one unless named. */
export function InjectPublisher(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getPublisherToken(name));
}

/**
 * Injects a service of an instance: its `TaskmasterRuntime`, or the one whose class is given, as in
 * `@InjectTaskmaster('reports', TaskmasterEvents) events: TaskmasterEvents`.
 */
export function InjectTaskmaster(
  name?: string,
  service?: InstanceService,
): PropertyDecorator & ParameterDecorator {
  return Inject(getTaskmasterToken(name, service));
}

/** Injects the `pg.Pool` of an instance. A pool of yours comes back as it is; one made here is ended by the module. */
export function InjectTaskmasterPool(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getTaskmasterPoolToken(name));
}
