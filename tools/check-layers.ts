/**
 * Imports point down the layers only. The tables are the rule; `docs/architecture.md` explains it.
 *
 *   node tools/check-layers.ts [DIR]     default: src
 */

import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Lower floors know nothing of higher ones; folders on one floor know nothing of each other. */
const floors: readonly (readonly string[])[] = [
  ['model'],
  ['store', 'ovs'],
  ['ipam', 'kernel', 'dhcp', 'dns', 'docker', 'openstack'],
  ['objects'],
  ['fabric'],
  ['agent', 'master'],
  ['cli'],
];

/** Folders whose subfolders are alternatives to each other: each knows the folder's own files, none knows a sibling. */
const alternatives = ['fabric', 'store'];

/** Packages from npm, and who may use them. Node's own modules are free for all but `model`, which does no I/O. */
const packages: Readonly<Record<string, readonly string[]>> = {
  koffi: ['kernel', 'agent'],
  zod: ['docker', 'ipam', 'agent', 'master', 'store', 'fabric', 'objects', 'openstack'],
  pino: ['docker', 'agent', 'master'],
  'prom-client': ['agent', 'master'],
  commander: ['cli'],
  'fast-check': ['*.test.ts'],
};
const modelMayUse = ['node:net', 'node:crypto'];

const importPattern =
  /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|(?:^|\n)\s*import\s*'([^']+)'/g;

export interface Violation {
  readonly file: string;
  readonly imports: string;
  readonly why: string;
}

/** The specifiers that a source file imports, statically, dynamically or for types only. */
export function importsOf(text: string): string[] {
  return [...text.matchAll(importPattern)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

function floorOf(layer: string): number {
  return floors.findIndex((floor) => floor.includes(layer));
}

function whyNotFile(from: string, to: string): string | undefined {
  const [fromLayer, fromPart] = from.split('/') as [string, string];
  const [toLayer, toPart] = to.split('/') as [string, string];
  if (floorOf(fromLayer) < 0) return `${fromLayer} is in no floor of tools/check-layers.ts`;
  if (to.startsWith('..')) return from.endsWith('.test.ts') ? undefined : 'what is outside src is not part of Berth';
  if (fromLayer !== toLayer) {
    if (floorOf(toLayer) < floorOf(fromLayer)) return undefined;
    return `${fromLayer} may not know ${toLayer}: imports point down only`;
  }
  const apart = fromPart !== toPart && fromPart.indexOf('.') < 0 && toPart.indexOf('.') < 0;
  if (alternatives.includes(fromLayer) && apart) return `${fromLayer}/${fromPart} may not know ${toLayer}/${toPart}`;
  return undefined;
}

function whyNotPackage(from: string, specifier: string): string | undefined {
  const layer = from.split('/')[0]!;
  const isTest = from.endsWith('.test.ts');
  if (specifier.startsWith('node:')) {
    if (layer !== 'model' || isTest || modelMayUse.includes(specifier)) return undefined;
    return `model may not use ${specifier}: it does no I/O`;
  }
  const name = specifier.startsWith('@') ? specifier.split('/', 2).join('/') : specifier.split('/')[0]!;
  const users = packages[name];
  if (users === undefined) return `${name} is in no row of tools/check-layers.ts`;
  if (users.includes(layer) || (isTest && users.includes('*.test.ts'))) return undefined;
  return `${name} is only for ${users.join(', ')}`;
}

/**
 * Every import in the TypeScript files under a folder that the tables do not allow.
 *
 * @param source the folder that holds the layers.
 */
export function findViolations(source: string): Violation[] {
  const violations: Violation[] = [];
  for (const file of globSync('**/*.ts', { cwd: source }).toSorted()) {
    for (const specifier of importsOf(readFileSync(join(source, file), 'utf8'))) {
      const why = specifier.startsWith('.')
        ? whyNotFile(file, relative(source, resolve(source, dirname(file), specifier)))
        : whyNotPackage(file, specifier);
      if (why !== undefined) violations.push({ file, imports: specifier, why });
    }
  }
  return violations;
}

if (import.meta.main) {
  const violations = findViolations(resolve(process.argv[2] ?? 'src'));
  for (const { file, imports, why } of violations) console.error(`${file} imports ${imports}: ${why}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
