import { Injectable, type OnModuleInit } from '@nestjs/common';
import { PublisherService } from 'nestjs-taskmaster';

/** Harmless where it has run before. */
const MIGRATION = `
  create schema if not exists newsletter;
  create table if not exists newsletter.subscribers (
    id           bigint generated always as identity primary key,
    email        text not null unique,
    signed_up_at timestamptz not null default now()
  );
  create table if not exists newsletter.digests (
    night           date primary key,
    new_subscribers integer not null,
    written_at      timestamptz not null default now()
  );
`;

/** The tables of this application, in a schema of their own beside Taskmaster's. Made before any job runs: jobs start after the last `onModuleInit`. */
@Injectable()
export class NewsletterSchema implements OnModuleInit {
  constructor(private readonly publisher: PublisherService) {}

  /** One process at a time: `create schema if not exists` fails when two run it in the same moment. */
  async onModuleInit(): Promise<void> {
    await this.publisher.withTransaction(async (tx) => {
      await tx.query(`select pg_advisory_xact_lock(hashtextextended('newsletter.schema', 0))`);
      await tx.query(MIGRATION);
    });
  }
}
