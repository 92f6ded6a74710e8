import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCommandLine } from './command-line.ts';
import type { MasterFailure } from './failure.ts';

const parse = (line: string) => {
  const parsed = parseCommandLine(line.split(' '));
  assert.equal(parsed.kind, 'command');
  if (parsed.kind !== 'command') throw new Error('no command');
  return { args: parsed.args, ...Object.fromEntries(parsed.values), ...Object.fromEntries(parsed.globals) };
};

describe('a command line', () => {
  const cases: readonly (readonly [line: string, meaning: Readonly<Record<string, unknown>>])[] = [
    ['network create -s 10.1.0.0/16 n', { args: ['n'], subnet: '10.1.0.0/16' }],
    ['network create n --subnet=10.1.0.0/16', { args: ['n'], subnet: '10.1.0.0/16' }],
    ['network create n -subnet 10.1.0.0/16', { args: ['n'], subnet: '10.1.0.0/16' }],
    ['network create -s6 2001:db8::/64 n', { args: ['n'], subnetv6: '2001:db8::/64' }],
    ['network create -p 0x10 n', { args: ['n'], 'pkt-tag': 16 }],
    ['network create -p=-1 n', { args: ['n'], 'pkt-tag': -1 }],
    ['net list -a', { args: [], all: true }],
    ['network ls -a=false --json=1', { args: [], all: false, json: true }],
    ['group create net -p p1 g -p p2 --policy=p3', { args: ['net', 'g'], policy: ['p1', 'p2', 'p3'] }],
    ['service create -ip 10.1.0.9 s', { args: ['s'], 'preferred-ip': '10.1.0.9' }],
    ['policy rule-add p 1 -j deny -P 80 -p 5', { args: ['p', '1'], action: 'deny', port: 80, priority: 5 }],
    ['policy rule-add p 1 --json', { args: ['p', '1'], json: true }],
    ['network rm -- -n', { args: ['-n'] }],
    ['network rm -', { args: ['-'] }],
    ['network ls -t a -t b', { args: [], tenant: 'b' }],
    ['--netmaster http://a:1 network ls', { args: [], netmaster: 'http://a:1' }],
    ['network --netmaster http://a:1 ls', { args: [], netmaster: 'http://a:1' }],
    ['network ls --netmaster=http://a:1 --insecure', { args: [], netmaster: 'http://a:1', insecure: true }],
    ['global set -v 1-5', { args: [], 'vlan-range': '1-5' }],
  ];
  for (const [line, meaning] of cases) it(line, () => assert.deepEqual(parse(line), meaning));

  const wrong: readonly (readonly [line: string, message: string])[] = [
    ['network ls -t', 'flag needs an argument: -t'],
    ['network ls -aq', 'flag provided but not defined: -aq'],
    ['network ls --=x', 'More arguments than required'],
    ['network create -p x n', 'invalid value "x" for flag -p: parse error'],
    ['network create -p 1e3 n', 'invalid value "1e3" for flag -p: parse error'],
    ['network create -p 08 n', 'invalid value "08" for flag -p: parse error'],
    ['network create -p 99999999999999999999 n', 'invalid value "99999999999999999999" for flag -p: parse error'],
    ['network ls --all=maybe', 'invalid boolean value "maybe" for -all: parse error'],
    ['network ls -t a --tenant b', 'Cannot use two forms of the same flag: t tenant'],
    ['--bogus network ls', 'flag provided but not defined: -bogus'],
    ['-v=2 network ls', 'invalid boolean value "2" for -v: parse error'],
    ['network -q ls', 'flag provided but not defined: -q'],
  ];
  for (const [line, message] of wrong) {
    it(`refuses ${line}`, () => {
      assert.throws(
        () => parseCommandLine(line.split(' ')),
        (error: MasterFailure) => error.message === message && error.kind === 'usage',
      );
    });
  }
});
