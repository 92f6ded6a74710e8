/** A Neutron that answers about ports as each test says, and what a host keeps of them. */

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { parseAddress } from '../../../model/address.ts';
import { BerthError } from '../../../model/errors.ts';
import type { NetworkId, PoolId } from '../../../model/ids.ts';
import { parseMac } from '../../../model/mac.ts';
import { within } from '../../../openstack/bounds.ts';
import { openSession } from '../../../openstack/keystone/session.ts';
import { createNeutron } from '../../../openstack/neutron/neutron.ts';
import { type Answer, fakeCloud, json } from '../../../openstack/testing/fake-cloud.ts';
import { createAddressChoice } from '../address-choice.ts';
import { openBook } from '../book.ts';
import { createPorts, type Place, type PortsParts } from '../ports.ts';
import { quickDepartures } from './departures.ts';
import { memoryNotes } from './notes.ts';

export const cloud = await fakeCloud();
export const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

export const PORTS = '/v2.0/ports';
export const pool = 'neutron-1/10.0.0.0-24' as PoolId;
export const pool6 = 'neutron-2/fd00::-64' as PoolId;
export const mac = parseMac('02:42:0a:00:00:05')!;
export const v4 = { id: 's4', prefix: '10.0.0.0/24', pool, routes: [] };
export const v6 = { id: 's6', prefix: 'fd00::/64', pool: pool6, routes: [] };
export const place = (...subnets: Place['settings']['subnets']): Place => ({
  network: 'a'.repeat(64) as NetworkId,
  settings: { network: 'n1', mtu: 1450, interfacePrefix: 'eth', subnets },
});

export interface Made {
  readonly port: {
    readonly device_id: string;
    readonly fixed_ips: readonly { subnet_id: string; ip_address?: string }[];
  };
}
/** As Neutron answers: with all that was asked for, and addresses where none were. */
export const making =
  (more: object = {}): Answer =>
  (asked, response, nth) => {
    const { port } = asked.body as Made;
    const fixed_ips = port.fixed_ips.map(({ subnet_id, ip_address }) => ({
      subnet_id,
      ip_address: ip_address ?? (subnet_id === 's4' ? '10.0.0.7' : 'fd00::7'),
    }));
    const answer = { id: `p${nth}`, mac_address: mac, ...bridged, ...port, fixed_ips, ...more };
    json({ port: answer }, 201)(asked, response, nth);
  };
export const bridged = { 'binding:vif_type': 'bridge', 'binding:vif_details': {} };
export const refusing = (type: string, status = 409) =>
  json({ NeutronError: { type, message: 'no', detail: '' } }, status);

export async function hold(kept = new Map(), parts: Partial<PortsParts> = {}) {
  const notes = memoryNotes(kept);
  const book = await openBook(notes, (key) => assert.fail(key));
  const departures = quickDepartures();
  const ports = createPorts({
    book,
    neutron,
    departures,
    choice: createAddressChoice(neutron),
    host: 'h1',
    owner: 'compute:kuryr',
    settle: 1000,
    unfasten: () => Promise.resolve(),
    isPlugged: () => false,
    // Nothing takes so long that Neutron could no longer be at it, however slow the machine is.
    now: () => 0,
    ...parts,
  });
  const idle = async () => {
    while (departures.waiting().count > 0) await new Promise(setImmediate);
  };
  return { notes, book, departures, ports, idle };
}

export const address = (text: string) => parseAddress(text)!;
export const bounds = () => within(5000);
export const codeOf = (error: unknown) => (error instanceof BerthError ? error.code : error);
