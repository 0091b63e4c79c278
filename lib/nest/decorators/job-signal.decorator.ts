import { PARAMETER } from '../handler.parameters.js';
import { parameterDecorator } from './parameter.decorator.js';

/** Fills a parameter with `job.signal`: aborted on timeout, lost lease and shutdown. */
export function JobSignal(): ParameterDecorator {
  return parameterDecorator(PARAMETER.signal);
}
