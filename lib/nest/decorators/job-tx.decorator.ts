import { PARAMETER } from '../handler.parameters.js';
import { parameterDecorator } from './parameter.decorator.js';

/** Fills a parameter with `job.tx`, the transaction of a `transactional` handler; `undefined` in others. */
export function JobTx(): ParameterDecorator {
  return parameterDecorator(PARAMETER.tx);
}
