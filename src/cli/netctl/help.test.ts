/** Every page of help that Contiv's netctl had: ours begins with it, byte for byte. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { netctl } from './testing/fake-master.ts';
import { goldenCases, withoutVersions } from './testing/golden.ts';

/** Contiv succeeds when it does not understand. */
const failing = ['netctl bogus', 'netctl network bogus', 'netctl network ls --bogus'];

describe('help', () => {
  const pages = goldenCases('help.txt').filter(({ words }) => !words.includes('--netmaster'));
  it('was recorded', () => assert.ok(pages.length > 60, String(pages.length)));
  for (const { line, words, stdout } of pages) {
    // Contiv forgot the commands there; ours is the page of `netctl network --help`.
    if (line === 'netctl help network') continue;
    it(line, async () => {
      const ours = await netctl(words);
      assert.equal(withoutVersions(ours.stdout).slice(0, withoutVersions(stdout).length), withoutVersions(stdout));
      assert.equal(ours.code, failing.includes(line) ? 1 : 0);
      if (!failing.includes(line)) assert.equal(ours.stderr, '');
    });
  }

  it('netctl help NOUN is the page of the noun, netctl help NOUN COMMAND that of the command', async () => {
    assert.deepEqual(await netctl(['help', 'network']), await netctl(['network', '--help']));
    assert.deepEqual(await netctl(['h', 'net', 'list']), await netctl(['network', 'ls', '--help']));
    assert.deepEqual(await netctl(['network', 'help', 'create']), await netctl(['network', 'create', '-h']));
    assert.deepEqual(await netctl(['network']), await netctl(['network', '--help']));
  });

  it('suggests what was meant', async () => {
    const { stderr, code } = await netctl(['netwrk', 'ls']);
    assert.match(stderr, /msg="netctl has no command 'netwrk'"\n {2}next: Did you mean netctl network\?\n$/);
    assert.equal(code, 1);
    assert.match((await netctl(['group', 'creat'])).stderr, /Did you mean netctl group create\?/);
    assert.match((await netctl(['network', 'create', '--subnt', 'x'])).stderr, /Did you mean --subnet\?/);
  });
});
