/** Counters for Prometheus, under the names in docs/metrics.md. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { NeutronStatusView } from './neutron/status-view.ts';

export interface Metrics {
  readonly registry: Registry;
  /** @param seconds how long the call took. */
  pluginCall(plugin: string, method: string, outcome: string, seconds: number): void;
  drift(kind: string, what: string, repaired: boolean): void;
  garbage(kind: string): void;
  fullPass(seconds: number): void;
  /** `refused`: the container did not start; `avoided`: the address was passed over; `found`: while the container ran. */
  addressConflict(outcome: 'refused' | 'avoided' | 'found'): void;
  /** Called at each scrape. */
  gauges(
    read: () => Readonly<
      Record<'networks' | 'endpoints' | 'attachments' | 'pools' | 'leases' | 'objects' | 'journal', number>
    >,
  ): void;
  engineReachable(reachable: boolean): void;
  /** @param seconds how long it took. */
  dhcpExchange(purpose: string, outcome: string, seconds: number): void;
  /** @param via `mdns` or `dns`. @param outcome `registered`, `removed`, `conflict` or `failed`. */
  nameOperation(via: string, outcome: string): void;
  /** @param template of the path. @param status of the answer, or `none`. */
  openstackCall(service: string, method: string, template: string, status: string, seconds: number): void;
  /** Called at each scrape. */
  neutron(read: () => Pick<NeutronStatusView, 'services' | 'ports' | 'networks' | 'waiting'>): void;
  /** Called at each scrape. */
  names(read: () => readonly { readonly via: string; readonly state: string }[]): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'berth_' });
  const calls = new Histogram({
    name: 'berth_plugin_call_seconds',
    help: "Time to answer Docker's plugin calls.",
    labelNames: ['plugin', 'method', 'outcome'],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 2, 5, 10],
    registers,
  });
  const drifts = new Counter({
    name: 'berth_drifts_total',
    help: 'Kernel objects that were found different from what is declared.',
    labelNames: ['kind', 'what', 'repaired'],
    registers,
  });
  const garbage = new Counter({
    name: 'berth_garbage_total',
    help: 'Things that were freed because the engine has forgotten them.',
    labelNames: ['kind'],
    registers,
  });
  const conflicts = new Counter({
    name: 'berth_address_conflicts_total',
    help: 'Addresses that another machine on the LAN was found to have: the container was refused, another address was given, or it was found while the container ran.',
    labelNames: ['outcome'],
    registers,
  });
  const passes = new Histogram({
    name: 'berth_audit_seconds',
    help: 'Duration of full audits.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  const reachable = new Gauge({
    name: 'berth_engine_reachable',
    help: '1 while the Docker engine answers.',
    registers,
  });
  const exchanges = new Histogram({
    name: 'berth_dhcp_exchange_seconds',
    help: 'Duration of exchanges with DHCP servers.',
    labelNames: ['purpose', 'outcome'],
    buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 4, 8],
    registers,
  });
  const nameOperations = new Counter({
    name: 'berth_name_operations_total',
    help: 'What became of attempts to make containers known by name.',
    labelNames: ['via', 'outcome'],
    registers,
  });
  const openstackCalls = new Histogram({
    name: 'berth_openstack_call_seconds',
    help: 'Duration of requests to Keystone and Neutron, by the template of their path and the status of the answer.',
    labelNames: ['service', 'method', 'template', 'status'],
    buckets: [0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers,
  });
  return {
    registry,
    openstackCall: (service, method, template, status, seconds) =>
      openstackCalls.observe({ service, method, template, status }, seconds),
    neutron(read) {
      const reachable = new Gauge({
        name: 'berth_openstack_reachable',
        help: '1 while Keystone or Neutron serves us, as the last request showed.',
        labelNames: ['service'],
        registers,
        collect() {
          for (const { name, state } of read().services) reachable.set({ service: name }, state === 'answers' ? 1 : 0);
        },
      });
      const objects = new Gauge({
        name: 'berth_neutron_objects',
        help: 'What this host has in Neutron, by its records; `waiting` is what is still to be removed there.',
        labelNames: ['kind'],
        registers,
        collect() {
          const { ports, networks, waiting } = read();
          for (const [kind, count] of Object.entries({ ports, networks, waiting: waiting.count }))
            objects.set({ kind }, count);
        },
      });
    },
    nameOperation: (via, outcome) => nameOperations.inc({ via, outcome }),
    names(read) {
      const states = new Gauge({
        name: 'berth_names',
        help: 'How many names of containers there are on LANs, and how they stand.',
        labelNames: ['via', 'state'],
        registers,
        collect() {
          states.reset();
          for (const { via, state } of read()) states.inc({ via, state });
        },
      });
    },
    pluginCall: (plugin, method, outcome, seconds) => calls.observe({ plugin, method, outcome }, seconds),
    drift: (kind, what, repaired) => drifts.inc({ kind, what, repaired: String(repaired) }),
    garbage: (kind) => garbage.inc({ kind }),
    addressConflict: (outcome) => conflicts.inc({ outcome }),
    fullPass: (seconds) => passes.observe(seconds),
    dhcpExchange: (purpose, outcome, seconds) => exchanges.observe({ purpose, outcome }, seconds),
    engineReachable: (is) => reachable.set(is ? 1 : 0),
    gauges(read) {
      const counts = new Gauge({
        name: 'berth_objects',
        help: 'How many there are of each kind.',
        labelNames: ['kind'],
        registers,
        collect() {
          for (const [kind, count] of Object.entries(read())) counts.set({ kind }, count);
        },
      });
    },
  };
}
