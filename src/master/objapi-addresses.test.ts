/**
 * What Contiv's tests of the master, its global state and its resources show of tags and addresses (netmaster/master, netmaster/gstate,
 * netmaster/resources; test/integration/endpoint_test.go), under their names, as far as it is seen through the API.
 */

import assert from 'node:assert/strict';
import { addEndpoint } from './testing/bench.ts';
import { group, network, objapi, oper, settings } from './testing/contiv.ts';

for (const [name, encap, range, first] of [
  ['TestVlanConfig', 'vlan', 'vlans', 11],
  ['TestVxlanConfig', 'vxlan', 'vxlans', 10001],
] as const) {
  objapi(name, async (api) => {
    await api.ok('POST', ...settings({ [range]: `${first}-${first + 17}` }));
    for (const [index, called] of ['orange', 'purple'].entries()) {
      await api.ok(
        'POST',
        ...network('default', called, `10.1.${index}.0/24`, { encap, gateway: `10.1.${index}.254` }),
      );
      const { externalPktTag, pktTag, availableIPAddresses } = await oper(api, `networks/default:${called}/`);
      assert.equal(encap === 'vlan' ? pktTag : externalPktTag, first + index);
      assert.equal(availableIPAddresses, `10.1.${index}.1-10.1.${index}.253`);
    }
    for (const called of ['orange', 'purple']) await api.ok('DELETE', `networks/default:${called}/`);
  });
}

objapi('TestConfigPktTagOutOfRange', async (api) => {
  await api.ok('POST', ...settings({ vlans: '10-14', vxlans: '10001-11000' }));
  for (const [encap, pktTag, message] of [
    ['vlan', 15, 'requested vlan not available - vlan:15'],
    ['vlan', 9, 'requested vlan not available - vlan:9'],
    ['vxlan', 10, 'requested vxlan is out of range'],
    ['vxlan', 11001, 'requested vxlan not available'],
  ] as const) {
    await api.refused(409, message, 'POST', ...network('default', 'orange', '10.1.1.0/24', { encap, pktTag }));
    await api.refused(404, 'network not found', 'GET', 'networks/default:orange/');
  }
});

objapi('TestNetworkDeleteWithEPs', async (api, bench) => {
  await api.ok('POST', ...network('default', 'orange', '10.1.1.0/24'));
  await addEndpoint(bench.store, 'default:orange', 'myContainer1', { addresses: ['10.1.1.1'] });
  await api.refused(409, 'Error: Network has active endpoints', 'DELETE', 'networks/default:orange/');
  assert.equal((await oper(api, 'networks/default:orange/')).numEndpoints, 1);
});

objapi('TestMoreThan4KVLANs', async (api, bench) => {
  for (const vlans of ['1-5000', '0-10', '1-4096']) {
    const { status } = await bench.call('POST', ...settings({ vlans }));
    assert.equal(status, 400, vlans);
  }
  // VNIs are not VLANs: they do not run out at 4094.
  await api.ok('POST', ...settings({ vxlans: '1-16000000' }));
  await api.ok('POST', ...network('default', 'orange', '10.1.1.0/24', { encap: 'vxlan', pktTag: 15_999_999 }));
  assert.equal((await oper(api, 'networks/default:orange/')).externalPktTag, 15_999_999);
});

objapi('TestGetAllocatedIPs', async (api) => {
  await api.ok('POST', ...network('default', 'net', '10.2.2.0/24'));
  assert.equal((await oper(api, 'networks/default:net/')).availableIPAddresses, '10.2.2.1-10.2.2.254');
  // Ranges side by side are listed as one.
  const pools = ['5-20', '21-30', '31-100', '101-150', '151-180'].map((pool) =>
    pool
      .split('-')
      .map((last) => `10.2.2.${last}`)
      .join('-'),
  );
  for (const [index, ipPool] of pools.entries())
    await api.ok('POST', ...group('default', 'net', `epg${index}`, { ipPool }));
  await api.ok('POST', ...group('default', 'net', 'without'));
  const full = await oper(api, 'networks/default:net/');
  assert.equal(full.allocatedIPAddresses, '10.2.2.5-10.2.2.180');
  assert.equal(full.availableIPAddresses, '10.2.2.1-10.2.2.4, 10.2.2.181-10.2.2.254');
  for (const [index, ipPool] of pools.entries()) {
    assert.equal((await oper(api, `endpointGroups/default:epg${index}/`)).availableIPAddresses, ipPool);
  }
  await api.ok('DELETE', 'endpointGroups/default:epg1/');
  const less = await oper(api, 'networks/default:net/');
  assert.equal(less.allocatedIPAddresses, '10.2.2.5-10.2.2.20, 10.2.2.31-10.2.2.180');
  assert.equal(less.availableIPAddresses, '10.2.2.1-10.2.2.4, 10.2.2.21-10.2.2.30, 10.2.2.181-10.2.2.254');
});

for (const [subnet, available, pool] of [
  ['10.100.100.194-10.100.100.222/27', '10.100.100.194-10.100.100.222', '10.100.100.194-10.100.100.200'],
  ['10.1.1.5-10.1.1.15/27', '10.1.1.5-10.1.1.15', '10.1.1.5-10.1.1.15'],
  ['10.1.1.0/27', '10.1.1.1-10.1.1.30', '10.1.1.1-10.1.1.30'],
  ['10.1.1.0/30', '10.1.1.1-10.1.1.2', '10.1.1.1-10.1.1.2'],
  ['10.1.1.0/31', '', ''],
] as const) {
  objapi(`TestEndpointGroupCreateDelete: ${subnet}`, async (api) => {
    await api.ok('POST', ...network('default', 'net', subnet));
    assert.equal((await oper(api, 'networks/default:net/')).availableIPAddresses ?? '', available);
    await api.ok('POST', ...group('default', 'net', 'epg', { ipPool: pool }));
    await api.refused(409, 'cannot delete net has 1 endpoint groups', 'DELETE', 'networks/default:net/');
    await api.ok('DELETE', 'endpointGroups/default:epg/');
    await api.ok('DELETE', 'networks/default:net/');
  });
}
