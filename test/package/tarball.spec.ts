import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { makeTemporaryFolder, removeFolder } from '../support/temporary-folder.js';
import { testDatabase } from '../support/test-database.js';
import { consumer, ROOT } from './support/consumer.js';

const run = promisify(execFile);
const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));

/** A bound for what hangs: a compiler on a busy machine takes its time. */
const COMPILE_BOUND_MS = 180_000;

interface PackedFile {
  readonly path: string;
}

describe('the packed package', () => {
  let files: string[];
  let folder: string;

  beforeAll(async () => {
    const packs = await makeTemporaryFolder();
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', packs], { cwd: ROOT });
    const [packed] = JSON.parse(stdout) as [{ filename: string; files: PackedFile[] }];
    files = packed.files.map((file) => file.path);
    folder = await consumer(join(packs, packed.filename));
    return () => Promise.all([packs, folder].map(removeFolder));
  });

  it('holds the build, the readme, the licence and nothing else', () => {
    expect(files.filter((path) => !/^dist\/.*\.(js|mjs|d\.ts|d\.mts|map)$/.test(path)).toSorted()).toEqual([
      'LICENSE',
      'README.md',
      'package.json',
    ]);
    expect(files).toContain('dist/engine/worker/heartbeat-thread.mjs');
  });

  it('depends on nothing besides its peers and the reader of cron expressions, and runs no script when installed', async () => {
    const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies?: object;
      scripts: Record<string, string>;
    };
    expect(Object.keys(manifest.dependencies ?? {})).toEqual(['croner']);
    expect(
      Object.keys(manifest.scripts).filter((name) => /^(pre|post)?(install|prepare)$/.test(name)),
    ).toEqual([]);
  });

  it.each(['esm.mjs', 'commonjs.cjs'])('works for a consumer written as %s', async (script) => {
    const database = await testDatabase({ migrated: false });
    await cp(join(FIXTURES, script), join(folder, script));
    const { stdout } = await run(process.execPath, [join(folder, script)], {
      env: { ...process.env, DATABASE_URL: database.url },
      timeout: 30_000,
    });
    expect(stdout.trim().split('\n')).toEqual(['handled {"n":1}', 'closed']);
  });

  it.each([
    ['module', 'nodenext'],
    ['commonjs', 'nodenext'],
    ['commonjs', 'node20'],
  ])(
    'has types that compile for a "%s" consumer with module %s',
    async (type, module) => {
      await writeFile(join(folder, 'package.json'), JSON.stringify({ type }));
      await cp(join(FIXTURES, 'typed.ts'), join(folder, 'typed.ts'));
      const compilerOptions = {
        module,
        target: 'es2023',
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        types: ['node'],
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      };
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ compilerOptions, files: ['typed.ts'] }),
      );
      const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
      const { stdout } = await run(process.execPath, [tsc, '-p', folder]).catch(
        (error: { stdout: string }) => error,
      );
      expect(
        stdout.split('\n').filter((line) => line.includes('nestjs-taskmaster') || line.includes('typed.ts')),
      ).toEqual([]);
    },
    COMPILE_BOUND_MS,
  );

  it('resolves through links as through copies', async () => {
    const linked = await makeTemporaryFolder();
    onTestFinished(() => removeFolder(linked));
    await mkdir(join(linked, 'node_modules'));
    await symlink(ROOT, join(linked, 'node_modules', 'nestjs-taskmaster'));
    await writeFile(
      join(linked, 'linked.mjs'),
      `import { TaskmasterModule } from 'nestjs-taskmaster'; console.log(typeof TaskmasterModule.forRoot);`,
    );
    const { stdout } = await run(process.execPath, [join(linked, 'linked.mjs')]);
    expect(stdout.trim()).toBe('function');
  });
});
