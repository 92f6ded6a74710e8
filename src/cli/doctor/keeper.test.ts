import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { examine } from './doctor.ts';
import type { Facts } from './facts.ts';
import { healthy, noService, withManaged } from './healthy-host.ts';

/** As in `checks.test.ts`: exactly this is said, and this command given. */
const faults: readonly (readonly [
  name: string,
  change: Partial<Facts>,
  check: string,
  level: 'warn' | 'fail',
  message: RegExp,
  fix: string,
])[] = [
  [
    'our own managed plugin, disabled, and nothing else',
    { ...withManaged(false), unit: noService },
    'plugin files',
    'fail',
    /Berth's managed plugin berth:v1 is disabled/,
    'docker plugin enable berth:v1',
  ],
  [
    'our own managed plugin, disabled, beside the service',
    withManaged(false),
    'plugin files',
    'fail',
    /Berth's managed plugin berth:v1 is disabled/,
    'docker plugin rm berth:v1',
  ],
  [
    'our own managed plugin beside the service',
    withManaged(true),
    'systemd',
    'fail',
    /keep the same state/,
    'systemctl disable --now berth',
  ],
  [
    'our own managed plugin that does not answer',
    { ...withManaged(true), unit: noService, sockets: [], agent: { error: 'the agent does not answer' } },
    'agent',
    'fail',
    /does not answer/,
    'docker plugin disable --force berth:v1 && docker plugin enable berth:v1',
  ],
];

describe('Berth as a managed plugin', () => {
  for (const [name, change, check, level, message, fix] of faults) {
    it(name, () => {
      const found = examine({ ...healthy, ...change }).filter((finding) => finding.level !== 'ok');
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.deepEqual([found[0]!.check, found[0]!.level, found[0]!.fix], [check, level, fix]);
      assert.match(found[0]!.message, message);
    });
  }
});
