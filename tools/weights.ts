/**
 * What the end-to-end suites cost: one line each, which is how many cores it keeps busy on average, and about how many seconds it
 * takes beside others. Every run of `node tools/end-to-end.ts` says both of each suite; the first is its processor time by its
 * time and a quarter more, for what the kernel does on its behalf is nobody's processor time. A suite that is not here is taken
 * for an ordinary one.
 */

import type { Suite } from './schedule.ts';

/** By the name of the file, without its folder and `.test.ts`. */
export const table: Readonly<Record<string, readonly [weight: number, seconds: number]>> = {
  adoption: [0.8, 30],
  'api-here': [0.9, 5],
  'attach-dhcp': [0.4, 30],
  'attach-faults': [1, 110],
  attach: [0.8, 95],
  'bad-input': [1.2, 35],
  'bed/bed': [0.8, 30],
  'bed/cluster': [0.7, 15],
  'bed/engines': [0.7, 5],
  'bed/history': [1, 5],
  'bed/openstack': [1.1, 55],
  'bed/openstack-agents': [1, 170],
  'bed/openstack/proxy': [0.7, 5],
  'bed/ownership': [0.4, 10],
  'bed/uml': [0.6, 55],
  cli: [0.9, 20],
  'cluster-access': [1.1, 30],
  'cluster-addresses': [1.7, 25],
  'cluster-basic': [1.7, 20],
  'cluster-churn': [1.8, 40],
  'cluster-compose': [1.2, 20],
  'cluster-datapath': [0.8, 140],
  'cluster-guide': [0.8, 10],
  'cluster-integration': [1.3, 40],
  'cluster-leader': [0.8, 60],
  'cluster-names': [1.2, 25],
  'cluster-network': [1.2, 75],
  'cluster-reach': [1.1, 30],
  'cluster-store': [1.4, 15],
  'cluster-t4': [1.2, 10],
  'cluster-tenants': [1.2, 25],
  'cluster-transcript': [0.8, 50],
  'cluster-trigger': [0.9, 80],
  'cluster-uml': [0.9, 20],
  'cluster-vlan': [0.8, 170],
  crash: [2.6, 235],
  datapath: [0.8, 45],
  'dhcp-crash': [2.5, 180],
  'dhcp-leases': [0.4, 70],
  'dhcp-servers': [0.6, 70],
  'dhcp-uml': [0.7, 235],
  'dhcp-ways': [0.6, 90],
  dhcp: [0.8, 130],
  'dhcp6-leases': [0.3, 185],
  dhcp6: [0.9, 30],
  docker: [1.2, 65],
  doctor: [1.1, 20],
  'engine-networks': [1.4, 105],
  'engine-restart': [0.4, 160],
  engines: [0.9, 320],
  'etcd-partition': [0.4, 10],
  etcd: [0.6, 50],
  faults: [0.7, 50],
  'lan-uml': [0.7, 315],
  lan: [0.8, 110],
  limits: [0.4, 165],
  'managed-plugin': [0.5, 110],
  'migrate-local': [0.6, 30],
  names: [0.4, 150],
  neighbour: [0.8, 55],
  'netctl-access': [0.5, 10],
  'netctl-masters': [0.4, 10],
  netctl: [1.4, 15],
  netplugin: [1.5, 5],
  'neutron-bad-input': [0.9, 65],
  'neutron-crash': [1.2, 95],
  'neutron-faults': [0.8, 110],
  'neutron-kuryr-faults': [0.8, 60],
  'neutron-kuryr-ports': [0.7, 70],
  'neutron-sharing': [1, 60],
  neutron: [1.2, 25],
  'neutron-fullstack': [0.8, 45],
  'neutron-kuryr-units': [1, 60],
  'neutron-networks': [0.8, 90],
  'neutron-networks-20': [0.9, 90],
  'neutron-networks-26': [0.9, 90],
  'neutron-transcripts': [0.6, 170],
  'neutron-binding': [1, 120],
  'neutron-doctor': [1.1, 170],
  'neutron-ovs': [0.9, 40],
  'neutron-warm': [0.8, 60],
  'neutron-migrate': [0.8, 40],
  'neutron-churn': [1.5, 65],
  'neutron-global': [0.7, 105],
  'openstack-client': [0.9, 130],
  ovs: [0.8, 250],
  'ping-here': [0.5, 20],
  ping: [0.7, 30],
  'random-kills': [1.4, 25],
  reboot: [0.5, 20],
  reserve: [1.3, 10],
  rtnetlink: [0.8, 10],
  'store-faults': [0.6, 55],
  swarm: [0.6, 270],
  tls: [0.4, 20],
  'uplink-dhcp': [0.4, 85],
  'uplink-plan': [0.4, 30],
  'uplink-uml': [0.7, 25],
  uplink: [0.8, 255],
  'user-networks': [1.1, 15],
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
