import { HttpException, HttpStatus } from '@nestjs/common';
import { InvalidJobPayloadError } from '../engine/errors.js';

/** What pipes such as `ValidationPipe` throw for a value that they refuse; other errors of theirs are errors like any. */
const REFUSALS: readonly number[] = [HttpStatus.BAD_REQUEST, HttpStatus.UNPROCESSABLE_ENTITY];

/** Tells what pipes have thrown because they refuse a payload from the same thrown by a handler. */
export class PayloadRefusals {
  readonly #thrown = new WeakSet<HttpException>();

  /** A pipe has thrown this. */
  note(error: unknown): void {
    if (error instanceof HttpException && REFUSALS.includes(error.getStatus())) this.#thrown.add(error);
  }

  /** What is stored of an error that a pipe has thrown; `undefined` for any other. */
  of(error: unknown): InvalidJobPayloadError | undefined {
    if (!(error instanceof HttpException) || !this.#thrown.has(error)) return undefined;
    return new InvalidJobPayloadError('payload', issuesOf(error), { cause: error });
  }
}

/** `ValidationPipe` answers with a list of messages. */
function issuesOf(error: HttpException): string {
  const response = error.getResponse();
  const message = typeof response === 'object' ? (response as { message?: unknown }).message : response;
  if (Array.isArray(message)) return message.join('; ');
  return typeof message === 'string' ? message : error.message;
}
