import { Component, type ComponentChildren, type ComponentType } from 'preact';
import { Icon, type IconName } from './icons.js';
import { connection, overview } from './live.js';
import { Questions } from './parts/dialog.js';
import { Refused } from './parts/error.js';
import { Help, helpOpen, Palette, paletteOpen } from './parts/palette.js';
import { href, place } from './router.js';
import { change, isDark, settings } from './settings.js';
import { meta, operations, past, refusal, toasts } from './store.js';
import { count } from './format.js';
import { post, type ApiError } from './api.js';
import { AuditPage } from './pages/audit.js';
import { FailuresPage } from './pages/failures.js';
import { FlowsPage } from './pages/flows.js';
import { JobPage } from './pages/job.js';
import { JobsPage } from './pages/jobs.js';
import { OverviewPage } from './pages/overview.js';
import { QueuePage } from './pages/queue.js';
import { QueuesPage } from './pages/queues.js';
import { SchedulesPage } from './pages/schedules.js';
import { SettingsPage } from './pages/settings.js';
import { SystemPage } from './pages/system.js';
import { WorkersPage } from './pages/workers.js';

interface Entry {
  readonly name: string;
  readonly icon: IconName;
  readonly label: string;
  readonly Page: ComponentType;
}

const ENTRIES: readonly Entry[] = [
  { name: '', icon: 'overview', label: 'Overview', Page: OverviewPage },
  { name: 'jobs', icon: 'jobs', label: 'Jobs', Page: JobsPage },
  { name: 'queues', icon: 'queues', label: 'Queues', Page: QueuesPage },
  { name: 'failures', icon: 'failures', label: 'Failures', Page: FailuresPage },
  { name: 'schedules', icon: 'schedules', label: 'Schedules', Page: SchedulesPage },
  { name: 'workers', icon: 'workers', label: 'Workers', Page: WorkersPage },
  { name: 'flows', icon: 'flows', label: 'Flows', Page: FlowsPage },
  { name: 'system', icon: 'system', label: 'System', Page: SystemPage },
  { name: 'audit', icon: 'audit', label: 'Audit', Page: AuditPage },
  { name: 'settings', icon: 'settings', label: 'Settings', Page: SettingsPage },
];

function pageOf([first = '', second]: readonly string[]): ComponentType {
  if (first === 'jobs' && second !== undefined) return JobPage;
  if (first === 'queues' && second !== undefined) return QueuePage;
  return ENTRIES.find(({ name }) => name === first)?.Page ?? OverviewPage;
}

export function App() {
  if (refusal.value !== undefined)
    return (
      <main class="alone">
        <h1>Taskmaster</h1>
        <Refused error={refusal.value} onAgain={() => location.reload()} />
      </main>
    );
  if (meta.value === undefined) return <main class="alone" aria-busy="true" aria-label="Loading" />;
  const Page = pageOf(place.value.parts);
  return (
    <div class="shell">
      <a class="skip" href={`${location.href.split('#')[0]}#main`} onClick={skip}>
        Skip to the content
      </a>
      <Sidebar />
      <TopBar />
      <main id="main" tabIndex={-1}>
        <Guard key={place.value.parts.join('/')}>
          <Page />
        </Guard>
      </main>
      <Corner />
      <Questions />
      {paletteOpen.value && <Palette />}
      {helpOpen.value && <Help />}
    </div>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#main')?.focus();
}

/** A page that breaks does not take the others with it. */
class Guard extends Component<{ readonly children: ComponentChildren }, { readonly error?: Error }> {
  override state: { readonly error?: Error } = {};

  override componentDidCatch(error: Error): void {
    this.setState({ error });
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <Refused
        error={{ message: 'This page has broken:', hint: error.message } as ApiError}
        onAgain={() => location.reload()}
      />
    );
  }
}

function Sidebar() {
  const [current = ''] = place.value.parts;
  const failed = overview.value?.failed ?? 0;
  return (
    <nav class="side" aria-label="Pages">
      <a class="brand" href={href([])}>
        <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
          <rect class="brand-box" x="2" y="2" width="20" height="20" rx="6" />
          <path class="brand-mark" d="M7 8h10M7 12h10M7 16h6" />
        </svg>
        <span>{meta.value?.title}</span>
      </a>
      <ul>
        {ENTRIES.map(({ name, icon, label }) => (
          <li key={name}>
            <a href={href(name === '' ? [] : [name])} aria-current={current === name ? 'page' : undefined}>
              <Icon name={icon} />
              <span>{label}</span>
              {name === 'failures' && failed > 0 && <span class="pill">{count(failed)}</span>}
            </a>
          </li>
        ))}
      </ul>
      <p class="side-foot faint">v{meta.value?.version}</p>
    </nav>
  );
}

const SAID = { live: 'Live', connecting: 'Connecting', polling: 'Every 5 s', paused: 'Paused' } as const;

function TopBar() {
  const { environment, links = [], user } = meta.value ?? {};
  return (
    <header class="top">
      <button type="button" class="finder" onClick={() => (paletteOpen.value = true)}>
        <Icon name="search" />
        <span>Go to …</span>
        <kbd>Ctrl K</kbd>
      </button>
      <div class="top-right">
        {environment !== undefined && <Environment label={environment.label} color={environment.color} />}
        {links.map((link) => (
          <a key={link.url} class="top-link" href={link.url} rel="noreferrer">
            {link.text}
          </a>
        ))}
        <button
          type="button"
          class={`beacon beacon-${connection.value}`}
          aria-pressed={settings.value.live}
          title="Live updates (r)"
          onClick={() => change({ live: !settings.value.live })}
        >
          <span class="beacon-dot" />
          {SAID[connection.value]}
        </button>
        <button
          type="button"
          class="quiet icon-only"
          title="Light or dark (t)"
          aria-label={isDark.value ? 'Light' : 'Dark'}
          onClick={() => change({ theme: isDark.value ? 'light' : 'dark' })}
        >
          <Icon name={isDark.value ? 'sun' : 'moon'} />
        </button>
        {user !== undefined && <span class="user faint">{user}</span>}
      </div>
    </header>
  );
}

function Environment({ label, color }: { readonly label: string; readonly color: string | undefined }) {
  return (
    <span class="environment">
      <span class="environment-dot" style={color === undefined ? {} : { background: color }} />
      {label}
    </span>
  );
}

/** What has been done, and what goes on. */
function Corner() {
  return (
    <div class="corner" role="status" aria-live="polite">
      {operations.value.map((operation) => {
        const total = Math.max(operation.total, operation.done);
        const share = total === 0 ? 1 : operation.done / total;
        return (
          <div class="toast operation" key={operation.id}>
            <p>
              <b>
                {operation.state === 'running' ? 'Working: ' : ''}
                {count(operation.done)}
                {operation.state === 'running'
                  ? ` of ${count(operation.total, operation.total > 10_000)}`
                  : ''}{' '}
                {past(operation.action)}
              </b>
              {operation.state === 'cancelled' && ', then stopped'}
              {operation.state === 'failed' && `, then: ${operation.error ?? 'an error'}`}
            </p>
            <progress max={1} value={operation.state === 'running' ? share : 1} aria-label="How far it is" />
            {operation.state === 'running' && (
              <button
                type="button"
                class="small"
                onClick={() => void post(`operations/${operation.id}/cancel`)}
              >
                Stop
              </button>
            )}
          </div>
        );
      })}
      {toasts.value.map((each) => (
        <div class={`toast ${each.kind}`} key={each.id}>
          {each.text}
        </div>
      ))}
    </div>
  );
}
