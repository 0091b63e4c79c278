import { PARAMETER } from '../handler.parameters.js';
import { parameterDecorator } from './parameter.decorator.js';
import type { Pipe } from './payload.decorator.js';

/** Fills a parameter with the job's headers, or with one of them, after the given pipes. */
export function JobHeaders(...pipes: Pipe[]): ParameterDecorator;
export function JobHeaders(name: string, ...pipes: Pipe[]): ParameterDecorator;
export function JobHeaders(...args: (string | Pipe)[]): ParameterDecorator {
  return parameterDecorator(PARAMETER.headers, ...args);
}
