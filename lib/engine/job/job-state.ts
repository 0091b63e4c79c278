/**
 * What a job is about: `scheduled` waits for its time or its retry, `ready` for a slot, `blocked` for other jobs; `running`;
 * `completed`, `failed` and `cancelled` have ended.
 */
export type JobState = 'scheduled' | 'ready' | 'running' | 'blocked' | 'completed' | 'failed' | 'cancelled';
