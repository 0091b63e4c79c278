import { useData } from '../data.js';
import { ago, count, moment, plural } from '../format.js';
import { Icon } from '../icons.js';
import { ask } from '../parts/dialog.js';
import { Empty, Refused } from '../parts/error.js';
import { Spark } from '../parts/spark.js';
import { href } from '../router.js';
import { beginOperation, may } from '../store.js';
import type { FailureGroup } from '../types.js';

export function FailuresPage() {
  const { data, error, reload } = useData<{ groups: FailureGroup[] }>('failures', {}, { everyMs: 8_000 });
  const groups = data?.groups ?? [];
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  return (
    <>
      <header class="page-head">
        <h1>Failures</h1>
        <p class="faint">
          {data === undefined ? ' ' : `${plural(total, 'failed job')} of ${plural(groups.length, 'kind')}`}
        </p>
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      {data !== undefined && groups.length === 0 && (
        <Empty
          title="Nothing has failed"
          text="Failed jobs are grouped here by what their errors have in common."
        />
      )}
      <ul class="plain failures">
        {groups.map((group) => (
          <Group key={group.fingerprint} group={group} />
        ))}
      </ul>
    </>
  );
}

function Group({ group }: { readonly group: FailureGroup }) {
  const filter = `state:failed fingerprint:${group.fingerprint}`;
  const change = (action: string, label: string, danger: boolean) =>
    ask({
      title: `${label} ${plural(group.count, 'job')}?`,
      text: `All that have failed with this error: ${group.name ?? 'Error'}, ${group.pattern ?? ''}`,
      verb: `${label} ${count(group.count)}`,
      danger,
      onYes: () => beginOperation({ action, filter }),
    });
  return (
    <li class="card failure">
      <div class="failure-count">
        <span class="tile-value">{count(group.count)}</span>
        <Spark
          bars
          values={group.hours}
          label={`Failures by the hour, of the last 24 hours: ${group.hours.join(', ')}`}
        />
      </div>
      <div class="failure-text">
        <p class="error-head">
          <b>{group.name ?? 'Error'}</b>
          {group.code !== undefined && <code>{group.code}</code>}
          {group.queues.map((queue) => (
            <a class="tag" key={queue} href={href(['queues', queue])}>
              {queue}
            </a>
          ))}
        </p>
        <p class="error-message">{group.pattern ?? group.message}</p>
        {group.frame !== undefined && <p class="mono faint clip">{group.frame}</p>}
        <p class="faint">
          First <span title={moment(group.firstAt)}>{ago(group.firstAt)}</span>, last{' '}
          <span title={moment(group.lastAt)}>{ago(group.lastAt)}</span>, for example{' '}
          <a href={href(['jobs', group.lastJobId])}>job {group.lastJobId}</a>
        </p>
      </div>
      <div class="actions">
        <a class="button" href={href(['jobs'], { filter })}>
          See jobs
        </a>
        {may('retry') && (
          <button type="button" class="primary" onClick={() => change('retry', 'Retry', false)}>
            <Icon name="retry" size={14} /> Retry all
          </button>
        )}
        {may('delete') && (
          <button
            type="button"
            class="danger"
            aria-label={`Delete all of ${group.name ?? 'this kind'}`}
            onClick={() => change('delete', 'Delete', true)}
          >
            <Icon name="trash" size={14} />
          </button>
        )}
      </div>
    </li>
  );
}
