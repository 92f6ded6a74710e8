/** What becomes of ports that users have made to be used. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndpointId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import { formatPrefix } from '../../model/prefix.ts';
import { type Answer, failureOf, json } from '../../openstack/testing/fake-cloud.ts';
import {
  address,
  bounds,
  bridged,
  cloud,
  codeOf,
  hold,
  type Made,
  mac,
  making,
  neutron,
  PORTS,
  place,
  pool,
  pool6,
  refusing,
  v4,
  v6,
} from './testing/ports.ts';

describe('a port that is there already', () => {
  const free = {
    id: 'u1',
    name: 'mine',
    network_id: 'n1',
    mac_address: 'fa:16:3e:00:00:01',
    fixed_ips: [{ subnet_id: 's4', ip_address: '10.0.0.9' }],
    revision_number: 3,
  };
  const wanted = { mac, address: address('10.0.0.9') };

  for (const told of [true, false])
    it(`is taken over when nobody has it, and put back as it was, ${told ? 'and' : 'though not'} told where it is bound`, async () => {
      const shown = ({ 'binding:host_id': bound, ...rest }: Record<string, unknown>) =>
        told ? { ...rest, 'binding:host_id': bound } : rest;
      let now: Record<string, unknown> = free;
      // As Neutron does: a MAC address changes only while the port is not bound.
      const update: Answer = (asked, response, nth) => {
        assert.equal(asked.headers['if-match'], `revision_number=${String(now.revision_number)}`);
        const { port } = asked.body as { port: Record<string, unknown> };
        if (now['binding:host_id'] && port.mac_address !== undefined && port.mac_address !== now.mac_address)
          return refusing('PortBound')(asked, response, nth);
        const revision_number = (now.revision_number as number) + 1;
        now = { ...now, ...port, ...bridged, revision_number };
        json({ port: shown(now) })(asked, response, nth);
        // It unbinds a port when it has answered.
        if (port['binding:host_id'] === '') now = { ...now, revision_number: revision_number + 1 };
      };
      cloud.answer({
        [`POST ${PORTS}`]: refusing('IpAddressAlreadyAllocated'),
        [`GET ${PORTS}`]: json({ ports: [free] }),
        [`PUT ${PORTS}/u1`]: update,
        [`GET ${PORTS}/u1`]: (asked, response, nth) => json({ port: shown(now) })(asked, response, nth),
      });
      const { ports, notes, idle } = await hold();
      await ports.acquire(place(v4), pool, wanted, bounds());
      assert.deepEqual([now['binding:host_id'], now.device_owner, now.mac_address], ['h1', 'compute:kuryr', mac]);
      await ports.release(pool, wanted.address);
      await idle();
      assert.deepEqual(
        [now.device_id, now.device_owner, now['binding:host_id'], now.mac_address],
        ['', '', '', free.mac_address],
      );
      assert.deepEqual([...notes.kept], []);
    });

  it('keeps its addresses, whatever second address the user names', async () => {
    const fixed_ips = [...free.fixed_ips, { subnet_id: 's6', ip_address: 'fd00::9' }];
    cloud.answer({
      [`POST ${PORTS}`]: refusing('IpAddressAlreadyAllocated'),
      [`GET ${PORTS}`]: json({ ports: [{ ...free, fixed_ips }] }),
      [`PUT ${PORTS}/u1`]: json({ port: { ...free, fixed_ips, mac_address: mac, ...bridged } }),
    });
    const { ports } = await hold();
    const both = place(v4, v6);
    await ports.acquire(both, pool, wanted, bounds());
    const failure = await failureOf(ports.acquire(both, pool6, { mac, address: address('fd00::8') }, bounds()));
    assert.equal(codeOf(failure), 'ADDRESS_TAKEN');
    assert.equal(cloud.lines.filter((line) => line.startsWith('PUT')).length, 1);
    const own = { mac, address: address('fd00::9') };
    assert.equal(formatPrefix(await ports.acquire(both, pool6, own, bounds())), 'fd00::9/64');
  });

  /** A Neutron that has this port of a user's, and makes others. */
  function having(port: typeof free & Record<string, unknown>) {
    let now: Record<string, unknown> = port;
    const isTaken = ({ fixed_ips = [] }: Partial<Made['port']>) =>
      fixed_ips.some(({ ip_address }) => port.fixed_ips.some((one) => one.ip_address === ip_address));
    const change: Answer = (asked, response, nth) => {
      const { port: wish } = asked.body as { port: Partial<Made['port']> };
      const fixed_ips = (wish.fixed_ips ?? (now.fixed_ips as typeof free.fixed_ips)).map((one) => ({
        ...one,
        ip_address: one.ip_address ?? (one.subnet_id === 's4' ? '10.0.0.7' : 'fd00::7'),
      }));
      now = { ...now, ...wish, fixed_ips, ...bridged };
      json({ port: now })(asked, response, nth);
    };
    cloud.answer({
      [`POST ${PORTS}`]: (asked, response, nth) =>
        (isTaken((asked.body as Made).port) ? refusing('IpAddressAlreadyAllocated') : making())(asked, response, nth),
      [`GET ${PORTS}`]: (asked, response, nth) => json({ ports: [now] })(asked, response, nth),
      [`GET ${PORTS}/u1`]: (asked, response, nth) => json({ port: now })(asked, response, nth),
      [`PUT ${PORTS}/u1`]: change,
      [`PUT ${PORTS}/p0`]: refusing('IpAddressAlreadyAllocated'),
      [`DELETE ${PORTS}/p0`]: json(undefined, 204),
    });
    return () => now;
  }
  const six = { ...free, fixed_ips: [{ subnet_id: 's6', ip_address: 'fd00::9' }] };
  const both = place(v4, v6);

  it('without an address of the other family is lent one', async () => {
    const now = having(free);
    const { ports, idle, notes } = await hold();
    await ports.acquire(both, pool, wanted, bounds());
    const other = await ports.acquire(both, pool6, { mac }, bounds());
    assert.equal(formatPrefix(other), 'fd00::7/64');
    assert.deepEqual(now().fixed_ips, [...free.fixed_ips, { subnet_id: 's6', ip_address: 'fd00::7' }]);
    await ports.release(pool, wanted.address);
    await ports.release(pool6, other.address);
    await idle();
    assert.deepEqual(now().fixed_ips, free.fixed_ips);
    assert.deepEqual([...notes.kept], []);
  });

  it('is lent the one that the user names', async () => {
    const now = having(free);
    const { ports, idle } = await hold();
    await ports.acquire(both, pool, wanted, bounds());
    const named = address('fd00::88');
    assert.equal(formatPrefix(await ports.acquire(both, pool6, { mac, address: named }, bounds())), 'fd00::88/64');
    assert.deepEqual(now().fixed_ips, [...free.fixed_ips, { subnet_id: 's6', ip_address: 'fd00::88' }]);
    await ports.release(pool, wanted.address);
    await ports.release(pool6, named);
    await idle();
    assert.deepEqual(now().fixed_ips, free.fixed_ips);
  });

  it('does not get back what was taken from it meanwhile', async () => {
    const now = having(free);
    const { ports, idle } = await hold();
    await ports.acquire(both, pool, wanted, bounds());
    await neutron.ports.update('u1', { fixed_ips: [{ subnet_id: 's6', ip_address: 'fd00::7' }] }, bounds());
    await ports.release(pool, wanted.address);
    await idle();
    assert.deepEqual([now().fixed_ips, now().device_id], [[], '']);
  });

  it('of the second family gets the first address from the port that was made for it', async () => {
    const now = having(six);
    const { ports, idle, book, notes } = await hold();
    const first = await ports.acquire(both, pool, { mac }, bounds());
    const named = address('fd00::9');
    assert.equal(formatPrefix(await ports.acquire(both, pool6, { mac, address: named }, bounds())), 'fd00::9/64');
    assert.deepEqual(now().fixed_ips, [...six.fixed_ips, { subnet_id: 's4', ip_address: '10.0.0.7' }]);
    assert.equal(now().mac_address, mac);
    const put = cloud.lines.indexOf(`PUT ${PORTS}/u1`);
    assert.ok(cloud.lines.indexOf(`DELETE ${PORTS}/p0`) < put);
    assert.deepEqual(
      book.ports.all().map(({ port, origin }) => [port, origin]),
      [['u1', 'adopted']],
    );
    // Docker reckons with both.
    await ports.release(pool6, named);
    await idle();
    assert.equal(now().device_owner, 'compute:kuryr');
    await ports.release(pool, first.address);
    await idle();
    assert.deepEqual([now().fixed_ips, now().device_owner], [six.fixed_ips, '']);
    assert.deepEqual([...notes.kept], []);
  });

  it('of somebody else does not cost a container its own', async () => {
    having({ ...six, device_owner: 'compute:nova' });
    const { ports, book } = await hold();
    await ports.acquire(both, pool, { mac }, bounds());
    const failure = await failureOf(ports.acquire(both, pool6, { mac, address: address('fd00::9') }, bounds()));
    assert.equal(codeOf(failure), 'ADDRESS_TAKEN');
    assert.deepEqual(
      book.ports.all().map(({ port, phase }) => [port, phase]),
      [['p0', 'held']],
    );
  });

  it('of a machine is left alone, and named', async () => {
    const taken = { ...free, device_id: 'vm', device_owner: 'compute:nova', 'binding:host_id': 'h9' };
    cloud.answer({
      [`POST ${PORTS}`]: refusing('IpAddressAlreadyAllocated'),
      [`GET ${PORTS}`]: json({ ports: [taken] }),
    });
    const { ports, notes } = await hold();
    const error = await failureOf(ports.acquire(place(v4), pool, wanted, bounds()));
    assert.equal(codeOf(error), 'ADDRESS_TAKEN');
    assert.match((error as Error).message, /10\.0\.0\.9 is held by a port of compute:nova in Neutron: 'mine' \(u1\)/);
    assert.deepEqual([...notes.kept], []);
    assert.equal(cloud.lines.length, 2);
  });

  it('is not given to a second container of this host, whatever Neutron would say', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making() });
    const { ports } = await hold();
    await ports.acquire(place(v4), pool, wanted, bounds());
    const other = { ...wanted, mac: parseMac('02:42:0a:00:00:06')! };
    assert.equal(codeOf(await failureOf(ports.acquire(place(v4), pool, other, bounds()))), 'ADDRESS_TAKEN');
    // Its MAC address neither, once it is an endpoint: until then Docker may ask again.
    const held = await ports.acquire(place(v4), pool, wanted, bounds());
    await ports.bind(place(v4), 'e1' as EndpointId, [held], mac, bounds());
    assert.equal(codeOf(await failureOf(ports.acquire(place(v4), pool, { mac }, bounds()))), 'MAC_IN_USE');
    assert.equal(cloud.lines.length, 1);
  });
});
