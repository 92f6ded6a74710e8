/** An authority of the bed's own, and what it has certified. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../process.ts';

/** In PEM. */
export interface Certified {
  readonly key: string;
  readonly cert: string;
}

export interface Certificates {
  /** The authority's certificate. */
  readonly ca: string;
  /** For the endpoints, on the addresses given. */
  readonly server: Certified;
  /** For the product. */
  readonly client: Certified;
}

/** Makes them with openssl, in a folder, where they stay: `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`. */
export async function makeCertificates(folder: string, addresses: readonly string[]): Promise<Certificates> {
  const names = addresses.map((address) => `IP:${address}`).join(',');
  const file = (name: string) => join(folder, name);
  const request = (name: string) =>
    ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=bed-${name}`].concat([
      '-keyout',
      file(`${name}.key`),
      '-days',
      '2',
      '-x509',
      '-out',
      file(`${name}.pem`),
    ]);
  const openssl = (args: readonly string[]) => run(['openssl', ...args]);
  await openssl([...request('ca'), '-addext', 'basicConstraints=critical,CA:TRUE']);
  for (const name of ['server', 'client']) {
    const authority = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-addext', 'basicConstraints=CA:FALSE'];
    await openssl([...request(name), ...authority, '-addext', `subjectAltName=${names}`]);
  }
  const read = (name: string) => readFileSync(file(name), 'utf8');
  const certified = (name: string) => ({ key: read(`${name}.key`), cert: read(`${name}.pem`) });
  return { ca: read('ca.pem'), server: certified('server'), client: certified('client') };
}
