import {
  BadRequestException,
  Catch,
  type ExceptionFilter,
  Injectable,
  UseFilters,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import { IsEmail, IsInt } from 'class-validator';
import { describe, expect, it } from 'vitest';
import { QueueHandler } from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { nestApp } from './support/nest-app.js';

class SendEmail {
  @IsEmail() to!: string;
  @IsInt() copies!: number;
}

const pipe = new ValidationPipe({ transform: true });

/** Runs one job with a payload that the pipe refuses, and answers with how it has ended. */
const failed = async (handlers: new () => object, runs: number) => {
  const { database, publisher } = await nestApp({ providers: [handlers] });
  await publisher.enqueue('mail', { to: 'nobody', copies: 'many' }, { backoff: 0 });
  return eventually(async () => {
    const [job] = await database.query(
      `select run_count, last_error from ${database.schema}.job_states where state = 'failed'`,
    );
    return job !== undefined && job['run_count'] === runs && job;
  });
};

describe('a payload that a pipe refuses', () => {
  it('fails its job at once, with the issues of the pipe', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      @UsePipes(pipe)
      send(_payload: SendEmail) {}
    }
    const job = await failed(Handlers, 1);
    expect(job).toMatchObject({
      last_error: {
        name: 'InvalidPayloadError',
        code: 'TM_INVALID_PAYLOAD',
        message: expect.stringMatching(/to must be an email.*copies must be an integer/),
      },
    });
  });

  it('is attempted again with onInvalid: retry', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('mail', { onInvalid: 'retry', maxAttempts: 2 })
      @UsePipes(pipe)
      send(_payload: SendEmail) {}
    }
    expect(await failed(Handlers, 2)).toMatchObject({ last_error: { code: 'TM_INVALID_PAYLOAD' } });
  });

  it('is shown to filters as the pipe has thrown it', async () => {
    const seen: unknown[] = [];
    @Catch(BadRequestException)
    class Filter implements ExceptionFilter {
      catch(exception: BadRequestException) {
        seen.push(exception.getStatus());
        throw exception;
      }
    }
    @Injectable()
    class Handlers {
      @QueueHandler('mail')
      @UsePipes(pipe)
      @UseFilters(new Filter())
      send(_payload: SendEmail) {}
    }
    await failed(Handlers, 1);
    expect(seen).toEqual([400]);
  });

  it('is not what a handler throws that meets a bad request of its own', async () => {
    @Injectable()
    class Handlers {
      @QueueHandler('mail', { maxAttempts: 2 })
      @UsePipes(new ValidationPipe())
      send(_payload: object) {
        throw new BadRequestException('said by somebody else');
      }
    }
    expect(await failed(Handlers, 2)).toMatchObject({ last_error: { name: 'BadRequestException' } });
  });
});
