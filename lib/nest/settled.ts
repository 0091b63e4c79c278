import { isObservable, lastValueFrom } from 'rxjs';

/** Awaits an Observable, to its last value, or `undefined` when it ends without one. Everything else stays as it is. */
export function settled(result: unknown): unknown {
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}
