/** The plainest client of etcd: its JSON gateway (`/v3/…`) over one kept connection, with no deadline, no failover and no watch. */

import { Agent, request } from 'node:http';

export interface Gateway {
  get(key: string): Promise<unknown>;
  /** Makes both keys where the first is absent. */
  create(key: string, other: string, value: string): Promise<unknown>;
  list(prefix: string): Promise<unknown>;
  close(): void;
}

export function etcdGateway(url: string): Gateway {
  const agent = new Agent({ keepAlive: true });
  const text = (key: string) => Buffer.from(key).toString('base64');
  const call = (path: string, body: unknown) =>
    new Promise<unknown>((resolve, reject) => {
      const sent = request(`${url}/v3/${path}`, { method: 'POST', agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
      });
      sent.on('error', reject);
      sent.end(JSON.stringify(body));
    });
  const put = (key: string, value: string) => ({ requestPut: { key: text(key), value: text(value) } });
  return {
    get: (key) => call('kv/range', { key: text(key) }),
    create: (key, other, value) =>
      call('kv/txn', {
        compare: [{ key: text(key), target: 'CREATE', createRevision: '0' }],
        success: [put(key, value), put(other, value)],
      }),
    list: (prefix) => call('kv/range', { key: text(prefix), range_end: text(`${prefix.slice(0, -1)}0`) }),
    close: () => agent.destroy(),
  };
}
