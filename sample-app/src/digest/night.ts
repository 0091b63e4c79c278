/** When the digest of a night is due: 02:00 UTC. */
export function dueAt(night: string): Date {
  return new Date(`${night}T02:00:00Z`);
}

/** The first night whose digest is due after a moment, as `2026-11-30`. */
export function nightAfter(moment: Date): string {
  const today = moment.toISOString().slice(0, 10);
  return dueAt(today) > moment ? today : dayAfter(today);
}

function dayAfter(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}
