import { Module } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { placeFirst } from './module-order.js';

/** Holds the engine of an instance and the services around it. Initialised before other modules, shut down after them. @internal */
@Module({})
export class TaskmasterCoreModule {
  constructor(modules: ModulesContainer) {
    placeFirst(modules, TaskmasterCoreModule);
  }
}
