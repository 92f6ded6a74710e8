/** Requests that are wrong in themselves, and what the error must say. */

export const N = 'a'.repeat(64);
export const E = 'b'.repeat(64);
export const pool = (Pool: unknown, more: object = {}) => ({ NetworkID: N, IPv4Data: [{ Pool, ...more }] });
const pool6 = (Pool: unknown, more: object = {}) => ({ NetworkID: N, IPv6Data: [{ Pool, ...more }] });
const endpoint = (Interface: unknown, Options?: unknown) => ({ NetworkID: N, EndpointID: E, Interface, Options });
const want = (Pool: unknown, more: object = {}) => ({ AddressSpace: 'local', Pool, ...more });
const ask = (Address: unknown, Options: unknown = null) => ({ PoolID: 'local/10.1.0.0-24', Address, Options });
const nested = (depth: number) => `{"NetworkID":"${N}","x":${'['.repeat(depth)}${']'.repeat(depth)}}`;

type Row = readonly [title: string, method: string, body: unknown, error: RegExp];

export const create = 'NetworkDriver.CreateNetwork';
const createEndpoint = 'NetworkDriver.CreateEndpoint';
const join_ = 'NetworkDriver.Join';
const requestPool = 'IpamDriver.RequestPool';
const requestAddress = 'IpamDriver.RequestAddress';

export const hostileRequests: readonly Row[] = [
  // Not JSON, or JSON that two readers might read differently.
  ['truncated JSON', create, '{"NetworkID":"', /^CreateNetwork: the body is not JSON/],
  ['text', create, 'hello', /the body is not JSON/],
  ['two values', create, '{}{}', /the body is not JSON/],
  ['a trailing comma', create, `{"NetworkID":"${N}",}`, /the body is not JSON/],
  ['a byte order mark of UTF-16', create, Buffer.from([0xff, 0xfe, 0x7b, 0x00]), /the body is not UTF-8/],
  [
    'invalid UTF-8 in a value',
    create,
    Buffer.concat([Buffer.from('{"NetworkID":"'), Buffer.of(0xc3, 0x28), Buffer.from('"}')]),
    /not UTF-8/,
  ],
  ['zero bytes', create, Buffer.alloc(1000), /the body is not JSON/],
  ['nesting of 40', create, nested(40), /nested deeper than 32/],
  ['nesting of 250,000', create, nested(250_000), /nested deeper than 32/],
  ['__proto__ as a key', create, `{"NetworkID":"${N}","__proto__":{"IPv4Data":[]}}`, /the key "__proto__"/],
  [
    '__proto__ written with an escape',
    create,
    `{"NetworkID":"${N}","Options":{"com.docker.network.generic":{"\\u005f_proto__":"x"}}}`,
    /the key "__proto__"/,
  ],
  ['a key twice', create, `{"NetworkID":"${N}","NetworkID":"${E}"}`, /the key "NetworkID" twice/],
  [
    'a key twice by an escape',
    requestPool,
    '{"Pool":"10.1.0.0/24","Poo\\u006c":"10.2.0.0/24"}',
    /the key "Pool" twice/,
  ],

  // Values of another type.
  ['null', create, 'null', /^CreateNetwork: the body must be an object, not null/],
  ['a list', create, '[]', /the body must be an object, not a list/],
  ['a number', create, '7', /the body must be an object, not 7/],
  ['a number as id', create, { NetworkID: 7 }, /^CreateNetwork: NetworkID must be text, not 7/],
  [
    'an object as id',
    'NetworkDriver.DeleteNetwork',
    { NetworkID: {} },
    /^DeleteNetwork: NetworkID must be text, not an object/,
  ],
  ['text as IPv4Data', create, { NetworkID: N, IPv4Data: 'x' }, /IPv4Data must be a list, not "x"/],
  ['a list as Options', create, { NetworkID: N, Options: [] }, /Options must be an object, not a list/],
  ['a number as pool', create, pool(1), /IPv4Data\[0\]\.Pool must be text, not 1/],
  [
    'a number as user option',
    create,
    { NetworkID: N, Options: { 'com.docker.network.generic': { mtu: 9000 } } },
    /mtu must be text, not 9000/,
  ],
  [
    'text as internal',
    create,
    { NetworkID: N, Options: { 'com.docker.network.internal': 'true' } },
    /internal must be true or false, not "true"/,
  ],
  [
    'text as enable_ipv6',
    create,
    { NetworkID: N, Options: { 'com.docker.network.enable_ipv6': 'no' } },
    /enable_ipv6 must be true or false/,
  ],
  ['text as V6', requestPool, want('', { V6: 'yes' }), /^RequestPool: V6 must be true or false, not "yes"/],
  ['a list as pool options', requestPool, want('', { Options: ['x'] }), /Options must be an object, not a list/],
  [
    'a port beyond 65535',
    createEndpoint,
    endpoint({}, { 'com.docker.network.portmap': [{ Proto: 6, Port: 70000 }] }),
    /portmap\[0\]\.Port is out of range, not 70000/,
  ],
  [
    'a port that is half',
    join_,
    {
      NetworkID: N,
      EndpointID: E,
      SandboxKey: '/x',
      Options: { 'com.docker.network.endpoint.exposedports': [{ Proto: 6, Port: 80.5 }] },
    },
    /Port must be a whole number, not 80\.5/,
  ],
  ['a number as driver option', createEndpoint, endpoint({}, { colour: 5 }), /Options\."colour" must be text, not 5/],
  [
    'a kind of discovery in words',
    'NetworkDriver.DiscoverNew',
    { DiscoveryType: 'node' },
    /DiscoveryType must be a number, not "node"/,
  ],

  // Ids and names.
  ['no id', create, {}, /^CreateNetwork: NetworkID is missing$/],
  [
    'an id with slashes',
    'NetworkDriver.DeleteNetwork',
    { NetworkID: '../../etc/passwd' },
    /NetworkID "..\/..\/etc\/passwd" is not an id/,
  ],
  ['an id that is too long', 'NetworkDriver.DeleteNetwork', { NetworkID: 'a'.repeat(65) }, /is not an id/],
  [
    'an id of a megabyte is cut in the message',
    'NetworkDriver.DeleteNetwork',
    { NetworkID: 'a'.repeat(1_000_000) },
    /^.{0,150}\(1000000 characters\)" is not an id/,
  ],
  [
    'an id with a line feed',
    'NetworkDriver.Leave',
    { NetworkID: N, EndpointID: `${E}\nError: no` },
    /EndpointID .*(\\u\{a\}|characters).* is not an id/,
  ],
  [
    'an id with a terminal escape',
    'NetworkDriver.Leave',
    { NetworkID: '\u001b[31mred', EndpointID: E },
    /NetworkID "\\u\{1b\}\[31mred" is not an id/,
  ],
  ['no endpoint id', 'NetworkDriver.DeleteEndpoint', { NetworkID: N }, /^DeleteEndpoint: EndpointID is missing$/],
  [
    'an endpoint id that is a path',
    'NetworkDriver.EndpointOperInfo',
    { NetworkID: N, EndpointID: 'a/b' },
    /EndpointID "a\/b" is not an id/,
  ],
  [
    'a bad id to program',
    'NetworkDriver.ProgramExternalConnectivity',
    { NetworkID: N, EndpointID: '*' },
    /EndpointID "\*" is not an id/,
  ],
  [
    'a bad id to revoke',
    'NetworkDriver.RevokeExternalConnectivity',
    { NetworkID: N, EndpointID: '*' },
    /EndpointID "\*" is not an id/,
  ],
  [
    'a bad id to allocate',
    'NetworkDriver.AllocateNetwork',
    { NetworkID: '' },
    /^AllocateNetwork: NetworkID is missing$/,
  ],
  ['a bad id to free', 'NetworkDriver.FreeNetwork', { NetworkID: 'x y' }, /^FreeNetwork: NetworkID "x y" is not an id/],
  [
    'a sandbox that is relative',
    join_,
    { NetworkID: N, EndpointID: E, SandboxKey: 'netns/x' },
    /SandboxKey "netns\/x" is not an absolute path/,
  ],
  [
    'a sandbox that climbs',
    join_,
    { NetworkID: N, EndpointID: E, SandboxKey: '/var/run/docker/netns/../../x' },
    /is not an absolute path/,
  ],
  [
    'a sandbox with a zero byte',
    join_,
    { NetworkID: N, EndpointID: E, SandboxKey: '/var/run\0' },
    /SandboxKey "\/var\/run\\u\{0\}" is not/,
  ],
  [
    'an address space that is a path',
    requestPool,
    { AddressSpace: '../x', Pool: '' },
    /AddressSpace "..\/x" is not an address space/,
  ],
  ['no address space', requestPool, { Pool: '' }, /AddressSpace is missing/],
  [
    'a pool id that climbs',
    'IpamDriver.ReleasePool',
    { PoolID: 'local/../../network' },
    /PoolID "local\/..\/..\/network" is not the id of a pool/,
  ],
  ['a pool id with a space', 'IpamDriver.ReleasePool', { PoolID: 'local 10' }, /is not the id of a pool/],
  ['a pool id with =', requestAddress, { PoolID: 'local/=10.1.0.1', Address: '' }, /is not the id of a pool/],
  [
    'a container name that is a path',
    requestAddress,
    ask('', { 'com.docker.network.endpoint.name': '/../../etc' }),
    /is not the name of a container/,
  ],

  // Subnets.
  [
    'a subnet with host bits',
    create,
    pool('10.1.0.5/24'),
    /IPv4Data\[0\]\.Pool "10\.1\.0\.5\/24" has host bits set; the subnet is 10\.1\.0\.0\/24/,
  ],
  ['a length of 33', create, pool('10.1.0.0/33'), /has a length that is not a number from 0 to 32/],
  ['a length of 129', create, pool6('fd00::/129'), /has a length that is not a number from 0 to 128/],
  ['a negative length', create, pool('10.1.0.0/-1'), /has a length that is not/],
  ['no length', create, pool('10.1.0.0'), /lacks the length of its prefix/],
  ['a pool that is a word', create, pool('everything'), /"everything" is not an IP address/],
  ['no pool', create, pool(''), /IPv4Data\[0\]\.Pool is missing/],
  ['leading zeros', create, pool('010.1.0.0/24'), /has leading zeros/],
  ['IPv6 among IPv4', create, pool('fd00::/64'), /is not IPv4/],
  ['IPv4 among IPv6', create, pool6('10.1.0.0/24'), /is not IPv6/],
  ['an IPv4-mapped subnet', create, pool6('::ffff:10.1.0.0/120'), /is IPv4 written as IPv6; write 10\.1\.0\.0/],
  [
    'a gateway of another network',
    create,
    pool('10.1.0.0/24', { Gateway: '10.2.0.1/24' }),
    /Gateway "10\.2\.0\.1\/24" lies outside of 10\.1\.0\.0\/24/,
  ],
  [
    'a gateway that is IPv6',
    create,
    pool('10.1.0.0/24', { Gateway: 'fd00::1/64' }),
    /Gateway "fd00::1\/64" is not IPv4/,
  ],
  [
    'an auxiliary address outside',
    create,
    pool('10.1.0.0/24', { AuxAddresses: { a: '10.9.0.5' } }),
    /AuxAddresses\."a" "10\.9\.0\.5" lies outside/,
  ],
  [
    'an auxiliary address of no form',
    create,
    pool('10.1.0.0/24', { AuxAddresses: { a: '10.1.0' } }),
    /"10\.1\.0" is not an IP address/,
  ],
  ['a misaligned pool', requestPool, want('10.1.0.1/16'), /Pool "10\.1\.0\.1\/16" has host bits set/],
  [
    'a range outside of its pool',
    requestPool,
    want('10.1.0.0/24', { SubPool: '10.2.0.0/25' }),
    /SubPool "10\.2\.0\.0\/25" is not part of 10\.1\.0\.0\/24/,
  ],
  ['a range larger than its pool', requestPool, want('10.1.0.0/24', { SubPool: '10.1.0.0/16' }), /is not part of/],
  ['a range without a pool', requestPool, want('', { SubPool: '10.1.0.0/25' }), /SubPool .* without a Pool/],
  ['a range of a pool to be chosen', requestPool, want('0.0.0.0/24', { SubPool: '10.1.0.0/25' }), /yet to be chosen/],
  ['every address there is', requestPool, want('0.0.0.0/0'), /holds every address there is/],
  ['an IPv4 pool that is to be IPv6', requestPool, want('10.1.0.0/24', { V6: true }), /is not IPv6/],
  ['a mapped pool', requestPool, want('::ffff:10.1.0.0/120', { V6: true }), /is IPv4 written as IPv6/],
  [
    'a bad subnet to allocate',
    'NetworkDriver.AllocateNetwork',
    pool('10.1.0.7/24'),
    /^AllocateNetwork: IPv4Data\[0\]\.Pool .* host bits/,
  ],

  // Addresses.
  [
    'an address without a length',
    createEndpoint,
    endpoint({ Address: '10.1.0.5' }),
    /Interface\.Address "10\.1\.0\.5" lacks the length/,
  ],
  ['an octet of 256', createEndpoint, endpoint({ Address: '10.1.0.256/24' }), /is not an IP address/],
  ['octal octets', createEndpoint, endpoint({ Address: '10.1.0.010/24' }), /has leading zeros/],
  [
    'a mapped address',
    createEndpoint,
    endpoint({ AddressIPv6: '::ffff:10.1.0.5/120' }),
    /is IPv4 written as IPv6; write 10\.1\.0\.5/,
  ],
  [
    'IPv6 in the field of IPv4',
    createEndpoint,
    endpoint({ Address: 'fd00::5/64' }),
    /Address "fd00::5\/64" is not IPv4/,
  ],
  [
    'IPv4 in the field of IPv6',
    createEndpoint,
    endpoint({ AddressIPv6: '10.1.0.5/24' }),
    /AddressIPv6 "10\.1\.0\.5\/24" is not IPv6/,
  ],
  ['a zone', requestAddress, ask('fe80::1%eth0'), /has a zone/],
  ['a multicast address', requestAddress, ask('224.0.0.1'), /is multicast, reserved or broadcast/],
  ['the broadcast address', requestAddress, ask('255.255.255.255'), /is multicast, reserved or broadcast/],
  ['a multicast IPv6 address', requestAddress, ask('ff02::1'), /is a multicast address/],
  ['the loopback', requestAddress, ask('127.0.0.1'), /is a loopback address/],
  ['the unspecified address', 'IpamDriver.ReleaseAddress', ask('0.0.0.0'), /is the unspecified address/],
  ['nothing to release', 'IpamDriver.ReleaseAddress', ask(''), /^ReleaseAddress: Address is missing$/],
  ['an address with a command', requestAddress, ask('10.1.0.5; reboot'), /"10\.1\.0\.5; reboot" is not an IP address/],
  ['an address in Arabic digits', requestAddress, ask('١٠.١.٠.٥'), /is not an IP address/],

  // MAC addresses.
  [
    'a multicast MAC',
    createEndpoint,
    endpoint({ MacAddress: '01:00:5e:00:00:01' }),
    /MacAddress "01:00:5e:00:00:01" is not the MAC address of one interface/,
  ],
  ['the broadcast MAC', createEndpoint, endpoint({ MacAddress: 'ff:ff:ff:ff:ff:ff' }), /is not the MAC address/],
  ['a MAC of zeros', createEndpoint, endpoint({ MacAddress: '00:00:00:00:00:00' }), /is not the MAC address/],
  ['five octets', createEndpoint, endpoint({ MacAddress: '02:42:0a:01:00' }), /is not the MAC address/],
  [
    'a MAC with two kinds of separators',
    createEndpoint,
    endpoint({ MacAddress: '02:42-0a:01:00:05' }),
    /is not the MAC address/,
  ],
  [
    'an option that is not base64',
    createEndpoint,
    endpoint({}, { 'com.docker.network.endpoint.macaddress': '***' }),
    /is not a MAC address in base64/,
  ],
  [
    'an option of seven bytes',
    createEndpoint,
    endpoint({}, { 'com.docker.network.endpoint.macaddress': 'AkIKAQAFBg==' }),
    /is not a MAC address in base64/,
  ],
  [
    'a MAC in IPAM options',
    requestAddress,
    ask('', { 'com.docker.network.endpoint.macaddress': 'nope' }),
    /is not the MAC address/,
  ],

  // Size.
  [
    'a body of 1 MiB and a byte',
    create,
    `{"NetworkID":"${'a'.repeat(1024 * 1024)}`,
    /^the body has \d+ bytes; at most 1048576$/,
  ],
  ['a body of 20 MB', create, Buffer.alloc(20_000_000, 0x20), /^the body has 20000000 bytes/],
];
