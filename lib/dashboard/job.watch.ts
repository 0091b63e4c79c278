import type { Subscription } from 'rxjs';
import type { TaskmasterEvents } from '../nest/taskmaster.events.js';

/** That something has happened to a job; what, the page asks by itself. */
export interface JobNews {
  readonly type: string;
  readonly queue: string | undefined;
  readonly jobId: string | undefined;
}

/** Tells pages what happens to the jobs that they show, in whatever process it happens. */
export class JobWatch {
  constructor(private readonly events: Pick<TaskmasterEvents, 'watch'>) {}

  /** @returns ends it */
  watch(ids: readonly string[], onEvent: (event: JobNews) => void): () => void {
    let subscription: Subscription | undefined;
    try {
      subscription = this.events.watch({ jobIds: ids.slice(0, 100) }).subscribe({
        next: ({ type, data }) =>
          onEvent({ type, queue: textOf(data['queue']), jobId: textOf(data['jobId']) }),
        error: () => onEvent({ type: 'gap', queue: undefined, jobId: undefined }), // the page asks anew
      });
    } catch {
      return () => {}; // ids that are none
    }
    return () => subscription?.unsubscribe();
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
