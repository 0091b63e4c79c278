import { useEffect } from 'preact/hooks';
import { post } from '../api.js';
import { useData } from '../data.js';
import { ago, duration, moment } from '../format.js';
import { Icon, type IconName } from '../icons.js';
import { watchJob } from '../live.js';
import { ask } from '../parts/dialog.js';
import { ErrorView, Refused } from '../parts/error.js';
import { Json } from '../parts/json.js';
import { StateBadge } from '../parts/state.js';
import { go, href, place } from '../router.js';
import { attempt, may, toast } from '../store.js';
import type { JobDetail, Part } from '../types.js';

interface Parts {
  payload?: Part;
  result?: Part;
  progress?: Part;
}

export function JobPage() {
  const id = place.value.parts[1] ?? '';
  const {
    data: job,
    error,
    reload,
  } = useData<JobDetail>(`jobs/${encodeURIComponent(id)}`, {}, { everyMs: 4_000 });
  const payload = useData<Parts>(
    `jobs/${encodeURIComponent(id)}/payload`,
    {},
    { everyMs: 6_000, when: may('view_payload') && error === undefined },
  );
  const logs = useData<{ lines: unknown[] }>(
    `jobs/${encodeURIComponent(id)}/logs`,
    {},
    { everyMs: 4_000, when: may('view_payload') && error === undefined },
  );
  useEffect(
    () =>
      watchJob(id, () => {
        reload();
        payload.reload();
        logs.reload();
      }),
    [id],
  );
  if (error !== undefined && (job === undefined || error.status === 404))
    return (
      <>
        <header class="page-head">
          <h1>Job {id}</h1>
        </header>
        <Refused error={error} onAgain={reload} />
      </>
    );
  if (job === undefined) return <div class="card waiting" aria-busy="true" />;
  const progress = payload.data?.progress?.value;
  return (
    <>
      <header class="page-head">
        <h1>
          <span class="faint">Job</span> <span class="mono">{job.id}</span>
        </h1>
        <StateBadge state={job.state} />
        <a class="strong" href={href(['queues', job.queue])}>
          {job.queue}
        </a>
        <button
          type="button"
          class="quiet icon-only"
          aria-label="Copy the id"
          onClick={() => void navigator.clipboard?.writeText(job.id).then(() => toast('Copied'))}
        >
          <Icon name="copy" />
        </button>
        <Actions job={job} reload={reload} payload={payload.data?.payload} />
      </header>
      {job.explanation !== undefined && !['completed', 'failed', 'cancelled'].includes(job.state) && (
        <p class="note">{job.explanation.text}</p>
      )}
      <Timeline job={job} />
      {typeof progress === 'number' && (
        <section class="card">
          <h2>Progress</h2>
          <progress class="wide" max={progress > 1 ? 100 : 1} value={progress} aria-label="Progress" />
        </section>
      )}
      <div class="columns">
        <div>
          {job.lastError !== undefined && (
            <section class="card">
              <h2>Last error</h2>
              <ErrorView error={job.lastError} />
            </section>
          )}
          {may('view_payload') ? (
            <section class="card">
              <h2>Data</h2>
              {payload.data?.payload !== undefined && <Json label="Payload" part={payload.data.payload} />}
              {payload.data?.result !== undefined && <Json label="Result" part={payload.data.result} />}
              {payload.data?.progress !== undefined && typeof progress !== 'number' && (
                <Json label="Progress" part={payload.data.progress} />
              )}
            </section>
          ) : (
            <section class="card">
              <h2>Data</h2>
              <p class="faint">Payloads are not shown here.</p>
            </section>
          )}
          {(logs.data?.lines.length ?? 0) > 0 && (
            <section class="card">
              <h2>Log</h2>
              <pre tabIndex={0}>
                {logs.data?.lines
                  .map((line) => (typeof line === 'string' ? line : JSON.stringify(line)))
                  .join('\n')}
              </pre>
            </section>
          )}
          {job.errors.length > 0 && <Attempts job={job} />}
        </div>
        <div>
          <Facts job={job} />
          {job.related.length > 0 && (
            <section class="card">
              <h2>Flow</h2>
              <ul class="plain">
                {job.related.slice(0, 12).map((other) => (
                  <li key={other.id}>
                    <a class="mono" href={href(['jobs', other.id])}>
                      {other.id}
                    </a>{' '}
                    <StateBadge state={other.state} /> <span class="faint">{other.queue}</span>
                  </li>
                ))}
              </ul>
              <a href={href(['flows', job.id])}>See the flow</a>
            </section>
          )}
        </div>
      </div>
    </>
  );
}

function Actions({
  job,
  reload,
  payload,
}: {
  readonly job: JobDetail;
  readonly reload: () => void;
  readonly payload: Part | undefined;
}) {
  const act = (verb: string, said: string, body: object = {}) =>
    void attempt(async () => {
      await post(`jobs/${job.id}/${verb}`, body);
      return said;
    }).then(reload);
  const { state } = job;
  const waits = state === 'scheduled';
  const ended = state === 'completed' || state === 'cancelled';
  return (
    <div class="actions">
      {state === 'failed' && may('retry') && (
        <Action icon="retry" label="Retry" primary onClick={() => act('retry', `Job ${job.id} runs again`)} />
      )}
      {waits && may('retry') && (
        <Action
          icon="play"
          label="Run now"
          primary
          onClick={() => act('run-now', `Job ${job.id} runs now`)}
        />
      )}
      {(state === 'failed' || waits) && may('edit') && may('view_payload') && payload?.truncated !== true && (
        <Action
          icon="plus"
          label="Edit and begin anew"
          onClick={() =>
            ask({
              title: `Begin job ${job.id} anew`,
              text: 'With all its attempts, and this payload.',
              verb: 'Begin anew',
              input: { label: 'Payload', long: true, value: JSON.stringify(payload?.value, undefined, 2) },
              onYes: (text) => {
                try {
                  act('requeue', `Job ${job.id} begins anew`, { payload: JSON.parse(text) as unknown });
                } catch (error) {
                  toast(`This is no JSON: ${(error as Error).message}`, 'bad');
                }
              },
            })
          }
        />
      )}
      {ended && may('enqueue') && (
        <Action
          icon="retry"
          label="Enqueue again"
          onClick={() => act('reprocess', `Job ${job.id} was enqueued again`)}
        />
      )}
      {!ended && state !== 'failed' && may('cancel') && (
        <Action
          icon="cancel"
          label="Cancel"
          danger
          onClick={() =>
            ask({
              title: `Cancel job ${job.id}?`,
              text: 'One that runs is told to end by its signal.',
              verb: 'Cancel it',
              danger: true,
              onYes: () => act('cancel', `Job ${job.id} is cancelled`),
            })
          }
        />
      )}
      {!ended && state !== 'running' && may('delete') && (
        <Action
          icon="trash"
          label="Delete"
          danger
          onClick={() =>
            ask({
              title: `Delete job ${job.id}?`,
              text: 'It is gone for good.',
              verb: 'Delete it',
              danger: true,
              onYes: () => act('delete', `Job ${job.id} is gone`),
            })
          }
        />
      )}
    </div>
  );
}

function Action({
  icon,
  label,
  onClick,
  primary = false,
  danger = false,
}: {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: () => void;
  readonly primary?: boolean;
  readonly danger?: boolean;
}) {
  return (
    <button type="button" class={primary ? 'primary' : danger ? 'danger' : ''} onClick={onClick}>
      <Icon name={icon} size={14} /> {label}
    </button>
  );
}

interface Step {
  readonly label: string;
  readonly at: string | undefined;
  readonly kind: 'done' | 'now' | 'bad' | 'next';
}

function stepsOf(job: JobDetail): Step[] {
  const steps: Step[] = [{ label: 'Enqueued', at: job.createdAt, kind: 'done' }];
  for (const error of job.errors.slice(-5))
    steps.push({ label: `Attempt ${error.attempt} failed`, at: error.at, kind: 'bad' });
  if (job.state === 'scheduled')
    steps.push({ label: job.runCount > 0 ? 'Next attempt' : 'Due', at: job.runAt, kind: 'next' });
  if (job.state === 'blocked') steps.push({ label: 'Waits for others', at: undefined, kind: 'next' });
  if (job.state === 'ready') steps.push({ label: 'Ready', at: undefined, kind: 'now' });
  if (job.state === 'running')
    steps.push({ label: `Running on worker ${job.lockedBy ?? ''}`, at: job.lockedAt, kind: 'now' });
  if (job.state === 'failed')
    steps.push({ label: 'Failed', at: job.failedAt ?? job.finishedAt, kind: 'bad' });
  if (job.state === 'completed') steps.push({ label: 'Completed', at: job.finishedAt, kind: 'done' });
  if (job.state === 'cancelled') steps.push({ label: 'Cancelled', at: job.finishedAt, kind: 'bad' });
  return steps;
}

/** What has happened to it, with the time that went by in between. */
function Timeline({ job }: { readonly job: JobDetail }) {
  const steps = stepsOf(job);
  return (
    <ol class="timeline card" aria-label="What has happened">
      {steps.map((step, index) => {
        const before = steps[index - 1]?.at;
        const took =
          before === undefined || step.at === undefined
            ? undefined
            : Date.parse(step.at) - Date.parse(before);
        return (
          <li key={`${step.label}${index}`} class={`step step-${step.kind}`}>
            <span class="step-dot" />
            <span class="step-label">{step.label}</span>
            <span class="faint" title={ago(step.at)}>
              {step.at === undefined ? ' ' : moment(step.at)}
            </span>
            {took !== undefined && took >= 0 && <span class="step-took">after {duration(took)}</span>}
          </li>
        );
      })}
    </ol>
  );
}

function Attempts({ job }: { readonly job: JobDetail }) {
  return (
    <section class="card">
      <h2>Attempts</h2>
      <ol class="plain attempts" reversed>
        {job.errors.toReversed().map((error) => (
          <li key={error.attempt + error.at}>
            <details>
              <summary>
                <b>Attempt {error.attempt}</b> <span class="bad-text">{error.name}</span>{' '}
                <span class="faint">{moment(error.at)}</span>{' '}
                {error.worker !== undefined && <span class="faint mono">{error.worker}</span>}
              </summary>
              <ErrorView error={error} />
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Facts({ job }: { readonly job: JobDetail }) {
  const rows: [string, string | undefined][] = [
    ['Attempts', `${job.runCount}${job.maxAttempts === undefined ? '' : ` of ${job.maxAttempts}`}`],
    ['Priority', String(job.priority)],
    ['Created', moment(job.createdAt)],
    ['Runs at', job.runAt === undefined ? undefined : moment(job.runAt)],
    ['Expires', job.expiresAt === undefined ? undefined : moment(job.expiresAt)],
    ['Group', job.group],
    ['Unique key', job.uniqueKey],
    ['Crashes', job.crashCount > 0 ? String(job.crashCount) : undefined],
    ['Dead letter of', job.deadLetter?.queue],
  ];
  return (
    <section class="card">
      <h2>Facts</h2>
      <dl class="facts">
        {rows
          .filter((row): row is [string, string] => row[1] !== undefined)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        {job.tags.length > 0 && (
          <div>
            <dt>Tags</dt>
            <dd>
              {job.tags.map((tag) => (
                <button
                  key={tag}
                  type="button"
                  class="tag"
                  onClick={() => go(['jobs'], { filter: `tag:${JSON.stringify(tag)}` })}
                >
                  {tag}
                </button>
              ))}
            </dd>
          </div>
        )}
        {Object.entries(job.headers).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="mono clip" title={String(value)}>
              {String(value)}
            </dd>
          </div>
        ))}
        {job.traceUrl !== undefined && (
          <div>
            <dt>Trace</dt>
            <dd>
              <a href={job.traceUrl} rel="noreferrer">
                open <Icon name="link" size={12} />
              </a>
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}
