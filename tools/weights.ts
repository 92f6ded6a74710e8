/**
 * What the end-to-end suites cost: one line each, which is how many cores it keeps busy on average, and about how many seconds it
 * takes when it has them. `node tools/end-to-end.ts FILE` measures both: processor time by time. A suite that is not here is
 * taken for an ordinary one.
 */

import type { Suite } from './schedule.ts';

/** By the name of the file, without its folder and `.test.ts`. */
export const table: Readonly<Record<string, readonly [weight: number, seconds: number]>> = {
  adoption: [1, 25],
  'api-here': [0.8, 8],
  'attach-dhcp': [0.8, 45],
  'attach-faults': [1.2, 85],
  attach: [1, 75],
  'bad-input': [0.8, 75],
  'bed/bed': [0.8, 25],
  'bed/cluster': [1.2, 25],
  'bed/engines': [0.5, 5],
  'bed/history': [0.5, 5],
  'bed/openstack': [1.3, 60],
  'bed/openstack-agents': [1.8, 100],
  'bed/openstack/proxy': [0.5, 3],
  'bed/ownership': [0.5, 10],
  'bed/uml': [1.1, 60],
  cli: [0.9, 50],
  'cluster-access': [1.4, 45],
  'cluster-addresses': [1.4, 35],
  'cluster-basic': [1.4, 70],
  'cluster-churn': [1.6, 60],
  'cluster-compose': [1.4, 30],
  'cluster-datapath': [1.4, 150],
  'cluster-guide': [1.4, 25],
  'cluster-integration': [1.4, 60],
  'cluster-leader': [1.4, 45],
  'cluster-names': [1.4, 60],
  'cluster-network': [1.4, 75],
  'cluster-reach': [1.4, 50],
  'cluster-store': [1.4, 30],
  'cluster-t4': [1.4, 35],
  'cluster-tenants': [1.4, 60],
  'cluster-transcript': [1.4, 60],
  'cluster-trigger': [1.4, 165],
  'cluster-uml': [1.1, 30],
  'cluster-vlan': [1.3, 160],
  crash: [2.6, 190],
  datapath: [0.8, 60],
  'dhcp-crash': [2.6, 165],
  'dhcp-leases': [0.6, 75],
  'dhcp-servers': [0.7, 70],
  'dhcp-uml': [1.1, 120],
  'dhcp-ways': [0.9, 70],
  dhcp: [1, 110],
  'dhcp6-leases': [0.4, 180],
  dhcp6: [0.8, 45],
  docker: [1, 65],
  doctor: [0.8, 35],
  'engine-networks': [1.2, 100],
  'engine-restart': [0.5, 140],
  engines: [1, 290],
  'etcd-partition': [0.8, 25],
  etcd: [0.8, 75],
  faults: [0.9, 60],
  'lan-uml': [1.1, 160],
  lan: [1, 75],
  limits: [0.7, 110],
  'managed-plugin': [0.9, 50],
  'migrate-local': [1, 40],
  names: [0.7, 140],
  neighbour: [0.8, 60],
  'netctl-access': [0.6, 20],
  'netctl-masters': [0.8, 25],
  netctl: [0.8, 35],
  netplugin: [0.8, 12],
  'neutron-kuryr-faults': [1.3, 250],
  neutron: [1.3, 30],
  'neutron-migrate': [1.3, 90],
  'neutron-global': [1.5, 130],
  'openstack-client': [1, 150],
  ovs: [1, 280],
  'ping-here': [0.7, 20],
  ping: [0.9, 60],
  'random-kills': [2, 35],
  reboot: [0.6, 18],
  reserve: [0.8, 15],
  rtnetlink: [1.1, 15],
  'store-faults': [0.5, 60],
  swarm: [0.7, 220],
  tls: [0.7, 12],
  'uplink-dhcp': [0.6, 45],
  'uplink-plan': [0.7, 45],
  'uplink-uml': [1.1, 60],
  uplink: [0.7, 190],
  'user-networks': [1.2, 30],
};

const ordinary = [1, 60] as const;

export function withCost(file: string): Suite {
  const [weight, seconds] = table[file.replace(/^test\/e2e\/|\.test\.ts$/g, '')] ?? ordinary;
  return { file, weight, seconds };
}

/** The weight that so many cores bear at a time. Something is left for the moments in which all of them are busy. */
export function capacityOf(cores: number): number {
  return cores * 0.9;
}
