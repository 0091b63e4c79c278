import type { ServerResponse } from 'node:http';
import { notFound } from './dashboard.errors.js';
import type { ResolvedDashboard } from './dashboard.options.js';
import { type DashboardRequest, header } from './dashboard.request.js';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SAFE = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
};

/** Loaded when somebody first asks: an application that nobody looks at never has them in memory. */
const loadAssets = () => import('./assets.generated.js');

/** The page: a frame, into which the script puts everything else. */
export async function sendPage(
  raw: ServerResponse,
  request: DashboardRequest,
  { title }: ResolvedDashboard,
): Promise<void> {
  const { ENTRY } = await loadAssets();
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<base href="${escaped(baseOf(request))}">
<title>${escaped(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/${ENTRY.style}">
<script type="module" src="assets/${ENTRY.script}"></script>
</head>
<body><div id="app"></div><noscript>The dashboard needs JavaScript.</noscript></body>
</html>
`;
  raw.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(html),
    'content-security-policy': POLICY,
    'cache-control': 'no-store',
    ...SAFE,
  });
  raw.end(html);
}

/** A file of the page, compressed as the browser takes it. Its name changes with its content. */
export async function sendAsset(raw: ServerResponse, request: DashboardRequest, name: string): Promise<void> {
  const { ASSETS } = await loadAssets();
  const asset = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
  if (asset === undefined) throw notFound(`file "${name}"`);
  const etag = `"${asset.sha}"`;
  const takesBrotli = /\bbr\b/.test(header(request, 'accept-encoding') ?? '');
  const common = {
    etag,
    vary: 'accept-encoding',
    'cache-control': 'private, max-age=31536000, immutable',
    ...SAFE,
  };
  if (header(request, 'if-none-match') === etag) {
    raw.writeHead(304, common);
    raw.end();
    return;
  }
  const bytes = await bytesOf(asset, takesBrotli, /\bgzip\b/.test(header(request, 'accept-encoding') ?? ''));
  raw.writeHead(200, {
    ...common,
    'content-type': asset.type,
    'content-length': bytes.content.length,
    ...(bytes.encoding === undefined ? {} : { 'content-encoding': bytes.encoding }),
  });
  raw.end(bytes.content);
}

async function bytesOf(
  asset: { readonly brotli: string; readonly gzip: string },
  takesBrotli: boolean,
  takesGzip: boolean,
): Promise<{ readonly content: Buffer; readonly encoding: string | undefined }> {
  if (takesBrotli) return { content: Buffer.from(asset.brotli, 'base64'), encoding: 'br' };
  const gzipped = Buffer.from(asset.gzip, 'base64');
  if (takesGzip) return { content: gzipped, encoding: 'gzip' };
  const { gunzipSync } = await import('node:zlib');
  return { content: gunzipSync(gzipped), encoding: undefined };
}

/** Everything else is relative to this, wherever prefixes and proxies have put the page. */
function baseOf(request: DashboardRequest): string {
  const path = (request.originalUrl ?? request.url).split(/[?#]/, 1)[0] ?? '';
  if (path.endsWith('/')) return './';
  return `./${path.slice(path.lastIndexOf('/') + 1)}/`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
