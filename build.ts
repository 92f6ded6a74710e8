/**
 * Bundles Berth into `dist/`: ES modules, shared code in chunks, each command loaded when it is asked for. With Node and
 * `dist/` a host has all that it needs, so the one native dependency (koffi) is copied there too.
 *
 *   node build.ts [--out DIR]
 */

import { cpSync, globSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Plugin } from 'esbuild';

const root = import.meta.dirname;

/** `new URL('./worker.ts', import.meta.url)`: how our code names the file of a worker thread. */
const workerUrl = /new URL\(\s*'(\.{1,2}\/[^']+\.ts)',\s*import\.meta\.url,?\s*\)/g;

/** The file in `dist/` that a worker's source becomes: `src/store/sqlite/worker.ts` is `store-sqlite-worker`. */
function workerName(source: string): string {
  return relative(join(root, 'src'), source).replace(/\.ts$/, '').replaceAll('/', '-');
}

function workersIn(file: string, text: string): string[] {
  return [...text.matchAll(workerUrl)].map((match) => resolve(dirname(file), match[1]!));
}

/** Every source that some code starts as a worker, so that a new worker needs no line here. */
function findWorkers(): Set<string> {
  const sources = globSync('src/**/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('.test.ts'))
    .map((file) => join(root, file));
  return new Set(sources.flatMap((file) => workersIn(file, readFileSync(file, 'utf8'))));
}

/** In a bundle `import.meta.url` is a chunk in `dist/`, so the address of a worker is rewritten to its file there. */
const workers: Plugin = {
  name: 'workers',
  setup(bundler) {
    bundler.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (workersIn(path, text).length === 0) return undefined;
      const contents = text.replaceAll(workerUrl, (_, source: string) => {
        return `new URL('./${workerName(resolve(dirname(path), source))}.mjs', import.meta.url)`;
      });
      return { contents, loader: 'ts' };
    });
  },
};

/**
 * koffi finds its native part by package name, so it keeps its place in a `node_modules` of its own. The copy is made beside and
 * put in place: a running agent has the old file mapped, and writing into that would crash it (SIGSEGV).
 */
function copyKoffi(out: string): void {
  const place = join(out, 'node_modules');
  const fresh = `${place}.new`;
  const from = join(root, 'node_modules/koffi');
  // Its sources in C++ and its documentation are for those who build it.
  const runtime = /^(src(\/koffi(\/src)?)?|LICENSE\.txt|package\.json|[^/]*\.c?js|src\/koffi\/.*\.c?js)$/;
  rmSync(fresh, { recursive: true, force: true });
  cpSync(from, join(fresh, 'koffi'), {
    recursive: true,
    filter: (path) => path === from || runtime.test(relative(from, path)),
  });
  cpSync(join(root, 'node_modules/@koromix'), join(fresh, '@koromix'), { recursive: true });
  rmSync(place, { recursive: true, force: true });
  renameSync(fresh, place);
}

const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist') } } });
const out = resolve(values.out);
mkdirSync(out, { recursive: true });

const entryPoints: Record<string, string> = { berth: join(root, 'src/cli/main.ts') };
for (const worker of findWorkers()) entryPoints[workerName(worker)] = worker;

const { metafile } = await build({
  entryPoints,
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: ['koffi'],
  plugins: [workers],
  // Names stay readable in stack traces; only what nobody reads is shortened.
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
  absWorkingDir: root,
  logLevel: 'warning',
  // CommonJS dependencies ask for Node's own modules with `require`, which an ES module does not have.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
  },
});

copyKoffi(out);
const written = new Set(Object.keys(metafile.outputs).map((file) => resolve(root, file)));
for (const name of readdirSync(out)) {
  const file = join(out, name);
  if (name.endsWith('.mjs') && !written.has(file)) rmSync(file);
}
