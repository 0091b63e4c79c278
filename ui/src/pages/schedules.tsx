import { part, post } from '../api.js';
import { useData } from '../data.js';
import { ago, duration, moment, plural } from '../format.js';
import { Icon } from '../icons.js';
import { ask } from '../parts/dialog.js';
import { Empty, Refused } from '../parts/error.js';
import { href } from '../router.js';
import { attempt, may } from '../store.js';
import type { Schedule } from '../types.js';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** The commonest expressions in words; of others the expression speaks for itself. */
function inWords({ cron, everyMs }: Schedule): string {
  if (everyMs !== undefined) return `every ${duration(everyMs)}`;
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = (cron ?? '').trim().split(/\s+/);
  if ([day, month].some((field) => field !== '*')) return '';
  if (/^\*\/\d+$/.test(minute) && hour === '*' && weekday === '*') return `every ${minute.slice(2)} minutes`;
  if (minute === '*' && hour === '*' && weekday === '*') return 'every minute';
  if (/^\d+$/.test(minute) && hour === '*' && weekday === '*') return `every hour at minute ${minute}`;
  if (!/^\d+$/.test(minute) || !/^\d+$/.test(hour)) return '';
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;
  if (weekday === '*') return `every day at ${time}`;
  if (weekday === '1-5') return `on weekdays at ${time}`;
  const named = /^\d$/.test(weekday) ? DAYS[Number(weekday) % 7] : undefined;
  return named === undefined ? '' : `on ${named}s at ${time}`;
}

export function SchedulesPage() {
  const { data, error, reload } = useData<{ schedules: Schedule[] }>('schedules', {}, { everyMs: 10_000 });
  const act = (schedule: Schedule, verb: string, said: string, body: object = {}) =>
    void attempt(async () => {
      await post(`schedules/${part(schedule.name)}/${verb}`, body);
      return said;
    }).then(reload);
  const schedules = data?.schedules ?? [];
  return (
    <>
      <header class="page-head">
        <h1>Schedules</h1>
        <p class="faint">{data === undefined ? ' ' : plural(schedules.length, 'schedule')}</p>
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      {data !== undefined && schedules.length === 0 ? (
        <Empty
          title="No schedule"
          text="Decorate a method with @Scheduled(), or call admin.schedules.upsert()."
        />
      ) : (
        <div class="scroll card flush" tabIndex={0} role="region" aria-label="Schedules">
          <table class="rows">
            <caption class="sr">Schedules</caption>
            <thead>
              <tr>
                <th scope="col">Schedule</th>
                <th scope="col">Queue</th>
                <th scope="col">When</th>
                <th scope="col" class="num">
                  Next
                </th>
                <th scope="col" class="hide-small">
                  Then
                </th>
                <th scope="col" class="num">
                  Last run
                </th>
                <th scope="col">
                  <span class="sr">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {schedules.map((schedule) => (
                <tr key={schedule.name}>
                  <th scope="row">
                    <span class="strong">{schedule.name}</span>
                    {schedule.pausedAt !== undefined && (
                      <span class="tag warn" title={schedule.pauseReason ?? ''}>
                        <Icon name="pause" size={11} /> paused
                      </span>
                    )}
                    {schedule.problem !== undefined && (
                      <span class="tag bad" title={schedule.problem}>
                        <Icon name="failures" size={11} /> {schedule.problem}
                      </span>
                    )}
                  </th>
                  <td>
                    <a href={href(['queues', schedule.queue])}>{schedule.queue}</a>
                  </td>
                  <td>
                    {schedule.cron !== undefined && <code>{schedule.cron}</code>}{' '}
                    <span class="faint">{inWords(schedule)}</span>{' '}
                    {schedule.cron !== undefined && schedule.timezone !== 'UTC' && (
                      <span class="faint">{schedule.timezone}</span>
                    )}
                  </td>
                  <td class="num" title={moment(schedule.nextRunAt)}>
                    {schedule.pausedAt === undefined ? ago(schedule.nextRunAt) : '–'}
                  </td>
                  <td class="hide-small faint">
                    {schedule.next
                      .slice(1, 4)
                      .map((at) =>
                        moment(at)
                          .replace(/ \d{4}, /, ', ')
                          .replace(/:00$/, ''),
                      )
                      .join(' · ')}
                  </td>
                  <td class="num" title={moment(schedule.lastRunAt)}>
                    {schedule.lastJobId === undefined ? (
                      ago(schedule.lastRunAt)
                    ) : (
                      <a href={href(['jobs', schedule.lastJobId])}>{ago(schedule.lastRunAt)}</a>
                    )}
                  </td>
                  <td class="row-actions">
                    {may('run_schedule') && (
                      <button
                        type="button"
                        class="small"
                        onClick={() => act(schedule, 'run', `${schedule.name} was fired`)}
                      >
                        Run now
                      </button>
                    )}
                    {may('pause_schedule') &&
                      (schedule.pausedAt === undefined ? (
                        <button
                          type="button"
                          class="small"
                          onClick={() =>
                            ask({
                              title: `Pause ${schedule.name}?`,
                              text: 'It does not fire until it is resumed. Due times in between are gone.',
                              verb: 'Pause',
                              input: { label: 'Why, for your colleagues' },
                              onYes: (reason) =>
                                act(
                                  schedule,
                                  'pause',
                                  `${schedule.name} is paused`,
                                  reason === '' ? {} : { reason },
                                ),
                            })
                          }
                        >
                          Pause
                        </button>
                      ) : (
                        <button
                          type="button"
                          class="small primary"
                          onClick={() => act(schedule, 'resume', `${schedule.name} goes on`)}
                        >
                          Resume
                        </button>
                      ))}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
