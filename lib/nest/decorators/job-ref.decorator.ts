import { PARAMETER } from '../handler.parameters.js';
import { parameterDecorator } from './parameter.decorator.js';

/** Fills a parameter with the `Job`. Without any parameter decorator the second parameter is the job. */
export function JobRef(): ParameterDecorator {
  return parameterDecorator(PARAMETER.job);
}
