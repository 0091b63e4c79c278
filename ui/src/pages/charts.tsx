import { useMemo } from 'preact/hooks';
import { useData } from '../data.js';
import { compact, count, duration } from '../format.js';
import { Chart, type Line } from '../parts/chart.js';
import { Refused } from '../parts/error.js';
import { amend, place } from '../router.js';
import type { Point, Series } from '../types.js';

const RANGES: [name: string, hours: number][] = [
  ['1h', 1],
  ['6h', 6],
  ['24h', 24],
  ['7d', 168],
  ['30d', 720],
];
const EVERY_MS = 15_000;

/** How far back the charts go: in the address, so that it can be sent to somebody. */
export function RangePicker() {
  const chosen = place.value.query.get('range') ?? '1h';
  return (
    <div class="segments" role="group" aria-label="How far back">
      {RANGES.map(([name]) => (
        <button
          key={name}
          type="button"
          aria-pressed={chosen === name}
          onClick={() => amend({ range: name === '1h' ? undefined : name })}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

function hours(): number {
  const chosen = place.value.query.get('range') ?? '1h';
  return RANGES.find(([name]) => name === chosen)?.[1] ?? 1;
}

/** A point for each step, also where nothing happened. */
function spread({ from, to, stepMs, points }: Series): {
  times: number[];
  at: (read: (point: Point) => number | undefined, empty?: number) => (number | undefined)[];
} {
  const byTime = new Map(points.map((point) => [Date.parse(point.at), point]));
  const times: number[] = [];
  for (let time = Math.ceil(Date.parse(from) / stepMs) * stepMs; time < Date.parse(to); time += stepMs)
    times.push(time / 1_000);
  return {
    times,
    at: (read, empty) =>
      times.map((time) => {
        const point = byTime.get(time * 1_000);
        return point === undefined ? empty : (read(point) ?? empty);
      }),
  };
}

const perMinute = (value: number) => compact(Math.round(value * 10) / 10);

/** Throughput, latency and backlog, of a queue or of all. */
export function Charts({ queue }: { readonly queue?: string }) {
  const range = hours();
  const { data, error, reload } = useData<Series>('series', seriesQuery(range, queue), { everyMs: EVERY_MS });
  const shown = useMemo(() => (data === undefined ? undefined : linesOf(data)), [data]);
  if (error !== undefined && shown === undefined) return <Refused error={error} onAgain={reload} />;
  if (shown === undefined)
    return (
      <div class="charts">
        {[1, 2, 3].map((each) => (
          <div key={each} class="card chart waiting" />
        ))}
      </div>
    );
  return (
    <div class="charts">
      <Chart
        title="Throughput, a minute"
        summary={shown.throughput}
        times={shown.times}
        lines={shown.counts}
        format={perMinute}
      />
      <Chart
        title="Waiting and running"
        summary={shown.latency}
        times={shown.times}
        lines={shown.spans}
        format={duration}
      />
      <Chart
        title="Backlog"
        summary={shown.backlog}
        times={shown.times}
        lines={shown.held}
        format={(value) => count(Math.round(value))}
      />
    </div>
  );
}

/** The end is left to the server: it is asked anew with the same address. */
function seriesQuery(range: number, queue: string | undefined): Record<string, string | number | undefined> {
  const step = Math.max(60_000, (range * 3_600_000) / 120);
  const to = Math.ceil(Date.now() / step) * step;
  return { queue, from: String(to - range * 3_600_000), to: String(to), points: 120 };
}

function linesOf(series: Series) {
  const { times, at } = spread(series);
  const minutes = series.stepMs / 60_000;
  const rate = (read: (point: Point) => number) => at((point) => read(point) / minutes, 0);
  const counts: Line[] = [
    { label: 'completed', color: 'chart-1', values: rate((point) => point.completed), fill: true },
    { label: 'failed', color: 'chart-bad', values: rate((point) => point.failed) },
    { label: 'retried', color: 'chart-warn', values: rate((point) => point.retried) },
  ];
  const spans: Line[] = [
    { label: 'wait p50', color: 'chart-1', values: at((point) => point.wait.p50) },
    { label: 'wait p95', color: 'chart-1', values: at((point) => point.wait.p95), dash: true },
    { label: 'run p50', color: 'chart-2', values: at((point) => point.run.p50) },
    { label: 'run p95', color: 'chart-2', values: at((point) => point.run.p95), dash: true },
  ];
  const held: Line[] = [
    { label: 'ready', color: 'chart-1', values: at((point) => point.ready), fill: true },
    { label: 'scheduled', color: 'chart-2', values: at((point) => point.scheduled) },
    { label: 'failed', color: 'chart-bad', values: at((point) => point.dead) },
  ];
  const total = (read: (point: Point) => number) =>
    series.points.reduce((sum, point) => sum + read(point), 0);
  const worst = Math.max(0, ...series.points.map((point) => point.wait.p95 ?? 0));
  const most = Math.max(0, ...series.points.map((point) => point.ready ?? 0));
  return {
    times,
    counts,
    spans,
    held,
    throughput: `${count(total((point) => point.completed))} completed and ${count(total((point) => point.failed))} failed.`,
    latency: `95 of 100 jobs waited for less than ${duration(worst)}.`,
    backlog: `At most ${count(most)} jobs were ready.`,
  };
}
