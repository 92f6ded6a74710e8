import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Port, portSchema } from '../../openstack/neutron/objects.ts';
import { bindingOf } from './port-state.ts';

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
