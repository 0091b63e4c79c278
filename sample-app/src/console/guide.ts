import { shownPath } from './shown-path.js';

/** What the guide is about. */
export interface GuideOptions {
  /** Where HTTP is served. */
  readonly url: string;
  /** For `psql`. */
  readonly connectionString: string;
  readonly outboxDir: string;
}

const INSERT = `insert into taskmaster.jobs (queue_name, payload) values ('send_email', '{\\"to\\": \\"sql@example.com\\"}')`;

const TRIGGER = `select taskmaster.trigger_schedule('nightly-digest')`;

/** Where to go next: commands that work as they stand, in another terminal. */
export function guide({ url, connectionString, outboxDir }: GuideOptions): string {
  return `
The dashboard: ${url}/admin/jobs

Try it, in another terminal:

  sign up         curl -i ${url}/signups -H 'content-type: application/json' -d '{"email": "you@example.com"}'
  with plain SQL  psql ${connectionString} -c "${INSERT}"
  digest, now     psql ${connectionString} -c "${TRIGGER}"
  failed jobs     curl '${url}/jobs?state=failed'
  sent mails      ls ${shownPath(outboxDir)}

Ctrl-C stops it when running jobs have ended.
`;
}
