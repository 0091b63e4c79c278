import type { JSX } from 'preact';

/** Strokes of 24 by 24. */
const PATHS = {
  overview: 'M3 12h4l3-8 4 16 3-8h4',
  jobs: 'M4 6h16M4 12h16M4 18h10',
  queues: 'M4 5h16v5H4zM4 14h16v5H4z',
  schedules: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2',
  workers: 'M5 5h14v10H5zM9 20h6M12 15v5',
  flows: 'M5 4h5v5H5zM14 15h5v5h-5zM7.500 9v4.500a3 3 0 0 0 3 3H14',
  failures: 'M12 3 2.500 20h19zM12 10v4M12 17v.5',
  system:
    'M5 6c0-1.700 3.100-3 7-3s7 1.300 7 3-3.100 3-7 3-7-1.300-7-3zM5 6v12c0 1.700 3.100 3 7 3s7-1.300 7-3V6M5 12c0 1.700 3.100 3 7 3s7-1.300 7-3',
  audit: 'M6 3h9l4 4v14H6zM9 12h7M9 16h5',
  settings: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M4 12H2M22 12h-2M5 5l1.500 1.500M17.500 17.500 19 19M19 5l-1.500 1.500M6.500 17.500 5 19',
  moon: 'M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500z',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4.500v15l12-7.500z',
  retry: 'M4 12a8 8 0 1 1 2.500 5.800M4 20v-5h5',
  cancel: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM6 18 18 6',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  check: 'M5 12.500 10 17l9-10',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5h4',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  chevron: 'M9 6l6 6-6 6',
  dot: 'M12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  bolt: 'M13 3 5 14h6l-1 7 8-11h-6z',
  plus: 'M12 5v14M5 12h14',
  link: 'M14 5h5v5M19 5l-8 8M17 14v5H5V7h5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
