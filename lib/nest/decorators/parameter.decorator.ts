import { decorateParameter } from '../handler.parameters.js';
import { InvalidHandlerError } from '../../engine/errors.js';

/** Makes the decorator of one kind of parameter; its first argument may name a property, the others are pipes. @internal */
export function parameterDecorator(type: number, ...args: unknown[]): ParameterDecorator {
  const [first, ...others] = args;
  const { data, pipes } =
    typeof first === 'string' ? { data: first, pipes: others } : { data: undefined, pipes: args };
  return (target, method, index) => {
    if (method === undefined) {
      throw new InvalidHandlerError(
        (target as { name: string }).name,
        'a parameter of its constructor is decorated as one of a handler. Decorate the parameters of the handler method.',
      );
    }
    decorateParameter(target, method, type, { index, data, pipes });
  };
}
