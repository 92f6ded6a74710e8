/**
 * Every command line that was recorded of Contiv's netctl, run again as a process against a master on a real store, in the order
 * in which it was recorded and in the same state. What is printed must be the same bytes, but for order (ours is sorted), time
 * stamps, and the improvements that docs/migrate-contiv.md tells of.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type GoldenCase, goldenCases, withoutVersions, wordsOf } from '../../src/cli/netctl/testing/golden.ts';
import { repository } from './bed/machine.ts';
import { differences } from './suites/netctl-differences.ts';
import { addContainers, type Master, netctl, type Outcome, startMaster } from './suites/netctl-master.ts';

/** What was done in between and was not recorded, before the case; `#2`: before the second of that line. */
const unrecorded: Readonly<Record<string, readonly string[]>> = {
  'netctl tenant create t1': ['tenant create t1'],
  'netctl network inspect hostbits': ['network create -s 10.1.1.5/24 hostbits'],
  'netctl network create -s 10.103.1.0/24 overlap': [
    'network create -s 10.2.0.0/16 -g 10.2.0.1 gwnet',
    'network create -s 10.5.0.0/24 -e vlan vlnet',
  ],
  'netctl network create -s 10.12.0.0/24 --nw-tag mytag tagnet': [
    'network create -s 10.11.0.0/24 -g 10.11.0.1 --s6 2001:db8:100::/100 --g6 2001:db8:100::1 v6net',
  ],
  'netctl policy rule-add p1 3 -d in -l icmp -j deny -p 5': ['policy rule-add p1 2 -l tcp -j deny'],
  'netctl policy rule-add p1 7 -d in -g nosuchgrp -l tcp -P 22': [
    'policy rule-add p1 6 -d in -n test-net -l tcp -P 22',
  ],
  'netctl policy rule-ls p1 --json': ['policy rule-add p1 9 -l 89'],
  'netctl global set -v 5-3': ['network rm tagnet'],
  'netctl global info#2': ['global set -a proxy'],
};

/** What lists, in our order. */
function sorted(line: string, text: string): string {
  if (/ inspect /.test(line) && text.includes('"endpoints"')) {
    const { Config, Oper } = JSON.parse(text) as { Config: object; Oper: { endpoints: { endpointID: string }[] } };
    const endpoints = Oper.endpoints.toSorted((a, b) => (a.endpointID < b.endpointID ? -1 : 1));
    return `${JSON.stringify({ Config, Oper: { ...Oper, endpoints } }, null, 2)}\n`;
  }
  if (!/ (rule-)?(ls|list)\b/.test(line)) return text;
  if (text.startsWith('[')) {
    const list = JSON.parse(text) as { key: string; priority?: number }[];
    const inOrder = list.toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0) || (a.key < b.key ? -1 : 1));
    return `${JSON.stringify(inOrder, null, 2)}\n`;
  }
  const lines = text.split('\n').slice(0, -1);
  const titles = lines.findIndex((line) => /^-+( |$)/.test(line)) + 1;
  return [...lines.slice(0, titles), ...lines.slice(titles).toSorted()].map((line) => `${line}\n`).join('');
}

/** The sentence of an error, without its time, Contiv's stack trace, and what we add below. */
function sentence(stderr: string): string {
  const said = stderr.replaceAll(/^note: .*\n/gm, '');
  return /level=error msg="(.*)/.exec(said)?.[1]?.replace(/ *"?$/, '') ?? said;
}

function compare(golden: GoldenCase, ours: Outcome, url: string): void {
  const change = differences[golden.line]?.ours;
  const wanted = { ...golden, ...(typeof change === 'function' ? change(golden) : change) };
  const [said, asked] = [withoutVersions(ours.stdout), withoutVersions(wanted.stdout)];
  // Help goes on with what is ours.
  if (/^(Incorrect Usage\.\n\n)?NAME:/.test(asked)) assert.equal(said.slice(0, asked.length), asked);
  // Rules are in the order of their priorities, which this output does not show.
  else if (golden.line.endsWith('rule-ls p1 -q')) assert.equal(sorted(golden.line, said), sorted(golden.line, asked));
  else assert.equal(said, sorted(golden.line, asked));
  // Where Contiv said nothing, there may be an explanation now.
  if (wanted.stderr !== '' || wanted.exit === 0) {
    assert.equal(sentence(ours.stderr), sentence(wanted.stderr.replaceAll('http://172.16.112.128:9999', url)));
  }
  assert.equal(ours.exit, wanted.exit);
}

describe('netctl, as it was recorded', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-netctl-'));
  let master: Master;
  before(async () => {
    master = await startMaster(folder);
  });
  after(async () => {
    await master.stop();
    rmSync(folder, { recursive: true });
  });

  const seen = new Map<string, number>();
  for (const file of ['help.txt', 'transcript.txt', 'netctl-cases.txt']) {
    for (const golden of goldenCases(file)) {
      const times = (seen.get(golden.line) ?? 0) + 1;
      seen.set(golden.line, times);
      test(golden.line, async () => {
        const { line } = golden;
        if (line === 'netctl network inspect test-net') {
          await master.stop();
          await addContainers(folder);
          master = await startMaster(folder);
        }
        const first = unrecorded[times === 1 ? line : `${line}#${times}`] ?? [];
        for (const words of first) await succeed(master, words);
        const before = await stateOf(master);
        const ours = await netctl(master, golden.words);
        compare(golden, ours, master.url);
        if (ours.exit !== 0) assert.equal(await stateOf(master), before);
        for (const words of differences[line]?.afterwards ?? []) await succeed(master, words);
      });
    }
  }

  test('the differences are in the docs, and happen', () => {
    const page = readFileSync(join(repository, 'docs/migrate-contiv.md'), 'utf8');
    for (const [line, { documented }] of Object.entries(differences)) {
      assert.ok(page.includes(documented), documented);
      assert.ok(seen.has(line), line);
    }
  });
});

const kinds = [
  'aciGws',
  'appProfiles',
  'Bgps',
  'endpointGroups',
  'extContractsGroups',
  'globals',
  'netprofiles',
  'networks',
  'policys',
  'rules',
  'serviceLBs',
  'tenants',
];

/** All that a master has. */
async function stateOf({ url }: Master): Promise<string> {
  const texts = kinds.map(async (kind) => (await fetch(`${url}/api/v1/${kind}/`)).text());
  return (await Promise.all(texts)).join('');
}

async function succeed(master: Master, line: string): Promise<void> {
  const { exit, stderr } = await netctl(master, wordsOf(line));
  assert.equal(exit, 0, `${line}: ${stderr}`);
}
