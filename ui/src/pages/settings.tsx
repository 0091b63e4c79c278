import { change, settings } from '../settings.js';
import { helpOpen } from '../parts/palette.js';

export function SettingsPage() {
  return (
    <>
      <header class="page-head">
        <h1>Settings</h1>
        <p class="faint">Of this browser</p>
      </header>
      <section class="card settings">
        <Choice
          name="theme"
          label="Light or dark"
          options={[
            ['system', 'As the system'],
            ['light', 'Light'],
            ['dark', 'Dark'],
          ]}
        />
        <Choice
          name="density"
          label="Rows"
          options={[
            ['calm', 'Calm'],
            ['dense', 'Dense'],
          ]}
        />
        <Toggle name="utc" label="Times in UTC" />
        <Toggle name="live" label="Live updates" />
        <p>
          <button type="button" onClick={() => (helpOpen.value = true)}>
            Keys
          </button>
        </p>
      </section>
    </>
  );
}

function Choice({
  name,
  label,
  options,
}: {
  readonly name: 'theme' | 'density';
  readonly label: string;
  readonly options: readonly [string, string][];
}) {
  return (
    <div class="setting" role="group" aria-label={label}>
      <span>{label}</span>
      <div class="segments">
        {options.map(([value, text]) => (
          <button
            key={value}
            type="button"
            aria-pressed={settings.value[name] === value}
            onClick={() => change({ [name]: value })}
          >
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}

function Toggle({ name, label }: { readonly name: 'utc' | 'live'; readonly label: string }) {
  return (
    <label class="setting">
      <span>{label}</span>
      <input
        type="checkbox"
        checked={settings.value[name]}
        onChange={(event) => change({ [name]: event.currentTarget.checked })}
      />
    </label>
  );
}
