import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConfig, type RawConfig } from '../../agent/config.ts';
import { BerthError } from '../../model/errors.ts';
import { berth } from '../fake-agent.ts';
import { runBerth } from '../run.ts';
import { readNetpluginFlags, runNetplugin } from './netplugin.ts';

const modes = ['--mode', 'docker', '--netmode', 'vlan', '--fwdmode', 'bridge'];
const standard = { plugins: 'netplugin=cluster:auto', store: 'etcd://127.0.0.1:2379' };

describe('netplugin', () => {
  it('takes the flags of the transcript, and says which have no effect', () => {
    const words = ['--etcd-endpoints', 'http://172.16.112.128:2379', ...modes];
    assert.deepEqual(readNetpluginFlags(words, {}), {
      config: { ...standard, store: 'etcd://172.16.112.128:2379' },
      remarks: [
        '--netmode vlan has no effect: each network says by itself whether it is a VXLAN or a VLAN',
        '--fwdmode bridge has no effect: the cluster’s setting counts on every host; see: netctl global info',
      ],
    });
  });

  it('starts an agent that serves the driver netplugin from etcd', () => {
    const { config } = readNetpluginFlags(['--etcd-endpoints', 'http://172.16.112.128:2379', ...modes], {});
    const { store, plugins } = loadConfig(config, {});
    assert.deepEqual(store, { kind: 'etcd', urls: ['http://172.16.112.128:2379'], prefix: '/' });
    assert.deepEqual(plugins, [{ name: 'netplugin', fabric: 'cluster', scope: 'auto' }]);
  });

  it('takes every old name, one hyphen or two, = or a space, and the environment', () => {
    const expected = {
      ...standard,
      host: 'h1',
      vtep: '10.0.0.1',
      uplinks: 'eth1,eth2',
      'vxlan-port': '8472',
      'log-level': 'debug',
    };
    for (const words of [
      [
        '--host',
        'h1',
        '--vtep-ip',
        '10.0.0.1',
        '--vlan-uplinks',
        'eth1,eth2',
        '--vxlan-port',
        '8472',
        '--log-level=DEBUG',
      ],
      ['-host-label=h1', '-vtep-ip=10.0.0.1', '-vlan-if=eth1, eth2', '-vxlan-port=8472', '--log-level', 'debug'],
    ]) {
      assert.deepEqual(readNetpluginFlags(words, {}).config, expected, words.join(' '));
    }
    const environment = {
      CONTIV_NETPLUGIN_MODE: 'docker',
      CONTIV_NETPLUGIN_HOST: 'h1',
      CONTIV_NETPLUGIN_VTEP_IP: '10.0.0.1',
      CONTIV_NETPLUGIN_VLAN_UPLINKS: 'eth1,eth2',
      CONTIV_NETPLUGIN_VXLAN_PORT: '8472',
      CONTIV_NETPLUGIN_LOG_LEVEL: 'DEBUG',
    };
    assert.deepEqual(readNetpluginFlags([], environment).config, expected);
    // A flag counts before the environment.
    assert.equal(readNetpluginFlags(['--host', 'h2'], environment).config.host, 'h2');
  });

  it('finds the store as netplugin did, with all its servers', () => {
    const store = (words: string[], environment = {}) => readNetpluginFlags(words, environment).config.store;
    assert.equal(store([]), 'etcd://127.0.0.1:2379');
    assert.equal(store(['--etcd', 'http://a:2379,http://b:2380,c']), 'etcd://a:2379,b:2380,c');
    assert.equal(store(['--etcd', 'https://a:2379']), 'etcds://a:2379');
    assert.equal(store(['-cluster-store', 'etcd://a:2379']), 'etcd://a:2379');
    assert.equal(store(['--store', 'sqlite:/x']), 'sqlite:/x');
    // Where Berth's own settings say it, netplugin's default does not.
    assert.equal(store([], { BERTH_STORE: 'etcd://a' }), undefined);
    assert.equal(store(['--config', '/etc/berth.json']), undefined);
  });

  it('takes the flags of the agent too', () => {
    const words = [
      '--state-dir',
      '/s',
      '--plugins=netplugin=cluster:global',
      '--etcd-ca',
      '/ca.pem',
      '--run-dir',
      '/r',
    ];
    assert.deepEqual(readNetpluginFlags(words, {}).config, {
      plugins: 'netplugin=cluster:global',
      store: 'etcd://127.0.0.1:2379',
      'state-dir': '/s',
      'etcd-ca': '/ca.pem',
      'run-dir': '/r',
    });
    assert.equal(readNetpluginFlags([], { BERTH_PLUGINS: 'x=cluster' }).config.plugins, undefined);
  });

  it('every flag without effect is accepted, and said', () => {
    const words = ['--ctrl-ip', '10.0.0.1', '--json-log', '--syslog-url', 'udp://h:514', '--use-syslog=false'];
    const { config, remarks } = readNetpluginFlags(words, {});
    assert.deepEqual(config, standard);
    assert.deepEqual(
      remarks.map((remark) => remark.split(' ')[0]),
      ['--ctrl-ip', '--use-json-log', '--syslog-url'],
    );
  });

  const refused: readonly (readonly [words: readonly string[], why: RegExp])[] = [
    [['--mode', 'kubernetes'], /^--mode kubernetes: Berth is for Docker hosts$/],
    [['--mode', 'mesos'], /^--mode must be docker or swarm-mode or kubernetes, not 'mesos'$/],
    [['--consul', 'http://127.0.0.1:8500'], /^--consul-endpoints: Berth keeps a cluster in etcd$/],
    [['--cluster-store', 'consul://127.0.0.1:8500'], /^--cluster-store: Berth keeps a cluster in etcd$/],
    [['--use-syslog'], /^--use-syslog: /],
    [['--vtep-ip', 'eth0'], /^--vtep-ip must be an IP address, not 'eth0'$/],
    [['--vxlan-port', '70000'], /^--vxlan-port must be a port from 1 to 65535, not '70000'$/],
    [['--vlan-uplinks', 'eth0,'], /^--vlan-uplinks must be NICs separated by commas, and '' is none$/],
    [['--etcd', 'http://a:1,https://b:1'], /^--etcd-endpoints .* is no list of URLs of one kind$/],
    [['--etcd', 'http://a:1', '--cluster-store', 'etcd://a:1'], /^--etcd-endpoints and --cluster-store say the same/],
    [['--nosuch'], /^there is no flag '--nosuch'$/],
    [['word'], /^there is no flag 'word'$/],
    [['--log-level'], /^--log-level needs a value$/],
  ];
  for (const [words, why] of refused) {
    it(`refuses ${words.join(' ')}`, async () => {
      assert.throws(
        () => readNetpluginFlags(words, {}),
        (error) => error instanceof BerthError && why.test(error.message),
      );
      const outcome = await berth(['netplugin', ...words]);
      // Contiv's answer to bad arguments.
      assert.equal(outcome.code, 22);
      assert.match(outcome.stderr, /^netplugin: .*\n {2}next: .*netplugin --help\n$/);
    });
  }

  it('what the agent finds wrong with them is answered likewise', async () => {
    const outcome = await berth(['netplugin', '--log-level', 'loud']);
    assert.equal(outcome.code, 22);
    assert.match(outcome.stderr, /^netplugin: --log-level is one of trace, debug/);
  });

  it('teaches, and runs an agent', async () => {
    let stdout = '';
    const surroundings = {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: () => true },
      now: Date.now,
    };
    assert.equal(await runBerth(['netplugin', '--help'], surroundings), 0);
    assert.match(stdout, /--etcd-endpoints, --etcd .*CONTIV_NETPLUGIN_ETCD_ENDPOINTS/);
    assert.match(stdout, /\nExamples:\n {2}netplugin --etcd-endpoints/);
    const ran: [RawConfig, readonly string[]][] = [];
    assert.equal(await runNetplugin(modes, surroundings, async (...given) => void ran.push(given)), 0);
    assert.equal(ran[0]![0].plugins, 'netplugin=cluster:auto');
    assert.equal(ran[0]![1].length, 2);
    assert.equal((await berth(['--json', 'netplugin'])).code, 2);
  });
});
