import { describe, expect, it } from 'vitest';
import {
  isConnectionFailure,
  leavesOutcomeUnknown,
  sqlStateOf,
} from '../../lib/engine/connection/pg-errors.js';

const failure = (code: string) => Object.assign(new Error(`failed with ${code}`), { code });

describe('a failure to write to a connection', () => {
  it.each(['EPIPE', 'EBADF', 'EPERM', 'ECONNRESET', 'ETIMEDOUT'])('is one of the connection: %s', (code) => {
    expect(sqlStateOf(failure(code))).toBeUndefined();
    expect(isConnectionFailure(failure(code))).toBe(true);
    expect(leavesOutcomeUnknown(failure(code))).toBe(true);
  });
});

describe('an error of the server', () => {
  it.each(['42601', '23505', 'P0001', 'XX000', '0A000', 'F0000', 'HV000'])(
    'is told by its state: %s',
    (code) => {
      expect(sqlStateOf(failure(code))).toBe(code);
      expect(isConnectionFailure(failure(code))).toBe(false);
    },
  );
});
