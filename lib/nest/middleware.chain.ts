import type { Type } from '@nestjs/common';
import { ModuleRef, type ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../engine/errors.js';
import { isSingleton, type InstanceWrapper } from './discovered-method.js';

/** What is wrapped around a job, or around a batch. */
type Layer<Subject> = (subject: Subject, next: () => Promise<unknown>) => Promise<unknown>;

/** An object of a class that does so. */
interface LayerObject<Subject> {
  use(subject: Subject, next: () => Promise<unknown>): Promise<unknown>;
}

type MiddlewareOption<Subject> = Layer<Subject> | LayerObject<Subject> | Type<LayerObject<Subject>>;

/**
 * The module's middleware as the functions that the engine takes. The engine is made while Nest still makes the
 * providers, so classes are looked up later, by `resolve`, which comes before the first job.
 */
export class MiddlewareChain<Subject> {
  readonly functions: readonly Layer<Subject>[];
  readonly #instances = new Map<Type<LayerObject<Subject>>, LayerObject<Subject>>();
  readonly #classes: readonly Type<LayerObject<Subject>>[];

  constructor(options: readonly MiddlewareOption<Subject>[]) {
    this.#classes = options.filter((option) => isClass(option));
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

  #functionOf(option: MiddlewareOption<Subject>): Layer<Subject> {
    if (typeof option === 'object') return (subject, next) => option.use(subject, next);
    if (!isClass(option)) return option;
    return (subject, next) => this.#instances.get(option)!.use(subject, next);
  }
}

function isClass<Subject>(option: MiddlewareOption<Subject>): option is Type<LayerObject<Subject>> {
  return (
    typeof option === 'function' &&
    typeof (option.prototype as Partial<LayerObject<Subject>> | undefined)?.use === 'function'
  );
}

/** Whether a value can be an entry of the options `middleware` and `batchMiddleware`. */
export function isMiddleware(option: unknown): boolean {
  if (typeof option === 'function') return true;
  return typeof option === 'object' && option !== null && 'use' in option && typeof option.use === 'function';
}

function providerOf(modules: ModulesContainer, type: Type): InstanceWrapper | undefined {
  return [...modules.values()]
    .map((module) => module.providers.get(type))
    .find((wrapper) => wrapper !== undefined);
}

function singletonOf<Instance>(wrapper: InstanceWrapper, type: Type<Instance>): Instance {
  if (isSingleton(wrapper)) return wrapper.instance as Instance;
  throw new InvalidOptionsError('TaskmasterModule', [
    `middleware: ${type.name} is request-scoped or transient; one instance serves all jobs, so make it a singleton`,
  ]);
}
