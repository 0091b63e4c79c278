import { useEffect, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';
import { isDark, settings } from '../settings.js';

/** One line of a chart. */
export interface Line {
  readonly label: string;
  /** Name of a colour of the page. */
  readonly color: string;
  readonly values: readonly (number | undefined)[];
  readonly fill?: boolean;
  readonly dash?: boolean;
}

interface Props {
  readonly title: string;
  /** One sentence that says what is to be seen. */
  readonly summary: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
}

const HEIGHT = 180;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || '#888';
}

/** A chart with its numbers as a table for whoever prefers that. */
export function Chart({ title, summary, times, lines, format }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [asTable, setAsTable] = useState(false);
  const shape = `${isDark.value}|${settings.value.utc}|${lines.map((line) => line.label).join()}|${asTable}`;
  const data = [
    times,
    ...lines.map((line) => line.values.map((value) => value ?? null)),
  ] as unknown as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    let over = false;
    let observer: ResizeObserver | undefined;
    void import('uplot').then(({ default: Plot }) => {
      const element = box.current;
      if (over || element === null) return;
      plot.current = new Plot(optionsOf(Plot, element.clientWidth, lines, format), latest.current, element);
      observer = new ResizeObserver(() =>
        plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
      );
      observer.observe(element);
    });
    return () => {
      over = true;
      observer?.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [shape]);

  useEffect(() => plot.current?.setData(data), [times, lines]);

  return (
    <section class="card chart">
      <header class="card-head">
        <h2>{title}</h2>
        <ul class="legend">
          {lines.map((line) => (
            <li key={line.label} class={`key key-${line.color}${line.dash === true ? ' dashed' : ''}`}>
              {line.label}
            </li>
          ))}
        </ul>
        <button type="button" class="quiet small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? 'Chart' : 'Table'}
        </button>
      </header>
      {asTable ? (
        <div class="scroll chart-table" tabIndex={0} role="region" aria-label={`${title}, as a table`}>
          <table>
            <caption class="sr">{title}</caption>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {lines.map((line) => (
                  <th scope="col" class="num" key={line.label}>
                    {line.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((time, index) => (
                <tr key={time}>
                  <th scope="row">
                    {new Date(time * 1_000).toLocaleTimeString(
                      'en-GB',
                      settings.value.utc ? { timeZone: 'UTC' } : {},
                    )}
                  </th>
                  {lines.map((line) => (
                    <td class="num" key={line.label}>
                      {shown(line.values[index], format)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <div ref={box} class="plot" role="img" aria-label={`${title}. ${summary}`} />
      )}
    </section>
  );
}

function shown(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '–' : format(value);
}

function optionsOf(
  Plot: typeof uPlot,
  width: number,
  lines: readonly Line[],
  format: (value: number) => string,
): uPlot.Options {
  const text = colour('text-faint');
  const axis = { stroke: text, font: '11px system-ui, sans-serif', ticks: { show: false }, gap: 6 };
  const utc = settings.value.utc;
  return {
    width,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    tzDate: (seconds) => (utc ? Plot.tzDate(new Date(seconds * 1_000), 'UTC') : new Date(seconds * 1_000)),
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 26, values: timeLabels },
      {
        ...axis,
        grid: { stroke: colour('line'), width: 1 },
        size: 58,
        space: 36,
        values: (_plot, splits) => splits.map(format),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.color),
        width: 1.75,
        spanGaps: false,
        points: { show: false },
        ...(line.fill === true ? { fill: `color-mix(in srgb, ${colour(line.color)} 12%, transparent)` } : {}),
        ...(line.dash === true ? { dash: [4, 4] } : {}),
      })),
    ],
    plugins: [tooltip(lines, format)],
  };
}

/** Hours where points are of hours, days where they are of days. */
function timeLabels(plot: uPlot, splits: number[]): string[] {
  const seconds = (plot.scales['x']?.max ?? 0) - (plot.scales['x']?.min ?? 0);
  const zone = settings.value.utc ? { timeZone: 'UTC' } : {};
  const options: Intl.DateTimeFormatOptions =
    seconds > 172_800
      ? { day: 'numeric', month: 'short', ...zone }
      : { hour: '2-digit', minute: '2-digit', ...zone };
  const format = new Intl.DateTimeFormat('en-GB', options);
  return splits.map((split) => format.format(new Date(split * 1_000)));
}

/** Says the numbers under the pointer. */
function tooltip(lines: readonly Line[], format: (value: number) => string): uPlot.Plugin {
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  return {
    hooks: {
      init: (plot) => plot.over.append(tip),
      setCursor: (plot) => {
        const { idx, left = 0 } = plot.cursor;
        tip.hidden = idx === null || idx === undefined || left < 0;
        if (idx === null || idx === undefined || tip.hidden) return;
        const time = new Date((plot.data[0][idx] as number) * 1_000);
        const zone = settings.value.utc ? { timeZone: 'UTC' } : {};
        const rows = lines.map((line, index) => `${line.label}  ${valueAt(plot, index + 1, idx, format)}`);
        tip.textContent = [
          time.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short', ...zone }),
          ...rows,
        ].join('\n');
        const flip = left > plot.over.clientWidth / 2;
        tip.style.left = flip ? '' : `${left + 12}px`;
        tip.style.right = flip ? `${plot.over.clientWidth - left + 12}px` : '';
      },
    },
  };
}

function valueAt(plot: uPlot, series: number, index: number, format: (value: number) => string): string {
  const value = plot.data[series]?.[index];
  return value === null || value === undefined ? '–' : format(value);
}
