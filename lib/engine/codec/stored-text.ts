/// <reference lib="es2024.string" />

/**
 * What keeps a text from being stored as `jsonb`; `undefined` when nothing does. PostgreSQL refuses NUL, and half of
 * a surrogate pair either fails or is replaced in silence, depending on the way it is written.
 */
export function storageProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'PostgreSQL cannot store the NUL character in JSON';
  if (!text.isWellFormed()) return 'half of a surrogate pair is no text; was a string cut inside an emoji?';
  return undefined;
}

/** The text with U+FFFD wherever it could not be stored: for what must be kept, such as the message of an error. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}
