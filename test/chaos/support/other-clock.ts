import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { FAKETIME } from './when.js';

/** A clock that can be set, for processes that are started with its environment. What measures time, not tells it, stays right. */
export interface OtherClock {
  readonly env: Readonly<Record<string, string>>;
  /** By so many hours, from now on. */
  set(hours: number): Promise<void>;
}

/** Debian's `libfaketime`, which reads the time from a file. Right until it is set. */
export async function otherClock(): Promise<OtherClock> {
  const file = join(await temporaryFolder(), 'clock');
  const set = (hours: number) =>
    writeFile(file, `${hours < 0 ? '-' : '+'}${Math.abs(hours)}h\n`, { mode: 0o644 });
  await set(0);
  const env = {
    LD_PRELOAD: FAKETIME!,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  return { env, set };
}
