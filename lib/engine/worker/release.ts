import { readFileSync } from 'node:fs';

/** The version of this package: from its manifest, which is as far above the sources as above what is built of them. */
export function releaseOf(manifest = new URL('../../../package.json', import.meta.url)): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}
