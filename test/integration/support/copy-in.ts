import type pg from 'pg';
import { Deferred } from '../../../lib/engine/lifecycle/deferred.js';

/** Runs `COPY ... FROM STDIN` with this data, as `psql` does. */
export async function copyIn(client: pg.Client, text: string, data: string): Promise<void> {
  const copy = new CopyIn(text, data);
  client.query(copy);
  await copy.done.promise;
}

/** What of a connection this needs, and its types leave out. */
interface CopyingConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** A query of `pg` that sends data when the server asks for it; the methods are called by the client. */
class CopyIn implements pg.Submittable {
  readonly done = new Deferred();

  constructor(
    private readonly text: string,
    private readonly data: string,
  ) {}

  submit(connection: pg.Connection): void {
    connection.query(this.text);
  }

  handleCopyInResponse(connection: CopyingConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.data));
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.done.resolve();
  }

  handleError(error: Error): void {
    this.done.reject(error);
  }
}
