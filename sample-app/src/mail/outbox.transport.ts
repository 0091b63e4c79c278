import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Settings } from '../settings.js';
import type { Email } from './email.js';
import { MailRefusedError, MailTransport, type DeliveryOptions } from './mail.transport.js';

/**
 * Pretends to be a mail server: writes mails to files that any mail program opens.
 *
 * It is as difficult as a real one: it takes its time, refuses addresses that are none or end in `.invalid`, and
 * turns the first mail to an address at `greylist.example` away, to be tried again later.
 */
@Injectable()
export class OutboxTransport extends MailTransport {
  readonly #knocked = new Set<string>();

  constructor(private readonly settings: Settings) {
    super();
  }

  override async deliver(email: Email, { messageId, signal }: DeliveryOptions): Promise<void> {
    await pause(this.settings.mailDelayMs, undefined, { signal });
    if (!isMailbox(email.to)) throw new MailRefusedError(`550 5.1.1 ${email.to}: there is no such mailbox`);
    if (this.#isGreylisted(email.to)) throw new Error(`451 4.7.1 ${email.to}: greylisted, try again later`);
    await this.#write(`${messageId}-${email.to.slice(0, 100)}.eml`, messageOf(email, messageId));
  }

  #isGreylisted(address: string): boolean {
    if (!address.endsWith('@greylist.example') || this.#knocked.has(address)) return false;
    this.#knocked.add(address);
    return true;
  }

  /** Renamed when it is complete: whoever watches the folder sees whole mails, and a second delivery replaces the first. */
  async #write(name: string, message: string): Promise<void> {
    const { outboxDir } = this.settings;
    await mkdir(outboxDir, { recursive: true });
    const unfinished = join(outboxDir, `${name}.part`);
    await writeFile(unfinished, message);
    await rename(unfinished, join(outboxDir, name));
  }
}

/** `.invalid` is reserved for addresses that are certain not to exist (RFC 2606). An address that passes can name a file. */
function isMailbox(address: string): boolean {
  return z.email().safeParse(address).success && !address.endsWith('.invalid');
}

function messageOf({ to, subject, text }: Email, messageId: string): string {
  const lines = [
    'From: Newsletter <newsletter@example.com>',
    `To: ${to}`,
    `Subject: ${subject}`,
    `Date: ${new Date().toUTCString()}`,
    `Message-ID: <${messageId}@newsletter.example>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    '',
  ];
  return lines.join('\r\n');
}
