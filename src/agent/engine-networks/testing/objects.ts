/** Objects of a cluster, made as requests to the API make them, without a store. */

import { draftDelete, draftPut, readBody } from '../../../model/objects/change.ts';
import type { KindName, Objects } from '../../../model/objects/kind.ts';
import { kindOf } from '../../../model/objects/kinds.ts';
import { createObjectSet } from '../../../model/objects/object-set.ts';

export interface TestObjects extends Objects {
  make(kind: KindName, key: string, body: Readonly<Record<string, unknown>>): void;
  remove(kind: KindName, key: string): void;
  network(key: string, subnet: string, more?: Readonly<Record<string, unknown>>): void;
  group(key: string, network: string, more?: Readonly<Record<string, unknown>>): void;
}

/** With the tenants `default` and `blue`. Each object is a millisecond younger than the one before. */
export function testObjects(): TestObjects {
  const set = createObjectSet();
  let clock = 1000;
  const self: TestObjects = {
    get: set.get,
    list: set.list,
    ofTenant: set.ofTenant,
    referring: set.referring,
    make(name, key, body) {
      const kind = kindOf(name);
      const { config, allocated, existing } = draftPut(kind, key, readBody(kind, key, body), set);
      clock += 1;
      set.put({ kind: name, key, config, allocated, createdAt: existing?.createdAt ?? clock, revision: clock });
    },
    remove(name, key) {
      for (const object of draftDelete(kindOf(name), key, set)) set.delete(object.kind, object.key);
    },
    network(key, subnet, more = {}) {
      const [tenantName, networkName] = key.split(':');
      self.make('network', key, { tenantName, networkName, subnet, encap: 'vxlan', ...more });
    },
    group(key, networkName, more = {}) {
      const [tenantName, groupName] = key.split(':');
      self.make('endpointGroup', key, { tenantName, groupName, networkName, ...more });
    },
  };
  self.make('global', 'global', { name: 'global', fwdMode: 'bridge' });
  for (const tenantName of ['default', 'blue']) self.make('tenant', tenantName, { tenantName });
  return self;
}
