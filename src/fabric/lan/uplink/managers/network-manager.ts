/** NetworkManager (NetworkManager.conf(5), nm-settings-keyfile(5)). */

import { join } from 'node:path';
import {
  type ConfigFile,
  globMatches,
  type ManagedNic,
  type Manager,
  namesIn,
  type Program,
  readText,
  type Section,
  sectionsOf,
  valuesOf,
} from './manager.ts';

export async function findNetworkManager(
  nic: ManagedNic,
  bridge: string,
  programs: readonly Program[],
  root: string,
): Promise<Manager | undefined> {
  if (!programs.some(({ name }) => name === 'NetworkManager')) return undefined;
  const device = sectionsOf((await readText(join(root, 'run/NetworkManager/devices', `${nic.index}`))) ?? '');
  const name = 'NetworkManager';
  if ((await isUnmanaged(nic, root)) || valuesOf(device, 'device', 'managed').at(-1) === 'false') {
    return {
      name,
      found: `NetworkManager runs, and leaves ${nic.name} alone`,
      fights: 'never',
      then: 'it does nothing',
      files: [],
    };
  }
  const profile = await findProfile(nic, valuesOf(device, 'device', 'connection-uuid').at(-1), root);
  const manages = `NetworkManager runs and manages ${nic.name}`;
  return {
    name,
    found: profile === undefined ? manages : `${manages} by ${profile.path}`,
    fights: 'at once',
    then: `it does not know the bridge, and may take ${nic.name} out of it or give it its addresses back at any time`,
    fix: `printf '[keyfile]\\nunmanaged-devices+=interface-name:${nic.name};interface-name:${bridge}\\n' > /etc/NetworkManager/conf.d/90-berth-${nic.name}.conf && nmcli general reload conf`,
    files: keyfiles(nic, bridge, profile?.sections ?? []),
    apply: `chmod 600 /etc/NetworkManager/system-connections/${bridge}*.nmconnection && nmcli connection reload && nmcli connection up ${bridge}`,
  };
}

async function isUnmanaged(nic: ManagedNic, root: string): Promise<boolean> {
  const files = ['etc/NetworkManager/NetworkManager.conf'];
  for (const folder of ['usr/lib/NetworkManager/conf.d', 'run/NetworkManager/conf.d', 'etc/NetworkManager/conf.d']) {
    for (const name of await namesIn(join(root, folder), '.conf')) files.push(join(folder, name));
  }
  for (const file of files) {
    const sections = sectionsOf((await readText(join(root, file))) ?? '');
    const lists = valuesOf(sections, 'keyfile', 'unmanaged-devices');
    const off = sections.filter(
      (section) =>
        section.name.startsWith('device') &&
        /^(0|false|no)$/.test(valuesOf([section], section.name, 'managed').at(-1) ?? ''),
    );
    const matches = off.flatMap((section) => valuesOf([section], section.name, 'match-device'));
    if ([...lists, ...matches].some((list) => selects(list, nic))) return true;
  }
  return false;
}

/** A list of devices: `interface-name:eth*;mac:…;except:…;*`. */
function selects(list: string, nic: ManagedNic): boolean {
  let chosen = false;
  for (const item of list
    .split(/[;,]/)
    .map((one) => one.trim())
    .filter((one) => one !== '')) {
    const except = item.startsWith('except:');
    const spec = except ? item.slice('except:'.length) : item;
    const [, kind, value] = /^(interface-name|mac|type):=?~?(.*)$/.exec(spec) ?? [];
    const hit =
      spec === '*' ||
      (kind === 'interface-name' && globMatches(value!, nic.name)) ||
      (kind === 'mac' && value!.toLowerCase() === nic.mac) ||
      (kind === 'type' && value === 'ethernet') ||
      (kind === undefined && spec.toLowerCase() === nic.mac);
    if (hit && except) return false;
    chosen ||= hit;
  }
  return chosen;
}

interface Profile {
  readonly path: string;
  readonly sections: readonly Section[];
}

async function findProfile(nic: ManagedNic, uuid: string | undefined, root: string): Promise<Profile | undefined> {
  for (const folder of [
    'etc/NetworkManager/system-connections',
    'run/NetworkManager/system-connections',
    'usr/lib/NetworkManager/system-connections',
  ]) {
    for (const name of await namesIn(join(root, folder))) {
      const sections = sectionsOf((await readText(join(root, folder, name))) ?? '');
      const of = (key: string) => valuesOf(sections, 'connection', key).at(-1);
      const fits = uuid === undefined ? of('interface-name') === nic.name : of('uuid') === uuid;
      if (fits) return { path: join('/', folder, name), sections };
    }
  }
  return undefined;
}

/** A bridge with the addresses of the old profile, and the card as its port. */
function keyfiles(nic: ManagedNic, bridge: string, old: readonly Section[]): readonly ConfigFile[] {
  const folder = '/etc/NetworkManager/system-connections';
  const text = (sections: readonly Section[]) =>
    sections.map(({ name, lines }) => `[${name}]\n${lines.map((line) => `${line}\n`).join('')}`).join('\n');
  const section = (name: string): Section => old.find((one) => one.name === name) ?? { name, lines: ['method=auto'] };
  return [
    {
      path: `${folder}/${bridge}.nmconnection`,
      content: text([
        { name: 'connection', lines: [`id=${bridge}`, 'type=bridge', `interface-name=${bridge}`] },
        { name: 'bridge', lines: [`mac-address=${nic.mac}`, 'stp=false'] },
        section('ipv4'),
        section('ipv6'),
      ]),
    },
    {
      path: `${folder}/${bridge}-${nic.name}.nmconnection`,
      content: text([
        {
          name: 'connection',
          lines: [
            `id=${bridge}-${nic.name}`,
            'type=ethernet',
            `interface-name=${nic.name}`,
            `master=${bridge}`,
            'slave-type=bridge',
            'autoconnect-priority=100',
          ],
        },
      ]),
    },
  ];
}
