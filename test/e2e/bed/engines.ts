/**
 * The Docker engines of the test matrix. Each comes from a Debian release: from this machine itself where its own engine
 * has that version, else from a tree made by debootstrap from the mirror that apt is set up with, and kept in a cache.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, start } from './process.ts';

export type EngineVersion = '20.10' | '26.1' | '28.5';

/** Debian release that has the engine. debootstrap of an older release does not know newer names: all use `sid`'s script. */
const suites: Readonly<Record<EngineVersion, string>> = { '20.10': 'bookworm', '26.1': 'trixie', '28.5': 'forky' };

export const engineVersions: readonly EngineVersion[] = ['20.10', '26.1', '28.5'];

/** Release that has Docker Compose 2; the program runs beside any of the engines. */
const composeSuite = suites['28.5'];

const packages = ['docker.io', 'iptables', 'nftables', 'iproute2', 'ca-certificates', 'procps', 'kmod', 'tini'];
const extraPackages: Readonly<Record<string, readonly string[]>> = {
  // Up to bookworm, docker.io has the command itself.
  trixie: ['docker-cli'],
  forky: ['docker-cli', 'docker-compose'],
};

/** Increased when the trees are made differently. */
const recipe = 1;

/** Where what takes long to make is kept from one run to the next. */
export const cache = process.env.BERTH_CACHE ?? '/var/cache/berth';

function treeOf(suite: string): string {
  return join(cache, 'engines', `${suite}-${recipe}`);
}

/**
 * The file system that has an engine: `/` or the folder of a tree, which is made when it is not there yet (1 to 2 minutes,
 * 600 MB). Progress goes to standard error.
 */
export async function engineRoot(version: EngineVersion): Promise<string> {
  if ((await ownEngine()).startsWith(`${version}.`)) {
    // Where Docker looks for plugins, and a host mounts a folder of its own over it: a tree has it, a machine may not.
    mkdirSync('/usr/lib/docker/plugins', { recursive: true });
    return '/';
  }
  return ensureTree(suites[version]);
}

/** File of the Docker Compose plugin of the command line. Needs the tree of engine 28.5. */
export async function composePlugin(): Promise<string> {
  return join(await ensureTree(composeSuite), 'usr/libexec/docker/cli-plugins/docker-compose');
}

/** Makes every tree that is missing, side by side. */
export async function ensureEngines(versions: readonly EngineVersion[] = engineVersions): Promise<void> {
  await Promise.all([...versions.map(engineRoot), composePlugin()]);
}

let own: Promise<string> | undefined;

/** Version of this machine's own engine; empty when it has none. */
function ownEngine(): Promise<string> {
  own ??= run(['dockerd', '--version'], { check: false }).then(
    ({ stdout }) => /version (\S+?),/.exec(stdout)?.[1] ?? '',
    () => '',
  );
  return own;
}

const underWay = new Map<string, Promise<string>>();

function ensureTree(suite: string): Promise<string> {
  const tree = treeOf(suite);
  if (existsSync(tree)) return Promise.resolve(tree);
  let making = underWay.get(suite);
  if (!making) {
    making = makeTree(suite).finally(() => underWay.delete(suite));
    underWay.set(suite, making);
  }
  return making;
}

/**
 * Under a lock, for several test processes may want the tree at once; in a mount namespace, for debootstrap mounts
 * file systems in the tree; into another name first, for it may be interrupted.
 */
async function makeTree(suite: string): Promise<string> {
  const tree = treeOf(suite);
  const log = `${tree}.log`;
  const script = `
    set -eu
    mkdir -p "$(dirname "$1")"
    exec 9>"$1.lock"
    flock 9
    [ ! -e "$1" ] || exit 0
    rm -rf --one-file-system "$1.partial"
    unshare -m --propagation private debootstrap --variant=minbase --include="$3" "$2" "$1.partial" "$4" /usr/share/debootstrap/scripts/sid
    rm -rf "$1.partial"/var/cache/apt/archives/*.deb "$1.partial"/var/lib/apt/lists/* "$1.partial"/usr/share/doc/*
    mkdir -p "$1.partial/usr/lib/docker/plugins" "$1.partial/usr/lib/modules"
    mv "$1.partial" "$1"`;
  const include = [...packages, ...(extraPackages[suite] ?? [])].join(',');
  const began = performance.now();
  const say = (text: string) => process.stderr.write(`engine tree ${suite}: ${text}\n`);
  say(`making it in ${tree} (1 to 2 minutes, log in ${log})`);
  const maker = await start(['sh', '-c', script, 'sh', tree, suite, include, debianMirror()], {
    log,
    env: process.env,
  });
  const progress = setInterval(() => {
    void maker.output().then((text) => {
      const line = text.trimEnd().split('\n').at(-1);
      if (line) say(line);
    });
  }, 15_000);
  const code = await maker.exited();
  clearInterval(progress);
  if (code !== 0)
    throw new Error(`The engine tree ${suite} cannot be made (${code}):\n${(await maker.output()).slice(-4000)}`);
  say(`done after ${Math.round((performance.now() - began) / 1000)} s`);
  return tree;
}

/**
 * The Debian mirror that apt is set up with: the first source, of either file format (sources.list(5)), that is not for
 * security updates. @throws when apt has none.
 */
export function debianMirror(folder = '/etc/apt'): string {
  const sources: { uri: string; suites: string[] }[] = [];
  const list = join(folder, 'sources.list.d');
  const names = existsSync(list) ? readdirSync(list).sort() : [];
  const files = [join(folder, 'sources.list'), ...names.map((name) => join(list, name))].filter((file) =>
    existsSync(file),
  );
  for (const file of files) {
    const text = readFileSync(file, 'utf8').replaceAll(/^\s*#.*\n?/gm, '');
    if (file.endsWith('.sources')) {
      for (const stanza of text.split(/\n\s*\n/)) {
        const field = (name: string) =>
          new RegExp(`^${name}:(.*(?:\\n[ \\t].*)*)`, 'im').exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
        if (!field('Types').includes('deb') || field('Enabled')[0] === 'no') continue;
        for (const uri of field('URIs')) sources.push({ uri, suites: field('Suites') });
      }
    } else if (file.endsWith('.list')) {
      for (const match of text.matchAll(/^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/gm)) {
        sources.push({ uri: match[1]!, suites: [match[2]!] });
      }
    }
  }
  const mirror = sources.find(
    ({ uri, suites: names }) => /debian\/?$/.test(uri) && !names.some((name) => name.includes('security')),
  );
  if (!mirror) throw new Error(`No Debian mirror in ${folder}/sources.list and ${list}`);
  return mirror.uri;
}
