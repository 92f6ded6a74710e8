/** Every command, called wrongly in every way: it says what is wrong and how it is called, and asks nobody anything. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addedCommands, commands } from './nouns.ts';
import { isNoun } from './spec.ts';
import { fakeMaster, netctl } from './testing/fake-master.ts';

const all = [...commands, ...addedCommands].flatMap((spec) =>
  isNoun(spec)
    ? spec.commands.map((command) => ({ path: [spec.name, command.name], command }))
    : [{ path: [spec.name], command: spec }],
);

const errorLine = /^time="[^"]+" level=error msg="[^\n]+"\n/;

describe('wrong words', () => {
  it('there are as many commands as Contiv had, and completion', () => assert.equal(all.length, 49));

  for (const { path, command } of all) {
    const name = path.join(' ');
    const right = command.args.map(({ name }) => name);
    const attempts: readonly (readonly [what: string, words: readonly string[], message: RegExp])[] = [
      ['too many arguments', [...right, 'extra'], /"extra"/],
      ['an unknown flag', [...right, '--nonsense'], /flag provided but not defined: -nonsense/],
      ['an unknown flag before', ['-Z', ...right], /flag provided but not defined: -Z/],
      ['two forms of a flag', [...right, '-t', 'a', '--tenant', 'b'], /two forms of the same flag|not defined: -t/],
      ['a value that is no truth', [...right, '--json=perhaps'], /invalid boolean value "perhaps" for -json/],
      ...(right.length === 0 ? [] : ([['too few arguments', right.slice(1), /required"/]] as const)),
      ...command.flags
        .filter(({ kind }) => kind !== 'boolean')
        .map(
          ({ names }) =>
            [`--${names[0]} without its value`, [...right, `--${names[0]}`], /flag needs an argument/] as const,
        ),
      ...command.flags
        .filter(({ kind }) => kind === 'number')
        .map(
          ({ names }) =>
            [`--${names[0]} that is no number`, [...right, `--${names[0]}`, 'x'], /invalid value "x"/] as const,
        ),
    ];
    for (const [what, words, message] of attempts) {
      it(`${name}: ${what}`, async () => {
        await using master = await fakeMaster({});
        const { code, stdout, stderr } = await netctl([...path, ...words], { environment: { NETMASTER: master.url } });
        assert.match(stderr, errorLine);
        assert.match(stderr, message);
        assert.ok(stdout.includes(`   netctl ${name} - ${command.usage}\n`), stdout);
        assert.equal(code, 1);
        assert.deepEqual(master.asked, []);
      });
    }
  }

  const checks: readonly (readonly [line: string, message: string])[] = [
    ['network create n', 'Subnet is required'],
    ['network create n -s 10.1.0.0/24 -g 10.1.0', 'Invalid gateway - Enter in A.B.C.D format'],
    ['network create n -s 10.1.0.0/24 --g6 x', 'Invalid IPv6 gateway '],
    ['policy rule-add p 1 -d in -o n', 'Cant specify to-network for incoming rule'],
    ['policy rule-add p 1 -d in -g a -n b', "Can't specify both from-group argument and -from-network "],
    ['policy rule-add p 1 -d out -g a', 'Cant specify from-group for outgoing rule'],
    ['policy rule-add p 1 -d out -i 10.0.0.1', 'Cant specify from-ip-address for outgoing rule'],
    ['policy rule-add p 1 -d out -e a -o b', "Can't specify both -to-group and -to-network"],
    ['bgp create h', 'Wrong CIDR format. Enter in x.x.x.x/len format'],
    ['bgp create h --router-ip 1.2.3.4/33', 'Wrong CIDR format. Enter in x.x.x.x/len format'],
    ['bgp create h --router-ip 1.2.3.4/24', 'Wrong IP format. Enter in x.x.x.x format'],
    ['bgp create h --router-ip 1.2.3.4/24 --neighbor 1.2.3.5', 'Missing attributes'],
    ['external-contracts create e -c -p', 'Cannot use both provided and consumed'],
    ['external-contracts create e -c', 'Contracts not provided'],
    ['global set', 'Nothing to set'],
    ['aci-gw set', 'Nothing to set'],
    ['completion tcsh', 'there is no completion for tcsh'],
  ];
  for (const [line, message] of checks) {
    it(line, async () => {
      await using master = await fakeMaster({});
      const { code, stderr } = await netctl(line.split(' '), { environment: { NETMASTER: master.url } });
      assert.equal(stderr.split('\n')[0], `time="2026-11-20T20:35:02Z" level=error msg="${message}"`);
      assert.equal(code, 1);
      assert.deepEqual(master.asked, []);
    });
  }

  it('a name of a megabyte is refused, by whoever meets it first', async () => {
    await using master = await fakeMaster({});
    const { code, stderr } = await netctl(['network', 'rm', 'x'.repeat(1 << 20)], {
      environment: { NETMASTER: master.url },
    });
    assert.match(stderr, errorLine);
    assert.ok(stderr.length < 2000, String(stderr.length));
    assert.equal(code, 3);
  });
});
