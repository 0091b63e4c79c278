import { Module } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { placeLast } from './module-order.js';

/** Holds the worker pools of an instance. Initialised after other modules, destroyed before them. @internal */
@Module({})
export class TaskmasterRuntimeModule {
  constructor(modules: ModulesContainer) {
    placeLast(modules, TaskmasterRuntimeModule);
  }
}
