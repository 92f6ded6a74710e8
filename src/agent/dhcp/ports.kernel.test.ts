/** A whole exchange with a real dnsmasq over a real bridge: checksums that nobody has filled in, and answers to a MAC that is not there. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, type Purpose, release } from '../../dhcp/client.ts';
import { type Ending, exchange, frameOf } from '../../dhcp/exchange.ts';
import { isolate } from '../../kernel/isolate.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { openKernel } from '../../kernel/linux.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { type Mac, macBytes, parseMac } from '../../model/mac.ts';
import { createPorts, type Ports } from './ports.ts';

let kernel: Kernel;
let ports: Ports;
let folder: string;
let dnsmasq: ChildProcess;

const clientOf = (mac: Mac): Client => ({ mac, clientId: Uint8Array.of(1, ...macBytes(mac)), hostName: 'web' });
const client = clientOf(parseMac('02:00:00:00:07:01')!);

before(async () => {
  isolate();
  folder = mkdtempSync(join(tmpdir(), 'dhcp-'));
  for (const line of [
    'link add br0 type bridge forward_delay 0',
    'link add port type veth peer name server',
    'link set port master br0 up',
    'link set server up',
    'link set br0 up',
    'address add 192.168.7.1/24 dev server',
  ])
    execFileSync('ip', line.split(' '));
  await startServer();
  kernel = await openKernel();
  ports = createPorts(kernel);
});

after(async () => {
  ports.close();
  await kernel.close();
  dnsmasq.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

async function startServer(): Promise<void> {
  const flags = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--user=root',
    '--pid-file=',
    '--port=0',
    '--no-ping',
  ];
  const range = '--dhcp-range=192.168.7.100,192.168.7.199,1h';
  const rest = ['--interface=server', '--log-facility=-', '--dhcp-authoritative', `--dhcp-leasefile=${leaseFile()}`];
  dnsmasq = spawn('dnsmasq', [...flags, range, ...rest], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    dnsmasq.stderr!.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('DHCP, IP range')) resolve();
    });
    dnsmasq.once('exit', () => reject(new Error(said)));
  });
}

function leaseFile(): string {
  return join(folder, 'leases');
}

function leases(): readonly string[] {
  const text = existsSync(leaseFile()) ? readFileSync(leaseFile(), 'utf8') : '';
  return text.split('\n').flatMap((line) => line.split(' ')[2] ?? []);
}

function have(purpose: Purpose, who = client): Promise<Ending> {
  return ports.use({ link: 'br0' }, (port) => exchange(port, who, purpose, { patience: 5000 }));
}

test('a lease, the same again after a reboot, refused in another network, and given back', async () => {
  const first = await have({ kind: 'discover' });
  assert.ok(first.kind === 'granted', first.kind);
  const { address } = first.terms.address;
  assert.deepEqual(leases(), [formatAddress(address)]);

  const again = await have({ kind: 'reboot', address });
  assert.ok(again.kind === 'granted');
  assert.deepEqual(again.terms.address.address, address);

  const elsewhere = await have({ kind: 'confirm', address: parseAddress('10.1.2.3')! });
  assert.equal(elsewhere.kind, 'refused');

  await ports.use({ link: 'br0' }, (port) =>
    Promise.resolve(port.send(frameOf(release(client, address, first.server, Math.random), client.mac))),
  );
  const deadline = performance.now() + 5000;
  while (leases().length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(leases(), []);
});

test('thirty at once over one port have an address each', async () => {
  const clients = Array.from({ length: 30 }, (_, index) =>
    clientOf(parseMac(`02:00:00:00:08:${index.toString(16).padStart(2, '0')}`)!),
  );
  const endings = await Promise.all(clients.map((one) => have({ kind: 'discover' }, one)));
  const addresses = endings.map((ending) =>
    ending.kind === 'granted' ? formatAddress(ending.terms.address.address) : '',
  );
  assert.equal(new Set(addresses).size, 30, addresses.join());
});

test('where nobody serves there is silence, and where no link is an error', async () => {
  execFileSync('ip', ['link', 'add', 'lonely', 'type', 'bridge']);
  execFileSync('ip', ['link', 'set', 'lonely', 'up']);
  const ending = await ports.use({ link: 'lonely' }, (port) =>
    exchange(port, client, { kind: 'discover' }, { patience: 300 }),
  );
  assert.deepEqual(ending, { kind: 'silent', heard: 'nothing' });
  const work = () => Promise.resolve();
  await assert.rejects(ports.use({ link: 'missing' }, work), { code: 'INTERFACE_UNKNOWN' });
});
