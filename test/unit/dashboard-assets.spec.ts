import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ASSETS, ENTRY } from '../../lib/dashboard/assets.generated.js';

const bytesOf = (name: string) => Buffer.from(ASSETS[name]!.gzip, 'base64').length;

describe('the files of the dashboard', () => {
  it('take no more than 80 KB at first load, charts included, and 120 KB in all', () => {
    const charts = Object.keys(ASSETS).find((name) => name.startsWith('uPlot'));
    expect(bytesOf(ENTRY.script) + bytesOf(ENTRY.style) + bytesOf(charts!)).toBeLessThan(80_000);
    expect(Object.keys(ASSETS).reduce((sum, name) => sum + bytesOf(name), 0)).toBeLessThan(120_000);
  });

  it('load nothing from elsewhere', () => {
    for (const { gzip } of Object.values(ASSETS)) {
      const text = gunzipSync(Buffer.from(gzip, 'base64')).toString();
      expect(text.match(/https?:\/\/(?!www\.w3\.org|hooks\.example)[\w.-]+/g) ?? []).toEqual([]);
    }
  });
});
