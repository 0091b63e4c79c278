import { InvalidJobPayloadError } from '../errors.js';

/** Turns a payload of one version into one of the next. */
export type Upcaster = (payload: never) => unknown;

/** How the payloads of a queue have changed. */
export interface PayloadVersions {
  /** The version that is enqueued, and the newest that the handler understands: an integer of at least 1. @default 1 */
  readonly version?: number;
  /** By the version they take: `{ 1: (v1) => v2, 2: (v2) => v3 }`. One for each version below `version` that may still be stored. */
  readonly upcasters?: Readonly<Record<number, Upcaster>>;
}

/** The version of a job's payload, as its meta tells; plain SQL may store anything there. */
export function payloadVersionOf(stored: unknown): number {
  return Number.isInteger(stored) && (stored as number) > 1 ? (stored as number) : 1;
}

/**
 * A payload as the handler's version has it. It must not be of a newer one.
 *
 * @throws InvalidJobPayloadError when an upcaster throws
 */
export async function upcast(
  payload: unknown,
  from: number,
  { version = 1, upcasters = {} }: PayloadVersions,
): Promise<unknown> {
  let current = payload;
  for (let at = from; at < version; at += 1) {
    try {
      current = await upcasters[at]!(current as never);
    } catch (error) {
      throw new InvalidJobPayloadError('payload', `its upcaster from version ${at} has failed`, {
        cause: error,
      });
    }
  }
  return current;
}

/** What is wrong with the upcasters of a definition: each version below its own needs one. */
export function upcasterProblems({ version = 1, upcasters = {} }: PayloadVersions): string[] {
  const problems: string[] = [];
  for (let at = 1; at < version; at += 1)
    if (upcasters[at] === undefined)
      problems.push(`upcasters: expected one for version ${at}, since the version is ${version}`);
  for (const key of Object.keys(upcasters))
    if (!(Number.isInteger(Number(key)) && Number(key) >= 1 && Number(key) < version))
      problems.push(`upcasters: expected versions from 1 to ${version - 1}, got ${JSON.stringify(key)}`);
  return problems;
}
