import {
  Catch,
  Injectable,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, BaseExceptionFilter } from '@nestjs/core';
import { IsEmail } from 'class-validator';
import { map, of, throwError } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { getJob, isTaskmasterContext, QueueHandler, type Job } from '../../lib/index.js';
import { nestApp } from './support/nest-app.js';

class SendEmail {
  @IsEmail() to!: string;
}

/** What an HTTP application has: guard and filter fail on anything that is no request. */
@Injectable()
class HttpGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: { authorization?: string } }>();
    return request.headers.authorization !== undefined;
  }
}
@Catch()
class HttpFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    host.switchToHttp().getResponse<{ status(code: number): void }>().status(500);
  }
}

@Injectable()
class Prefix implements PipeTransform {
  transform(value: unknown): unknown {
    return typeof value === 'string' ? `piped ${value}` : value;
  }
}
@Injectable()
class Wrap implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(map((value) => `wrapped(${String(value)})`));
  }
}
@Injectable()
class Deny implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}
@Catch()
class Answer implements ExceptionFilter {
  catch(error: Error): string {
    return `filtered ${error.message}`;
  }
}

describe('enhancers of a handler', () => {
  it('run, whatever the module says about global ones', async () => {
    @Injectable()
    class Handlers {
      @UsePipes(Prefix)
      @QueueHandler('pipe')
      pipe(payload: string) {
        return payload;
      }
      @UseInterceptors(Wrap)
      @QueueHandler('interceptor')
      interceptor(payload: string) {
        return payload;
      }
      @UseGuards(Deny)
      @QueueHandler('guard')
      guard() {}
      @UseFilters(Answer)
      @QueueHandler('filter')
      filter() {
        throw new Error('boom');
      }
    }
    const off = { pipes: false, interceptors: false, guards: false, filters: false };
    const { run } = await nestApp({ providers: [Handlers], taskmaster: { enhancers: off } });

    expect(await run('pipe', 'x')).toEqual({ returned: 'piped x' });
    expect(await run('interceptor', 'x')).toEqual({ returned: 'wrapped(x)' });
    expect(await run('guard')).toMatchObject({ threw: { name: 'ForbiddenException' } });
    expect(await run('filter')).toEqual({ returned: 'filtered boom' });
  });

  it('run when they are declared at the class, as instances, or as classes with dependencies', async () => {
    @Injectable()
    class Suffix {
      readonly text = '!';
    }
    @Injectable()
    class Shout implements NestInterceptor {
      constructor(private readonly suffix: Suffix) {}
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(map((value) => String(value) + this.suffix.text));
      }
    }
    @UseInterceptors(Shout)
    @Injectable()
    class Handlers {
      @UseInterceptors(new Wrap())
      @QueueHandler('mail')
      send(payload: string) {
        return payload;
      }
    }
    const { run } = await nestApp({ providers: [Suffix, Handlers] });
    expect(await run('mail', 'x')).toEqual({ returned: 'wrapped(x)!' });
  });

  it('see the context type, class, method and job', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Look implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const { id } = getJob(context);
        const { data, job } = {
          data: context.switchToRpc().getData(),
          job: context.switchToRpc().getContext<Job>(),
        };
        seen.push(
          context.getType(),
          isTaskmasterContext(context),
          context.getClass().name,
          context.getHandler().name,
        );
        seen.push(id === job.id, data);
        return true;
      }
    }
    @Injectable()
    class Handlers {
      @UseGuards(Look)
      @QueueHandler('mail')
      send() {}
    }
    const { run } = await nestApp({ providers: [Handlers] });
    await run('mail', { n: 1 });
    expect(seen).toEqual(['taskmaster', true, 'Handlers', 'send', true, { n: 1 }]);
  });

  it('are an error at boot when Nest cannot create them', async () => {
    class Handlers {
      @UseGuards(Deny)
      @QueueHandler('mail')
      send() {}
    }
    const booting = nestApp({ providers: [{ provide: 'HANDLERS', useFactory: () => new Handlers() }] });
    await expect(booting).rejects.toThrow(
      expect.objectContaining({ code: 'TM_INVALID_HANDLER', handler: 'Handlers.send' }),
    );
  });

  it('may be request-scoped, also when the handler is not', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Counted implements NestInterceptor {
      static made = 0;
      readonly number = ++Counted.made;
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(map((value) => `${String(value)} ${this.number}`));
      }
    }
    @UseInterceptors(Counted)
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      send() {
        return 'sent';
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('mail')).toEqual({ returned: 'sent 1' });
    expect(await run('mail')).toEqual({ returned: 'sent 2' });
  });

  it('may be transient', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Own implements NestInterceptor {
      readonly word = 'own';
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(map((value) => `${String(value)} ${this.word}`));
      }
    }
    @Injectable()
    class Handlers {
      @UseInterceptors(Own)
      @QueueHandler('mail')
      send() {
        return 'sent';
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('mail')).toEqual({ returned: 'sent own' });
  });
});

describe('global enhancers', () => {
  @Injectable()
  class Handlers {
    @QueueHandler('email')
    email(payload: SendEmail) {
      return payload.constructor.name;
    }
    @QueueHandler('echo')
    echo(payload: string) {
      return payload;
    }
    @QueueHandler('boom')
    boom() {
      throw new Error('boom');
    }
  }
  const validation = { provide: APP_PIPE, useFactory: () => new ValidationPipe({ transform: true }) };

  it('validate and transform payloads without any parameter decorator', async () => {
    const { run } = await nestApp({ providers: [Handlers, validation] });
    expect(await run('email', { to: 'a@example.com' })).toEqual({ returned: 'SendEmail' });
    expect(await run('email', { to: 'nobody' })).toMatchObject({ threw: { name: 'BadRequestException' } });
  });

  it('count when they are added in main.ts', async () => {
    const { run } = await nestApp({
      providers: [Handlers],
      configure: (app) => {
        app.useGlobalPipes(new Prefix());
        app.useGlobalInterceptors(new Wrap());
      },
    });
    expect(await run('echo', 'x')).toEqual({ returned: 'wrapped(piped x)' });
  });

  it('of an HTTP application do not wreck jobs', async () => {
    const { run } = await nestApp({
      providers: [
        Handlers,
        { provide: APP_GUARD, useClass: HttpGuard },
        { provide: APP_FILTER, useClass: HttpFilter },
        { provide: APP_FILTER, useClass: BaseExceptionFilter },
      ],
    });
    expect(await run('echo', 'x')).toEqual({ returned: 'x' });
    expect(await run('boom')).toMatchObject({ threw: { message: 'boom' } });
  });

  it('are switched one by one, for the module and for a handler', async () => {
    @Injectable()
    class Switched {
      @QueueHandler('module')
      module(payload: string) {
        return payload;
      }
      @QueueHandler('none', { enhancers: { pipes: false, interceptors: false } })
      none(payload: string) {
        return payload;
      }
      @QueueHandler('filtered', { enhancers: { filters: true } })
      filtered() {
        throw new Error('boom');
      }
      @QueueHandler('guarded', { enhancers: { guards: true } })
      guarded() {}
    }
    const { run } = await nestApp({
      providers: [
        Switched,
        { provide: APP_PIPE, useClass: Prefix },
        { provide: APP_INTERCEPTOR, useClass: Wrap },
        { provide: APP_GUARD, useClass: Deny },
        { provide: APP_FILTER, useClass: Answer },
      ],
      taskmaster: { enhancers: { interceptors: false } },
    });
    expect(await run('module', 'x')).toEqual({ returned: 'piped x' });
    expect(await run('none', 'x')).toEqual({ returned: 'x' });
    expect(await run('filtered')).toEqual({ returned: 'filtered boom' });
    expect(await run('guarded')).toMatchObject({ threw: { name: 'ForbiddenException' } });
  });

  it('may be request-scoped or transient: each attempt has its own', async () => {
    @Injectable()
    class Dependency {
      readonly word = 'injected';
    }
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest implements NestInterceptor {
      constructor(private readonly dependency: Dependency) {}
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(map((value) => `${String(value)} ${this.dependency.word}`));
      }
    }
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient implements PipeTransform {
      constructor(private readonly dependency: Dependency) {}
      transform(value: unknown): unknown {
        return typeof value === 'string' ? `${value} ${this.dependency.word}` : value;
      }
    }
    const { run } = await nestApp({
      providers: [
        Handlers,
        Dependency,
        { provide: APP_INTERCEPTOR, useClass: PerRequest, scope: Scope.REQUEST },
        { provide: APP_PIPE, useClass: Transient, scope: Scope.TRANSIENT },
      ],
    });
    expect(await run('echo', 'x')).toEqual({ returned: 'x injected injected' });
  });
});

describe('a filter of a handler', () => {
  it('leaves the failure alone when it answers nothing, at once or later', async () => {
    const seen: string[] = [];
    @Catch()
    class Watch implements ExceptionFilter {
      catch(error: Error): void {
        seen.push(error.message);
      }
    }
    @Catch()
    class WatchAsync implements ExceptionFilter {
      async catch(error: Error): Promise<void> {
        seen.push(error.message);
      }
    }
    @Injectable()
    class Handlers {
      @UseFilters(Watch)
      @QueueHandler('sync')
      sync() {
        throw new Error('first');
      }
      @UseFilters(WatchAsync)
      @QueueHandler('async')
      async() {
        throw new Error('second');
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('sync')).toMatchObject({ threw: { message: 'first' } });
    expect(await run('async')).toMatchObject({ threw: { message: 'second' } });
    expect(seen).toEqual(['first', 'second']);
  });

  it('may answer with a value, a promise or an Observable, and throw something else', async () => {
    @Catch(TypeError)
    class Types implements ExceptionFilter {
      async catch(error: Error): Promise<string> {
        return `answered ${error.message}`;
      }
    }
    @Catch(RangeError)
    class Ranges implements ExceptionFilter {
      catch(error: Error) {
        return error.message === 'in' ? of('observed in') : throwError(() => new Error('replaced'));
      }
    }
    @UseFilters(Types, Ranges)
    @Injectable()
    class Handlers {
      @QueueHandler('throw')
      handle(payload: { type: string; message: string }) {
        if (payload.type === 'TypeError') throw new TypeError(payload.message);
        if (payload.type === 'RangeError') throw new RangeError(payload.message);
        throw new Error(payload.message);
      }
    }
    const { run } = await nestApp({ providers: [Handlers] });
    expect(await run('throw', { type: 'TypeError', message: 'x' })).toEqual({ returned: 'answered x' });
    expect(await run('throw', { type: 'RangeError', message: 'in' })).toEqual({ returned: 'observed in' });
    expect(await run('throw', { type: 'RangeError', message: 'out' })).toMatchObject({
      threw: { message: 'replaced' },
    });
    expect(await run('throw', { type: 'Error', message: 'kept' })).toMatchObject({
      threw: { message: 'kept' },
    });
  });
});
