import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { parseAddress } from '../model/address.ts';
import { parseMac } from '../model/mac.ts';
import { announce } from './announce.ts';
import { isolate } from './isolate.ts';
import { type Namespaces, openNamespaces } from './namespace.ts';
import { openSyscalls } from './syscalls.ts';

let namespaces: Namespaces;
let link: number;
const syscalls = openSyscalls();
const mac = parseMac('0a:00:27:00:00:09')!;

const ip = (line: string): string => execFileSync('ip', line.split(' '), { encoding: 'utf8' });

before(() => {
  isolate();
  namespaces = openNamespaces(syscalls);
  ip('link add here type veth peer name there');
  ip('link set here up');
  ip('address add 192.0.2.1/24 dev there');
  ip('address add 2001:db8::1/64 dev there nodad');
  ip('link set there up');
  link = (JSON.parse(ip('-j link show here')) as { ifindex: number }[])[0]!.ifindex;
});

after(() => namespaces.close());

for (const text of ['192.0.2.9', '2001:db8::9']) {
  test(`who remembers ${text} with another MAC learns the new one`, () => {
    const address = parseAddress(text)!;
    ip(`neighbour add ${text} dev there lladdr 0a:00:27:00:00:01 nud reachable`);
    announce({ link, mac, addresses: [address] }, { syscalls, namespaces });
    assert.match(ip(`neighbour show ${text}`), /lladdr 0a:00:27:00:00:09 /);
  });
}

test('a link that is gone is an error', () => {
  assert.throws(
    () => announce({ link: 4711, mac, addresses: [parseAddress('192.0.2.9')!] }, { syscalls, namespaces }),
    /cannot announce 192\.0\.2\.9 on its link: ENODEV/,
  );
});
