import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MasterOptions } from '../../master/config.ts';
import { BerthError } from '../../model/errors.ts';
import { runBerth } from '../run.ts';
import { readNetmasterFlags, runNetmaster } from './netmaster.ts';

const modes = ['--mode', 'docker', '--netmode', 'vlan', '--fwdmode', 'bridge'];

describe('netmaster', () => {
  it('takes the flags of the transcript', () => {
    const words = ['--etcd-endpoints', 'http://172.16.112.128:2379', ...modes];
    assert.deepEqual(readNetmasterFlags(words, {}), {
      store: { kind: 'etcd', urls: ['http://172.16.112.128:2379'], prefix: '/' },
      listen: ['0.0.0.0:9999'],
      logLevel: 'info',
      forwardMode: 'bridge',
      clusterMode: 'docker',
      fabricMode: 'default',
    });
  });

  it('takes every old name, one hyphen or two, = or a space, and the environment', () => {
    const expected = readNetmasterFlags(modes, {});
    for (const words of [
      ['--plugin-mode=docker', '--network-mode=vlan', '--forward-mode=bridge'],
      ['-cluster-mode', 'docker', '-netmode=vlan', '--fwdmode', 'bridge', '--use-json-log', '--name=netplugin'],
      [...modes, '--json-log', '--plugin-name', 'x', '--syslog-url', 'udp://h:514', '--use-syslog=false'],
    ]) {
      assert.deepEqual(readNetmasterFlags(words, {}), expected, words.join(' '));
    }
    const environment = {
      CONTIV_NETMASTER_MODE: 'docker',
      CONTIV_NETMASTER_NET_MODE: 'vlan',
      CONTIV_NETMASTER_FORWARD_MODE: 'bridge',
    };
    assert.deepEqual(readNetmasterFlags([], environment), expected);
    // A flag counts before the environment.
    assert.equal(readNetmasterFlags(['--fwdmode', 'routing'], environment).forwardMode, 'routing');
  });

  it('uses all etcd servers, not only the first', () => {
    const store = (...words: string[]) => readNetmasterFlags([...modes, ...words], {}).store;
    const urls = (of: ReturnType<typeof store>) => (of.kind === 'etcd' ? of.urls : []);
    assert.deepEqual(urls(store('--etcd', 'http://a:2379,http://b:2380,c')), [
      'http://a:2379',
      'http://b:2380',
      'http://c:2379',
    ]);
    assert.deepEqual(urls(store('--etcd', 'https://a:2379')), ['https://a:2379']);
    assert.deepEqual(urls(store()), ['http://127.0.0.1:2379']);
    assert.deepEqual(store('--store', 'sqlite:/x'), { kind: 'sqlite', path: '/x' });
  });

  it('listens where it is told, twice when the ports differ', () => {
    const listen = (...words: string[]) => readNetmasterFlags([...modes, ...words], {}).listen;
    assert.deepEqual(listen('--listen-url', ':9990'), [':9990']);
    assert.deepEqual(listen('--external-address', '10.0.0.1:9999', '--control-url', '10.0.0.2:9999'), [
      '10.0.0.1:9999',
    ]);
    assert.deepEqual(listen('--internal-address', '10.0.0.2:9998'), ['0.0.0.0:9999', '10.0.0.2:9998']);
  });

  const refused: readonly (readonly [words: readonly string[], why: RegExp])[] = [
    [[], /^--mode is needed: docker or swarm-mode or kubernetes$/],
    [['--mode', 'docker'], /^--netmode is needed/],
    [[...modes, '--mode', 'kubernetes'], /^--mode kubernetes: Berth is for Docker hosts$/],
    [[...modes, '--netmode', 'geneve'], /^--netmode must be vlan or vxlan, not 'geneve'$/],
    [[...modes, '--fwdmode', ''], /^--fwdmode is needed/],
    [[...modes, '--consul', 'http://127.0.0.1:8500'], /^--consul-endpoints: Berth keeps a cluster in etcd$/],
    [[...modes, '--use-syslog'], /^--use-syslog: /],
    [[...modes, '--infra', 'xyz'], /^--infra must be default or aci or aci-opflex, not 'xyz'$/],
    [[...modes, '--nosuch'], /^there is no flag '--nosuch'$/],
    [[...modes, 'word'], /^there is no flag 'word'$/],
    [[...modes, '--etcd', 'http://a:1,https://b:1'], /^--etcd-endpoints .* is no list of URLs of one kind$/],
    [[...modes, '--log-level'], /^--log-level needs a value$/],
  ];
  for (const [words, why] of refused) {
    it(`refuses ${words.join(' ') || 'nothing'}`, async () => {
      assert.throws(
        () => readNetmasterFlags(words, {}),
        (error) => error instanceof BerthError && why.test(error.message),
      );
      let stderr = '';
      const surroundings = {
        stdout: { write: () => true },
        stderr: { write: (text: string) => (stderr += text) },
        now: Date.now,
      };
      // Contiv's answer to bad arguments.
      assert.equal(await runBerth(['__netmaster', ...words], surroundings), 22);
      assert.match(stderr, /^netmaster: .*\n {2}next: .*\n$/);
    });
  }

  it('teaches, and runs a master', async () => {
    let stdout = '';
    const surroundings = {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: () => true },
      now: Date.now,
    };
    assert.equal(await runBerth(['__netmaster', '--help'], surroundings), 0);
    assert.match(stdout, /--etcd-endpoints, --etcd .*CONTIV_NETMASTER_ETCD_ENDPOINTS/);
    const ran: MasterOptions[] = [];
    assert.equal(await runNetmaster(modes, surroundings, async (options) => void ran.push(options)), 0);
    assert.equal(ran[0]!.forwardMode, 'bridge');
  });
});
