import { effect, signal } from '@preact/signals';

/** What this browser remembers. */
export interface Settings {
  theme: 'system' | 'light' | 'dark';
  density: 'calm' | 'dense';
  utc: boolean;
  live: boolean;
  fields: string[];
  views: { name: string; filter: string }[];
}

const KEY = 'taskmaster-dashboard';
const DEFAULTS: Settings = {
  theme: 'system',
  density: 'calm',
  utc: false,
  live: true,
  fields: [],
  views: [],
};

function stored(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Settings>) };
  } catch {
    return DEFAULTS;
  }
}

export const settings = signal<Settings>(stored());

export function change(some: Partial<Settings>): void {
  settings.value = { ...settings.value, ...some };
}

/** Which of the two is shown. */
export const isDark = signal(false);
const system = matchMedia('(prefers-color-scheme: dark)');

function applyTheme(): void {
  const { theme, density } = settings.value;
  const root = document.documentElement;
  root.dataset['theme'] = theme;
  root.dataset['density'] = density;
  isDark.value = theme === 'dark' || (theme === 'system' && system.matches);
}

effect(() => {
  applyTheme();
  try {
    localStorage.setItem(KEY, JSON.stringify(settings.value));
  } catch {
    // a browser that remembers nothing
  }
});
system.addEventListener('change', applyTheme);
