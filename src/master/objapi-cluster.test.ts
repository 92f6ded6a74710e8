/**
 * Contiv's tests of its object API, each under its old name: settings, services, BGP and endpoints. What Contiv only called an error is compared with its words
 * and a status here.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys } from '../model/keys.ts';
import { networkPool } from '../objects/pools.ts';
import { addEndpoint, startBench } from './testing/bench.ts';
import { appProfile, group, network, objapi, oper, service, settings, tenant } from './testing/contiv.ts';

objapi('TestGlobalSettingFwdMode', async (api) => {
  await api.ok('POST', ...network('default', 'contiv7', '16.1.1.1/24'));
  const message = (what: string) => `Unable to update forwarding mode due to existing ${what}`;
  await api.refused(409, message('1 vxlans'), 'POST', ...settings({ fwdMode: 'routing' }));
  await api.ok('POST', ...network('default', 'contiv8', '17.1.1.1/24', { encap: 'vlan' }));
  await api.refused(409, message('1 vlans and 1 vxlans'), 'POST', ...settings({ fwdMode: 'routing' }));
  for (const name of ['contiv7', 'contiv8']) await api.ok('DELETE', `networks/default:${name}/`);
  await api.ok('POST', ...settings({ fwdMode: 'routing', pvtSubnet: '172.21.0.0/16' }));
  await api.ok('POST', 'Bgps/h/', { hostname: 'h', routerip: '50.1.1.2/24' });
  await api.refused(409, 'please delete existing Bgp configs', 'POST', ...settings({ pvtSubnet: '172.21.0.0/16' }));
});

objapi('TestGlobalSettingSubnet', async (api) => {
  await api.ok('POST', ...network('default', 'contiv7', '16.1.1.1/24'));
  const message = 'Unable to update private subnet due to existing 1 vxlans';
  await api.refused(409, message, 'POST', ...settings({ pvtSubnet: '172.21.0.0/16' }));
  await api.ok('DELETE', 'networks/default:contiv7/');
  await api.ok('POST', ...settings({ pvtSubnet: '172.21.0.0/16' }));
});

objapi('TestGlobalSetting', async (api) => {
  await api.ok('POST', ...settings());
  await api.ok('POST', ...settings({ networkInfraType: 'aci', arpMode: 'flood', pvtSubnet: '172.20.0.0/16' }));
  await api.ok('POST', ...settings({ vlans: '1-1000', vxlans: '1001-2000' }));
  // What is not given stays as it is.
  await api.ok('POST', 'globals/global/', { arpMode: 'flood' });
  const { vlans, vxlans, arpMode, pvtSubnet } = (await api.ok('GET', 'globals/global/')).json;
  assert.deepEqual([vlans, vxlans, arpMode, pvtSubnet], ['1-1000', '1001-2000', 'flood', '172.19.0.0/16']);
  assert.equal((await oper(api, 'globals/global/')).freeVXLANsStart, 1000);
  const refused = (message: string, more: object) => api.refused(400, message, 'POST', ...settings(more));
  await refused('networkInfraType string invalid format', { networkInfraType: 'xyz' });
  await refused('invalid range 1-5000, vlan values exceed 4095 max allowed', { vlans: '1-5000' });
  await refused('invalid range 0-4094, values less than 1', { vlans: '0-4094' });
  await refused('invalid range 5-3, min is greater than max', { vlans: '5-3' });
  for (const bad of ['1', '1?2', 'abcd', '1-2-3', '-']) await refused('vlans string invalid format', { vlans: bad });
  // Contiv's masters know 65,535 of the 16,777,215 VNIs, and 16,000 of them at a time.
  await refused('invalid range 1-99999999, vxlan values exceed 16777215 max allowed', { vxlans: '1-99999999' });
  await api.ok('POST', ...settings({ vxlans: '1-100000' }));
  await refused('pvtSubnet string invalid format', { pvtSubnet: '172.21.0.0/24' });
  await refused('fwdMode string invalid format', { fwdMode: 'bridged' });
  await refused('arpMode string invalid format', { arpMode: 'banana' });
  await refused('Invalid Key', { name: 'other' });
});

objapi('TestAciGwSetting', async (api) => {
  const paths = 'topology/pod-1/paths-101/pathep-[eth1/14]';
  const gateway = (more: object) => ['aciGws/aciGw/', { physicalDomain: 'testDom', ...more }] as const;
  await api.refused(404, 'aciGw not found', 'GET', 'inspect/aciGws/aciGw/');
  await api.ok('POST', ...gateway({ pathBindings: paths, enforcePolicies: 'yes', includeCommonTenant: 'yes' }));
  await api.ok('DELETE', 'aciGws/aciGw/');
  await api.refused(
    400,
    'pathBindings string invalid format',
    'POST',
    ...gateway({ pathBindings: `${paths},pod-1/x` }),
  );
  await api.refused(
    400,
    'nodeBindings string invalid format',
    'POST',
    ...gateway({ nodeBindings: 'topology/tor-1/node-101' }),
  );
  await api.refused(400, 'enforcePolicies string invalid format', 'POST', ...gateway({ enforcePolicies: 'maybe' }));
  await api.ok('POST', ...gateway({ pathBindings: `${paths},${paths}`, nodeBindings: 'topology/pod-1/node-101' }));
  await api.ok('POST', ...network('default', 'aci-net', '23.1.2.1/16', { encap: 'vlan' }));
  await api.ok('POST', ...group('default', 'aci-net', 'epg1'));
  await api.ok('POST', ...appProfile('default', 'app-prof-1', ['epg1']));
  assert.deepEqual(await oper(api, 'aciGws/aciGw/'), { numAppProfiles: 1 });
  await api.refused(409, '1 App-Profiles found. Delete them first', 'DELETE', 'aciGws/aciGw/');
  await api.ok('DELETE', 'appProfiles/default:app-prof-1/');
  await api.ok('DELETE', 'aciGws/aciGw/');
});

objapi('TestServicePreferredIP', async (api, bench) => {
  await api.ok('POST', ...network('default', 'yellow', '10.1.1.0/24', { gateway: '10.1.1.254' }));
  await api.ok('POST', ...group('default', 'yellow', 'g', { ipPool: '10.1.1.1-10.1.1.5' }));
  await api.ok('POST', ...service('redis', 'yellow', { ipAddress: '10.1.1.30' }));
  assert.deepEqual(await oper(api, 'serviceLBs/default:redis/'), { serviceVip: '10.1.1.30' });
  await api.ok('POST', ...service('web', 'yellow'));
  assert.deepEqual(await oper(api, 'serviceLBs/default:web/'), { serviceVip: '10.1.1.6' });
  const { allocatedIPAddresses } = await oper(api, 'networks/default:yellow/');
  assert.equal(allocatedIPAddresses, '10.1.1.1-10.1.1.6, 10.1.1.30, 10.1.1.254');
  for (const ipAddress of ['10.1.1.30', '10.1.1.254', '10.1.1.3']) {
    await api.refused(
      409,
      `ip address ${ipAddress} is not available`,
      'POST',
      ...service('other', 'yellow', { ipAddress }),
    );
  }
  for (const ipAddress of ['10.1.2.1', '10.1.1.0', '10.1.1.255']) {
    await api.refused(
      400,
      `ip address ${ipAddress} is not in network yellow`,
      'POST',
      ...service('other', 'yellow', { ipAddress }),
    );
  }
  await api.refused(400, 'Network nosuch not found', 'POST', ...service('other', 'nosuch'));
  await api.refused(400, 'Invalid selector options', 'POST', ...service('other', 'yellow', { selectors: [] }));
  const selector = 'Invalid selector banana. selector format is key1=value1';
  await api.refused(400, selector, 'POST', ...service('other', 'yellow', { selectors: ['a=b', 'banana'] }));
  // Contiv's master crashed on the first of these, and took the others.
  for (const port of ['banana', '80:8080', '80:8080:sctp', '0:80:TCP', '80:65536:TCP', '80:8080:TCP:x', ':::']) {
    const message = 'Invalid Port maping . Port format is - Port:TargetPort:Protocol';
    await api.refused(400, message, 'POST', ...service('other', 'yellow', { ports: ['80:8080:TCP', port] }));
  }
  await api.refused(409, 'cannot delete yellow has 1 endpoint groups', 'DELETE', 'networks/default:yellow/');
  await api.ok('DELETE', 'endpointGroups/default:g/');
  await api.refused(409, 'cannot delete yellow has 2 services', 'DELETE', 'networks/default:yellow/');
  for (const name of ['redis', 'web']) await api.ok('DELETE', `serviceLBs/default:${name}/`);
  assert.deepEqual((await bench.store.list(keys.leases)).entries, []);
  await api.ok('DELETE', 'networks/default:yellow/');
});

objapi('TestBgp', async (api) => {
  const body = {
    as: '65001',
    hostname: 'hostA',
    neighbor: '16.1.2.3',
    'neighbor-as': '65002',
    routerip: '65.1.1.1/24',
  };
  await api.ok('POST', 'Bgps/hostA/', body);
  assert.deepEqual((await api.ok('GET', 'Bgps/hostA/')).json, { key: 'hostA', ...body });
  // Contiv asked the host's agent at once, and failed where there was none.
  assert.deepEqual((await api.ok('GET', 'inspect/Bgps/hostA/')).json, { Config: { key: 'hostA', ...body }, Oper: {} });
  assert.equal((await api.ok('PUT', 'Bgps/hostA/', { ...body, neighbor: '16.1.2.4' })).json.neighbor, '16.1.2.4');
  await api.refused(400, 'routerip string invalid format', 'POST', 'Bgps/hostA/', { ...body, routerip: 'banana' });
  await api.refused(400, 'Invalid Key', 'POST', 'Bgps/hostA/', { ...body, hostname: '' });
  await api.ok('DELETE', 'Bgps/hostA/');
  await api.refused(404, 'Bgp not found', 'DELETE', 'Bgps/hostA/');
});

objapi('TestEPCreate', async (api, bench) => {
  await api.ok('POST', ...tenant('teatwo'));
  await api.ok('POST', ...network('teatwo', 't2-net', '60.1.1.1/24', { encap: 'vlan', gateway: '60.1.1.254' }));
  await api.ok('POST', ...group('teatwo', 't2-net', 't2-epgA'));
  const lease = async (address: string) => {
    const found = (await bench.master.registry.current()).get('network', 'teatwo:t2-net')!;
    const key = `${keys.poolLeases(networkPool(found))}${address}`;
    await bench.store.transact({ then: [{ do: 'put', key, value: '{}' }] });
  };
  assert.equal((await oper(api, 'networks/teatwo:t2-net/')).allocatedIPAddresses, '60.1.1.254');
  await lease('60.1.1.1');
  await addEndpoint(bench.store, 'teatwo:t2-net', 'c1231', {
    group: 'teatwo:t2-epgA',
    addresses: ['60.1.1.1'],
    labels: { b: '2', a: '1' },
    containerName: 'web',
    containerId: 'abc',
  });
  const seen = await oper(api, 'networks/teatwo:t2-net/');
  assert.deepEqual(
    [seen.allocatedIPAddresses, seen.allocatedAddressesCount, seen.numEndpoints],
    ['60.1.1.1, 60.1.1.254', 1, 1],
  );
  await lease('60.1.1.2');
  assert.equal((await oper(api, 'networks/teatwo:t2-net/')).allocatedIPAddresses, '60.1.1.1-60.1.1.2, 60.1.1.254');
  const endpoint = {
    containerID: 'abc',
    containerName: 'web',
    endpointGroupId: 1,
    endpointGroupKey: 't2-epgA:teatwo',
    endpointID: 'c1231',
    homingHost: 'host1',
    ipAddress: ['60.1.1.1', ''],
    labels: 'map[a:1 b:2]',
    macAddress: '02:02:0a:01:01:01',
    network: 't2-net.teatwo',
    serviceName: 't2-epgA',
  };
  for (const text of ['c123', 'abc', 'web']) {
    assert.deepEqual((await api.ok('GET', `inspect/endpoints/${text}/`)).json, { Oper: endpoint });
  }
  assert.deepEqual((await oper(api, 'endpointGroups/teatwo:t2-epgA/')).endpoints, [endpoint]);
  assert.equal((await oper(api, 'tenants/teatwo/')).totalEndpoints, 1);
  await api.refused(404, 'endpoint not found', 'GET', 'inspect/endpoints/nosuch/');
  await api.refused(409, 'Error: EPG t2-epgA has active endpoints', 'DELETE', 'endpointGroups/teatwo:t2-epgA/');
  await api.ok('POST', ...group('teatwo', 't2-net', 't2-epgB'));
  await api.ok('DELETE', 'endpointGroups/teatwo:t2-epgB/');
  const taken = group('teatwo', 't2-net', 'pooled', { ipPool: '60.1.1.2-60.1.1.9' });
  await api.refused(409, 'ip address 60.1.1.2 is not available', 'POST', ...taken);
  await api.ok('POST', ...group('teatwo', 't2-net', 'pooled', { ipPool: '60.1.1.3-60.1.1.9' }));
});

test('TestClusterMode', async () => {
  for (const clusterMode of ['docker', 'swarm-mode']) {
    await using bench = await startBench({ clusterMode });
    assert.equal((await bench.call('GET', 'inspect/globals/global/')).json.Oper.clusterMode, clusterMode);
  }
});
