import { InvalidJobPayloadError, InvalidPayloadError } from '../errors.js';
import { payloadPath } from './payload-path.js';
import type { StandardIssue, StandardSchema } from './standard-schema.js';

/** A schema may find thousands of issues in a list of thousands; nobody reads more of them than this. */
const MAX_ISSUES_SHOWN = 10;

/**
 * The payload as the schema makes it of `value`: with its defaults, transformations and types.
 *
 * @throws InvalidPayloadError at the path of the first issue, with the messages of all
 */
export async function validatePayload<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
): Promise<Output> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  throw new InvalidPayloadError(pathOf(result.issues[0]), reasonOf(result.issues));
}

/** The same for the payload of a job that is stored. @throws InvalidJobPayloadError */
export async function validateStored<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
): Promise<Output> {
  try {
    return await validatePayload(schema, value);
  } catch (error) {
    if (!(error instanceof InvalidPayloadError)) throw error;
    throw new InvalidJobPayloadError(error.path, error.reason, { cause: error });
  }
}

function reasonOf(issues: readonly StandardIssue[]): string {
  const [first, ...others] = issues.slice(0, MAX_ISSUES_SHOWN);
  const reasons = [
    first?.message ?? 'the schema refuses it',
    ...others.map((issue) => `${pathOf(issue)}: ${issue.message}`),
  ];
  const hidden = issues.length - MAX_ISSUES_SHOWN;
  return hidden > 0 ? `${reasons.join('; ')}; and ${hidden} more` : reasons.join('; ');
}

function pathOf(issue: StandardIssue | undefined): string {
  return payloadPath((issue?.path ?? []).map((part) => (typeof part === 'object' ? part.key : part)));
}
