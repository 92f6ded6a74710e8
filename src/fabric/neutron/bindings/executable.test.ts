import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { EndpointId } from '../../../model/ids.ts';
import { parseMac } from '../../../model/mac.ts';
import { bindArguments, type ExecutablePort, executableFor, runFor, unbindArguments } from './executable.ts';
import { pythonRepr } from './program/python-repr.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-bindir-'));
after(() => rmSync(folder, { recursive: true }));

function program(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

const port: ExecutablePort = {
  port: '12345678-9abc-def0-1234-56789abcdef0',
  endpoint: 'e'.repeat(64) as EndpointId,
  mac: parseMac('02:00:00:00:00:07')!,
  network: 'net',
  binding: { type: 'midonet', details: { port_filter: true, ovs_hybrid_plug: false }, nic: 'normal', project: 'proj' },
};

describe("Python's way to print", () => {
  const cases = [
    [{ port_filter: true, none: null }, "{'port_filter': True, 'none': None}"],
    [{ list: ['a', 1, -2.5, {}] }, "{'list': ['a', 1, -2.5, {}]}"],
    ["it's", `"it's"`],
    [`it's "it"`, `'it\\'s "it"'`],
    ['a\\b\n\t\u0001é', "'a\\\\b\\n\\t\\x01é'"],
  ] as const;
  for (const [value, shown] of cases) it(shown, () => assert.equal(pythonRepr(value), shown));
});

describe('a program for a type of port', () => {
  it('is the executable of that name, and no file elsewhere', () => {
    program('midonet', '');
    writeFileSync(join(folder, 'plain'), '');
    mkdirSync(join(folder, 'folder'), { recursive: true });
    assert.equal(executableFor('midonet', folder), join(folder, 'midonet'));
    for (const type of ['plain', 'folder', 'absent', '../bin/sh', '.', '', 'a/b'])
      assert.equal(executableFor(type, folder), undefined, type);
  });

  it('is given what kuryr gives, in its order, as separate words', async () => {
    const told = join(folder, 'told');
    const file = program('tells', `for each; do echo "<$each>"; done >>${told}`);
    await runFor(file, bindArguments(port), 5000);
    await runFor(file, unbindArguments(port), 5000);
    const tap = 'tap12345678-9a';
    const shown = "{'port_filter': True, 'ovs_hybrid_plug': False}";
    const words = [
      ['bind', port.port, tap, port.endpoint, port.mac, 'net', 'proj', shown],
      ['unbind', port.port, tap, port.endpoint, port.mac, shown, 'net'],
    ];
    assert.deepEqual(
      readFileSync(told, 'utf8').trim().split('\n'),
      words.flat().map((word) => `<${word}>`),
    );
  });

  it('fails with its status and what it printed', async () => {
    const file = program('fails', 'echo first; echo "no such port" >&2; exit 3');
    await assert.rejects(runFor(file, ['bind', 'p1'], 5000), {
      code: 'PORT_PROGRAM_FAILED',
      message: /fails bind of the port p1 failed with status 3: .*no such port/,
    });
    await assert.rejects(runFor(program('dies', 'kill -9 $$'), ['bind', 'p1'], 5000), { message: /ended by SIGKILL/ });
    await assert.rejects(runFor(join(folder, 'absent'), ['bind', 'p1'], 5000), {
      message: /not be started \(ENOENT\)/,
    });
  });

  it('is killed with all that it has started when its time is over', async () => {
    const mark = join(folder, 'mark');
    const file = program('hangs', `echo waiting; (sleep 2; touch ${mark}) & sleep 60`);
    await assert.rejects(runFor(file, ['bind', 'p1'], 300), {
      message: /took longer than 0.3 s and was killed: waiting/,
    });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.ok(!existsSync(mark));
  });

  it('need not wait for what it leaves running', async () => {
    await runFor(program('leaves', 'sleep 3 &'), ['bind', 'p1'], 2000);
  });
});
