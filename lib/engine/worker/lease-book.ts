/**
 * Which leases this process holds, and how many of their jobs are not settled yet. A lease may be deleted in the database only
 * together with, or after, the settlement of its last job: without a lease an unsettled job would be handed out again.
 */
export class LeaseBook {
  readonly #open = new Map<string, number>();
  #finished: string[] = [];

  opened(leaseId: string, jobs: number): void {
    this.#open.set(leaseId, jobs);
  }

  has(leaseId: string): boolean {
    return this.#open.has(leaseId);
  }

  get ids(): readonly string[] {
    return [...this.#open.keys()];
  }

  /**
   * The leases to delete in a statement that settles these jobs: those it settles the last jobs of, and those that
   * were finished by other statements.
   */
  closedBy(leaseIds: readonly string[]): string[] {
    const closed = this.#finished;
    this.#finished = [];
    for (const [leaseId, jobs] of countsOf(leaseIds)) {
      if (this.#open.get(leaseId) === jobs) closed.push(leaseId);
    }
    return closed;
  }

  /** A statement that settled these jobs and deleted `closed` has been confirmed. */
  settled(leaseIds: readonly string[], closed: readonly string[]): void {
    for (const [leaseId, jobs] of countsOf(leaseIds)) {
      const left = (this.#open.get(leaseId) ?? 0) - jobs;
      if (left > 0) this.#open.set(leaseId, left);
      else if (this.#open.delete(leaseId) && !closed.includes(leaseId)) this.#finished.push(leaseId);
    }
  }

  /** A statement that was to delete these leases has failed: they are to be deleted by another. */
  notClosed(closed: readonly string[]): void {
    this.#finished.push(...closed.filter((leaseId) => !this.#open.has(leaseId)));
  }

  /** Leases whose jobs are settled, still to be deleted. */
  get unclosed(): boolean {
    return this.#finished.length > 0;
  }

  /** These leases were taken away: nothing is left to be deleted. */
  lost(leaseIds: ReadonlySet<string>): void {
    for (const leaseId of leaseIds) this.#open.delete(leaseId);
  }

  /** The worker has been declared dead: its leases are not its own any more. */
  clear(): void {
    this.#open.clear();
    this.#finished = [];
  }
}

function countsOf(leaseIds: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const leaseId of leaseIds) counts.set(leaseId, (counts.get(leaseId) ?? 0) + 1);
  return counts;
}
