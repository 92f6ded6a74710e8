/** Containers in the DNS: what a real server has of them, and that it goes again. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bind } from '../bed/bind.ts';
import { waitFor } from '../bed/process.ts';
import { docker, dockerFails, inspect, start } from './containers.ts';
import { createNetwork, giveKey, type NamesStage, SERVER, told, ZONE } from './names-stage.ts';

/** Waits until the server has exactly these records. */
export async function has(bind: Bind, name: string, type: string, wanted: readonly string[]): Promise<void> {
  let seen: readonly string[] = [];
  await waitFor(
    () => `${type} of ${name} to be ${wanted.join(', ') || 'nothing'}, not ${seen.join(', ') || 'nothing'}`,
    async () => {
      seen = await bind.ask(name, type);
      return seen.join() === wanted.toSorted().join();
    },
    30_000,
    100,
  );
}

const REVERSE = (last: number): string => `${last}.7.168.192.in-addr.arpa`;

export function namesDns(stage: NamesStage): void {
  test('a container has a name and its address has, and both go with it', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    await start(host, 'web', '--net lan --ip 192.168.7.140');
    await has(bind, `web.${ZONE}`, 'A', ['192.168.7.140']);
    await has(bind, REVERSE(140), 'PTR', [`web.${ZONE}.`]);
    assert.match(await told(host, 'name.registered', /web/), /web\.home\.example is the name of the container web at/);
    const { stdout } = await host.berth('endpoint', 'inspect', 'web', '--json');
    const [view] = JSON.parse(stdout) as { names: unknown[] }[];
    assert.deepEqual(view!.names, [{ via: 'dns', name: `web.${ZONE}`, state: 'registered', where: SERVER }]);
    await docker(host, 'stop -t 0 web');
    await has(bind, `web.${ZONE}`, 'A', []);
    await has(bind, REVERSE(140), 'PTR', []);
    await has(bind, `_berth.web.${ZONE}`, 'TXT', []);
    await docker(host, 'start web');
    await has(bind, `web.${ZONE}`, 'A', ['192.168.7.140']);
    await docker(host, 'rm -f web');
    await has(bind, `web.${ZONE}`, 'ANY', []);
  });

  test('IPv6 and the two families together', async () => {
    const { host, bind } = stage();
    await createNetwork(host, '--ipv6 --subnet fd00:7::/64 --gateway fd00:7::2');
    await start(host, 'web', '--net lan --ip 192.168.7.140 --ip6 fd00:7::140');
    await has(bind, `web.${ZONE}`, 'AAAA', ['fd00:7::140']);
    await has(bind, `web.${ZONE}`, 'A', ['192.168.7.140']);
    const reverse = '0.4.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.0.0.0.d.f.ip6.arpa';
    await has(bind, reverse, 'PTR', [`web.${ZONE}.`]);
    await docker(host, 'rm -f web');
    await has(bind, reverse, 'PTR', []);
  });

  test('what others have put there stays: beside our records, under the same name, and for an address', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    const foreign = [`update add db.${ZONE} 60 A 192.168.7.99`, `update add ${REVERSE(142)} 60 PTR printer.${ZONE}.`];
    await bind.change(foreign[0]!);
    await bind.change(foreign[1]!);
    await start(host, 'web', '--net lan --ip 192.168.7.140');
    await has(bind, `web.${ZONE}`, 'A', ['192.168.7.140']);
    await bind.change(`update add web.${ZONE} 60 A 192.168.7.98`, `update add web.${ZONE} 60 TXT mine`);

    await start(host, 'db', '--net lan --ip 192.168.7.141');
    assert.match(
      await told(host, 'name.conflict', /db/),
      /cannot be called db\.home\.example: .* which Berth has not made/,
    );
    assert.deepEqual(await bind.ask(`db.${ZONE}`, 'A'), ['192.168.7.99']);
    assert.deepEqual(await bind.ask(REVERSE(141), 'PTR'), []);

    await start(host, 'mail', '--net lan --ip 192.168.7.142');
    assert.match(
      await told(host, 'name.failed', /mail/),
      /192\.168\.7\.142 has the name printer\.home\.example already/,
    );
    await has(bind, `mail.${ZONE}`, 'A', ['192.168.7.142']);
    assert.deepEqual(await bind.ask(REVERSE(142), 'PTR'), [`printer.${ZONE}.`]);

    await docker(host, 'rm -f web db mail');
    await has(bind, `web.${ZONE}`, 'A', ['192.168.7.98']);
    await has(bind, `mail.${ZONE}`, 'A', []);
    assert.deepEqual(await bind.ask(`web.${ZONE}`, 'TXT'), ['"mine"']);
    assert.deepEqual(await bind.ask(`db.${ZONE}`, 'A'), ['192.168.7.99']);
    assert.deepEqual(await bind.ask(REVERSE(142), 'PTR'), [`printer.${ZONE}.`]);
    await bind.change(`update delete web.${ZONE}`, `update delete db.${ZONE}`);
    await bind.change(`update delete ${REVERSE(142)}`);
  });

  test('a name that becomes free is taken', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    await bind.change(`update add db.${ZONE} 60 A 192.168.7.99`);
    await start(host, 'db', '--net lan --ip 192.168.7.141');
    await told(host, 'name.conflict', /db/);
    await bind.change(`update delete db.${ZONE}`);
    await has(bind, `db.${ZONE}`, 'A', ['192.168.7.141']);
  });

  test('which name: the host name, Compose’s, the container’s own; and of two that want one', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    await start(host, 'My_Web.1', '--net lan --ip 192.168.7.140');
    await has(bind, `my-web-1.${ZONE}`, 'A', ['192.168.7.140']);
    await start(host, 'x1', '--net lan --ip 192.168.7.141 --hostname shop');
    await has(bind, `shop.${ZONE}`, 'A', ['192.168.7.141']);
    await start(host, 'x2', '--net lan --ip 192.168.7.142 --hostname shop.example.net');
    await has(bind, `shop-2.${ZONE}`, 'A', ['192.168.7.142']);
    await docker(host, 'rm -f x1');
    await has(bind, `shop.${ZONE}`, 'A', []);
    assert.deepEqual(await bind.ask(`shop-2.${ZONE}`, 'A'), ['192.168.7.142'], 'who has a name keeps it');
    await docker(host, 'rename My_Web.1 other');
    await has(bind, `other.${ZONE}`, 'A', ['192.168.7.140']);
    await has(bind, `my-web-1.${ZONE}`, 'A', []);
  });

  test('a server that is away, and one that hangs, get it all when they are back', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    await start(host, 'old', '--net lan --ip 192.168.7.140');
    await has(bind, `old.${ZONE}`, 'A', ['192.168.7.140']);
    await bind.stop();
    await docker(host, 'rm -f old');
    await start(host, 'new', '--net lan --ip 192.168.7.141');
    assert.match(await told(host, 'name.failed', /new\.home/), /cannot be reached|does not answer/);
    const listed = JSON.parse((await host.berth('name', 'ls', '--json')).stdout) as { name: string; state: string }[];
    assert.deepEqual(listed.map(({ name, state }) => `${name} ${state}`).toSorted(), [
      `new.${ZONE} failed`,
      `old.${ZONE} leaving`,
    ]);
    await bind.start();
    await has(bind, `new.${ZONE}`, 'A', ['192.168.7.141']);
    await has(bind, `old.${ZONE}`, 'ANY', []);
    await has(bind, REVERSE(140), 'PTR', []);
    await bind.freeze();
    await docker(host, 'restart -t 0 new');
    await start(host, 'newer', '--net lan --ip 192.168.7.142');
    bind.thaw();
    await has(bind, `newer.${ZONE}`, 'A', ['192.168.7.142']);
    await has(bind, `new.${ZONE}`, 'A', ['192.168.7.141']);
  });

  test('Berth killed while containers come and go, and while the network goes', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    await start(host, 'stays', '--net lan --ip 192.168.7.140');
    await start(host, 'goes', '--net lan --ip 192.168.7.141');
    await has(bind, `goes.${ZONE}`, 'A', ['192.168.7.141']);
    await has(bind, `stays.${ZONE}`, 'A', ['192.168.7.140']);
    await host.killBerth();
    // The engine waits for Berth to be told.
    await host.exec(['kill', '-KILL', `${(await inspect(host, 'goes')).State.Pid}`]);
    await host.startBerth(['--gc-grace', '1']);
    await has(bind, `goes.${ZONE}`, 'A', []);
    assert.deepEqual(await bind.ask(`stays.${ZONE}`, 'A'), ['192.168.7.140']);

    await bind.stop();
    await docker(host, 'rm -f stays goes');
    await docker(host, 'network rm lan');
    await host.killBerth();
    await host.startBerth();
    await bind.start();
    await has(bind, `stays.${ZONE}`, 'ANY', []);
    await has(bind, REVERSE(140), 'PTR', []);
  });

  test('a key that the server does not know, a wrong secret, and no key', async () => {
    const { host, bind } = stage();
    await createNetwork(host);
    giveKey(host, bind.key.replace('"berth"', '"stranger"'));
    await start(host, 'web', '--net lan --ip 192.168.7.140');
    assert.match(await told(host, 'name.failed', /web.*key/), /the server does not know the key/);
    giveKey(host, bind.key.replace(/secret ".{8}/, 'secret "AAAAAAAA'));
    assert.match(await told(host, 'name.failed', /web.*secret/), /the secret is not the same on both sides/);
    giveKey(host, bind.key, 0o644);
    assert.match(await told(host, 'name.failed', /web.*others/), /can be read or changed by others \(mode 644\)/);
    assert.deepEqual(await bind.ask(`web.${ZONE}`, 'A'), []);
    giveKey(host, bind.key);
    await has(bind, `web.${ZONE}`, 'A', ['192.168.7.140']);
    const secret = /secret "([^"]+)"/.exec(bind.key)![1]!;
    const shown = [
      (await host.agent().output()).includes(secret),
      (await docker(host, 'network inspect lan')).includes(secret),
      (await host.berth('network', 'inspect', 'lan', '--json')).stdout.includes(secret),
    ];
    assert.deepEqual(shown, [false, false, false]);
  });

  test('the doctor says whether the server takes updates, and why not', async () => {
    const { host, bind } = stage();
    const names = async () => {
      const { stdout } = await host.berth('doctor', '--json');
      const findings = JSON.parse(stdout) as { check: string; level: string; message: string; fix?: string }[];
      return findings
        .filter(({ check }) => check === 'names')
        .map(({ level, message, fix }) => ({ level, message, fix }));
    };
    await createNetwork(host);
    const serial = await bind.ask(ZONE, 'SOA');
    assert.deepEqual(await names(), [{ level: 'ok', message: `${SERVER} take updates`, fix: undefined }]);
    assert.deepEqual(await bind.ask(ZONE, 'SOA'), serial, 'nothing was changed');
    giveKey(host, bind.key.replace('"berth"', '"stranger"'));
    const [unknown] = await names();
    assert.match(
      unknown!.message,
      /network lan cannot be registered in home\.example: the server does not know the key/,
    );
    giveKey(host, bind.key, 0o640);
    await bind.stop();
    const [away] = await names();
    assert.match(away!.message, /does not answer|cannot be reached/);
    assert.equal(away!.fix, `dig @${SERVER} ${ZONE} SOA`);
    await bind.start();
    giveKey(host, bind.key, 0o604);
    const [open] = await names();
    assert.match(open!.message, /can be read or changed by others \(mode 604\)/);
    assert.equal(open!.fix, 'chmod 600 /etc/berth/dns.key');
    giveKey(host, bind.key);
  });

  test('a zone that the server does not keep', async () => {
    const { host } = stage();
    const subnets = '--subnet 192.168.7.0/24 --gateway 192.168.7.2';
    await docker(
      host,
      `network create -d berth-lan ${subnets} -o dns_update=${SERVER} -o dns_zone=elsewhere.example lan`,
    );
    await start(host, 'web', '--net lan --ip 192.168.7.140');
    assert.match(await told(host, 'name.failed', /elsewhere/), /is not authoritative for web\.elsewhere\.example/);
  });

  test('what cannot be is refused, with the way out', async () => {
    const { host } = stage();
    giveKey(host, 'nothing', 0o600, '/etc/berth/empty.key');
    giveKey(host, 'nothing', 0o604, '/etc/berth/open.key');
    const refused = (options: string) =>
      dockerFails(host, `network create -d berth-lan --subnet 192.168.7.0/24 ${options} x`);
    const dns = `-o dns_update=${SERVER} -o dns_zone=${ZONE}`;
    for (const [options, message] of [
      ['-o mdns=maybe', /'mdns' is true or false/],
      ['-o dns_zone=home.example', /'dns_zone' goes with 'dns_update'/],
      [`-o dns_update=${SERVER}`, /'dns_update' needs a domain: -o dns_zone=/],
      ['-o dns_update=ns.example -o dns_zone=a', /'dns_update' is the address of a DNS server/],
      [`-o dns_update=${SERVER} -o dns_zone=a..b`, /'dns_zone' is a domain name/],
      [`${dns} -o dns_reverse=maybe`, /'dns_reverse' is a domain name/],
      [`${dns} -o dns_ttl=5`, /'dns_ttl' is a whole number from 10 to 86400/],
      [`${dns} -o dns_key_file=key`, /'dns_key_file' is an absolute path/],
      [`${dns} -o dns_key_file=/none`, /the key file \/none does not exist/],
      [`${dns} -o dns_key_file=/etc/berth/empty.key`, /has no key in it/],
      [`${dns} -o dns_key_file=/etc/berth/open.key`, /can be read or changed by others \(mode 604\)/],
    ] as const) {
      assert.match(await refused(options), message);
    }
  });
}
