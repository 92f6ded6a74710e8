/**
 * Contiv's tests of its object API, each under its old name: tenants and networks. What Contiv only called an error is compared with its words
 * and a status here.
 */

import assert from 'node:assert/strict';
import { appProfile, group, network, objapi, oper, policy, profile, settings, tenant } from './testing/contiv.ts';

objapi('TestTenantDelete', async (api) => {
  await api.ok('POST', ...tenant('tenant1'));
  await api.ok(
    'POST',
    ...network('tenant1', 'net1', '10.1.1.1/16', { encap: 'vlan', gateway: '10.1.1.254', pktTag: 1 }),
  );
  await api.ok('POST', ...network('tenant1', 'net2', '20.1.1.1/16', { encap: 'vlan', pktTag: 2, cfgdTag: 'test-tag' }));
  await api.ok('POST', ...group('tenant1', 'net1', 'group1'));
  await api.ok('POST', ...group('tenant1', 'net1', 'group2'));
  await api.ok('POST', ...group('tenant1', 'net2', 'group3', { cfgdTag: 'epg-tag' }));
  await api.ok('POST', ...appProfile('tenant1', 'profile1', []));
  await api.ok('POST', ...appProfile('tenant1', 'profile2', ['group1']));
  await api.refused(409, 'cannot delete tenant1, has 2 app profiles', 'DELETE', 'tenants/tenant1/');
  for (const name of ['profile1', 'profile2']) await api.ok('DELETE', `appProfiles/tenant1:${name}/`);
  await api.refused(409, 'cannot delete tenant1 has 3 endpoint groups', 'DELETE', 'tenants/tenant1/');
  for (const name of ['group1', 'group2', 'group3']) await api.ok('DELETE', `endpointGroups/tenant1:${name}/`);
  await api.ok('POST', ...policy('tenant1', 'p'));
  await api.refused(409, 'cannot delete tenant1 has 1 policies', 'DELETE', 'tenants/tenant1/');
  await api.ok('DELETE', 'policys/tenant1:p/');
  await api.ok('POST', ...profile('np', {}, 'tenant1'));
  await api.refused(409, 'Cannot delete tenant1 has 1 netprofiles', 'DELETE', 'tenants/tenant1/');
  await api.ok('DELETE', 'netprofiles/tenant1:np/');
  await api.refused(409, 'cannot delete tenant1 has 2 networks', 'DELETE', 'tenants/tenant1/');
  for (const name of ['net1', 'net2']) await api.ok('DELETE', `networks/tenant1:${name}/`);
  await api.ok('DELETE', 'tenants/tenant1/');
});

objapi('TestTenantAddDelete', async (api) => {
  for (const name of ['tenant1', 'tenant-valid']) await api.ok('POST', ...tenant(name));
  assert.equal((await api.ok('GET', 'tenants/tenant1/')).json.tenantName, 'tenant1');
  await api.refused(409, 'Cant change tenant parameters after its created', 'POST', ...tenant('tenant1'));
  for (const bad of [':', '|', '\\', '#', '@', '!', '~', '*', '^', '_', ' ', '/', '\n', '\u0000', '..', 'ä']) {
    await api.refused(400, 'tenantName string invalid format', 'POST', ...tenant(`tenant${bad}invalid`));
  }
  await api.refused(400, 'tenantName string invalid format', 'POST', ...tenant('-tenant'));
  await api.refused(400, 'tenantName string too long', 'POST', ...tenant('t'.repeat(65)));
  for (const name of ['tenant1', 'tenant-valid']) await api.ok('DELETE', `tenants/${name}/`);
  await api.refused(404, 'tenant not found', 'GET', 'tenants/tenant1/');
  await api.refused(404, 'tenant not found', 'DELETE', 'tenants/tenant1/');
});

objapi('TestOverlappingSubnets', async (api) => {
  const conflict = (other: string, subnet: string) => `network ${other} conflicts with subnet ${subnet}`;
  const clear = async (...names: string[]) => {
    for (const name of names) await api.ok('DELETE', `networks/${name}/`);
  };
  await api.ok('POST', ...network('default', 'a', '10.1.1.0/24', { gateway: '10.1.1.220' }));
  await api.ok('POST', ...network('default', 'b', '10.1.2.0/24', { encap: 'vlan' }));
  for (const subnet of ['10.1.1.0/24', '10.1.1.128/25', '10.1.0.0/16', '10.1.1.233/24']) {
    await api.refused(409, conflict('a', subnet), 'POST', ...network('default', 'c', subnet, { encap: 'vlan' }));
  }
  await api.ok('POST', ...tenant('tenant1'));
  await api.ok('POST', ...network('tenant1', 'a', '10.1.0.0/16'));
  await clear('default:a', 'default:b', 'tenant1:a');

  await api.ok('POST', ...network('default', 'a', '20.1.1.10-20.1.1.45/24'));
  await api.ok('POST', ...network('default', 'b', '20.1.1.46-20.1.1.100/24'));
  await api.ok('POST', ...network('default', 'c', '20.1.1.0-20.1.1.9/24'));
  await clear('default:b', 'default:c');
  for (const subnet of ['20.1.1.45-20.1.1.100/24', '20.1.1.0-20.1.1.10/24']) {
    await api.refused(409, conflict('a', subnet), 'POST', ...network('default', 'b', subnet));
  }
  await clear('default:a');

  await api.ok('POST', ...network('default', 'a', '20.1.1.0/24', { ipv6Subnet: '::/64' }));
  await api.ok('POST', ...network('default', 'b', '20.1.2.0/24', { ipv6Subnet: '1::/64' }));
  await api.ok('POST', ...network('default', 'c', '20.1.3.0/24', { ipv6Subnet: '2001:2000::/32' }));
  for (const ipv6Subnet of ['2001:2000::/32', '2001:2000:1234:4422::/64', '2000::/8']) {
    const message = `network c conflicts with subnetv6  ${ipv6Subnet}`;
    await api.refused(409, message, 'POST', ...network('default', 'd', '20.1.4.0/24', { ipv6Subnet }));
  }
  await api.ok('POST', ...network('tenant1', 'd', '20.1.4.0/24', { ipv6Subnet: '2001:2000::/32' }));
});

objapi('TestNetworkAddDelete', async (api) => {
  const cycle = async (subnet: string, more: object, shown: object) => {
    await api.ok('POST', ...network('default', 'contiv-valid', subnet, more));
    const { externalPktTag, pktTag, allocatedIPAddresses, networkTag } = await oper(
      api,
      'networks/default:contiv-valid/',
    );
    assert.deepEqual(
      { externalPktTag, pktTag, allocatedIPAddresses, networkTag },
      {
        externalPktTag: undefined,
        pktTag: 1,
        allocatedIPAddresses: undefined,
        networkTag: 'contiv-valid.default',
        ...shown,
      },
    );
    await api.ok('DELETE', 'networks/default:contiv-valid/');
  };
  await cycle(
    '10.1.1.1/24',
    { encap: 'vlan', gateway: '10.1.1.254', pktTag: 1 },
    { allocatedIPAddresses: '10.1.1.254' },
  );
  await cycle('10.1.1.1/16', { gateway: '10.1.1.254' }, { allocatedIPAddresses: '10.1.1.254', externalPktTag: 1 });
  await cycle('10.1.1.1/16', {}, { externalPktTag: 1 });
  await cycle('10.1.1.1/16', { ipv6Subnet: '2016:0617::/120' }, { externalPktTag: 1 });
  await cycle('10.1.1.1/24', { encap: 'vlan', nwType: 'infra' }, {});
  await cycle(
    '10.1.1.10-10.1.1.20/24',
    { gateway: '10.1.1.254' },
    { allocatedIPAddresses: '10.1.1.254', externalPktTag: 1 },
  );
  await cycle('10.1.1.10-10.1.5.254/16', {}, { externalPktTag: 1 });
  for (const cfgdTag of ['contiv-net', 'io.contiv.network.test']) {
    await cycle('10.1.1.0/24', { cfgdTag }, { externalPktTag: 1, networkTag: cfgdTag });
  }
  // Contiv's pattern forbids these lengths by mistake.
  for (const length of [108, 109, 118, 119])
    await cycle('10.1.1.0/24', { ipv6Subnet: `2016::/${length}` }, { externalPktTag: 1 });

  const refused = (message: string, subnet: string, more: object = {}, status = 400) =>
    api.refused(status, message, 'POST', ...network('default', 'contiv', subnet, more));
  const format = 'subnet string invalid format';
  await api.refused(
    400,
    'networkName string invalid format',
    'POST',
    ...network('default', 'contiv|invalid', '10.1.1.1/24'),
  );
  await api.refused(400, 'networkName string invalid format', 'POST', ...network('default', '-invalid', '10.1.1.1/24'));
  for (const nwType of ['infratest', 'testinfra', 'testdata', 'datatest']) {
    await refused('nwType string invalid format', '10.1.1.1/24', { nwType });
  }
  await refused(format, '10.1.1.10-20/24');
  await refused(format, '10.1.1.10-10.1.20/24');
  await refused('Network subnet format not valid', '10.1.1.10-10.1.1.1/24');
  await refused('Network subnet format not valid', '10.1.1.10-10.1.2.30/24');
  await refused('Network subnet format not valid', '10.1.1.10-10.2.1.30/16');
  await refused(format, '10.1.1.10-10.1.1.1.30/24');
  await refused(format, '10.1.1/24');
  await refused(format, '10.1.1.256/24');
  await refused(format, '10.1.1.1/32');
  await refused(format, '10.1.1.1/0');
  await refused(format, '');
  await refused('subnet length 7 not supported', '10.1.1.1/7');
  await refused('cfgdTag string invalid format', '10.1.1.0/24', { cfgdTag: 'tag=contiv-net' });
  await refused('cfgdTag string invalid format', '10.1.2.0/24', { cfgdTag: 'io.contiv.network/test' });
  await refused('cfgdTag string too long', '10.1.2.0/24', { cfgdTag: 'a'.repeat(129) });
  await refused('ipv6Subnet string invalid format', '10.1.1.1/24', { ipv6Subnet: '2016:0617::/128' });
  await refused('ipv6Gateway string invalid format', '10.1.1.1/24', {
    ipv6Subnet: '2016::/64',
    ipv6Gateway: '2016::g',
  });
  await refused('hostIP 2017::1 is exceeding beyond subnet 2016::/64', '10.1.1.1/24', {
    ipv6Subnet: '2016::/64',
    ipv6Gateway: '2017::1',
  });
  await refused('encap string invalid format', '10.1.1.1/24', { encap: 'vvvv' });
  await refused('requested vlan not available - vlan:5000', '10.1.1.1/24', { encap: 'vlan', pktTag: 5000 }, 409);
  await refused('requested vxlan not available', '10.1.1.1/24', { pktTag: 20000 }, 409);
  await refused('pktTag Value Out of bound', '10.1.1.1/24', { pktTag: 16777217 });
  await refused('pktTag Value Out of bound', '10.1.1.1/24', { pktTag: -1 });
  await refused('hostIP 10.1.2.254 is exceeding beyond subnet 10.1.1.0/24', '10.1.1.1/24', { gateway: '10.1.2.254' });
  await refused('gateway string invalid format', '10.1.1.1/24', { gateway: '10.1.1.256' });
  await api.refused(400, 'Tenant not found', 'POST', ...network('tenant1', 'contiv', '10.1.1.1/24'));
  await api.refused(404, 'network not found', 'DELETE', 'networks/default:contiv/');
  await api.ok('POST', ...network('default', 'contiv', '10.1.1.0/24'));
  const [path, body] = network('default', 'contiv', '10.1.2.0/24');
  await api.refused(409, 'Cant change network parameters after its created', 'POST', path, body);
});

objapi('TestNetworkAddDeleteACIMode', async (api) => {
  await api.ok('POST', ...settings({ networkInfraType: 'aci', arpMode: 'flood' }));
  await api.ok('POST', ...network('default', 'contiv', '10.1.1.1/24', { encap: 'vlan', pktTag: 1 }));
  await api.ok('POST', ...network('default', 'contiv-gw', '10.2.1.1/16', { pktTag: 1 }));
  assert.deepEqual(await oper(api, 'globals/global/'), {
    clusterMode: 'docker',
    numNetworks: 2,
    vlansInUse: '1',
    vxlansInUse: '1',
  });
  await api.refused(409, 'network type must be VLAN for ACI mode', 'POST', ...group('default', 'contiv-gw', 'g'));
  await api.ok('POST', ...group('default', 'contiv', 'g'));
  await api.refused(409, 'not supported in ACI fabric mode', 'POST', 'Bgps/hostA/', {
    hostname: 'hostA',
    routerip: '65.1.1.1/24',
  });
});

for (const [name, encap, range] of [
  ['TestDynamicGlobalVlanRange', 'vlan', 'vlans'],
  ['TestDynamicGlobalVxlanRange', 'vxlan', 'vxlans'],
] as const) {
  objapi(name, async (api) => {
    const make = (index: number, pktTag: number) =>
      network('default', `contiv${index}`, `1${index}.1.1.1/24`, { encap, pktTag });
    await api.ok('POST', ...make(1, 10));
    await api.ok('POST', ...make(2, 11));
    await api.ok('POST', ...make(3, 300));
    await api.ok('POST', ...settings({ [range]: '9-301' }));
    const taken = (tag: number) =>
      encap === 'vlan' ? `requested vlan not available - vlan:${tag}` : 'requested vxlan not available';
    await api.refused(409, taken(10), 'POST', ...make(4, 10));
    await api.refused(409, taken(302), 'POST', ...make(5, 302));
    const below = encap === 'vlan' ? taken(8) : 'requested vxlan is out of range';
    await api.refused(409, below, 'POST', ...make(5, 8));
    await api.ok('POST', ...make(6, 299));
    const inUse = `cannot update the ${encap} range due to existing ${encap}s 10-11, 299-300`;
    for (const given of ['50-301', '1-200', '300-9']) {
      await api.refused(409, inUse, 'POST', ...settings({ [range]: given }));
    }
    await api.ok('POST', ...settings({ [range]: '1-800', arpMode: 'flood' }));
    await api.ok('POST', ...make(7, 700));
    await api.ok('DELETE', 'networks/default:contiv7/');
    await api.ok('POST', ...make(7, 700));
    assert.equal((await oper(api, 'networks/default:contiv7/')).pktTag, 700);
  });
}

objapi('TestNetworkPktRanges', async (api) => {
  await api.ok('POST', ...network('default', 'contiv', '10.1.1.1/24', { encap: 'vlan' }));
  await api.ok('POST', ...network('default', 'contiv1', '10.1.2.1/24'));
  await api.ok('POST', ...network('default', 'contiv2', '10.1.3.1/24'));
  await api.ok('POST', ...network('default', 'contiv3', '10.1.4.1/24', { pktTag: 1000 }));
  const tags = [];
  for (const name of ['contiv', 'contiv1', 'contiv2', 'contiv3'])
    tags.push((await oper(api, `networks/default:${name}/`)).pktTag);
  assert.deepEqual(tags, [1, 1, 2, 1000]);
  // The lowest that is free, also when that has been in use before.
  await api.ok('DELETE', 'networks/default:contiv1/');
  await api.ok('POST', ...network('default', 'contiv4', '10.1.5.1/24'));
  assert.equal((await oper(api, 'networks/default:contiv4/')).externalPktTag, 1);
  const taken = 'requested vlan not available - vlan:1';
  await api.refused(409, taken, 'POST', ...network('default', 'contiv5', '10.1.6.1/24', { encap: 'vlan', pktTag: 1 }));
  for (const name of ['contiv', 'contiv2', 'contiv3', 'contiv4']) await api.ok('DELETE', `networks/default:${name}/`);
  await api.ok('POST', ...settings({ vlans: '100-101', vxlans: '1001-2000' }));
  for (const pktTag of [102, 99]) {
    const message = `requested vlan not available - vlan:${pktTag}`;
    await api.refused(409, message, 'POST', ...network('default', 'a', '10.1.1.1/24', { encap: 'vlan', pktTag }));
  }
  await api.refused(
    409,
    'requested vxlan not available',
    'POST',
    ...network('default', 'a', '10.1.1.1/24', { pktTag: 2001 }),
  );
  await api.refused(
    409,
    'requested vxlan is out of range',
    'POST',
    ...network('default', 'a', '10.1.1.1/24', { pktTag: 1000 }),
  );
  await api.ok('POST', ...network('default', 'a', '10.1.1.1/24', { encap: 'vlan' }));
  await api.ok('POST', ...network('default', 'b', '10.1.2.1/24', { encap: 'vlan' }));
  await api.refused(409, 'no vlans available', 'POST', ...network('default', 'c', '10.1.3.1/24', { encap: 'vlan' }));
});
