import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { onTestFinished } from 'vitest';

const PLACES = [
  process.env['CHROME_PATH'],
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
];

/** Where a browser is; `undefined`: nowhere, and the tests that need one are skipped. */
export const BROWSER_PATH = PLACES.find((path): path is string => path !== undefined && existsSync(path));

if (BROWSER_PATH === undefined)
  console.log(
    'No Chromium was found: the browser tests are skipped. Set CHROME_PATH, or install chromium-headless-shell.',
  );

let browser: Promise<Browser> | undefined;

/** The browser of this file; it ends with its process. */
function launched(): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath: BROWSER_PATH as string,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
    ],
  });
  return browser;
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}

/** A page in a browser window of its own, and what went wrong in it. */
export interface OpenPage {
  readonly page: Page;
  /** Errors of the console, of scripts and of the content policy. */
  readonly problems: string[];
}

/** A new window; it is closed after the test. */
export async function openPage(options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await (
    await launched()
  ).newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
    timezoneId: 'UTC',
    ...options,
  });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.addInitScript(
    "document.addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))",
  );
  return { page, problems };
}
