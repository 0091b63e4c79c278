import { InvalidHandlerError } from '../engine/errors.js';

/**
 * What decorators say about methods, kept on the class that declares the method and not on the function:
 * a decorator above that wraps the function would otherwise hide it. Entries are inherited, and dropped by an
 * override without the decorator, which is Nest's rule too.
 *
 * The key comes from `Symbol.for`, so that two copies of this package in one process see each other's entries.
 */
export class MethodMetadata<Entry> {
  readonly #key: symbol;

  /** @param decorator its name, for messages: `@QueueHandler()` */
  constructor(
    key: string,
    private readonly decorator: string,
  ) {
    this.#key = Symbol.for(key);
  }

  /** Adds an entry; entries of one method are kept in the order in which they are written. */
  add(target: object, method: PropertyKey, descriptor: PropertyDescriptor | undefined, entry: Entry): void {
    this.#assertMethod(target, method, descriptor);
    const entries = this.#own(target.constructor);
    const ofMethod = entries.get(method as string) ?? [];
    // Decorators run from the one next to the method upwards.
    const added = new Map([...entries, [method as string, [entry, ...ofMethod]]]);
    Reflect.defineMetadata(this.#key, added, target.constructor);
  }

  /** Every decorated method of a class, its own and inherited ones. */
  of(classRef: ClassRef): { readonly method: string; readonly entry: Entry }[] {
    return prototypesOf(classRef).flatMap((prototype) =>
      [...this.#declaredOn(prototype, classRef)]
        .filter(([method]) => declaringPrototype(classRef, method) === prototype)
        .flatMap(([method, entries]) => entries.map((entry) => ({ method, entry }))),
    );
  }

  /** A mixin helper may have replaced the `constructor` of a class's prototype, so the class itself is asked too. */
  #declaredOn(prototype: object, classRef: ClassRef): ReadonlyMap<string, readonly Entry[]> {
    if (prototype !== classRef.prototype) return this.#own(prototype.constructor);
    return new Map([...this.#own(prototype.constructor), ...this.#own(classRef)]);
  }

  #own(classRef: object | undefined): ReadonlyMap<string, readonly Entry[]> {
    if (typeof classRef !== 'function') return new Map();
    return (Reflect.getOwnMetadata(this.#key, classRef) as Map<string, Entry[]> | undefined) ?? new Map();
  }

  #assertMethod(target: object, method: PropertyKey, descriptor: PropertyDescriptor | undefined): void {
    const name = (owner: string): string => `${this.decorator} ${owner}.${String(method)}`;
    if (typeof target === 'function') {
      throw new InvalidHandlerError(
        name(target.name),
        'it is static. Make it a method of an instance, which Nest can inject.',
      );
    }
    if (typeof descriptor?.value !== 'function') {
      throw new InvalidHandlerError(
        name(target.constructor.name),
        'it is not a method. Write it as one, not as a property or accessor.',
      );
    }
    if (typeof method === 'symbol') {
      throw new InvalidHandlerError(
        name(target.constructor.name),
        'its name is a symbol, which Nest cannot call. Give it an ordinary name.',
      );
    }
  }
}

/** A class, as found on a provider. */
export type ClassRef = { readonly name: string; readonly prototype: object };

/** The prototype on which a class finds `method`: its own, or the nearest that has one. */
export function declaringPrototype(classRef: ClassRef, method: PropertyKey): object | undefined {
  return prototypesOf(classRef).find((prototype) => Object.hasOwn(prototype, method));
}

function prototypesOf(classRef: ClassRef): object[] {
  const prototypes: object[] = [];
  for (
    let prototype: object | null = classRef.prototype;
    prototype !== null && prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    prototypes.push(prototype);
  }
  return prototypes;
}
