import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { describeFinding, inspectKuryrConf, readKuryrConf } from './kuryr-conf.ts';

const folder = mkdtempSync(join(tmpdir(), 'kuryr-conf-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'kuryr.conf');

const AUTH = `[neutron]
auth_type = password
auth_url = http://keystone:5000
username = kuryr
password = secret-word
user_domain_name = Default
project_name = service
project_domain_name = Default
`;
const user = { name: 'kuryr', domain: { name: 'Default' } };
const project = { kind: 'project', project: { name: 'service', domain: { name: 'Default' } } };

function inspect(text: string, env: Record<string, string> = {}) {
  writeFileSync(file, text, { mode: 0o640 });
  chmodSync(file, 0o640);
  const { conf, problems, remarks } = inspectKuryrConf({ files: [file], dirs: [], env });
  const told = (findings: readonly Parameters<typeof describeFinding>[0][]) =>
    findings.map((finding) => describeFinding(finding).replace(`${file}:`, ''));
  return { conf, problems: told(problems), remarks: told(remarks) };
}

function conf(text: string, env: Record<string, string> = {}) {
  const { conf: read, problems } = inspect(text, env);
  assert.deepEqual(problems, []);
  return read!;
}

/** `[neutron]` with one of the options changed, added (or taken out, with undefined). */
function withAuth(change: Record<string, string | undefined>): string {
  const lines = AUTH.trimEnd()
    .split('\n')
    .filter((line) => !Object.keys(change).some((key) => line.startsWith(`${key} =`)));
  const more = Object.entries(change).flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${value}`]));
  return [...lines, ...more].join('\n');
}

describe('a kuryr.conf', () => {
  it('has the defaults of kuryr-libnetwork', () => {
    assert.deepEqual(conf(AUTH), {
      files: [file],
      uri: 'http://127.0.0.1:23750',
      tls: undefined,
      scope: 'local',
      localAddressSpace: 'no_address_space',
      globalAddressSpace: 'no_address_space',
      portDriver: 'veth',
      enabledPortDrivers: ['veth'],
      processExternalConnectivity: true,
      bindir: '/usr/libexec/kuryr',
      subnetPoolPrefix: 'kuryrPool',
      debug: false,
      enableDhcp: true,
      defaultSubnetPools: { 4: 'kuryr', 6: 'kuryr6' },
      vifPluggingIsFatal: false,
      vifPluggingTimeout: undefined,
      binding: { containerPrefix: 'eth', driver: 'veth', enabledDrivers: ['veth'], linkInterface: undefined },
      session: {
        authentication: {
          kind: 'keystone',
          url: 'http://keystone:5000',
          credentials: { kind: 'password', user, password: 'secret-word' },
          scope: project,
        },
        region: undefined,
        interfaces: ['public'],
        endpointOverride: undefined,
        serviceType: 'network',
        serviceName: undefined,
        tls: { cafile: undefined, certfile: undefined, keyfile: undefined, insecure: false },
        callLimit: 30_000,
      },
    });
  });

  it('says otherwise', () => {
    const read = conf(
      `[DEFAULT]
enable_ssl = yes
ssl_cert_file = /etc/k/cert.pem
capability_scope = global
default_port_driver = kuryr_libnetwork.port_driver.drivers.nested
enabled_port_drivers = kuryr_libnetwork.port_driver.drivers.veth, nested
bindir = \${ssl_cert_file}.d
${withAuth({ region_name: 'two', endpoint_type: 'internal', timeout: '7', vif_plugging_timeout: '9', insecure: 'on' })}
[binding]
driver = kuryr.lib.binding.drivers.macvlan
enabled_drivers = [kuryr.lib.binding.drivers.veth, kuryr.lib.binding.drivers.macvlan]
link_iface = eth7
`,
    );
    assert.deepEqual(read.tls, { certfile: '/etc/k/cert.pem', keyfile: '/var/lib/kuryr/certs/key.pem' });
    assert.equal(read.scope, 'global');
    assert.equal(read.portDriver, 'nested');
    assert.deepEqual(read.enabledPortDrivers, ['veth', 'nested']);
    assert.equal(read.bindir, '/etc/k/cert.pem.d');
    assert.equal(read.vifPluggingTimeout, 9000);
    assert.deepEqual(read.session.interfaces, ['internal']);
    assert.equal(read.session.callLimit, 7000);
    assert.equal(read.session.tls?.insecure, true);
    assert.deepEqual(read.binding, {
      containerPrefix: 'eth',
      driver: 'macvlan',
      enabledDrivers: ['veth', 'macvlan'],
      linkInterface: 'eth7',
    });
  });

  it('takes the older names of keys', () => {
    const text = AUTH.replace('auth_type', 'auth-plugin')
      .replace('username', 'user-name')
      .replace('project_name', 'tenant-name');
    assert.deepEqual(conf(text).session, conf(AUTH).session);
  });

  it('reads who we are from another section', () => {
    const text = `[neutron]\nauth_section = Keystone\nregion_name = two\n${AUTH.replace('[neutron]', '[keystone]')}`;
    const { session } = conf(text);
    assert.deepEqual(session.authentication, conf(AUTH).session.authentication);
    assert.equal(session.region, 'two');
  });

  it('takes the environment before the file, and two variables after it', () => {
    const env = {
      OS_NEUTRON__PASSWORD: 'of-the-environment',
      OS_DEFAULT__BINDIR: '/opt/bin',
      OS_KURYR_URI: 'http://127.0.0.1:5',
      CAPABILITY_SCOPE: 'global',
      OS_COMPUTE__OTHER: 'of another program',
    };
    const { conf: read, remarks } = inspect(`[DEFAULT]\nkuryr_uri = http://127.0.0.1:6\nbindir = /x\n${AUTH}`, env);
    assert.equal(read?.uri, 'http://127.0.0.1:6');
    assert.equal(read.scope, 'global');
    assert.equal(read.bindir, '/opt/bin');
    assert.deepEqual(read.session.authentication.kind === 'keystone' && read.session.authentication.credentials, {
      kind: 'password',
      user,
      password: 'of-the-environment',
    });
    assert.deepEqual(remarks, []);
  });

  it('is read from several files and a folder, of which the last counts', () => {
    const dir = join(folder, 'conf.d');
    mkdirSync(dir);
    const [one, two] = [join(folder, 'one.conf'), join(folder, 'two.conf')];
    writeFileSync(one, `${AUTH}\nregion_name = one\nservice_name = one\nendpoint_type = admin`);
    writeFileSync(two, '[neutron]\nregion_name = two\nservice_name = two\n');
    writeFileSync(join(dir, 'b.conf'), '[neutron]\nservice_name = b\n');
    writeFileSync(join(dir, 'a.conf'), '[neutron]\nservice_name = a\n');
    writeFileSync(join(dir, 'c.conf.bak'), '[neutron]\nservice_name = c\n');
    const read = readKuryrConf({ files: [one, two], dirs: [dir], env: {} }).conf;
    assert.deepEqual([read.session.region, read.session.serviceName, read.session.interfaces], ['two', 'b', ['admin']]);
    assert.deepEqual(read.files, [one, two, join(dir, 'a.conf'), join(dir, 'b.conf')]);
  });

  it('is found in the home, where it is', () => {
    mkdirSync(join(folder, '.kuryr'));
    writeFileSync(join(folder, '.kuryr/kuryr.conf'), AUTH);
    const { conf: read } = readKuryrConf({ env: { HOME: folder } });
    assert.equal(read.files[0], join(folder, '.kuryr/kuryr.conf'));
  });
});

describe('references in values', () => {
  const password = (text: string) => {
    const { authentication } = conf(withAuth({ password: text })).session;
    return authentication.kind === 'keystone' && authentication.credentials.kind === 'password'
      ? authentication.credentials.password
      : undefined;
  };
  const braced = (name: string) => `$\{${name}}`;
  const cases: readonly (readonly [string, string])[] = [
    ['$$', '$'],
    ['a\\$b', 'a$b'],
    ['a$5', 'a$5'],
    ['a$', 'a$'],
    ['$username', 'kuryr'],
    [`${braced('username')}x`, 'kuryrx'],
    ['$binding.veth_dst_prefix', 'eth'],
    [braced('DEFAULT.bindir'), '/usr/libexec/kuryr'],
    ['$bindir', '/usr/libexec/kuryr'],
  ];
  for (const [text, expected] of cases) it(`${text} is ${expected}`, () => assert.equal(password(text), expected));

  for (const text of ['pa$word', '$password', '$neutron.nothing', '$region_name.'])
    it(`${text} is refused, and not shown`, () => {
      const { problems } = inspect(withAuth({ password: text }));
      assert.equal(problems.length >= 1, true);
      assert.match(
        problems[0]!,
        /^8: \[neutron\] password: '\$[\w.]+' refers to no key; for a dollar sign, write \$\$$/,
      );
    });
});

describe('who we are', () => {
  const authentication = (change: Record<string, string | undefined>) => conf(withAuth(change)).session.authentication;
  const nobody = { username: undefined, password: undefined, user_domain_name: undefined };
  const nothing = { project_name: undefined, project_domain_name: undefined };
  const url = 'http://keystone:5000';

  it('a user by id, for a project by id', () => {
    assert.deepEqual(authentication({ username: undefined, user_id: 'u1', project_id: 'p1' }), {
      kind: 'keystone',
      url,
      credentials: { kind: 'password', user: { id: 'u1' }, password: 'secret-word' },
      scope: { kind: 'project', project: { id: 'p1' } },
    });
  });

  it('with a domain for all', () => {
    const change = { user_domain_name: undefined, project_domain_name: undefined, default_domain_id: 'default' };
    assert.deepEqual(authentication(change), {
      kind: 'keystone',
      url,
      credentials: { kind: 'password', user: { name: 'kuryr', domain: { id: 'default' } }, password: 'secret-word' },
      scope: { kind: 'project', project: { name: 'service', domain: { id: 'default' } } },
    });
  });

  const scopes = [
    [{ domain_id: 'd' }, { kind: 'domain', domain: { id: 'd' } }],
    [{ domain_name: 'd' }, { kind: 'domain', domain: { name: 'd' } }],
    [{ system_scope: 'all' }, { kind: 'system' }],
    [{ trust_id: 't' }, { kind: 'trust', id: 't' }],
    [{}, { kind: 'none' }],
  ] as const;
  for (const [change, scope] of scopes)
    it(`for ${scope.kind}`, () => {
      const found = authentication({ ...nothing, ...change });
      assert.deepEqual(found.kind === 'keystone' && found.scope, scope);
    });

  it('an application credential, by id and by name, which is for its own project', () => {
    const by = (change: Record<string, string | undefined>) => {
      const found = authentication({
        auth_type: 'v3applicationcredential',
        application_credential_secret: 's',
        ...change,
      });
      assert.ok(found.kind === 'keystone');
      assert.deepEqual(found.scope, { kind: 'none' });
      return found.credentials;
    };
    assert.deepEqual(by({ ...nobody, application_credential_id: 'c' }), {
      kind: 'application credential',
      secret: 's',
      credential: { id: 'c' },
    });
    assert.deepEqual(by({ application_credential_name: 'n' }), {
      kind: 'application credential',
      secret: 's',
      credential: { name: 'n', user },
    });
  });

  it('a token; and what needs no Keystone', () => {
    const found = authentication({ ...nobody, auth_type: 'v3token', token: 't' });
    assert.deepEqual(found.kind === 'keystone' && found.credentials, { kind: 'token', token: 't' });
    const endpoint = 'http://neutron:9696';
    assert.deepEqual(authentication({ auth_type: 'none', endpoint }), { kind: 'none', endpoint });
    assert.deepEqual(authentication({ auth_type: 'http_basic', endpoint }), {
      kind: 'basic',
      endpoint,
      user: 'kuryr',
      password: 'secret-word',
    });
    assert.deepEqual(authentication({ auth_type: 'admin_token', url: endpoint, token: 't' }), {
      kind: 'fixed token',
      endpoint,
      token: 't',
    });
    const none = conf(withAuth({ auth_type: 'none', endpoint_override: endpoint }));
    assert.equal(none.session.endpointOverride, endpoint);
  });
});

describe('mistakes', () => {
  const mistakes: readonly (readonly [string, Record<string, string | undefined>, RegExp])[] = [
    [
      'no way to prove who we are',
      { auth_type: undefined },
      /^\[neutron\] auth_type: it is missing; it is one of password, /,
    ],
    ['an unknown way', { auth_type: 'pasword' }, /^8: .*auth_type: .*not 'pasword'; did you mean 'password'\?$/],
    ['version 2', { auth_type: 'v2password' }, /no version 2 any more: write password/],
    ['a way that we do not know', { auth_type: 'v3oidcpassword' }, /make an application credential/],
    ['no URL', { auth_url: undefined }, /^\[neutron\] auth_url: it is missing/],
    ['an empty URL', { auth_url: '' }, /auth_url: it is missing/],
    [
      'a URL that is none',
      { auth_url: 'keystone:5000' },
      /^8: .*auth_url: it is a URL, such as .*, not 'keystone:5000'/,
    ],
    ['no user', { username: undefined }, /username: it is missing, and so is user_id: auth_type is password/],
    ['no password', { password: undefined }, /password: it is missing: auth_type is password/],
    [
      'no domain of the user',
      { user_domain_name: undefined },
      /username: a name needs its domain: user_domain_name or user_domain_id/,
    ],
    ['no domain of the project', { project_domain_name: undefined }, /project_name: a name needs its domain/],
    ['two scopes', { domain_id: 'd' }, /one of project, domain, trust and system, and here are project and domain/],
    ['another system', { system_scope: 'some' }, /system_scope: it is 'all', not 'some'/],
    [
      'no secret',
      { auth_type: 'v3applicationcredential', application_credential_id: 'c' },
      /application_credential_secret: it is missing/,
    ],
    ['no token', { auth_type: 'token' }, /token: it is missing/],
    ['neither Keystone nor Neutron', { auth_type: 'none' }, /endpoint_override: it is missing: without Keystone/],
    ['no boolean', { insecure: 'maybe' }, /insecure: it is true or false .*, not 'maybe'/],
    ['an empty boolean', { enable_dhcp: '' }, /enable_dhcp: it is true or false .*, not ''/],
    ['a comment behind a value', { insecure: 'true # yes' }, /a comment must stand on a line of its own/],
    ['no number', { timeout: 'long' }, /timeout: it is a whole number of seconds from 1 on, not 'long'/],
    ['no time', { timeout: '0' }, /timeout: .*not '0'/],
    ['a negative number', { vif_plugging_timeout: '-1' }, /vif_plugging_timeout: .*not '-1'/],
    [
      'an unknown interface',
      { endpoint_type: 'internall' },
      /one of public, internal, admin, not 'internall'; did you mean 'internal'/,
    ],
    ['an unknown interface among others', { valid_interfaces: 'public,x' }, /valid_interfaces: it is a list of/],
    ['a relative path', { cafile: 'ca.pem' }, /cafile: it is an absolute path, not 'ca.pem'/],
    ['a key without a certificate', { keyfile: '/k' }, /keyfile: it needs certfile as well/],
  ];
  for (const [title, change, expected] of mistakes)
    it(`${title}: is told with its place`, () => {
      const { conf: read, problems } = inspect(withAuth(change));
      assert.equal(read, undefined);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0]!, expected);
    });

  it('in other sections: an unknown driver, scope, URI', () => {
    const { problems } = inspect(`[DEFAULT]
capability_scope = swarm
kuryr_uri = 127.0.0.1:23750
default_port_driver = kuryr_libnetwork.port_driver.drivers.bridge
${AUTH}[binding]
default_driver = kuryr.lib.binding.drivers.vlann
`);
    assert.equal(problems.length, 4, problems.join('\n'));
    assert.match(problems.join('\n'), /^3: \[DEFAULT\] kuryr_uri: it is a URL/m);
    assert.match(problems.join('\n'), /^4: \[DEFAULT\] default_port_driver: it is one of veth, nested, vlan, sriov/m);
  });

  it('all of them at once, in one error, without the password', () => {
    writeFileSync(file, `${withAuth({ timeout: 'x', password: 'secret$word' })}\nnonsense\n`);
    assert.throws(
      () => readKuryrConf({ files: [file], dirs: [], env: {} }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'KURYR_CONF_INVALID');
        assert.match(error.message, /kuryr\.conf:10: there is neither.*timeout.*password/);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  });

  it('in the environment, with the name of the variable', () => {
    const { problems } = inspect(AUTH, { CAPABILITY_SCOPE: 'x', OS_NEUTRON__TIMEOUT: 'y' });
    assert.match(problems.join('\n'), /^the variable CAPABILITY_SCOPE: \[DEFAULT\] capability_scope: /m);
    assert.match(problems.join('\n'), /^the variable OS_NEUTRON__TIMEOUT: \[neutron\] timeout: /m);
  });

  for (const sources of [{ files: ['/nowhere/kuryr.conf'] }, { dirs: ['/nowhere'] }])
    it(`${Object.keys(sources)[0]} that are not there`, () => {
      assert.throws(() => readKuryrConf({ ...sources, env: {} }), { code: 'KURYR_CONF_INVALID', message: /\/nowhere/ });
    });
});

describe('remarks', () => {
  const remarks: readonly (readonly [string, RegExp])[] = [
    [
      `${AUTH}endpont_type = admin`,
      /^9: \[neutron\] endpont_type: there is no such key; did you mean 'endpoint_type'\?$/,
    ],
    [`${AUTH}bindir = /x`, /^9: \[neutron\] bindir: there is no such key in \[neutron\]; it belongs into \[DEFAULT\]$/],
    [
      `${AUTH}collect-timing = true`,
      /^9: \[neutron\] collect_timing: it has no effect: it is of the Python program only$/,
    ],
    [`[DEFAULT]\nlog_dir = /var/log/kuryr\n${AUTH}`, /^2: \[DEFAULT\] log_dir: it has no effect: Berth writes its log/],
    [`${AUTH}password = other`, /^9: \[neutron\] password: it stands in line 5 too; this one counts$/],
    [`${AUTH}[neutro]\na=b\nc=d`, /^10: \[neutro\]: nothing reads the section \[neutro\]; did you mean 'neutron'\?$/],
    [`[default]\nbindir = /x\n${AUTH}`, /^2: \[default\]: .*did you mean 'DEFAULT'/],
  ];
  for (const [text, expected] of remarks)
    it(`${expected.source}`, () => {
      const { conf: read, remarks: found } = inspect(text);
      assert.ok(read !== undefined);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0]!, expected);
    });

  it('when everybody can read the password', () => {
    writeFileSync(file, AUTH);
    chmodSync(file, 0o644);
    const { remarks: found } = inspectKuryrConf({ files: [file], dirs: [], env: {} });
    assert.deepEqual(
      found.map(({ kind, key }) => [kind, key]),
      [['careless', 'password']],
    );
  });
});
