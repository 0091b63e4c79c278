import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/jobs.module.js';
import { MailHandlers } from './mail.handlers.js';
import { MailTransport } from './mail.transport.js';
import { OutboxTransport } from './outbox.transport.js';

@Module({
  imports: [JobsModule],
  providers: [MailHandlers, { provide: MailTransport, useClass: OutboxTransport }],
})
export class MailModule {}
