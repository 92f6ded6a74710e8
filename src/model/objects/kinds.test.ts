/** The tables agree with one another, and with Contiv's model. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { draftDelete, draftPut, readBody } from './change.ts';
import { checkFields, readFields } from './field.ts';
import { kindOf, kinds, kindsByPath, references, targetsOf } from './kinds.ts';
import { createObjectSet } from './object-set.ts';
import { viewOf } from './view.ts';

describe('the tables', () => {
  it('have a field for every part of a key and every reference', () => {
    for (const kind of kinds.values()) {
      for (const field of kind.key) assert.ok(field in kind.fields, `${kind.name}.${field}`);
      // In the order in which Contiv checks them, which decides which of two faults is told.
      const names = Object.keys(kind.fields).map((name) => (name === 'neighbor-as' ? 'neighborAs' : name));
      assert.deepEqual(
        names,
        names.toSorted((a, b) => (a < b ? -1 : 1)),
        kind.name,
      );
    }
    for (const { from, field, to } of references) {
      assert.ok(field in kindOf(from).fields, `${from}.${field}`);
      assert.ok(kinds.has(to), to);
    }
    assert.equal(kindsByPath.size, kinds.size);
  });

  it('refer to no object by a name that could be of another tenant', () => {
    for (const reference of references) {
      const config = {
        tenantName: 'blue',
        [reference.field]: ['policies', 'extContractsGrps', 'endpointGroups'].includes(reference.field)
          ? ['x']
          : 'blue',
      };
      for (const { key } of targetsOf(reference, config)) assert.match(key, /^blue(:(x|blue))?$/);
    }
  });

  it('have paths and key fields as Contiv has them', () => {
    const shown = [...kinds.values()].map(({ path, key }) => `${path} ${key.join(':')}`);
    assert.deepEqual(shown, [
      'aciGws name',
      'appProfiles tenantName:appProfileName',
      'Bgps hostname',
      'endpointGroups tenantName:groupName',
      'extContractsGroups tenantName:contractsGroupName',
      'globals name',
      'netprofiles tenantName:profileName',
      'networks tenantName:networkName',
      'policys tenantName:policyName',
      'rules tenantName:policyName:ruleId',
      'serviceLBs tenantName:serviceName',
      'tenants tenantName',
    ]);
  });
});

describe('fields', () => {
  it('that are absent or null are the zero of their type; what a client sends back is passed over', () => {
    const { fields, name } = kindOf('netprofile');
    const body = {
      key: 'default:np',
      'link-sets': {},
      links: {},
      burst: null,
      tenantName: 'default',
      profileName: 'np',
    };
    assert.deepEqual(readFields(name, fields, body), {
      DSCP: 0,
      bandwidth: '',
      burst: 0,
      profileName: 'np',
      tenantName: 'default',
    });
  });

  it('that are misspelt are told of with what was meant', () => {
    const { fields, name } = kindOf('network');
    assert.throws(() => readFields(name, fields, { subnt: 'x' }), {
      message: 'network has no field "subnt"; did you mean subnet?',
    });
  });

  it('have their defaults', () => {
    const { fields, name } = kindOf('rule');
    const body = { action: 'allow', direction: 'in', policyName: 'p', ruleId: '1', tenantName: 'default' };
    assert.equal(checkFields(fields, readFields(name, fields, body)).priority, 1);
  });

  it('of names: no colon, no slash, no underscore, dots only between parts', () => {
    const { fields } = kindOf('tenant');
    const takes = (tenantName: string) => {
      try {
        checkFields(fields, { tenantName, defaultNetwork: '' });
        return true;
      } catch {
        return false;
      }
    };
    for (const good of ['a', 'A1', 'a-b', 'a.b', '1', 'a'.repeat(64)]) assert.ok(takes(good), good);
    for (const bad of ['', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a_b', 'a:b', 'a/b', 'a\n', 'é', 'a'.repeat(65)])
      assert.ok(!takes(bad), bad);
  });
});

describe('a set of objects', () => {
  const objects = createObjectSet();
  const put = (name: 'tenant' | 'policy' | 'rule', key: string, body: Record<string, string>) => {
    const { config, allocated } = draftPut(kindOf(name), key, readBody(kindOf(name), key, body), objects);
    objects.put({ kind: name, key, config, allocated, createdAt: 0, revision: 1 });
  };

  it('shows links both ways, and takes parts with the whole', () => {
    put('tenant', 'blue', { tenantName: 'blue' });
    put('policy', 'blue:p', { tenantName: 'blue', policyName: 'p' });
    for (const ruleId of ['2', '10']) {
      put('rule', `blue:p:${ruleId}`, { tenantName: 'blue', policyName: 'p', ruleId, direction: 'in', action: 'deny' });
    }
    const policy = objects.get('policy', 'blue:p')!;
    assert.deepEqual(viewOf(policy, objects), {
      key: 'blue:p',
      policyName: 'p',
      tenantName: 'blue',
      'link-sets': {
        Rules: { 'blue:p:10': { type: 'rule', key: 'blue:p:10' }, 'blue:p:2': { type: 'rule', key: 'blue:p:2' } },
      },
      links: { Tenant: { type: 'tenant', key: 'blue' } },
    });
    const gone = draftDelete(kindOf('policy'), 'blue:p', objects);
    assert.deepEqual(
      gone.map(({ key }) => key),
      ['blue:p', 'blue:p:10', 'blue:p:2'],
    );
    for (const { kind, key } of gone) objects.delete(kind, key);
    assert.deepEqual(viewOf(objects.get('tenant', 'blue')!, objects), {
      key: 'blue',
      tenantName: 'blue',
      'link-sets': {},
    });
    assert.deepEqual(objects.ofTenant('rule', 'blue'), []);
  });

  it('gives the lowest id that is free, and keeps it with its tenant', () => {
    for (const tenantName of ['a', 'c']) put('tenant', tenantName, { tenantName });
    const id = (key: string) => objects.get('tenant', key)!.allocated.id;
    assert.deepEqual(['blue', 'a', 'c'].map(id), [1, 2, 3]);
    objects.delete('tenant', 'a');
    put('tenant', 'b', { tenantName: 'b' });
    assert.deepEqual(['b', 'c'].map(id), [2, 3]);
  });
});
