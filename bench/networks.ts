/** The API of a cluster: what a network costs to make and to list, by how many there are. */

import { startBench } from '../src/master/testing/bench.ts';
import { openEtcdStore } from '../src/store/etcd/store.ts';
import { startEtcd } from '../src/store/etcd/testing/etcd.ts';
import type { Benchmark } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { timed } from './rounds.ts';

const SIZES = [10, 1000, 5000] as const;
const SAMPLES = 100;

export const networks: Benchmark = {
  name: 'networks',
  about: 'networks made and listed by a master on etcd, with 10, 1,000 and 5,000 of them there',
  run: async (context) => {
    await using etcd = await startEtcd();
    const store = await openEtcdStore({ endpoints: etcd.endpoints, prefix: 'bench/' });
    await using master = await startBench({}, store);
    const samples = context.runs ?? SAMPLES;
    let made = 0;
    const create = async (): Promise<void> => {
      const name = `n${made}`;
      const body = {
        key: `default:${name}`,
        tenantName: 'default',
        networkName: name,
        encap: 'vxlan',
        subnet: `10.${made >> 8}.${made & 255}.0/24`,
        gateway: `10.${made >> 8}.${made & 255}.254`,
      };
      made += 1;
      const { status, text } = await master.call('POST', `networks/default:${name}/`, body);
      if (status !== 200) throw new Error(text);
    };
    const global = { key: 'global', name: 'global', vxlans: '1-10000', vlans: '1-4094', fwdMode: 'bridge' };
    await master.call('POST', 'globals/global/', global);
    const rows: Row[] = [];
    for (const size of SIZES) {
      while (made < size) await create();
      context.say(`${made} networks`);
      const name = `${size} networks`;
      const peer = size === SIZES[0] ? {} : { peer: `${SIZES[0]} networks` };
      const creating: number[] = [];
      const listing: number[] = [];
      for (let n = 0; n < samples; n++) creating.push(await timed(create));
      for (let n = 0; n < samples / 10; n++) {
        listing.push(await timed(async () => void (await master.call('GET', 'networks/')).json));
      }
      rows.push({ what: 'network create', name, unit: 'ms', samples: creating, ...peer });
      rows.push({ what: 'network list, for each', name, unit: 'µs', samples: listing.map((ms) => (ms * 1000) / made) });
    }
    await store.close();
    return {
      title: 'Networks of the API',
      notes: [
        'one master on one member of etcd, requests one at a time over one connection, measured at the client',
        'each creation is a transaction: the network, its VNI, its pool, the head of all objects',
      ],
      rows: rows.toSorted((a, b) => a.what.localeCompare(b.what)),
    } satisfies Table;
  },
};
