import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { ObjectDriver } from './driver.ts';
import { isolate } from './isolate.ts';
import { type Namespaces, openNamespaces } from './namespace.ts';
import { objectKey, type Sysctl } from './objects.ts';
import { openSyscalls } from './syscalls.ts';
import { createSysctlDriver } from './sysctl.ts';

let namespaces: Namespaces;
let driver: ObjectDriver;

before(() => {
  isolate();
  namespaces = openNamespaces(openSyscalls());
  driver = createSysctlDriver(namespaces);
});

after(() => namespaces.close());

function sysctl(path: string, value: string): Sysctl {
  return { kind: 'sysctl', path, value };
}

const forwarding = sysctl('net/ipv4/ip_forward', '1');

test('a value is written, found, and left when it is not wanted any more', () => {
  driver.make(forwarding);
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '1\n');
  assert.deepEqual(driver.find([forwarding], undefined).get(objectKey(forwarding)), forwarding);
  driver.unmake(forwarding);
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '1\n');
});

test('what somebody else wrote is found as it is', () => {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
  assert.deepEqual(driver.find([forwarding], undefined).get(objectKey(forwarding)), { ...forwarding, value: '0' });
});

test('several values in one file are compared word by word', () => {
  const ports = sysctl('net/ipv4/ip_local_port_range', '10000 20000');
  driver.make(ports);
  assert.match(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), /10000\t20000/);
  assert.deepEqual(driver.find([ports], undefined).get(objectKey(ports)), ports);
});

test('a setting that does not exist is not found, and cannot be made', () => {
  const none = sysctl('net/ipv4/conf/nolink/forwarding', '1');
  assert.equal(driver.find([none], undefined).size, 0);
  assert.throws(() => driver.make(none), {
    code: 'KERNEL_LACKS',
    message: /sysctl net\/ipv4\/conf\/nolink\/forwarding/,
  });
});

test('a value that the kernel refuses is named', () => {
  assert.throws(() => driver.make(sysctl('net/ipv4/ip_forward', 'perhaps')), {
    code: 'KERNEL_REFUSED',
    message: 'cannot set sysctl net/ipv4/ip_forward to perhaps: EINVAL',
  });
});

test('in another namespace, and only there', () => {
  execFileSync('ip', ['netns', 'add', 'bkt-sysctl']);
  const netns = '/run/netns/bkt-sysctl';
  try {
    const there: Sysctl = { ...forwarding, netns };
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
    driver.make(there);
    assert.deepEqual([...driver.find([there], netns).values()], [there]);
    assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '0\n');
  } finally {
    execFileSync('ip', ['netns', 'del', 'bkt-sysctl']);
  }
  assert.throws(() => driver.find([], netns), { code: 'KERNEL_REFUSED' });
});
