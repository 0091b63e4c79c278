/** Longer paths lose their middle, longer keys their end: a path goes into messages and logs. */
const MAX_SEGMENTS = 40;
const MAX_KEY_LENGTH = 64;

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** Where in a payload, as messages say it: `payload.user.tags[3]`, and `payload["a b"]` for keys that are no identifiers. */
export function payloadPath(keys: readonly PropertyKey[]): string {
  if (keys.length <= MAX_SEGMENTS) return `payload${keys.map(segment).join('')}`;
  const half = MAX_SEGMENTS / 2;
  return `payload${keys.slice(0, half).map(segment).join('')}…${keys.slice(-half).map(segment).join('')}`;
}

function segment(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`;
  if (typeof key === 'symbol') return `[${String(key)}]`;
  const text = key.length > MAX_KEY_LENGTH ? `${key.slice(0, MAX_KEY_LENGTH)}…` : key;
  return IDENTIFIER.test(text) ? `.${text}` : `[${JSON.stringify(text)}]`;
}
