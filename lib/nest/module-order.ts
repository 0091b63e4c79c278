import { Logger, type Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';

/**
 * Nest calls the hooks of a starting application in descending `distance` of its modules (global ones have the
 * largest), and those of a closing one in reverse. The distance is computed when the modules are scanned and first read after all
 * providers exist, so a module may correct its own in its constructor.
 */

/** Hooks run first at start, and last at shutdown: what other modules use from their own hooks. */
export function placeFirst(modules: ModulesContainer, type: Type): void {
  place(modules, type, Number.MAX_VALUE);
}

/** Hooks run last at start, when everything else is initialised, and first at shutdown, when nothing is destroyed. */
export function placeLast(modules: ModulesContainer, type: Type): void {
  place(modules, type, -1);
}

function place(modules: ModulesContainer, type: Type, distance: number): void {
  for (const module of modules.values()) {
    if (module.metatype !== type) continue;
    const movable = typeof module.distance === 'number';
    if (movable) module.distance = distance;
    if (!movable || module.distance !== distance) warnUnplaced(type);
  }
}

function warnUnplaced(type: Type): void {
  new Logger('Taskmaster').warn(
    `This version of NestJS does not let ${type.name} choose its place among the lifecycle hooks: ` +
      'jobs may start before, and end after, the providers they use. Look for an update of nestjs-taskmaster.',
  );
}
