import { render } from 'preact';
import { App } from './app.js';
import { begin } from './live.js';
import { listenToKeys } from './parts/shortcuts.js';
import { loadMeta } from './store.js';
import './style.css';

const root = document.querySelector('#app');
if (root !== null) render(<App />, root);
listenToKeys();
await loadMeta();
begin();
