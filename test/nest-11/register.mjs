/** For child processes: `node --import` this file, and what they import of Nest is NestJS 11. */
import { register } from 'node:module';

register('./resolve-nest.mjs', import.meta.url);
