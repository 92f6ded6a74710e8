/** Whether the DNS servers of networks would take updates, found out by one to each that changes nothing. */

import type { DnsView, NetworkView } from '../../../agent/api.ts';
import { query, update } from '../../../dns/client.ts';
import { readKeyFile } from '../../../dns/key-file.ts';
import { parseName } from '../../../dns/name.ts';
import { mayUpdate } from '../../../dns/registrar.ts';
import { parseAddress } from '../../../model/address.ts';
import type { DnsServerFacts } from '../facts.ts';

/** Nobody waits long for the doctor. Milliseconds. */
const waits = [500, 1000] as const;

export async function gatherDnsServers(networks: readonly NetworkView[]): Promise<readonly DnsServerFacts[]> {
  const servers = new Map<string, { readonly dns: DnsView; readonly networks: string[] }>();
  for (const { dns, name, id } of networks) {
    if (dns === undefined) continue;
    const key = JSON.stringify([dns.server, dns.port, dns.zone, dns.keyFile]);
    const known = servers.get(key) ?? { dns, networks: [] };
    known.networks.push(name ?? id.slice(0, 12));
    servers.set(key, known);
  }
  return Promise.all([...servers.values()].map(({ dns, networks: names }) => look(dns, names)));
}

async function look(dns: DnsView, networks: readonly string[]): Promise<DnsServerFacts> {
  const { server, port, zone, keyFile } = dns;
  const facts = { networks, server, zone, ...(keyFile === undefined ? {} : { keyFile }) };
  const key = keyFile === undefined ? undefined : await readKeyFile(keyFile);
  if (key !== undefined && 'problem' in key) return { ...facts, keyProblem: key.problem };
  const at = { address: parseAddress(server)!, port, ...(key === undefined ? {} : { key }) };
  const found = await mayUpdate(
    {
      query: (name, type) => query(at, name, type, { waits }),
      update: (change) => update(at, change, { waits }),
    },
    parseName(zone)!,
  );
  return found === undefined ? facts : { ...facts, problem: found.problem };
}
