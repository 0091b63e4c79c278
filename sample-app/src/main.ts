/** Starts the sample application: see the README beside `src`. */
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { CalmLogger } from './console/calm.logger.js';
import { guide } from './console/guide.js';
import { stopWithLauncher } from './console/launcher.js';
import { assertPortIsFree } from './console/port.js';
import { ServerInfo } from './console/server.info.js';
import { shownPath } from './console/shown-path.js';
import { ShutdownNotice } from './console/shutdown.notice.js';
import { FirstRound, type RoundResult } from './first-round.js';
import { Settings } from './settings.js';
import { explanationOf } from './start-error.js';

async function main(): Promise<void> {
  const settings = Settings.from(process.env, process.argv.slice(2));
  if (!settings.once) await assertPortIsFree(settings);
  console.log(openingOf(settings));
  const app = await NestFactory.create(AppModule.with(settings), {
    logger: new CalmLogger(),
    abortOnError: false,
  });
  // Exits with 0 once everything is closed; without it Nest raises the signal again. Taskmaster drains as part of it.
  app.enableShutdownHooks([], { useProcessExit: true });
  const isStopping = () => app.get(ShutdownNotice).stopping;
  stopWithLauncher(isStopping);
  try {
    await (settings.once ? runOnce(app) : serve(app, settings));
  } catch (error) {
    if (isStopping()) return; // Ctrl-C came in between, and ends the process
    await app.close();
    throw error;
  }
}

function openingOf({ embeddedDataDir }: Settings): string {
  return embeddedDataDir === undefined
    ? 'Connecting to the PostgreSQL of DATABASE_URL ...'
    : `Starting PostgreSQL, with its data in ${shownPath(embeddedDataDir)} ...`;
}

/** The first round alone, without HTTP, so that it does not matter who has the port. */
async function runOnce(app: INestApplication): Promise<void> {
  await app.init();
  console.log(await app.get(ServerInfo).summary());
  await app.get(FirstRound).start();
  const result = await app.get(FirstRound).ended();
  await app.close();
  if (result === undefined) return;
  console.log(summaryOf(result));
  process.exitCode = result.asExpected ? 0 : 1;
}

async function serve(app: INestApplication, { host, port, outboxDir }: Settings): Promise<void> {
  await app.listen(port, host);
  const [info, url] = [app.get(ServerInfo), await app.getUrl()];
  console.log(await info.summary());
  console.log(`HTTP at ${url}`);
  await app.get(FirstRound).start();
  const result = await app.get(FirstRound).ended();
  if (result === undefined) return;
  console.log(summaryOf(result));
  console.log(guide({ url, connectionString: await info.connectionString(), outboxDir }));
}

function summaryOf({ acked, rejected, unfinished, asExpected }: RoundResult): string {
  const counts = `${acked} acked, ${rejected} rejected${unfinished === 0 ? '' : `, ${unfinished} not ended`}`;
  return `First round: ${counts}, ${asExpected ? 'as expected' : 'which is not as expected'}.`;
}

try {
  await main();
} catch (error) {
  console.error(explanationOf(error));
  process.exit(1);
}
