import { signal } from '@preact/signals';
import { ApiError, get, post } from './api.js';
import { beat } from './live.js';
import type { Meta, Operation } from './types.js';

export const meta = signal<Meta | undefined>(undefined);
export const refusal = signal<ApiError | undefined>(undefined);

export function may(permission: string): boolean {
  return meta.value?.permissions.includes(permission) === true;
}

export async function loadMeta(): Promise<void> {
  try {
    meta.value = await get<Meta>('meta');
    document.title = meta.value.title;
  } catch (error) {
    refusal.value = error as ApiError;
  }
}

export interface Toast {
  id: number;
  kind: 'good' | 'bad';
  text: string;
}

export const toasts = signal<Toast[]>([]);
let lastToast = 0;

export function toast(text: string, kind: Toast['kind'] = 'good'): void {
  const id = ++lastToast;
  toasts.value = [...toasts.value, { id, kind, text }].slice(-4);
  setTimeout(
    () => (toasts.value = toasts.value.filter((each) => each.id !== id)),
    kind === 'bad' ? 9_000 : 5_000,
  );
}

/** Does something, and says what came of it. */
export async function attempt(work: () => Promise<string | undefined>): Promise<boolean> {
  try {
    const said = await work();
    if (said !== undefined) toast(said);
    beat.value += 1;
    return true;
  } catch (error) {
    const { message, hint } = error as ApiError;
    toast(hint === undefined ? message : `${message} ${hint}`, 'bad');
    return false;
  }
}

/** Changes of many jobs that this page has begun, or has found running. */
export const operations = signal<Operation[]>([]);

const PAST: Record<string, string> = {
  retry: 'retried',
  'run-now': 'started',
  requeue: 'requeued',
  cancel: 'cancelled',
  delete: 'deleted',
  reprocess: 'enqueued again',
};

export function past(action: string): string {
  return PAST[action] ?? action;
}

export async function beginOperation(body: object): Promise<void> {
  await attempt(async () => {
    const { operationId } = await post<{ operationId: string }>('jobs/bulk', body);
    await follow(operationId);
    return undefined;
  });
}

const FOLLOW_MS = 500;
const SHOWN_MS = 6_000;

async function follow(id: string): Promise<void> {
  const operation = await get<Operation>(`operations/${id}`);
  const others = operations.value.filter((each) => each.id !== id);
  operations.value = [...others, operation];
  if (operation.state === 'running') {
    setTimeout(() => void follow(id).catch(() => {}), FOLLOW_MS);
    return;
  }
  beat.value += 1;
  setTimeout(() => (operations.value = operations.value.filter((each) => each.id !== id)), SHOWN_MS);
}
