/** Requests as engines send them (recorded from 20.10, read from the source of later ones), and what drivers get. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bits, formatAddress, parseAddress } from '../model/address.ts';
import type { BerthError } from '../model/errors.ts';
import { formatPrefix } from '../model/prefix.ts';
import {
  checkShape,
  decodeCreateEndpoint,
  decodeCreateNetwork,
  decodeJoin,
  decodeRequestAddress,
  decodeRequestPool,
} from './decode.ts';
import { encodeCreatedEndpoint, encodeError, encodeJoined } from './encode.ts';
import { parseJson } from './json.ts';
import { shown } from './text.ts';
import * as wire from './wire.ts';

const N = 'a'.repeat(64);
const E = 'b'.repeat(64);

const network = (body: object) =>
  decodeCreateNetwork(checkShape('CreateNetwork', wire.createNetworkRequest, { NetworkID: N, ...body }));
const endpointWire = (body: object) =>
  checkShape('CreateEndpoint', wire.createEndpointRequest, { NetworkID: N, EndpointID: E, ...body });
const endpoint = (body: object) => decodeCreateEndpoint(endpointWire(body));
const join = (body: object) =>
  decodeJoin(checkShape('Join', wire.joinRequest, { NetworkID: N, EndpointID: E, ...body }));
const pool = (body: object) =>
  decodeRequestPool(checkShape('RequestPool', wire.requestPoolRequest, { AddressSpace: 'L', ...body }));
const address = (body: object) =>
  decodeRequestAddress(checkShape('RequestAddress', wire.requestAddressRequest, { PoolID: 'L/10.1.0.0-24', ...body }));

describe('CreateNetwork', () => {
  it('with everything', () => {
    const decoded = network({
      Options: {
        'com.docker.network.generic': { mtu: '1400', 'berth.vlan': '7' },
        'com.docker.network.enable_ipv4': true,
        'com.docker.network.enable_ipv6': true,
        'com.docker.network.internal': true,
        'com.docker.network.of_the_future': [1],
      },
      IPv4Data: [
        {
          AddressSpace: '',
          Pool: '10.1.0.0/24',
          Gateway: '10.1.0.1/24',
          AuxAddresses: { a: '10.1.0.5/24', b: '10.1.0.6' },
        },
        { AddressSpace: '', Pool: '10.2.0.0/24' },
      ],
      IPv6Data: [{ Pool: 'fd00::/64', Gateway: 'fd00::1/64' }],
    });
    assert.deepEqual(
      { ...decoded, subnets: undefined },
      {
        id: N,
        internal: true,
        ipv6: true,
        options: { mtu: '1400', 'berth.vlan': '7' },
        subnets: undefined,
      },
    );
    assert.deepEqual(
      decoded.subnets.map(({ prefix, gateway, auxiliary }) => [
        formatPrefix(prefix),
        gateway && formatAddress(gateway),
        Object.entries(auxiliary).map(([name, value]) => `${name}=${formatAddress(value)}`),
      ]),
      [
        ['10.1.0.0/24', '10.1.0.1', ['a=10.1.0.5', 'b=10.1.0.6']],
        ['10.2.0.0/24', undefined, []],
        ['fd00::/64', 'fd00::1', []],
      ],
    );
  });

  it('with what Go writes for nothing', () => {
    for (const nothing of [
      {},
      { Options: null, IPv4Data: null, IPv6Data: null },
      { Options: { 'com.docker.network.generic': null }, IPv4Data: [] },
    ])
      assert.deepEqual(network(nothing), { id: N, subnets: [], internal: false, ipv6: false, options: {} });
  });

  it('with the null IPAM, which has a pool of everything', () => {
    assert.deepEqual(network({ IPv4Data: [{ AddressSpace: 'null', Pool: '0.0.0.0/0' }] }).subnets, []);
  });

  it('with an id of swarm', () => {
    assert.equal(network({ NetworkID: 'vk0g3h1k0wtx9ofj5w5b3k7ez' }).id, 'vk0g3h1k0wtx9ofj5w5b3k7ez');
  });
});

describe('CreateEndpoint', () => {
  it('with everything', () => {
    const decoded = endpoint({
      Interface: { Address: '10.1.0.5/24', AddressIPv6: 'fd00::5/64', MacAddress: '02:42:0A:01:00:05' },
      Options: {
        'berth.qos': 'gold',
        'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.forwarding=1',
        'com.docker.network.endpoint.ifname': 'lan0',
        'com.docker.network.endpoint.macaddress': 'AkIKAQAF',
        'com.docker.network.endpoint.dnsservers': ['1.1.1.1'],
        'com.docker.network.endpoint.exposedports': [{ Proto: 6, Port: 80 }],
        'com.docker.network.portmap': [{ Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 8080, HostPortEnd: 8080 }],
        'com.docker.network.of_the_future': { deep: true },
      },
    });
    assert.deepEqual(
      { ...decoded, addresses: decoded.addresses.map(formatPrefix) },
      {
        network: N,
        endpoint: E,
        addresses: ['10.1.0.5/24', 'fd00::5/64'],
        mac: '02:42:0a:01:00:05',
        options: {
          'berth.qos': 'gold',
          'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.forwarding=1',
          'com.docker.network.endpoint.ifname': 'lan0',
        },
        publishes: true,
        exposes: ['80/tcp'],
      },
    );
  });

  it('with nothing', () => {
    const nothing = { network: N, endpoint: E, addresses: [], options: {}, publishes: false };
    assert.deepEqual(endpoint({}), nothing);
    assert.deepEqual(endpoint({ Interface: null, Options: null }), nothing);
    assert.deepEqual(
      endpoint({
        Interface: { Address: '', AddressIPv6: '', MacAddress: '' },
        Options: { 'com.docker.network.portmap': null },
      }),
      nothing,
    );
  });

  it('exposing a port is not publishing it', () => {
    assert.equal(
      endpoint({ Options: { 'com.docker.network.endpoint.exposedports': [{ Proto: 132, Port: 80 }] } }).publishes,
      false,
    );
  });

  it('takes the MAC address of the option when the interface has none', () => {
    assert.equal(
      endpoint({ Options: { 'com.docker.network.endpoint.macaddress': 'AkIKAQAF' } }).mac,
      '02:42:0a:01:00:05',
    );
  });

  it('answers only what was left empty', () => {
    const all = endpoint({
      Interface: { Address: '10.1.0.5/24', AddressIPv6: 'fd00::5/64', MacAddress: '02:42:0a:01:00:05' },
    });
    const created = { addresses: all.addresses, mac: all.mac! };
    const answer = (Interface: object) =>
      encodeCreatedEndpoint(endpointWire({ Interface }), endpoint({ Interface }), created);
    assert.deepEqual(answer({ Address: '10.1.0.5/24', AddressIPv6: 'fd00::5/64', MacAddress: '02:42:0A:01:00:05' }), {
      Interface: {},
    });
    assert.deepEqual(answer({ Address: '10.1.0.5/24' }), {
      Interface: { AddressIPv6: 'fd00::5/64', MacAddress: '02:42:0a:01:00:05' },
    });
    assert.deepEqual(answer({ MacAddress: '02:42:0a:01:00:05' }), {
      Interface: { Address: '10.1.0.5/24', AddressIPv6: 'fd00::5/64' },
    });
  });
});

describe('Join', () => {
  it('knows whether the container publishes', () => {
    const portmap = { 'com.docker.network.portmap': [{ Proto: 17, Port: 53 }] };
    assert.deepEqual(join({ SandboxKey: '/var/run/docker/netns/0123456789ab', Options: portmap }), {
      network: N,
      endpoint: E,
      sandbox: '/var/run/docker/netns/0123456789ab',
      publishes: true,
      published: [{ protocol: 17, port: 53 }],
    });
    assert.equal(join({ SandboxKey: '/x', Options: null }).publishes, false);
  });

  it('tells every port, and how it is to be had from outside', () => {
    const ports = (published: readonly object[], exposed: readonly object[] = []) => {
      const Options = {
        'com.docker.network.portmap': published,
        'com.docker.network.endpoint.exposedports': exposed,
      };
      const told = join({ SandboxKey: '/x', Options });
      return [told.published, told.exposed];
    };
    const bound = { Proto: 6, IP: '', Port: 80, HostIP: '127.0.0.1', HostPort: 8080, HostPortEnd: 8090 };
    const at = parseAddress('127.0.0.1')!;
    assert.deepEqual(
      ports(
        [bound, { Proto: 6, Port: 443, HostIP: '0.0.0.0', HostPort: 0, HostPortEnd: 0 }],
        [{ Proto: 132, Port: 7 }],
      ),
      [
        [
          { protocol: 6, port: 80, outside: { first: 8080, last: 8090 }, at },
          { protocol: 6, port: 443 },
        ],
        [{ protocol: 132, port: 7 }],
      ],
    );
    assert.deepEqual(ports([{ Proto: 6, Port: 80, HostPort: 8080 }]), [
      [{ protocol: 6, port: 80, outside: { first: 8080, last: 8080 } }],
      undefined,
    ]);
    assert.deepEqual(ports([]), [undefined, undefined]);
    assert.throws(() => ports([{ ...bound, HostIP: 'here' }]), { code: 'BAD_REQUEST', message: /HostIP "here"/ });
  });

  it('is answered with routes of both kinds', () => {
    const v4 = endpoint({ Interface: { Address: '10.1.0.1/24' } }).addresses[0]!.address;
    const v6 = endpoint({ Interface: { AddressIPv6: 'fe80::1/64' } }).addresses[0]!.address;
    const to = network({ IPv4Data: [{ Pool: '10.9.0.0/16' }] }).subnets[0]!.prefix;
    const base = { sourceName: 'bv1', destinationPrefix: 'eth', disableGatewayService: false };
    assert.deepEqual(
      encodeJoined({
        ...base,
        gateway4: v4,
        gateway6: v6,
        routes: [{ destination: to, via: v4 }, { destination: to }],
      }),
      {
        InterfaceName: { SrcName: 'bv1', DstPrefix: 'eth' },
        Gateway: '10.1.0.1',
        GatewayIPv6: 'fe80::1',
        StaticRoutes: [
          { Destination: '10.9.0.0/16', RouteType: 0, NextHop: '10.1.0.1' },
          { Destination: '10.9.0.0/16', RouteType: 1 },
        ],
        DisableGatewayService: false,
      },
    );
    const { Gateway, GatewayIPv6 } = encodeJoined({ ...base, routes: [] }) as Record<string, unknown>;
    assert.deepEqual([Gateway, GatewayIPv6], [undefined, undefined]);
  });
});

describe('RequestPool', () => {
  const told = (body: object) => {
    const { subnet, range, ...rest } = pool(body);
    return { ...rest, subnet: subnet && formatPrefix(subnet), range: range && formatPrefix(range) };
  };
  const base = { space: 'L', options: {}, subnet: undefined, range: undefined };

  it('chooses by family and length', () => {
    assert.deepEqual(told({ Pool: '', SubPool: '', Options: null, V6: false }), { ...base, family: 4 });
    assert.deepEqual(told({ V6: true, Options: { o: 'x' } }), { ...base, family: 6, options: { o: 'x' } });
    assert.deepEqual(told({ Pool: '0.0.0.0/26' }), { ...base, family: 4, length: 26 });
    assert.deepEqual(told({ Pool: '::/80', V6: true }), { ...base, family: 6, length: 80 });
  });

  it('takes what the user chose', () => {
    assert.deepEqual(told({ Pool: '10.1.0.0/24', SubPool: '10.1.0.128/25' }), {
      ...base,
      family: 4,
      subnet: '10.1.0.0/24',
      range: '10.1.0.128/25',
    });
    assert.deepEqual(told({ Pool: 'FD00:0::/64', V6: true }), { ...base, family: 6, subnet: 'fd00::/64' });
    assert.deepEqual(told({ Pool: '10.1.0.0/24', SubPool: '10.1.0.0/24' }).range, '10.1.0.0/24');
  });
});

describe('RequestAddress', () => {
  const told = (body: object) => {
    const { address: one, ...rest } = address(body);
    return { ...rest, address: one && formatAddress(one) };
  };
  const base = { pool: 'L/10.1.0.0-24', address: undefined };

  it('for a gateway, an endpoint, an auxiliary', () => {
    assert.deepEqual(told({ Address: '', Options: { RequestAddressType: 'com.docker.network.gateway' } }), {
      ...base,
      purpose: 'gateway',
    });
    assert.deepEqual(
      told({
        Options: {
          'com.docker.network.endpoint.macaddress': '02-42-0A-01-00-05',
          'com.docker.network.endpoint.name': '/web',
        },
      }),
      { ...base, purpose: 'endpoint', mac: '02:42:0a:01:00:05', name: 'web' },
    );
    assert.deepEqual(told({ Address: '10.1.0.7', Options: null }), {
      ...base,
      purpose: 'endpoint',
      address: '10.1.0.7',
    });
    assert.deepEqual(told({ Options: { 'com.docker.network.ipam.serial': 'true' } }), {
      ...base,
      purpose: 'endpoint',
      swarm: true,
    });
  });

  it('with pool ids of other IPAM drivers', () => {
    for (const id of [
      'LocalDefault/10.0.0.0/24',
      'CalicoPoolIPv6',
      'L/fd00::-64/fd00::8000-113',
      '9e0c8c5e-8d4c-4a39-bb0c-5c0e7a3a2b1f',
    ])
      assert.equal(told({ PoolID: id }).pool, id);
  });
});

describe('any bytes, any JSON', () => {
  const decoders = [network, endpoint, join, pool, address];
  /** A result, or an error that is fit for one line. */
  const holds = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      assert.equal((error as Error).name, 'BerthError');
      assert.notEqual((error as BerthError).code, 'INTERNAL');
      const { Err } = encodeError(error as BerthError) as { Err: string };
      assert.doesNotMatch(Err, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      assert.ok(Err.length < 1100);
    }
  };

  it('bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => holds(() => parseJson(bytes))),
      { numRuns: 2000 },
    );
  });

  it('a value in every field', () => {
    const names = [
      'NetworkID',
      'EndpointID',
      'Options',
      'IPv4Data',
      'IPv6Data',
      'Interface',
      'SandboxKey',
      'Pool',
      'SubPool',
      'V6',
      'PoolID',
      'Address',
      'AddressSpace',
    ];
    const body = fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' })));
    fc.assert(
      fc.property(body, (value) => {
        for (const decode of decoders) holds(() => decode(value));
      }),
      { numRuns: 2000 },
    );
  });

  it('parseJson agrees with JSON.parse on what it accepts', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        try {
          assert.deepEqual(parseJson(Buffer.from(text)), JSON.parse(text));
        } catch (error) {
          assert.match((error as Error).message, /the key "__proto__"|twice in one object/);
        }
      }),
    );
  });

  it('every subnet comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 6 as const),
        fc.bigInt({ min: 1n, max: (1n << 128n) - 1n }),
        fc.nat(),
        (family, seed, pick) => {
          const width = bits(family);
          const length = 1 + (pick % width);
          const shift = BigInt(width - length);
          const value = ((seed & ((1n << BigInt(width)) - 1n)) >> shift) << shift;
          if (value === 0n || (family === 6 && value >> 32n === 0xffffn)) return;
          const text = formatPrefix({ address: { family, value }, length });
          assert.equal(formatPrefix(pool({ Pool: text, V6: family === 6 }).subnet!), text);
        },
      ),
    );
  });
});

describe('shown', () => {
  it('cuts, escapes and names', () => {
    assert.equal(shown('a\u202eb\n\u0085\ud800'), '"a\\u{202e}b\\u{a}\\u{85}\\u{d800}"');
    assert.equal(shown('naïve 网络'), '"naïve 网络"');
    assert.match(shown('x'.repeat(100)), /^"x{80}… \(100 characters\)"$/);
    assert.deepEqual([null, undefined, 1.5, true, [], {}].map(shown), [
      'null',
      'nothing',
      '1.5',
      'true',
      'a list',
      'an object',
    ]);
  });
});
