import { Controller, Headers, Injectable, Sse } from '@nestjs/common';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Job, PublisherService, QueueHandler, TaskmasterEvents } from '../../lib/index.js';
import { workingEngine } from '../integration/support/working-engine.js';
import { eventually } from '../support/eventually.js';
import { SignalPoint } from '../support/signal-point.js';
import { nestApp } from './support/nest-app.js';

interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: { readonly jobId: string; readonly progress: unknown };
}

@Controller()
class Progress {
  constructor(private readonly events: TaskmasterEvents) {}

  @Sse('progress')
  watch(@Headers('last-event-id') after?: string) {
    return this.events.watch({ queues: ['import'], types: ['progress'], ...(after && { after }) });
  }
}

@Injectable()
class Unused {
  @QueueHandler('unused')
  run(_payload: unknown, _job: Job) {}
}

/** What a browser's EventSource does. */
const eventSource = async (url: string, lastEventId?: string) => {
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) },
    signal: over.signal,
  });
  const messages = new SignalPoint<Message>();
  const pass = async () => {
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const parts = text.split('\n\n');
      text = parts.pop()!;
      for (const part of parts) if (part.includes('data: ')) messages.signal(messageOf(part));
    }
  };
  const ended = pass().catch(() => undefined);
  return { messages, ended, close: () => over.abort() };
};

const messageOf = (part: string): Message => {
  const fields = new Map(part.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
  return {
    id: fields.get('id')!,
    event: fields.get('event')!,
    data: JSON.parse(fields.get('data')!) as Message['data'],
  };
};

describe('events of other processes over SSE', () => {
  it('are told to a browser, which comes back where it was; closing the application ends the response', async () => {
    const { app, database } = await nestApp({ controllers: [Progress], providers: [Unused] });
    await app.listen(0);
    const url = `${await app.getUrl()}/progress`.replace('[::1]', '127.0.0.1');
    const { taskmaster: worker } = await workingEngine(database, {
      import: (job) => job.progress(job.payload),
    });
    const first = await eventSource(url);
    await eventually(async () => {
      await worker.publisher.call('import', { percent: 1 });
      return first.messages.values.length > 0;
    });
    expect(first.messages.values[0]).toMatchObject({ event: 'progress', data: { progress: { percent: 1 } } });
    first.close();
    await first.ended;

    const last = first.messages.values.at(-1)!;
    const { id } = await app.get(PublisherService).enqueue('import', { percent: 99 });
    const again = await eventSource(url, last.id);
    await eventually(() => again.messages.values.some(({ data }) => data.jobId === id));
    expect(again.messages.values.map(({ event }) => event)).not.toContain('gap');

    await Promise.all([app.close(), again.ended]);
  });
});
