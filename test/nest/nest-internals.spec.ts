import {
  Injectable,
  Logger,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CanActivate,
} from '@nestjs/common';
import { APP_INTERCEPTOR, APP_PIPE, ExternalContextCreator, ModulesContainer } from '@nestjs/core';
import { map } from 'rxjs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { QueueHandler, type Job } from '../../lib/index.js';
import { placeFirst, placeLast } from '../../lib/nest/module-order.js';
import { canShadow } from '../../lib/nest/nest-internals.js';
import { nestApp } from './support/nest-app.js';

/** What Taskmaster says when it meets a NestJS it does not know. */
function warnings() {
  const warn = vi.spyOn(Logger.prototype, 'warn').mockReturnValue();
  onTestFinished(() => warn.mockRestore());
  return () => warn.mock.calls.map(([message]) => String(message));
}

describe('this NestJS', () => {
  it('is built as we expect', async () => {
    const warned = warnings();
    const { get } = await nestApp();
    expect(canShadow(get(ExternalContextCreator))).toBe(true);
    expect(warned()).toEqual([]);
  });
});

describe('a NestJS with other internals', () => {
  @Injectable()
  class Deny implements CanActivate {
    canActivate() {
      return false;
    }
  }
  const suffix = (text: string) => ({
    intercept: (_context: unknown, next: { handle(): never }) =>
      (next.handle() as import('rxjs').Observable<unknown>).pipe(map((value) => `${String(value)}${text}`)),
  });

  it('still runs handlers, with a warning, and their own enhancers', async () => {
    const warned = warnings();
    @Injectable()
    class Handlers {
      @QueueHandler('plain')
      plain(payload: string, job: Job) {
        return `${payload} ${job.queue}`;
      }
      @UseInterceptors(suffix('!'))
      @QueueHandler('intercepted', { enhancers: { interceptors: false } })
      intercepted(payload: string) {
        return payload;
      }
      @UseGuards(Deny)
      @QueueHandler('guarded')
      guarded() {}
      @UseFilters({ catch: (error: Error) => `filtered ${error.message}` })
      @QueueHandler('filtered')
      filtered() {
        throw new Error('boom');
      }
    }
    @Injectable({ scope: Scope.REQUEST })
    class Scoped {
      @QueueHandler('scoped')
      scoped() {
        return this instanceof Scoped;
      }
    }
    const { run } = await nestApp({
      providers: [
        Handlers,
        Scoped,
        { provide: APP_PIPE, useValue: { transform: (value: unknown) => (value === 'x' ? 'piped' : value) } },
        { provide: APP_INTERCEPTOR, useValue: suffix('?') },
      ],
      configure: (app) => {
        const contexts = app.get<{ guardsContextCreator: { config: unknown } }>(ExternalContextCreator);
        contexts.guardsContextCreator.config = undefined;
      },
    });
    expect(await run('plain', 'x')).toEqual({ returned: 'piped plain?' });
    expect(await run('intercepted', 'x')).toEqual({ returned: 'piped!?' });
    expect(await run('guarded')).toMatchObject({ threw: { name: 'ForbiddenException' } });
    expect(await run('filtered')).toEqual({ returned: 'filtered boom' });
    expect(await run('scoped')).toEqual({ returned: 'true?' });
    expect(
      warned().filter((warning) => warning.includes('does not know this version of NestJS')),
    ).toHaveLength(5);
  });
});

describe.each([
  ['placeFirst', placeFirst, Number.MAX_VALUE],
  ['placeLast', placeLast, -1],
])('%s', (_name, place, distance) => {
  class Ours {}
  class Other {}
  const containing = (...modules: object[]) =>
    new Map(modules.map((module, index) => [index, module])) as unknown as ModulesContainer;

  it('moves every module of the class and no other', () => {
    const modules = [
      { metatype: Ours, distance: 2 },
      { metatype: Other, distance: 1 },
      { metatype: Ours, distance: 1 },
    ];
    place(containing(...modules), Ours);
    expect(modules.map((module) => module.distance)).toEqual([distance, 1, distance]);
  });

  it('warns where modules cannot be moved', () => {
    const warned = warnings();
    place(containing({ metatype: Ours }), Ours);
    const readonly = Object.defineProperty({ metatype: Ours }, 'distance', {
      get: () => 1,
      set: () => {},
    });
    place(containing(readonly), Ours);
    expect(warned()).toEqual([
      expect.stringContaining('does not let Ours choose its place'),
      expect.stringContaining('does not let Ours choose its place'),
    ]);
  });
});
