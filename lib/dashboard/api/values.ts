import { ApiError } from '../dashboard.errors.js';

type Values = Readonly<Record<string, unknown>>;

export function badRequest(message: string, hint?: string): ApiError {
  return new ApiError(400, 'bad_request', message, hint);
}

/** A text; `undefined` when it is not given. @throws ApiError for something else */
export function textIn(values: Values, name: string): string | undefined {
  const value = values[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw badRequest(`${name}: expected a text.`);
}

/** An integer within bounds. @throws ApiError for something else */
export function integerIn(values: Values, name: string, min: number, max: number): number | undefined {
  const value = values[name];
  if (value === undefined || value === '') return undefined;
  const number = typeof value === 'string' ? Number(value) : value;
  if (Number.isInteger(number) && Number(number) >= min && Number(number) <= max) return Number(number);
  throw badRequest(`${name}: expected an integer from ${min} to ${max}.`);
}

/** A time in ISO 8601, or in milliseconds since 1970. @throws ApiError for something else */
export function timeIn(values: Values, name: string): Date | undefined {
  const text = typeof values[name] === 'number' ? String(values[name]) : textIn(values, name);
  if (text === undefined) return undefined;
  const time = new Date(/^\d+$/.test(text) ? Number(text) : text);
  if (!Number.isNaN(time.getTime())) return time;
  throw badRequest(`${name}: expected a time in ISO 8601.`);
}

/** A list of texts. @throws ApiError for something else */
export function textsIn(values: Values, name: string): readonly string[] | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
  throw badRequest(`${name}: expected a list of texts.`);
}

export function param(params: readonly string[], index = 0): string {
  return params[index] ?? '';
}

/** The id of a job or an operation. @throws ApiError for what is none */
export function idParam(params: readonly string[], index = 0): string {
  const id = param(params, index);
  if (!/^\d{1,19}$/.test(id)) throw badRequest('The id is a number.');
  return id;
}
