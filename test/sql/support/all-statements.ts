import { readdir } from 'node:fs/promises';
import type { Statement } from '../../../lib/engine/sql/statement.js';

/** A statement of whatever arguments and rows. */
// oxlint-disable-next-line typescript/no-explicit-any -- arguments are contravariant: `unknown` would accept no statement
export type AnyStatement = Statement<any, unknown>;

const FOLDER = new URL('../../../lib/engine/sql/', import.meta.url);

/** Every statement that a module of `lib/engine/sql` exports, found by its shape, so that none is forgotten. */
export async function allStatements(): Promise<readonly AnyStatement[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.ts'));
  const modules = await Promise.all(
    files.map((file) => import(new URL(file, FOLDER).href) as Promise<object>),
  );
  return modules.flatMap((module) => Object.values(module).filter(isStatement));
}

function isStatement(value: unknown): value is AnyStatement {
  const candidate = value as Partial<AnyStatement> | null;
  return (
    typeof candidate === 'object' &&
    typeof candidate?.name === 'string' &&
    typeof candidate.text === 'function' &&
    typeof candidate.values === 'function'
  );
}
