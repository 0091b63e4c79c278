import { ConsoleLogger, type LogLevel } from '@nestjs/common';

/** What Nest says about every module and route at start, and about errors that `main.ts` explains. */
const QUIET = new Set([
  'ExceptionHandler',
  'InstanceLoader',
  'NestApplication',
  'NestFactory',
  'RouterExplorer',
  'RoutesResolver',
]);

/** Nest's logger with shorter lines, all of them on standard output and so in the order in which things happen. */
export class CalmLogger extends ConsoleLogger {
  constructor() {
    super({ colors: process.stdout.isTTY === true && !process.env['NO_COLOR'] });
  }

  protected override printMessages(messages: unknown[], context?: string, level?: LogLevel): void {
    if (!QUIET.has(context ?? '')) super.printMessages(messages, context, level);
  }

  protected override getTimestamp(): string {
    return new Date().toTimeString().slice(0, 8);
  }

  protected override formatPid(): string {
    return '';
  }
}
