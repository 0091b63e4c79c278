/**
 * `npm start` runs the application with a channel to it, and closes it for a stop that comes to npm alone. Closed
 * during a stop it says nothing new, and a second signal would hand the running jobs back.
 */
export function stopWithLauncher(isStopping: () => boolean): void {
  if (process.channel === undefined) return;
  process.once('disconnect', () => {
    if (!isStopping()) process.kill(process.pid, 'SIGTERM');
  });
  process.channel.unref(); // it keeps nothing alive
}
