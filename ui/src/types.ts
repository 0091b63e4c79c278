/** What the API answers with; times in ISO 8601. */
export interface Meta {
  title: string;
  environment?: { label: string; color?: string };
  links: { text: string; url: string }[];
  version: string;
  user?: string;
  permissions: string[];
  qualifiers: Record<string, string>;
}

export interface Happened {
  completed: number;
  failed: number;
  retried: number;
  cancelled: number;
}

export interface Pause {
  by?: string;
  since: string;
  until?: string;
  reason?: string;
}

export interface Queue {
  queue: string;
  paused?: Pause;
  heldUntil?: string;
  workers: number;
  quietWorkers: number;
  slots: number;
  ready: number;
  running: number;
  scheduled: number;
  blocked: number;
  failed: number;
  retrying: number;
  capped: boolean;
  oldestReadyMs?: number;
  lastDay: Happened;
  lastHour: Happened;
  minutes: number[];
}

export interface Overview {
  at: string;
  takenAt?: string;
  ready: number;
  running: number;
  slots: number;
  scheduled: number;
  retrying: number;
  blocked: number;
  failed: number;
  capped: boolean;
  oldestReadyMs?: number;
  lastDay: Happened;
  lastHour: Happened;
  queues: Queue[];
  problems: { kind: string; queue: string; text: string }[];
}

export interface JobError {
  name: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: JobError;
}

export type State = 'scheduled' | 'ready' | 'running' | 'blocked' | 'completed' | 'failed' | 'cancelled';

export interface Job {
  id: string;
  queue: string;
  state: State;
  runCount: number;
  crashCount: number;
  maxAttempts?: number;
  priority: number;
  createdAt: string;
  runAt?: string;
  failedAt?: string;
  finishedAt?: string;
  expiresAt?: string;
  lockedAt?: string;
  lockedBy?: number;
  lastError?: JobError;
  group?: string;
  uniqueKey?: string;
  tags: string[];
  attempts: number;
  hasResult: boolean;
  deadLetter?: { queue: string; id: string };
  fields?: (string | undefined)[];
}

export interface JobDetail extends Job {
  errors: (JobError & { at: string; attempt: number; worker?: string })[];
  headers: Record<string, string>;
  explanation?: { text: string; reason: string; reasons: { code: string; text: string }[] };
  related: { id: string; queue?: string; state?: State }[];
  traceUrl?: string;
}

export interface Part {
  value?: unknown;
  text?: string;
  bytes: number;
  truncated?: boolean;
}

export interface Quantiles {
  p50?: number;
  p95?: number;
  p99?: number;
}

export interface Point extends Happened {
  at: string;
  wait: Quantiles;
  run: Quantiles;
  ready?: number;
  running?: number;
  scheduled?: number;
  dead?: number;
  oldestReadyMs?: number;
}

export interface Series {
  from: string;
  to: string;
  stepMs: number;
  points: Point[];
}

export interface FailureGroup {
  fingerprint: string;
  name?: string;
  code?: string;
  pattern?: string;
  message?: string;
  frame?: string;
  count: number;
  queues: string[];
  firstAt: string;
  lastAt: string;
  lastJobId: string;
  hours: number[];
}

export interface Operation {
  id: string;
  action: string;
  by?: string;
  total: number;
  done: number;
  state: 'running' | 'done' | 'cancelled' | 'failed' | 'lost';
  error?: string;
  createdAt: string;
  endedAt?: string;
}

export interface Worker {
  id: number;
  name: string;
  host?: string;
  pid?: number;
  version?: string;
  startedAt: string;
  heartbeatAt: string;
  state: 'running' | 'quiet' | 'draining';
  queues: { queue: string; slots: number }[];
  running: number;
  oldestRunningMs?: number;
}

export interface Schedule {
  name: string;
  queue: string;
  cron?: string;
  everyMs?: number;
  timezone: string;
  source?: string;
  pausedAt?: string;
  pauseReason?: string;
  nextRunAt?: string;
  lastDueAt?: string;
  lastRunAt?: string;
  lastJobId?: string;
  problem?: string;
  next: string[];
}

export interface System {
  server: string;
  database: string;
  migrations: { version: number; name: string; appliedAt: string }[];
  tables: {
    name: string;
    bytes: number;
    indexBytes: number;
    rows: number;
    deadRows: number;
    vacuumedAt?: string;
  }[];
  connections: number;
  maxConnections: number;
  oldestTransactionMs?: number;
  oldestTransaction?: string;
  notifyUsage: number;
  health: { status: 'up' | 'degraded' | 'down'; details: Record<string, unknown> };
}

export interface AuditEntry {
  id: string;
  at: string;
  action: string;
  by?: string;
  ip?: string;
  target: Record<string, unknown>;
  count?: number;
}
