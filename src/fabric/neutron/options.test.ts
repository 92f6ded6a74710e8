import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import { readPortWishes, readWishes } from './options.ts';

const uuid = '0123abcd-4567-89ab-cdef-0123456789ab';

test('what kuryr’s users write is understood', () => {
  assert.deepEqual(readWishes({}), { subnets: {}, pools: {} });
  assert.deepEqual(readWishes({ 'neutron.net.uuid': uuid.toUpperCase(), 'neutron.net.shared': 'True' }), {
    network: { uuid },
    shared: true,
    subnets: {},
    pools: {},
  });
  assert.deepEqual(
    readWishes({
      'neutron.net.name': 'blue',
      'neutron.subnet.name': 'four',
      'neutron.subnet.v6.uuid': uuid.replaceAll('-', ''),
      'neutron.pool.uuid': uuid,
      'neutron.pool.v6.name': 'kuryr6',
    }),
    {
      network: { name: 'blue' },
      subnets: { 4: { name: 'four' }, 6: { uuid } },
      pools: { 4: { uuid }, 6: { name: 'kuryr6' } },
    },
  );
});

test('what kuryr did not have', () => {
  assert.deepEqual(
    readWishes({
      'neutron.security_groups': `web, ${uuid}`,
      'neutron.port_security': 'true',
      'neutron.qos_policy': 'gold',
      'neutron.dns_domain': 'example.org.',
      'neutron.dhcp': 'false',
      mtu: '1400',
    }),
    {
      subnets: {},
      pools: {},
      securityGroups: [{ name: 'web' }, { uuid }],
      portSecurity: true,
      qosPolicy: { name: 'gold' },
      dnsDomain: 'example.org.',
      dhcp: false,
      mtu: 1400,
    },
  );
  assert.deepEqual(readWishes({ 'neutron.security_groups': 'none' }).securityGroups, []);
});

test('how a network and a container are reached from outside', () => {
  const { router, floatingNetwork, publish } = readWishes({
    'neutron.router': 'edge',
    'neutron.floating_network': uuid,
    'neutron.publish': 'floating-ip',
  });
  assert.deepEqual([router, floatingNetwork, publish], [{ name: 'edge' }, { uuid }, 'floating-ip']);
  const wishes = (given: Record<string, string>) => readPortWishes(given).wishes;
  assert.deepEqual(wishes({ 'neutron.floating_network': 'none' }), { floatingNetwork: 'none' });
  assert.deepEqual(wishes({ 'neutron.floating_network': 'public' }), { floatingNetwork: { name: 'public' } });
  assert.deepEqual(wishes({ 'neutron.floating_ip': '172.24.4.9' }), { floatingIp: { address: '172.24.4.9' } });
  assert.deepEqual(wishes({ 'neutron.floating_ip': uuid }), { floatingIp: { uuid } });
  const both = { 'neutron.floating_ip': uuid, 'neutron.floating_network': 'public' };
  for (const wrong of [{ 'neutron.floating_ip': 'fd00::1' }, { 'neutron.floating_ip': 'mine' }, both])
    assert.throws(() => wishes(wrong), { code: 'BAD_OPTION' });
});

test('mistakes have a sentence', () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ 'neutron.net.uuid': 'blue' }, /'neutron.net.uuid' is a UUID, not 'blue'/],
    [
      { 'neutron.net.uuid': uuid, 'neutron.net.name': 'blue' },
      /give 'neutron.net.uuid' or 'neutron.net.name', not both/,
    ],
    [{ 'neutron.net.name': '' }, /a name of 1 to 255 characters/],
    [{ 'neutron.net.shared': 'yes' }, /true or false, not 'yes'/],
    [{ 'neutron.security_groups': 'web,,db' }, /'neutron.security_groups' is a name/],
    [{ 'neutron.nets.uuid': uuid }, /'neutron.nets.uuid' is not known; did you mean 'neutron.net.uuid'/],
    [{ mtu: '900' }, /1280 to 65535/],
  ];
  for (const [options, sentence] of refused)
    assert.throws(
      () => readWishes(options),
      (error: unknown) => {
        assert.ok(error instanceof BerthError && error.code === 'BAD_OPTION');
        assert.match(error.message, sentence);
        return true;
      },
    );
});
