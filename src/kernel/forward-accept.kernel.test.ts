import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { createForwardAcceptDriver, type RunProgram } from './forward-accept.ts';
import { isolate } from './isolate.ts';
import { type Namespaces, openNamespaces } from './namespace.ts';
import { type ForwardAccept, objectKey } from './objects.ts';
import { openSyscalls } from './syscalls.ts';

let namespaces: Namespaces;

before(() => {
  isolate();
  namespaces = openNamespaces(openSyscalls());
});

after(() => namespaces.close());

const incoming: ForwardAccept = { kind: 'forward-accept', family: 4, input: 'bt+', output: 'br1' };
const outgoing: ForwardAccept = { kind: 'forward-accept', family: 4, output: 'br1' };
const six: ForwardAccept = { kind: 'forward-accept', family: 6, input: 'br1' };
const all = [incoming, outgoing, six];

function iptables(...args: string[]): string {
  return execFileSync('iptables', args, { encoding: 'utf8' });
}

function rules(): string[] {
  return iptables('-S', 'DOCKER-USER').trim().split('\n').slice(1);
}

test('without the chain, nothing is needed and nothing is made', () => {
  const driver = createForwardAcceptDriver({ namespaces });
  assert.equal(driver.find(all, undefined).size, 3);
  for (const object of all) driver.make(object);
  for (const object of all) driver.unmake(object);
  assert.throws(() => iptables('-S', 'DOCKER-USER'));
});

test('with the chain, rules are inserted once, before those of others, and deleted again, alone', () => {
  const driver = createForwardAcceptDriver({ namespaces });
  iptables('-N', 'DOCKER-USER');
  iptables('-A', 'DOCKER-USER', '-j', 'RETURN');
  try {
    assert.deepEqual([...driver.find(all, undefined).keys()], [objectKey(six)]);
    for (const object of [...all, ...all]) driver.make(object);
    assert.deepEqual(rules(), [
      '-A DOCKER-USER -o br1 -m comment --comment berth -j ACCEPT',
      '-A DOCKER-USER -i bt+ -o br1 -m comment --comment berth -j ACCEPT',
      '-A DOCKER-USER -j RETURN',
    ]);
    assert.equal(driver.find(all, undefined).size, 3);
    iptables('-F', 'DOCKER-USER');
    assert.deepEqual([...driver.find(all, undefined).keys()], [objectKey(six)]);
    driver.make(incoming);
    for (const object of [...all, ...all]) driver.unmake(object);
    assert.deepEqual(rules(), []);
  } finally {
    iptables('-F', 'DOCKER-USER');
    iptables('-X', 'DOCKER-USER');
  }
});

test('without the programs, it counts as present', () => {
  const driver = createForwardAcceptDriver({ namespaces, run: () => ({ status: undefined, stdout: '', stderr: '' }) });
  driver.make(incoming);
  driver.unmake(incoming);
  assert.equal(driver.find(all, undefined).size, 3);
});

test('a lock that somebody holds, and a rule that is refused, are errors that say so', () => {
  const held: RunProgram = () => ({
    status: 4,
    stdout: '',
    stderr: 'Another app is currently holding the xtables lock.\n',
  });
  assert.throws(() => createForwardAcceptDriver({ namespaces, run: held }).make(incoming), {
    code: 'KERNEL_BUSY',
    message: /holding the xtables lock/,
  });
  const refused: RunProgram = (_program, args) =>
    args.includes('-S')
      ? { status: 0, stdout: '-N DOCKER-USER\n', stderr: '' }
      : { status: 2, stdout: '', stderr: 'iptables v1.8: bad\nmore' };
  assert.throws(() => createForwardAcceptDriver({ namespaces, run: refused }).make(incoming), {
    code: 'KERNEL_REFUSED',
    message: 'iptables -I DOCKER-USER failed for forward-accept inet bt+ br1: iptables v1.8: bad',
  });
});

test('the programs wait for their lock, and for each other', () => {
  const seen: string[][] = [];
  const run: RunProgram = (program, args) => {
    seen.push([program, ...args]);
    return { status: 0, stdout: '-N DOCKER-USER', stderr: '' };
  };
  createForwardAcceptDriver({ namespaces, run }).make(six);
  assert.deepEqual(seen, [
    ['ip6tables', '-w', '5', '-S', 'DOCKER-USER'],
    ['ip6tables', '-w', '5', '-I', 'DOCKER-USER', '-i', 'br1', '-m', 'comment', '--comment', 'berth', '-j', 'ACCEPT'],
  ]);
});
