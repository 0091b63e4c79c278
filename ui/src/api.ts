/** Why a call was refused. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint?: string,
    readonly position?: number,
    readonly length?: number,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | undefined>;

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(key, String(value));
  const text = search.toString();
  return call<T>(`api/${path}${text === '' ? '' : `?${text}`}`, signal === undefined ? {} : { signal });
}

export function post<T>(path: string, body: object = {}): Promise<T> {
  return call<T>(`api/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-taskmaster-dashboard': '1' },
    body: JSON.stringify(body),
  });
}

/** A part of a path: names of queues may hold anything. */
export function part(name: string): string {
  return encodeURIComponent(name);
}

async function call<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', 'The server does not answer.', 'It may be restarting.');
  }
  const answer = (await response.json().catch(() => ({}))) as { error?: Partial<ApiError> } & T;
  if (response.ok) return answer;
  const {
    code = 'failed',
    message = `The server answered with ${response.status}.`,
    hint,
    position,
    length,
  } = answer.error ?? {};
  throw new ApiError(response.status, code, message, hint, position, length);
}
