import { behavesAsAnEngine } from './support/behaviour.js';

behavesAsAnEngine({
  name: 'an engine that finds work by polling alone',
  options: () => ({ listen: { enabled: false } }),
});
behavesAsAnEngine({ name: 'an engine in another schema', schema: 'another' });
behavesAsAnEngine({
  name: 'an engine without prepared statements',
  options: () => ({ preparedStatements: false }),
});
behavesAsAnEngine({
  name: 'an engine that heartbeats from a thread',
  options: () => ({ lease: { heartbeat: 'thread' } }),
});
