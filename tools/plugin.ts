/**
 * Makes the folder that `docker plugin create NAME DIR` takes: Berth as a managed plugin (docker/docs `extend/config.md`), which
 * is what engines in swarm mode ask for. Everything in it is from this checkout, npm, and this machine's Debian packages.
 *
 *   node tools/plugin.ts [--out DIR]
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pluginConfig } from './plugin/config.ts';
import { librariesOf, libraryFile, programFile } from './plugin/libraries.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist/plugin') } } });
const out = resolve(values.out);
const rootfs = join(out, 'rootfs');

/** What the agent asks the host's own programs for: they and the kernel's tables must be of one kind. */
const ON_HOST = ['iptables', 'ip6tables', 'nft', 'iptables-legacy-save', 'ip6tables-legacy-save'];

/** Paths of the host that the agent uses under their own names. What leads to processes goes through the host's first one. */
const HOST_PATHS = [
  '/run/docker/netns',
  '/run/docker.sock',
  '/run/openvswitch',
  // Certificates of etcd, and the configuration file.
  '/etc/berth',
  // What addresses and identities are derived from.
  '/etc/machine-id',
];

const inside = (path: string): string => join(rootfs, path);

function place(file: string, path: string): void {
  mkdirSync(dirname(inside(path)), { recursive: true });
  copyFileSync(file, inside(path));
}

rmSync(out, { recursive: true, force: true });
for (const folder of ['proc', 'sys', 'dev', 'tmp', 'etc', 'run/docker/plugins', 'var/lib', 'usr/sbin', 'usr/lib/berth'])
  mkdirSync(inside(folder), { recursive: true });

execFileSync(process.execPath, [join(root, 'build.ts'), '--out', inside('usr/lib/berth/dist')], { stdio: 'inherit' });
place(join(root, 'LICENSE'), '/usr/lib/berth/LICENSE');

const programs = [join(root, 'node_modules/node/bin/node'), ...['sh', 'mount', 'nsenter'].map(programFile)];
for (const program of programs) place(program, `/usr/bin/${basename(program)}`);
place(join(root, 'packaging/plugin-start'), '/usr/bin/berth-plugin');
symlinkSync('usr/bin', inside('bin'));
for (const name of ON_HOST) place(join(root, 'packaging/plugin-on-host'), `/usr/sbin/${name}`);

// Loaded by its name. koffi needs none that Node does not.
const nftables = libraryFile('libnftables.so.1');
const libraries = new Set([...programs, nftables].flatMap((file) => librariesOf(file)));
libraries.add(nftables);
for (const library of libraries) if (!existsSync(inside(library))) place(library, library);

symlinkSync('../run', inside('var/run'));
for (const path of HOST_PATHS) symlinkSync(`/proc/1/root${path}`, inside(path));

writeFileSync(join(out, 'config.json'), `${JSON.stringify(pluginConfig(), undefined, 2)}\n`);
