/** The other ways by which an engine finds Berth: TCP with mutual TLS and a .json file, and a socket elsewhere with a .spec file. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { addressOf, reaches, start } from './suites/containers.ts';
import { clear, nothingLeft } from './suites/leftovers.ts';

const SPECS = '/usr/lib/docker/plugins';
const KEYS = '/run/keys';

/** An authority, and a certificate of it for the agent and one for the engine. */
const CERTIFICATES = `
mkdir -p ${KEYS} && cd ${KEYS}
# A host of the bed has no configuration of openssl.
printf '[req]\\ndistinguished_name=dn\\n[dn]\\n' > openssl.cnf; export OPENSSL_CONF=${KEYS}/openssl.cnf
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $1.key -subj "/CN=$1" "\${@:2}"; }
new ca -x509 -addext basicConstraints=critical,CA:TRUE -days 2 -out ca.pem
new stranger -x509 -days 2 -out stranger.pem
for who in agent engine; do
  new $who -out $who.csr
  openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $who.pem \\
    -extfile <(echo "subjectAltName=IP:127.0.0.1")
done
`;

const TLS = [
  ['--tls-address', '127.0.0.1'],
  ['--tls-ca', `${KEYS}/ca.pem`],
  ['--tls-cert', `${KEYS}/agent.pem`],
  ['--tls-key', `${KEYS}/agent.key`],
  ['--tls-client-cert', `${KEYS}/engine.pem`],
  ['--tls-client-key', `${KEYS}/engine.key`],
  ['--spec-dir', SPECS],
].flat();

async function withHost(work: (bed: Bed, host: Host) => Promise<void>): Promise<void> {
  await using bed = await openBed('tls');
  const host = await bed.host('h1');
  await host.image();
  await work(bed, host);
}

/** The main job: a network with two containers that talk, and nothing of it afterwards. */
async function mainJob(host: Host): Promise<void> {
  await host.docker('network', 'create', '-d', 'berth', '--ipam-driver', 'berth', 'net');
  await start(host, 'one', '--network net');
  await start(host, 'two', '--network net');
  await reaches([host, 'one'], await addressOf(host, 'two'));
  await clear(host);
  await nothingLeft(host);
}

describe('how the engine finds Berth', () => {
  test('TCP with mutual TLS: the engine is served, and nobody without its certificate', () =>
    withHost(async (_bed, host) => {
      await host.exec(['bash', '-ec', CERTIFICATES]);
      await host.startBerth([...TLS, '--linger', '0'], {}, { plugins: [] });
      const { Addr } = JSON.parse((await host.sh(`cat ${SPECS}/berth.json`)).stdout) as { Addr: string };
      assert.match(Addr, /^https:\/\/127\.0\.0\.1:\d+$/);
      await mainJob(host);

      const ask = (certificate: string) =>
        host.sh(
          `OPENSSL_CONF=${KEYS}/openssl.cnf openssl s_client -connect ${Addr.replace('https://', '')} -CAfile ${KEYS}/ca.pem ${certificate} -crlf -quiet <<'END'
POST /Plugin.Activate HTTP/1.1
Connection: close
Content-Length: 0

END`,
          { check: false, timeout: 60_000 },
        );
      assert.match((await ask(`-cert ${KEYS}/engine.pem -key ${KEYS}/engine.key`)).stdout, /NetworkDriver/);
      for (const certificate of ['', `-cert ${KEYS}/stranger.pem -key ${KEYS}/stranger.key`]) {
        assert.doesNotMatch((await ask(certificate)).stdout, /NetworkDriver/);
      }

      assert.equal(await host.stopBerth(), 0);
      for (const name of ['berth', 'berth-lan', 'local'])
        assert.equal(existsSync(host.path(`${SPECS}/${name}.json`)), false, name);
    }));

  test('a socket elsewhere, with a .spec file', () =>
    withHost(async (_bed, host) => {
      await host.startBerth(
        ['--plugin-dir', '/run/elsewhere', '--spec-dir', SPECS, '--linger', '0'],
        {},
        { plugins: [] },
      );
      assert.equal((await host.sh(`cat ${SPECS}/berth.spec`)).stdout.trim(), 'unix:///run/elsewhere/berth.sock');
      await mainJob(host);
      assert.equal(await host.stopBerth(), 0);
      assert.equal(existsSync(host.path(`${SPECS}/berth.spec`)), false);
      assert.equal(existsSync(host.path('/run/elsewhere/berth.sock')), false);
    }));
});
