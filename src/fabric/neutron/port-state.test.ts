import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Port, portSchema } from '../../openstack/neutron/objects.ts';
import { bindingOf, isFree } from './port-state.ts';

const port = (more: object = {}): Port => portSchema.parse({ id: 'p1', network_id: 'n1', ...more });
const bound = { 'binding:vif_type': 'bridge', 'binding:vif_details': {} };

describe('how a port is bound', () => {
  it('is what Neutron tells', () => {
    assert.deepEqual(bindingOf(port(bound), false), { type: 'bridge', details: {}, nic: 'normal' });
  });

  it('need not be told within a virtual machine', () => {
    assert.deepEqual(bindingOf(port(), true), { type: 'unbound', details: {}, nic: 'normal' });
  });

  for (const [missing, rules] of [
    [['vif_type'], 'get_port:binding:vif_type'],
    [['vif_details'], 'get_port:binding:vif_details'],
    [['vif_type', 'vif_details'], 'get_port:binding:vif_type and get_port:binding:vif_details'],
  ] as const)
    it(`is an error that names the rule where ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not told`, () => {
      const told = Object.entries(bound).filter(([key]) => !missing.some((name) => key === `binding:${name}`));
      assert.throws(() => bindingOf(port(Object.fromEntries(told)), false), {
        code: 'NEUTRON_DENIED',
        message: new RegExp(`must allow ${rules}$`),
      });
    });
});

describe('a port that is there', () => {
  const at = (more: object, plugged = false): boolean =>
    isFree(port({ device_id: '', device_owner: '', 'binding:host_id': '', ...more }), {
      host: 'h1',
      owner: 'compute:kuryr',
      isPlugged: (id) => plugged && id === 'p1',
    });
  const ready = { device_id: 'zun', device_owner: 'compute:kuryr', 'binding:host_id': 'h1' };

  it('is free when nobody has it, also for who is not told where it is bound', () => {
    assert.ok(at({}));
    assert.ok(at({ 'binding:host_id': undefined }));
  });

  it('is free when it is made ready for a container, as Zun does', () => {
    assert.ok(at({ device_id: 'zun' }));
    assert.ok(at(ready));
    assert.ok(at({ ...ready, device_owner: '' }));
  });

  it('is not when something is plugged in as it, or may be', () => {
    assert.ok(!at(ready, true));
    for (const more of [
      { 'binding:host_id': 'h2' },
      { 'binding:host_id': '' },
      { 'binding:host_id': undefined },
      { device_owner: 'compute:nova' },
      { description: 'berth/h1' },
      { tags: ['compute:kuryr'] },
    ])
      assert.ok(!at({ ...ready, ...more }), JSON.stringify(more));
    assert.ok(!at({ device_id: 'zun', 'binding:host_id': undefined }));
  });
});
