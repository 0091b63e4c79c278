import { useEffect, useState } from 'preact/hooks';
import { post } from '../api.js';
import { useData } from '../data.js';
import { plural } from '../format.js';
import { Empty, Refused } from '../parts/error.js';
import { StateBadge } from '../parts/state.js';
import { go, href, place } from '../router.js';
import { attempt, may } from '../store.js';
import type { State } from '../types.js';

interface Flow {
  jobs: { id: string; queue?: string; state?: State }[];
  edges: { parent: string; child: string; outcome?: string }[];
  more: boolean;
}

const WIDTH = 180;
const HEIGHT = 52;

export function FlowsPage() {
  const id = place.value.parts[1];
  return id === undefined ? <FindFlow /> : <FlowView key={id} id={id} />;
}

function FindFlow() {
  const [text, setText] = useState('');
  return (
    <>
      <header class="page-head">
        <h1>Flows</h1>
      </header>
      <form
        class="card find"
        onSubmit={(event) => {
          event.preventDefault();
          if (/^\d+$/.test(text)) go(['flows', text]);
        }}
      >
        <label class="field">
          The id of any job of the flow
          <input
            inputMode="numeric"
            value={text}
            onInput={(event) => setText(event.currentTarget.value.trim())}
          />
        </label>
        <button type="submit" class="primary" disabled={!/^\d+$/.test(text)}>
          Show
        </button>
      </form>
      <p class="faint">
        Jobs that wait for others are <a href={href(['jobs'], { filter: 'state:blocked' })}>blocked</a>; each
        of them leads to its flow.
      </p>
    </>
  );
}

function FlowView({ id }: { readonly id: string }) {
  const {
    data: flow,
    error,
    reload,
  } = useData<Flow>(`flows/${encodeURIComponent(id)}`, {}, { everyMs: 3_000 });
  const change = (verb: string, said: (count: number) => string) =>
    void attempt(async () => {
      const { count } = await post<{ count: number }>(`flows/${id}/${verb}`);
      return said(count);
    }).then(reload);
  return (
    <>
      <header class="page-head">
        <h1>
          <span class="faint">Flow of job</span> <span class="mono">{id}</span>
        </h1>
        <p class="faint">
          {flow === undefined ? ' ' : `${plural(flow.jobs.length, 'job')}${flow.more ? ' and more' : ''}`}
        </p>
        <div class="actions">
          {may('retry_flow') && flow?.jobs.some(({ state }) => state === 'failed') === true && (
            <button
              type="button"
              class="primary"
              onClick={() => change('retry', (count) => `${plural(count, 'job')} run again`)}
            >
              Retry what failed
            </button>
          )}
          {may('cancel_flow') && (
            <button
              type="button"
              class="danger"
              onClick={() => change('cancel', (count) => `${plural(count, 'job')} cancelled`)}
            >
              Cancel all
            </button>
          )}
        </div>
      </header>
      {error !== undefined && <Refused error={error} onAgain={reload} />}
      {flow !== undefined && flow.edges.length === 0 && (
        <Empty title="This job is alone" text="It depends on nothing, and nothing depends on it." />
      )}
      {flow !== undefined && flow.edges.length > 0 && <Graph flow={flow} at={id} />}
      {flow !== undefined && (
        <details class="card" open={flow.edges.length > 0 && flow.jobs.length <= 12}>
          <summary>As a list</summary>
          <ul class="plain">
            {flow.jobs.map((job) => {
              const parents = flow.edges.filter(({ child }) => child === job.id).map(({ parent }) => parent);
              return (
                <li key={job.id}>
                  <a class="mono" href={href(['jobs', job.id])}>
                    {job.id}
                  </a>{' '}
                  <StateBadge state={job.state} /> {job.queue}{' '}
                  {parents.length > 0 && <span class="faint">after {parents.join(', ')}</span>}
                </li>
              );
            })}
          </ul>
        </details>
      )}
    </>
  );
}

interface Drawn {
  width: number;
  height: number;
  nodes: { id: string; x: number; y: number }[];
  lines: string[];
}

function Graph({ flow, at }: { readonly flow: Flow; readonly at: string }) {
  const [drawn, setDrawn] = useState<Drawn | undefined>(undefined);
  const [zoom, setZoom] = useState(1);
  const shape = flow.edges.map(({ parent, child }) => `${parent}>${child}`).join();
  useEffect(() => {
    let over = false;
    void layout(flow).then((next) => over || setDrawn(next));
    return () => {
      over = true;
    };
  }, [shape]);
  if (drawn === undefined) return <div class="card waiting" />;
  const states = new Map(flow.jobs.map((job) => [job.id, job]));
  return (
    <div class="card graph">
      <div class="graph-bar">
        <button
          type="button"
          class="small"
          aria-label="Smaller"
          onClick={() => setZoom(Math.max(0.3, zoom / 1.25))}
        >
          −
        </button>
        <button
          type="button"
          class="small"
          aria-label="Larger"
          onClick={() => setZoom(Math.min(2, zoom * 1.25))}
        >
          +
        </button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="The flow as a graph; below it is a list">
        <svg
          viewBox={`0 0 ${drawn.width} ${drawn.height}`}
          width={drawn.width * zoom}
          height={drawn.height * zoom}
          role="group"
          aria-label={`${plural(flow.jobs.length, 'job')}, and which waits for which`}
        >
          {drawn.lines.map((line) => (
            <path key={line} class="edge" d={line} />
          ))}
          {drawn.nodes.map(({ id, x, y }) => {
            const job = states.get(id);
            return (
              <a key={id} href={href(['jobs', id])}>
                <rect
                  class={`node node-${job?.state ?? 'gone'} ${id === at ? 'node-at' : ''}`}
                  x={x - WIDTH / 2}
                  y={y - HEIGHT / 2}
                  width={WIDTH}
                  height={HEIGHT}
                  rx="8"
                />
                <text class="node-name" x={x - WIDTH / 2 + 12} y={y - 4}>
                  {(job?.queue ?? 'ended').slice(0, 22)}
                </text>
                <text class="node-note" x={x - WIDTH / 2 + 12} y={y + 15}>
                  {id} · {job?.state ?? 'ended'}
                </text>
              </a>
            );
          })}
        </svg>
      </div>
    </div>
  );
}

async function layout({ jobs, edges }: Flow): Promise<Drawn> {
  const { Graph: Layout, layout: arrange } = await import('@dagrejs/dagre').then((module) => ({
    Graph: module.default.graphlib.Graph,
    layout: module.default.layout,
  }));
  const graph = new Layout();
  graph.setGraph({ rankdir: 'LR', nodesep: 20, ranksep: 56, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of jobs) graph.setNode(id, { width: WIDTH, height: HEIGHT });
  for (const { parent, child } of edges) graph.setEdge(parent, child);
  arrange(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const nodes = jobs.map(({ id }) => ({ id, ...(graph.node(id) as { x: number; y: number }) }));
  const lines = graph.edges().map((edge) => {
    const { points } = graph.edge(edge) as { points: { x: number; y: number }[] };
    return points
      .map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`)
      .join('');
  });
  return { width, height, nodes, lines };
}
