import { InvalidOptionsError } from '../errors.js';
import type { StandardIssue, StandardResult, StandardSchema } from './standard-schema.js';

/** A class whose properties are decorated for `class-validator`. */
export type DtoClass<Payload extends object = object> = new () => Payload;

/** What is used of `class-validator`'s errors. */
interface ValidationProblem {
  readonly property: string;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly ValidationProblem[];
}

/**
 * A DTO class as a schema: payloads become instances of it by `class-transformer` and are checked by `class-validator`. Both are
 * optional peers, loaded when the first payload is checked.
 *
 * @param subject whose option it is, for messages
 */
export function dtoSchema<Payload extends object>(
  subject: string,
  dto: DtoClass<Payload>,
): StandardSchema<unknown, Payload> {
  return {
    '~standard': {
      version: 1,
      vendor: 'class-validator',
      validate: (value) => validateDto(subject, dto, value),
    },
  };
}

async function validateDto<Payload extends object>(
  subject: string,
  dto: DtoClass<Payload>,
  value: unknown,
): Promise<StandardResult<Payload>> {
  const [{ plainToInstance }, { validate }] = await loadPeers(subject);
  if (typeof value !== 'object' || value === null)
    return { issues: [{ message: `expected an object for ${dto.name}` }] };
  const instance = plainToInstance(dto, value);
  const problems = await validate(instance, { forbidUnknownValues: false });
  return problems.length === 0
    ? { value: instance }
    : { issues: problems.flatMap((problem) => issuesOf(problem, [])) };
}

async function loadPeers(subject: string) {
  try {
    return await Promise.all([import('class-transformer'), import('class-validator')]);
  } catch (cause) {
    const missing = new InvalidOptionsError(subject, [
      'dto: needs class-validator and class-transformer: npm install class-validator class-transformer',
    ]);
    throw Object.assign(missing, { cause });
  }
}

function issuesOf(
  { property, constraints = {}, children = [] }: ValidationProblem,
  above: readonly string[],
): StandardIssue[] {
  const path = [...above, property];
  return [
    ...Object.values(constraints).map((message) => ({ message, path })),
    ...children.flatMap((child) => issuesOf(child, path)),
  ];
}
