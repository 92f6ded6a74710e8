/** `berth attach`: a container that was started with any network becomes a machine on the LAN, and stays one. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AttachmentView } from '../../../src/agent/api.ts';
import type { EngineVersion } from '../bed/engines.ts';
import { outside4 } from '../bed/lan.ts';
import { waitFor } from '../bed/process.ts';
import { ask } from './agent.ts';
import { attach, attachStage, berth, berthFails, FLAGS, hasAddresses } from './attach-stage.ts';
import {
  addressOf,
  cannotReach,
  defaultRoute,
  docker,
  dockerFails,
  enter,
  interfaces,
  onlyInterface,
  reaches,
  start,
} from './containers.ts';
import { GATEWAY, OTHER, OTHER6 } from './lan-stage.ts';

const ADDRESS = '192.168.159.200';
const PLUG = `web --bridge br0 --address ${ADDRESS}/24`;

export function attachSuite(engine: EngineVersion): void {
  describe(`berth attach, engine ${engine}`, () => {
    const stage = attachStage(engine);

    test('a container without a network becomes a machine on the LAN, and is none any more after detach', async () => {
      const { host, other } = stage();
      await start(host, 'web', '--network none');
      const view = await attach(host, `${PLUG} --gateway ${GATEWAY} --mac 0a:00:27:00:00:05`);
      assert.deepEqual(
        [view.container, view.interface, view.addresses, view.gateways, view.mac, view.state],
        ['web', 'eth1', [`${ADDRESS}/24`], [GATEWAY], '0a:00:27:00:00:05', 'plugged'],
      );
      const { name, mac, mtu, addresses } = await onlyInterface(host, 'web');
      assert.deepEqual([name, mac, mtu, addresses], ['eth1', view.mac, 1500, [`${ADDRESS}/24`]]);
      assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth1`);
      await reaches(other, ADDRESS);
      for (const to of [OTHER, outside4]) await reaches([host, 'web'], to);

      // The same once more is the same one; what is different is another.
      assert.equal((await attach(host, `${PLUG} --gateway ${GATEWAY} --mac 0a:00:27:00:00:05`)).id, view.id);
      const second = await attach(host, 'web --bridge br0 --no-address');
      assert.deepEqual([second.interface, second.addresses], ['eth2', []]);
      const all = await berth<readonly AttachmentView[]>(host, 'attachment ls');
      assert.deepEqual(all.map((one) => one.interface).toSorted(), ['eth1', 'eth2']);

      assert.equal((await host.berth('detach', 'web', 'eth2')).stdout, 'web has no eth2 any more\n');
      await reaches(other, ADDRESS);
      await berth(host, 'detach web');
      assert.deepEqual(await interfaces(host, 'web'), []);
      await cannotReach(other, ADDRESS);
      assert.deepEqual(await berth(host, 'attachment ls'), []);
      assert.deepEqual(await ask(host, '/v1/endpoints'), []);
      assert.deepEqual(await ask(host, '/v1/networks'), []);
    });

    test('a container of another network keeps it, and gets its default route back', async () => {
      const { host, other } = stage();
      await start(host, 'web', '--network bridge');
      const before = await defaultRoute(host, 'web');
      assert.match(before, /^172\.17\.0\.1 eth0$/);
      // Without a gateway, what leads out stays as it is.
      await attach(host, `${PLUG} --interface lan0`);
      assert.equal(await defaultRoute(host, 'web'), before);
      await reaches(other, ADDRESS);
      await berth(host, 'detach web');
      // As pipework writes it.
      await attach(host, `web --bridge br0 --address ${ADDRESS}/24@${GATEWAY} --mac U:myhost.foo.com`);
      assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth1`);
      assert.equal((await interfaces(host, 'web')).find(({ name }) => name === 'eth1')?.mac, '02:72:6c:cd:9b:8d');
      await reaches([host, 'web'], outside4);
      await berth(host, 'detach web');
      assert.equal(await defaultRoute(host, 'web'), before);
      assert.deepEqual(
        (await interfaces(host, 'web')).map(({ name }) => name),
        ['eth0'],
      );
    });

    test('a single address, with a gateway beyond it', async () => {
      const { host } = stage();
      await start(host, 'web', '--network none');
      await attach(host, `web --bridge br0 --address ${ADDRESS}/32@${GATEWAY}`);
      assert.deepEqual((await onlyInterface(host, 'web')).addresses, [`${ADDRESS}/32`]);
      for (const to of [GATEWAY, outside4]) await reaches([host, 'web'], to);
      await docker(host, 'restart -t 0 web');
      await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/32`]);
      await reaches([host, 'web'], outside4);
    });

    test('IPv4 and IPv6 at once', async () => {
      const { host, other } = stage();
      await start(host, 'web', '--network none');
      await attach(host, `${PLUG} --address fd00:159::200/64 --gateway ${GATEWAY} --gateway fd00:159::2`);
      for (const address of [ADDRESS, 'fd00:159::200']) await reaches(other, address);
      await reaches([host, 'web'], OTHER6);
      assert.equal(await defaultRoute(host, 'web', 6), 'fd00:159::2 eth1');
    });

    test('with the settings of a network, and an address of its pool that nobody else gets', async () => {
      const { host, other } = stage();
      await docker(
        host,
        `network create -d berth-lan --ipam-driver berth-lan -o mtu=1400 --subnet 192.168.159.0/24 --gateway ${GATEWAY}
          --ip-range 192.168.159.128/26 lan`,
      );
      await start(host, 'web', '--network none');
      const view = await attach(host, 'web --network lan');
      assert.deepEqual([view.addresses, view.gateways, view.networkName], [['192.168.159.128/24'], [GATEWAY], 'lan']);
      assert.equal((await onlyInterface(host, 'web')).mtu, 1400);
      await reaches(other, '192.168.159.128');
      await start(host, 'next', '--network lan');
      assert.equal(await addressOf(host, 'next'), '192.168.159.129');
      const image = await host.image();
      assert.match(
        await dockerFails(host, `run -d --network lan --ip 192.168.159.128 ${image}`),
        /192\.168\.159\.128 is held by the container web/,
      );
      await start(host, 'third', '--network none');
      assert.match(await berthFails(host, 'attach third --network lan --address 192.168.159.129'), /is held by .*next/);
      // The engine's look at its own networks frees nothing of ours.
      await attach(host, 'third --network lan --address 192.168.159.140');
      const { stdout } = await host.berth('gc', '--apply', '--json');
      assert.deepEqual(JSON.parse(stdout), []);
      await reaches(other, '192.168.159.140');
      await berth(host, 'detach third');
      await start(host, 'fourth', '--network lan --ip 192.168.159.140');
    });

    test('a virtual network: its neighbours, its gateway, its limits', async () => {
      const { host } = stage();
      await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.66.0.0/24 shop');
      await start(host, 'db', '--network shop');
      await start(host, 'web', '--network none');
      const { addresses, gateways } = await attach(host, 'web --network shop');
      assert.deepEqual([addresses, gateways], [['10.66.0.3/24'], ['10.66.0.1']]);
      await reaches([host, 'web'], await addressOf(host, 'db'));
      await reaches([host, 'db'], '10.66.0.3');
      await reaches([host, 'web'], outside4);
      await berth(host, 'detach web');
    });

    test('a name that is taken when the container starts again is told, and mends itself', async () => {
      const { host, other } = stage();
      await docker(host, 'network create extra');
      await start(host, 'web', '--network bridge');
      await attach(host, `${PLUG} --interface eth1`);
      await docker(host, 'stop -t 0 web');
      // The engine plugs first, and calls the second one eth1.
      await docker(host, 'network connect extra web');
      await docker(host, 'start web');
      await waitFor('the attachment to say so', async () => {
        const [one] = await berth<readonly AttachmentView[]>(host, 'attachment ls');
        return one?.problem?.includes('has an interface eth1 of its own') === true;
      });
      const { problems } = await ask(host, '/health');
      assert.match(problems.join(), /eth1 of the container web is not plugged in/);
      // Engines from 25 on plug several networks in any order.
      const taken = (await interfaces(host, 'web')).find(({ name }) => name === 'eth1');
      const ofBridge = taken?.addresses.some((on) => on.startsWith('172.17.'));
      await docker(host, `network disconnect ${ofBridge === true ? 'bridge' : 'extra'} web`);
      await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
      await reaches(other, ADDRESS);
      const [one] = await berth<readonly AttachmentView[]>(host, 'attachment ls');
      assert.equal(one?.problem, undefined);
    });

    test('an address beside the engine’s own IPAM is not taken from it', async () => {
      const { host, other } = stage();
      await docker(host, `network create -d berth-lan --subnet 192.168.159.0/24 --gateway ${GATEWAY} lan`);
      await start(host, 'web', '--network none');
      assert.match(await berthFails(host, 'attach web --network lan'), /given out by Docker itself/);
      await attach(host, 'web --network lan --address 192.168.159.200');
      const image = await host.image();
      assert.match(
        await dockerFails(host, `run -d --network lan --ip ${ADDRESS} ${image}`),
        /held by the container web/,
      );
      await reaches(other, ADDRESS);
    });

    test('on a NIC, by macvlan: restarts and repair included', async () => {
      const { host, lan, other } = stage();
      await lan.plug(host, { name: 'lan0', addresses: ['192.168.159.21/24'] });
      await start(host, 'web', '--network none');
      const flags = `--mode macvlan --parent lan0 --address ${ADDRESS}/24 --gateway ${GATEWAY} --interface lan9`;
      await attach(host, `web ${flags}`);
      const plugged = async () => {
        await hasAddresses(host, 'web', 'lan9', [`${ADDRESS}/24`]);
        await reaches(other, ADDRESS);
        await reaches([host, 'web'], outside4);
      };
      await plugged();
      // The host has a way to it, which macvlan by itself does not give.
      await waitFor('the host to have its way', async () =>
        /dev bs[0-9a-f]+/.test((await host.net(['ip', 'route', 'get', ADDRESS])).stdout),
      );
      await reaches(host, ADDRESS);
      await docker(host, 'restart -t 0 web');
      await plugged();
      await enter(host, 'web', 'ip', 'link', 'delete', 'lan9');
      await plugged();
      await host.killBerth();
      await docker(host, 'restart -t 0 web');
      await host.startBerth(FLAGS);
      await plugged();
      await berth(host, 'detach web');
      assert.deepEqual(await interfaces(host, 'web'), []);
      await host.ip('link delete lan0');
    });

    test('a whole NIC, which comes back as it was', async () => {
      const { host, lan, other } = stage();
      await lan.plug(host, { name: 'lan1', mac: '0a:00:00:77:00:01' });
      await start(host, 'web', '--network none');
      const view = await attach(
        host,
        `web --mode nic -o nic=0a:00:00:77:00:01 --address ${ADDRESS}/24 --interface uplink`,
      );
      assert.equal(view.mac, '0a:00:00:77:00:01');
      await hasAddresses(host, 'web', 'uplink', [`${ADDRESS}/24`]);
      await reaches(other, ADDRESS);
      await host.killBerth();
      await host.startBerth(FLAGS);
      await reaches(other, ADDRESS);
      // Somebody puts it back: it belongs in the container.
      await host.sh('nsenter -t $(docker inspect -f "{{.State.Pid}}" web) -n ip link set uplink netns 1');
      await hasAddresses(host, 'web', 'uplink', [`${ADDRESS}/24`]);
      await reaches(other, ADDRESS);
      await berth(host, 'detach web');
      assert.deepEqual(await interfaces(host, 'web'), []);
      const { stdout } = await host.net(['ip', '-j', 'link', 'show', 'lan1']);
      const [card] = JSON.parse(stdout) as { address: string; ifalias?: string; flags: string[] }[];
      assert.deepEqual([card?.address, card?.ifalias, card?.flags.includes('UP')], [view.mac, undefined, true]);
      await host.ip('link delete lan1');
    });

    test('what somebody removes in the container is put back', async () => {
      const { host, other } = stage();
      await start(host, 'web', '--network none');
      await attach(host, `${PLUG} --gateway ${GATEWAY}`);
      await reaches(other, ADDRESS);
      await enter(host, 'web', 'ip', 'link', 'delete', 'eth1');
      await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
      await reaches([host, 'web'], outside4);
      await enter(host, 'web', 'ip', 'address', 'flush', 'dev', 'eth1');
      await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
      await reaches([host, 'web'], outside4);
      await reaches(other, ADDRESS);
    });

    test('restarts of the container, of Berth, and of the container without Berth', async () => {
      const { host, other } = stage();
      await start(host, 'web', '--network none');
      const { id, mac } = await attach(host, `${PLUG} --gateway ${GATEWAY}`);
      const plugged = async () => {
        await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
        assert.equal((await onlyInterface(host, 'web')).mac, mac);
        await reaches(other, ADDRESS);
        await reaches([host, 'web'], outside4);
      };
      await docker(host, 'restart -t 0 web');
      await plugged();
      await docker(host, 'stop -t 0 web');
      await waitFor('the attachment to wait', async () => {
        const [one] = await berth<readonly AttachmentView[]>(host, 'attachment ls');
        return one?.state === 'waiting';
      });
      await docker(host, 'start web');
      await plugged();
      await docker(host, 'rename web shop');
      await docker(host, 'rename shop web');

      await host.stopBerth();
      await reaches(other, ADDRESS);
      await host.startBerth(FLAGS);
      await plugged();
      await host.killBerth();
      await reaches(other, ADDRESS);
      await host.startBerth(FLAGS);
      await plugged();

      await host.killBerth();
      await docker(host, 'restart -t 0 web');
      assert.deepEqual(await interfaces(host, 'web'), []);
      await host.startBerth(FLAGS);
      await plugged();
      await host.stopBerth();
      await docker(host, 'stop -t 0 web');
      await host.startBerth(FLAGS);
      await docker(host, 'start web');
      await plugged();
      const all = await berth<readonly AttachmentView[]>(host, 'attachment ls');
      assert.deepEqual(
        all.map((one) => [one.id, one.container, one.state]),
        [[id, 'web', 'plugged']],
      );
    });

    test('a removed container takes its attachment along, unless it is kept for the next of its name', async () => {
      const { host, other } = stage();
      await start(host, 'web', '--network none');
      await start(host, 'gone', '--network none');
      await attach(host, `${PLUG} --keep`);
      await attach(host, 'gone --bridge br0 --address 192.168.159.201/24');
      await docker(host, 'rm -f web gone');
      await waitFor('one attachment to wait, and the other to go', async () => {
        const all = await berth<readonly AttachmentView[]>(host, 'attachment ls');
        return all.length === 1 && all[0]!.state === 'waiting';
      });
      await start(host, 'web', '--network none');
      await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
      await reaches(other, ADDRESS);
      // While Berth does not look, too.
      await host.stopBerth();
      await docker(host, 'rm -f web');
      await start(host, 'web', '--network none');
      await host.startBerth(FLAGS);
      await hasAddresses(host, 'web', 'eth1', [`${ADDRESS}/24`]);
      await berth(host, 'detach web');
    });

    test('an attachment goes with the network that it was on', async () => {
      const { host } = stage();
      await docker(host, 'network create -d berth-lan --ipam-driver berth-lan --subnet 192.168.159.0/24 lan');
      await start(host, 'web', '--network bridge');
      const before = await defaultRoute(host, 'web');
      await attach(host, `web --network lan --gateway ${GATEWAY}`);
      assert.equal(await defaultRoute(host, 'web'), `${GATEWAY} eth1`);
      await docker(host, 'network rm lan');
      assert.deepEqual(await berth(host, 'attachment ls'), []);
      assert.deepEqual(
        (await interfaces(host, 'web')).map(({ name }) => name),
        ['eth0'],
      );
      assert.equal(await defaultRoute(host, 'web'), before);
    });

    test('what cannot be is refused in a sentence, and leaves nothing', async () => {
      const { host } = stage();
      await start(host, 'web', '--network none');
      await start(host, 'hosts', '--network host');
      await start(host, 'shares', '--network container:web');
      await docker(host, `create --name idle --network none ${await host.image()}`);
      const refusals: readonly (readonly [string, RegExp])[] = [
        [`attach nobody --address ${ADDRESS}/24`, /there is no container 'nobody'/],
        [`attach idle --address ${ADDRESS}/24`, /the container idle does not run/],
        [`attach hosts --address ${ADDRESS}/24`, /the container hosts has the network of the host/],
        [`attach shares --address ${ADDRESS}/24`, /has the network of the container [0-9a-f]{12}: attach that one/],
        [`attach web --bridge br9 --address ${ADDRESS}/24`, /there is no bridge br9/],
        [`attach web --address ${ADDRESS}`, /has no prefix length/],
        ['attach web --address nonsense/24', /'nonsense\/24' is not an address/],
        [`attach web --interface lo --address ${ADDRESS}/24`, /has an interface lo already/],
        [`attach web --interface a/b --address ${ADDRESS}/24`, /cannot be the name of an interface/],
        ['attach web --network nowhere', /there is no network 'nowhere'/],
        [`attach web -o brigde=br0 --address ${ADDRESS}/24`, /'brigde' is not known; did you mean 'bridge'/],
        [`attach web --mac 01:00:00:00:00:00 --address ${ADDRESS}/24`, /is not the MAC address of an interface/],
        [`attach web --address ${OTHER}/24`, /has the address 192\.168\.159\.10: its MAC address is 0a:00/],
        ['detach web', /the container 'web' has no attachment/],
      ];
      for (const [line, words] of refusals) {
        const stderr = await berthFails(host, line);
        assert.match(stderr, words);
        assert.match(stderr, /\n {2}next: \S/, line);
      }
      await attach(host, PLUG);
      await start(host, 'second', '--network none');
      assert.match(
        await berthFails(host, `attach second --address ${ADDRESS}/24`),
        /192\.168\.159\.200 is held by the container web/,
      );
      assert.deepEqual(await interfaces(host, 'second'), []);
    });
  });
}
