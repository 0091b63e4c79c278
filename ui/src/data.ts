import { useEffect, useRef, useState } from 'preact/hooks';
import { type ApiError, get } from './api.js';
import { beat } from './live.js';

/** What a page shows, as last told: it stays while it is asked for anew, so that nothing jumps. */
export interface Data<T> {
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  readonly reload: () => void;
}

interface Options {
  /** Asks anew when something may have changed, at most once in so many milliseconds; 0: not by itself. */
  readonly everyMs?: number;
  /** Nothing is asked for while this is false. */
  readonly when?: boolean;
}

const EVERY_MS = 5_000;

export function useData<T>(
  path: string,
  query: Record<string, string | number | undefined> = {},
  { everyMs = EVERY_MS, when = true }: Options = {},
): Data<T> {
  const key = `${path}?${JSON.stringify(query)}`;
  const [state, setState] = useState<{ key: string; data?: T; error?: ApiError }>({ key });
  const [round, setRound] = useState(0);
  const askedAt = useRef(0);
  const seen = beat.value;

  useEffect(() => {
    if (!when) return undefined;
    const over = new AbortController();
    askedAt.current = performance.now();
    get<T>(path, query, over.signal).then(
      (data) => setState({ key, data }),
      (error: ApiError) => {
        if (!over.signal.aborted)
          setState((before) => ({ ...(before.key === key ? before : {}), key, error }));
      },
    );
    return () => over.abort();
  }, [key, round, when]);

  useEffect(() => {
    if (everyMs > 0 && performance.now() - askedAt.current > everyMs && !document.hidden)
      setRound((before) => before + 1);
  }, [seen]);

  const isCurrent = state.key === key;
  return {
    data: state.data,
    error: isCurrent ? state.error : undefined,
    loading: when && (!isCurrent || (state.data === undefined && state.error === undefined)),
    reload: () => setRound((before) => before + 1),
  };
}
