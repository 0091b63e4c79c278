import { InvalidOptionsError } from '../../errors.js';

/**
 * Checks that what an adapter was given can do what it is needed for.
 *
 * @param adapter its name, for the message
 * @throws InvalidOptionsError naming the method that is missing, and what was expected
 */
export function assertHasMethod(
  adapter: string,
  given: unknown,
  method: string,
  expected: string,
): asserts given {
  const has = (typeof given === 'object' || typeof given === 'function') && given !== null && method in given;
  if (!has || typeof (given as Record<string, unknown>)[method] !== 'function')
    throw new InvalidOptionsError(`${adapter}()`, [`expected ${expected}, which has ${method}()`]);
}
