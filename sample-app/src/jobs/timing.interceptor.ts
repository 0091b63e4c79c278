import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { getJob } from 'nestjs-taskmaster';
import { finalize, type Observable } from 'rxjs';
import { HandlerTimes } from './handler-times.js';

/** Times a handler, however it ends. */
@Injectable()
export class TimingInterceptor implements NestInterceptor {
  constructor(private readonly times: HandlerTimes) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { queue } = getJob(context);
    const startedAt = performance.now();
    return next.handle().pipe(finalize(() => this.times.add(queue, performance.now() - startedAt)));
  }
}
