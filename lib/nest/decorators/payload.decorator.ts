import type { PipeTransform, Type } from '@nestjs/common';
import { PARAMETER } from '../handler.parameters.js';
import { parameterDecorator } from './parameter.decorator.js';

/** A pipe, or the class of one. */
export type Pipe = PipeTransform | Type<PipeTransform>;

/**
 * Fills a parameter with the job's payload, or with one property of it, after the given pipes.
 * Without any parameter decorator the first parameter is the payload, and global pipes run on it too.
 */
export function Payload(...pipes: Pipe[]): ParameterDecorator;
export function Payload(property: string, ...pipes: Pipe[]): ParameterDecorator;
export function Payload(...args: (string | Pipe)[]): ParameterDecorator {
  return parameterDecorator(PARAMETER.payload, ...args);
}
