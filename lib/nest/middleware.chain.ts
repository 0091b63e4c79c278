import type { Type } from '@nestjs/common';
import { ModuleRef, type ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../engine/errors.js';
import type { Middleware } from '../engine/worker/middleware.js';
import { isSingleton, type InstanceWrapper } from './discovered-method.js';
import type { JobMiddleware } from './job.middleware.js';
import type { TaskmasterModuleOptions } from './taskmaster.options.js';

type MiddlewareOption = NonNullable<TaskmasterModuleOptions['middleware']>[number];

/**
 * The module's middleware as the functions that the engine takes. The engine is made while Nest still makes the
 * providers, so classes are looked up later, by `resolve`, which comes before the first job.
 */
export class MiddlewareChain {
  readonly functions: readonly Middleware[];
  readonly #instances = new Map<Type<JobMiddleware>, JobMiddleware>();
  readonly #classes: readonly Type<JobMiddleware>[];

  constructor(options: readonly MiddlewareOption[]) {
    this.#classes = options.filter(isClass);
    this.functions = options.map((option) => this.#functionOf(option));
  }

  /** @throws InvalidOptionsError for a class that is request-scoped or transient */
  async resolve(modules: ModulesContainer, moduleRef: ModuleRef): Promise<void> {
    for (const type of this.#classes) {
      const wrapper = providerOf(modules, type);
      this.#instances.set(
        type,
        wrapper === undefined ? await moduleRef.create(type) : singletonOf(wrapper, type),
      );
    }
  }

  #functionOf(option: MiddlewareOption): Middleware {
    if (typeof option === 'object') return (job, next) => option.use(job, next);
    if (!isClass(option)) return option;
    return (job, next) => this.#instances.get(option)!.use(job, next);
  }
}

function isClass(option: MiddlewareOption): option is Type<JobMiddleware> {
  return (
    typeof option === 'function' &&
    typeof (option.prototype as Partial<JobMiddleware> | undefined)?.use === 'function'
  );
}

/** Whether a value can be an entry of the option `middleware`. */
export function isMiddleware(option: unknown): boolean {
  if (typeof option === 'function') return true;
  return typeof option === 'object' && option !== null && 'use' in option && typeof option.use === 'function';
}

function providerOf(modules: ModulesContainer, type: Type<JobMiddleware>): InstanceWrapper | undefined {
  return [...modules.values()]
    .map((module) => module.providers.get(type))
    .find((wrapper) => wrapper !== undefined);
}

function singletonOf(wrapper: InstanceWrapper, type: Type<JobMiddleware>): JobMiddleware {
  if (isSingleton(wrapper)) return wrapper.instance as JobMiddleware;
  throw new InvalidOptionsError('TaskmasterModule', [
    `middleware: ${type.name} is request-scoped or transient; one instance serves all jobs, so make it a singleton`,
  ]);
}
