/**
 * Contiv's tests of its object API, each under its old name: groups, policies and profiles. What Contiv only called an error is compared with its words
 * and a status here.
 */

import assert from 'node:assert/strict';
import { addEndpoint } from './testing/bench.ts';
import { appProfile, contracts, group, network, objapi, policy, profile, rule, tenant } from './testing/contiv.ts';

objapi('TestPolicyRules', async (api, bench) => {
  await api.ok('POST', ...network('default', 'contiv', '10.1.1.1/16', { gateway: '10.1.1.254' }));
  await api.ok('POST', ...group('default', 'contiv', 'group1'));
  await addEndpoint(bench.store, 'default:contiv', 'ep1', { group: 'default:group1', addresses: ['10.1.1.15'] });
  await api.ok('POST', ...policy('default', 'policy1'));
  await api.refused(400, 'Tenant not found', 'POST', ...policy('tenant1', 'policy1'));
  await api.ok('POST', ...rule('policy1', '1', { port: 80 }));
  await api.ok('POST', ...rule('policy1', '2', { protocol: '', action: 'deny' }));
  await api.ok('POST', ...rule('policy1', '3', { direction: 'out', port: 80 }));
  await api.ok('POST', ...rule('policy1', '4', { fromIpAddress: '10.1.1.1/24' }));
  await api.ok('POST', ...rule('policy1', '5', { direction: 'out', toIpAddress: '10.1.1.1/24' }));
  await api.ok('POST', ...rule('policy1', '6', { fromEndpointGroup: 'group1', action: 'deny' }));
  await api.ok('POST', ...rule('policy1', '7', { direction: 'out', toEndpointGroup: 'group1' }));

  const refused = (message: string, more: object, status = 400) =>
    api.refused(status, message, 'POST', ...rule('policy1', 'to-ip', more));
  const own = { fromIpAddress: '10.2.1.11', toIpAddress: '10.1.1.15' };
  await refused('failed to configure 10.1.1.15, 0 endpoint groups linked to policy policy1', own, 409);
  await api.ok('POST', ...group('default', 'contiv', 'group1', { policies: ['policy1'] }));
  const away = 'failed to configure 10.1.1.19, ip address is not in epg group1:default';
  await refused(away, { ...own, toIpAddress: '10.1.1.19' }, 409);
  await api.ok('POST', ...rule('policy1', 'to-ip', own));
  await api.ok('POST', ...group('default', 'contiv', 'group1', { policies: [] }));

  const [path, body] = rule('policy1', '1', { port: 81 });
  await api.refused(409, 'can not update a rule after its created', 'POST', path, body);
  const fails = (message: string, more: object) => api.refused(400, message, 'POST', ...rule('policy1', '100', more));
  const out = { direction: 'out' };
  await fails('direction string invalid format', { direction: 'both' });
  await fails('protocol string invalid format', { protocol: 'xyz' });
  await fails('protocol string invalid format', { protocol: '256' });
  await fails('action string invalid format', { action: 'accept' });
  await fails('priority Value Out of bound', { priority: 101 });
  await fails('port Value Out of bound', { port: 65536 });
  await fails('fromIpAddress string invalid format', { fromIpAddress: '10.103.1.9/32' });
  await fails("can not specify 'to' parameters in incoming rule", { toNetwork: 'invalid' });
  await fails("can not specify 'to' parameters in incoming rule", { toEndpointGroup: 'invalid' });
  await fails('toIpAddress string invalid format', { toIpAddress: 'invalid' });
  for (const field of ['fromNetwork', 'fromEndpointGroup']) {
    await fails("can not specify 'from' parameters in outgoing rule", { ...out, [field]: 'invalid' });
  }
  await fails("can not specify 'from' parameters in outgoing rule", { ...out, fromIpAddress: '10.1.1.1' });
  await fails('can not specify both from network and from ip address', {
    fromNetwork: 'contiv',
    fromIpAddress: '10.1.1.1/24',
  });
  await fails('can not specify both to-network and to-ip address', {
    ...out,
    toNetwork: 'contiv',
    toIpAddress: '10.1.1.1/24',
  });
  await fails('can not specify both from network and from EndpointGroup', {
    fromNetwork: 'contiv',
    fromEndpointGroup: 'group1',
  });
  await fails('can not specify both to-network and to-EndpointGroup', {
    ...out,
    toNetwork: 'contiv',
    toEndpointGroup: 'group1',
  });
  await fails('from Network not found', { fromNetwork: 'invalid' });
  await fails('to Network not found', { ...out, toNetwork: 'invalid' });
  await fails('endpoint group not found', { fromEndpointGroup: 'invalid' });
  await fails('endpoint group not found', { ...out, toEndpointGroup: 'invalid' });
  await api.refused(400, 'Policy not found', 'POST', ...rule('policy2', '100'));
  await api.refused(400, 'Policy not found', 'POST', ...rule('policy1', '100', {}, 'tenant'));
  for (const id of ['to-ip', '1']) await api.ok('DELETE', `rules/default:policy1:${id}/`);
  await api.refused(404, 'rule not found', 'DELETE', 'rules/default:policy1:100/');
  await api.refused(404, 'policy not found', 'DELETE', 'policys/default:policy2/');
  // In Contiv a rule went on without the group that it named, and after the next failover matched everybody.
  await api.refused(
    409,
    'Cannot delete group1, matched by rule default:policy1:6',
    'DELETE',
    'endpointGroups/default:group1/',
  );
  await api.ok('DELETE', 'policys/default:policy1/');
  assert.deepEqual((await api.ok('GET', 'rules/')).json, []);
});

objapi('TestEpgPolicies', async (api) => {
  await api.ok('POST', ...network('default', 'contiv', '10.1.1.1/16'));
  await api.ok('POST', ...policy('default', 'policy1'));
  await api.ok('POST', ...rule('policy1', '1', { fromNetwork: 'contiv' }));
  await api.ok('POST', ...group('default', 'contiv', 'group1', { policies: ['policy1'] }));
  await api.ok('POST', ...policy('default', 'policy2'));
  await api.ok('POST', ...rule('policy2', '1', { fromEndpointGroup: 'group1' }));
  await api.ok('POST', ...group('default', 'contiv', 'group2', { policies: ['policy2'] }));
  await api.refused(
    400,
    'Policy not found',
    'POST',
    ...group('default', 'contiv', 'group3', { policies: ['invalid'] }),
  );
  await api.refused(
    400,
    'Policy not found',
    'POST',
    ...group('default', 'contiv', 'group2', { policies: ['invalid'] }),
  );
  await api.refused(400, 'Tenant not found', 'POST', ...group('invalid', 'contiv', 'group3'));
  await api.refused(400, 'Network invalid not found', 'POST', ...group('default', 'invalid', 'group3'));
  await api.refused(
    409,
    'Network contiv conflicts with the endpointGroup name',
    'POST',
    ...group('default', 'contiv', 'contiv'),
  );
  await api.refused(
    409,
    'EndpointGroup group1 conflicts with the network name',
    'POST',
    ...network('default', 'group1', '20.1.1.1/16'),
  );
  await api.ok('POST', ...network('default', 'newnet', '20.1.1.1/16'));
  await api.refused(
    409,
    'Cannot change network association after epg is created.',
    'POST',
    ...group('default', 'newnet', 'group1'),
  );
  await api.ok('POST', ...group('default', 'contiv', 'group3', { policies: ['policy1'] }));
  const changed = await api.ok('POST', ...group('default', 'contiv', 'group3', { policies: ['policy2'] }));
  assert.deepEqual(Object.keys(changed.json['link-sets'].Policies), ['default:policy2']);
  const used = (await api.ok('GET', 'policys/default:policy1/')).json['link-sets'];
  assert.deepEqual(Object.keys(used.EndpointGroups), ['default:group1']);
  await api.refused(409, 'Policy is being used', 'DELETE', 'policys/default:policy1/');
  await api.ok('DELETE', 'endpointGroups/default:group2/');
  await api.ok('DELETE', 'endpointGroups/default:group3/');
  await api.ok('DELETE', 'policys/default:policy2/');
  await api.ok('DELETE', 'endpointGroups/default:group1/');
  await api.refused(
    409,
    'cannot delete contiv, matched by rule default:policy1:1',
    'DELETE',
    'networks/default:contiv/',
  );
  await api.ok('DELETE', 'policys/default:policy1/');
  for (const name of ['contiv', 'newnet']) await api.ok('DELETE', `networks/default:${name}/`);
});

objapi('TestExtContractsGroups', async (api) => {
  await api.ok('POST', ...network('default', 'test-net', '23.1.1.1/16', { encap: 'vlan' }));
  await api.ok('POST', ...contracts('prov', 'provided'));
  await api.ok('POST', ...contracts('cons', 'consumed'));
  const type = "Contracts group need to be either 'provided' or 'consumed'";
  await api.refused(400, type, 'POST', ...contracts('blah', 'something'));
  await api.refused(409, 'external contracts update not supported', 'POST', ...contracts('prov', 'consumed'));
  await api.ok('POST', ...group('default', 'test-net', 'group3', { extContractsGrps: ['prov', 'cons'] }));
  await api.refused(409, 'External contracts group is in-use', 'DELETE', 'extContractsGroups/default:prov/');
  const bad = group('default', 'test-net', 'group4', { extContractsGrps: ['blah'] });
  await api.refused(400, 'External contracts group blah not found', 'POST', ...bad);
  await api.ok('POST', ...appProfile('default', 'app-prof-test', ['group3']));
  await api.ok('DELETE', 'appProfiles/default:app-prof-test/');
  await api.ok('DELETE', 'endpointGroups/default:group3/');
  for (const name of ['prov', 'cons']) await api.ok('DELETE', `extContractsGroups/default:${name}/`);
});

objapi('TestAppProfile', async (api) => {
  await api.ok('POST', ...network('default', 'net1', '10.1.1.1/16', { encap: 'vlan' }));
  for (const name of ['group1', 'group2', 'group3']) await api.ok('POST', ...group('default', 'net1', name));
  await api.ok('POST', ...appProfile('default', 'profile1', []));
  await api.ok('POST', ...appProfile('default', 'profile3', ['group1', 'group3']));
  const associated = 'Cannot delete group1, associated to appProfile profile3';
  await api.refused(409, associated, 'DELETE', 'endpointGroups/default:group1/');
  const changed = await api.ok('POST', ...appProfile('default', 'profile3', ['group1', 'group2']));
  assert.deepEqual(Object.keys(changed.json['link-sets'].EndpointGroups), ['default:group1', 'default:group2']);
  const link = (await api.ok('GET', 'endpointGroups/default:group2/')).json.links.AppProfile;
  assert.deepEqual(link, { type: 'appProfile', key: 'default:profile3' });
  const bad = appProfile('default', 'profile4', ['group1', 'invalid']);
  await api.refused(400, 'EndpointGroup default:invalid not found', 'POST', ...bad);
  await api.refused(400, 'Tenant nosuch not found', 'POST', ...appProfile('nosuch', 'profile4', []));
  await api.refused(404, 'appProfile not found', 'GET', 'appProfiles/default:profile4/');
  for (const name of ['profile1', 'profile3']) await api.ok('DELETE', `appProfiles/default:${name}/`);
  for (const name of ['group1', 'group2', 'group3']) await api.ok('DELETE', `endpointGroups/default:${name}/`);
});

objapi('TestEpgnpTenant', async (api) => {
  await api.ok('POST', ...network('default', 'np-net', '10.1.1.1/24'));
  await api.refused(400, 'Tenant not found', 'POST', ...group('invalid', 'np-net', 'g1', { netProfile: 'netp' }));
  await api.refused(
    400,
    'tenantName string invalid format',
    'POST',
    ...group('', 'np-net', 'g1', { netProfile: 'netp' }),
  );
  await api.ok('POST', ...tenant('blue'));
  await api.ok('POST', ...network('blue', 'netT', '10.1.2.1/24', { encap: 'vlan' }));
  await api.ok('POST', ...profile('netprofile', { DSCP: 9, burst: 1650, bandwidth: '900Mb' }, 'blue'));
  // A profile of another tenant is none.
  await api.refused(
    400,
    'netprofile not found',
    'POST',
    ...group('default', 'np-net', 'g1', { netProfile: 'netprofile' }),
  );
  await api.ok('POST', ...group('blue', 'netT', 'g1', { netProfile: 'netprofile' }));
  await api.refused(400, 'Network invalid not found', 'POST', ...group('default', 'invalid', 'g2'));
  await api.refused(400, 'networkName string invalid format', 'POST', ...group('default', '', 'g2'));
  await api.refused(400, 'groupName string invalid format', 'POST', ...group('default', 'np-net', 'in_valid'));
  await api.refused(400, 'groupName string invalid format', 'POST', ...group('default', 'np-net', ''));
  await api.ok('DELETE', 'endpointGroups/blue:g1/');
  await api.ok('DELETE', 'netprofiles/blue:netprofile/');
  await api.ok('DELETE', 'networks/blue:netT/');
  await api.ok('DELETE', 'tenants/blue/');
  // The same again: nothing of it was left.
  await api.ok('POST', ...tenant('blue'));
  assert.deepEqual((await api.ok('GET', 'tenants/blue/')).json['link-sets'], {});
});

objapi('TestEpgnp', async (api) => {
  await api.ok('POST', ...network('default', 'np-net', '10.1.1.1/24'));
  await api.refused(
    400,
    'netprofile not found',
    'POST',
    ...group('default', 'np-net', 'group1', { netProfile: 'invalid' }),
  );
  await api.ok('POST', ...group('default', 'np-net', 'group1'));
});

objapi('TestEpgUpdate', async (api) => {
  await api.ok('POST', ...network('default', 'np-net', '10.1.1.1/24'));
  for (const name of ['netprofile', 'netp']) await api.ok('POST', ...profile(name));
  const attach = async (netProfile: string) =>
    (await api.ok('POST', ...group('default', 'np-net', 'g', { netProfile }))).json.links;
  const groupsOf = async (name: string) => (await api.ok('GET', `netprofiles/default:${name}/`)).json['link-sets'];
  assert.deepEqual((await attach('')).NetProfile, {});
  assert.equal((await attach('netprofile')).NetProfile.key, 'default:netprofile');
  assert.equal((await attach('netp')).NetProfile.key, 'default:netp');
  assert.deepEqual(await groupsOf('netprofile'), {});
  assert.deepEqual(Object.keys((await groupsOf('netp')).EndpointGroups), ['default:g']);
  assert.deepEqual((await attach('')).NetProfile, {});
  const pool = group('default', 'np-net', 'g', { ipPool: '10.1.1.1-10.1.1.2' });
  await api.refused(409, 'Cannot change IP pool after epg is created.', 'POST', ...pool);
});

objapi('TestDeleteEpgNp', async (api) => {
  await api.ok('POST', ...network('default', 'np-net', '10.1.1.1/24'));
  await api.ok('POST', ...profile('netprofile'));
  await api.ok('POST', ...group('default', 'np-net', 'group1', { netProfile: 'netprofile' }));
  await api.refused(409, 'NetProfile is being used', 'DELETE', 'netprofiles/default:netprofile/');
  await api.ok('POST', ...group('default', 'np-net', 'group1'));
  await api.ok('DELETE', 'netprofiles/default:netprofile/');
});

objapi('TestNetProfileupdate', async (api) => {
  const set = async (more: object) => (await api.ok('POST', ...profile('netprofile', more))).json;
  await set({ DSCP: 5, burst: 1500, bandwidth: '2gbps' });
  const changed = await set({ DSCP: 0, burst: 150, bandwidth: '10gbps' });
  assert.deepEqual([changed.DSCP, changed.burst, changed.bandwidth], [undefined, 150, '10gbps']);
  assert.equal((await set({ burst: 1500 })).bandwidth, undefined);
  const tooSmall = 'Invalid Burst size. burst size must be > 1500 bytes';
  await api.refused(400, tooSmall, 'POST', ...profile('netprofile', { burst: 1 }));
});

objapi('TestNetprofile', async (api) => {
  const bandwidths = ['10 Gbps', '10 Gb', '10 gb', '5Gb', '6gb', '3gbps', '3Gbps', '4g', '4G', '18Mb', '2kb', ''];
  for (const bandwidth of bandwidths) await api.ok('POST', ...profile('profile3', { bandwidth }));
  const bad = ['10 Gkms', '10 G12ms', '10 ms', '10 bms', 'Gkms', 'Gbps', '0 Gbps', ' 10 Gbps', '10  Gbps', '10'];
  for (const bandwidth of bad) {
    await api.refused(400, 'bandwidth string invalid format', 'POST', ...profile('profile3', { bandwidth }));
  }
  await api.refused(400, 'DSCP Value Out of bound', 'POST', ...profile('p', { DSCP: 72 }));
  await api.refused(400, 'burst Value Out of bound', 'POST', ...profile('p', { burst: 10487 }));
  await api.refused(400, 'Invalid Burst size. burst size > 1500 bytes', 'POST', ...profile('p', { burst: 1 }));
  await api.refused(400, 'Tenant not found', 'POST', ...profile('p', {}, 'nosuch'));
  await api.refused(404, 'netprofile not found', 'DELETE', 'netprofiles/default:invalid/');
});
