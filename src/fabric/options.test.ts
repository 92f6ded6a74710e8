import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BerthError } from '../model/errors.ts';
import type { OptionSpec } from './fabric.ts';
import { booleanOption, choiceOption, integerOption, linkOption, readOptions } from './options.ts';

const specs: readonly OptionSpec[] = [
  { name: 'mtu', aliases: ['com.docker.network.driver.mtu'], values: '', default: '', help: '' },
  { name: 'bridge', values: '', default: '', help: '' },
];

const refuses = (work: () => unknown, words: RegExp) =>
  assert.throws(
    work,
    (error) =>
      error instanceof BerthError &&
      error.code === 'BAD_OPTION' &&
      words.test(error.message) &&
      !error.message.includes('\n'),
  );

test('an unknown option is refused with the nearest known one', () => {
  refuses(() => readOptions({ brigde: 'br0' }, specs), /'brigde' is not known; did you mean 'bridge'\?/);
  refuses(() => readOptions({ 'x\n\u0007y': '1' }, specs), /'x\?\?y' is not known/);
});

test('options of the engine that are not ours are passed over, aliases are not', () => {
  const options = readOptions({ 'com.docker.network.driver.mtu': '1400', 'com.docker.network.other': 'x' }, specs);
  assert.deepEqual([...options], [['mtu', '1400']]);
  refuses(() => readOptions({ 'com.docker.network.driver.mtu': '1400', mtu: '1500' }, specs), /given twice/);
});

test('values are of their kind', () => {
  const of = (value: string) => new Map([['o', value]]);
  assert.equal(booleanOption(of('true'), 'o', false), true);
  assert.equal(booleanOption(new Map(), 'o', true), true);
  refuses(() => booleanOption(of('yes'), 'o', false), /true or false, not 'yes'/);
  assert.equal(integerOption(of('1500'), 'o', 1280, 9000), 1500);
  for (const value of ['', '1e3', '1279', '9001', '-1', '0x600', '1500 '])
    refuses(() => integerOption(of(value), 'o', 1280, 9000), /from 1280 to 9000/);
  assert.equal(choiceOption(of('b'), 'o', ['a', 'b'], 'a'), 'b');
  refuses(() => choiceOption(of('c'), 'o', ['a', 'b'], 'a'), /one of a, b/);
  for (const value of ['', 'a/b', '..', 'sixteen-letters-', 'a b', '../../etc'])
    refuses(() => linkOption(of(value), 'o'), /name of an interface/);
  assert.equal(linkOption(of('eth0.120'), 'o'), 'eth0.120');
});
