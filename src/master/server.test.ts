import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createMemoryStore } from '../store/memory.ts';
import { startBench } from './testing/bench.ts';
import { network, policy } from './testing/contiv.ts';

describe('the API over TLS', () => {
  it('shows its certificate, and does not speak without', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-tls-'));
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
    const subject = ['-subj', '/CN=master', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', ...made, ...subject, '-keyout', tlsKey, '-out', tlsCert], { stdio: 'ignore' });
    await using bench = await startBench({ tlsCert, tlsKey });
    const status = await new Promise((resolve, reject) => {
      request(`${bench.url}/api/v1/tenants/`, { ca: readFileSync(tlsCert) }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(status, 200);
    await assert.rejects(fetch(`${bench.url.replace('https', 'http')}/api/v1/tenants/`));
    rmSync(folder, { recursive: true });
  });

  it('needs certificate and key together, and files that are there', async () => {
    await assert.rejects(startBench({ tlsCert: '/nonexistent' }), { code: 'BAD_CONFIG' });
    await assert.rejects(startBench({ tlsCert: '/nonexistent', tlsKey: '/nonexistent' }), { code: 'BAD_CONFIG' });
    const file = import.meta.filename;
    await assert.rejects(startBench({ tlsCert: file, tlsKey: file }), { code: 'BAD_CONFIG' });
  });
});

describe('where a master listens', () => {
  it('is refused when it is no address, or taken, and nothing stays open', async () => {
    for (const listen of ['9999', 'x:y', '127.0.0.1:99999', '']) {
      await assert.rejects(startBench({ listen: [listen] }), { code: 'BAD_CONFIG' });
    }
    await using bench = await startBench();
    const taken = new URL(bench.url).host;
    await assert.rejects(startBench({ listen: ['127.0.0.1:0', taken] }), { code: 'BAD_CONFIG' });
  });

  it('may be several addresses', async () => {
    await using bench = await startBench({ listen: ['127.0.0.1:0', '[::1]:0'] });
    const [, second] = bench.master.servers;
    assert.equal((await fetch(`http://[::1]:${second!.address.port}/version`)).status, 200);
  });
});

describe('the audit log', () => {
  it('has a line for each change, in a file of its own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-audit-'));
    const auditLog = join(folder, 'audit.log');
    await using bench = await startBench({ auditLog });
    await bench.call('POST', ...policy('default', 'p'));
    await bench.call('POST', ...policy('nosuch', 'p'));
    await bench.call('DELETE', 'policys/default:p/');
    const lines = readFileSync(auditLog, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ event, action, kind, key, from }) => ({ event, action, kind, key, from })),
      ['create', 'delete'].map((action) => ({
        event: 'audit',
        action,
        kind: 'policy',
        key: 'default:p',
        from: '127.0.0.1',
      })),
    );
    assert.equal(lines[1].before, lines[0].after);
    assert.equal(statSync(auditLog).mode & 0o777, 0o600);
    rmSync(folder, { recursive: true });
  });

  it('that cannot be written stops the master at its start', async () => {
    await assert.rejects(startBench({ auditLog: '/nonexistent/audit.log' }), { code: 'BAD_CONFIG' });
  });
});

describe('lists', () => {
  it('come in pages, of one tenant if wanted, in the order of keys', async () => {
    await using bench = await startBench();
    await bench.call('POST', 'tenants/blue/', { tenantName: 'blue' });
    for (const [tenant, name] of [
      ['default', 'c'],
      ['blue', 'b'],
      ['default', 'a'],
    ] as const) {
      await bench.call('POST', ...policy(tenant, name));
    }
    const keysOf = async (query: string) => {
      const reply = await bench.call('GET', `policys/${query}`);
      return [reply.json.map(({ key }: { key: string }) => key), reply.headers.get('berth-more')];
    };
    assert.deepEqual(await keysOf(''), [['blue:b', 'default:a', 'default:c'], null]);
    assert.deepEqual(await keysOf('?tenant=default'), [['default:a', 'default:c'], null]);
    assert.deepEqual(await keysOf('?limit=2'), [['blue:b', 'default:a'], 'default:a']);
    assert.deepEqual(await keysOf('?limit=2&after=default:a'), [['default:c'], null]);
    assert.deepEqual(await keysOf('?tenant=nosuch'), [[], null]);
  });

  it('answer HEAD as GET, without a body; a path may end without its slash', async () => {
    await using bench = await startBench();
    const head = await bench.call('HEAD', 'tenants/default/');
    assert.deepEqual([head.status, head.text], [200, '']);
    assert.equal((await bench.call('GET', 'tenants/default')).json.key, 'default');
    assert.deepEqual((await bench.call('GET', 'volumes/')).json, []);
    assert.deepEqual(Object.keys((await bench.call('GET', '/version')).json), ['GitCommit', 'Version', 'BuildTime']);
  });
});

describe('the OpenAPI document', () => {
  it('lists every kind with its fields, and leads nowhere that is not there', async () => {
    await using bench = await startBench();
    const document = (await bench.call('GET', 'openapi.json')).json;
    assert.equal(document.openapi, '3.1.0');
    assert.ok(document.components.schemas.network.properties.subnet.pattern.startsWith('^'));
    const operations = Object.values(
      document.paths as Record<string, Record<string, { operationId?: string }>>,
    ).flatMap((path) => Object.values(path).flatMap(({ operationId }) => operationId ?? []));
    assert.equal(new Set(operations).size, operations.length);
    for (const [, target] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      assert.ok(target!.split('/').reduce((at, part) => at?.[part], document) !== undefined, target);
    }
    // Every path that takes no parameter is there.
    for (const path of Object.keys(document.paths)) {
      if (path.includes('{') || path.includes('watch')) continue;
      assert.equal((await bench.call('GET', path)).status, 200, path);
    }
  });
});

describe('status', () => {
  it('says plainly what is stored and not in force', async () => {
    await using bench = await startBench();
    const made = await bench.call('POST', ...policy('default', 'p'));
    assert.match(made.headers.get('berth-notice')!, /stored and checked; no traffic is filtered/);
    await bench.call('POST', ...network('default', 'net', '10.1.0.0/16'));
    assert.equal((await bench.call('GET', 'tenants/default/')).headers.get('berth-notice'), null);
    const { kinds } = (await bench.call('GET', 'status/')).json;
    const of = (name: string) => kinds.find(({ kind }: { kind: string }) => kind === name);
    assert.deepEqual([of('tenant').inForce, of('tenant').count], [true, 1]);
    assert.deepEqual([of('network').inForce, of('network').count], [true, 1]);
    assert.deepEqual([of('policy').inForce, of('policy').count], [false, 1]);
    assert.match(of('policy').remark, /no traffic is filtered/);
  });
});

describe('the stream of changes', () => {
  /** Lines of the stream, one at a time. */
  async function* lines(url: string, signal: AbortSignal) {
    const response = await fetch(url, { signal });
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      rest += chunk;
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        yield JSON.parse(rest.slice(0, end));
        rest = rest.slice(end + 1);
      }
    }
  }

  it('tells what there is, then each change; and goes on from a revision', async () => {
    await using bench = await startBench();
    await bench.call('POST', ...network('default', 'net', '10.1.0.0/16'));
    const control = new AbortController();
    const stream = lines(`${bench.url}/api/v1/watch/?kind=networks`, control.signal);
    const next = async () => (await stream.next()).value;
    const first = await next();
    assert.deepEqual(
      [first.type, first.kind, first.key, first.object.subnet],
      ['put', 'network', 'default:net', '10.1.0.0/16'],
    );
    const { type, revision } = await next();
    assert.equal(type, 'synchronized');
    await bench.call('POST', ...policy('default', 'p'));
    await bench.call('POST', ...network('default', 'two', '10.2.0.0/16'));
    const second = await next();
    assert.deepEqual([second.type, second.key], ['put', 'default:two']);
    await bench.call('DELETE', 'networks/default:net/');
    const third = await next();
    assert.deepEqual([third.type, third.kind, third.key], ['delete', 'network', 'default:net']);
    control.abort();

    const again = new AbortController();
    const resumed = lines(`${bench.url}/api/v1/watch/?after=${revision}`, again.signal);
    const seen = [];
    for await (const line of resumed) {
      seen.push(`${line.type} ${line.key}`);
      if (seen.length === 3) break;
    }
    assert.deepEqual(seen, ['put default:p', 'put default:two', 'delete default:net']);
    again.abort();
  });

  it('says when what was to follow is forgotten, and ends', async () => {
    await using bench = await startBench();
    for (const name of ['a', 'b', 'c']) await bench.call('POST', ...policy('default', name));
    await bench.store.compact(4);
    const seen = [];
    for await (const line of lines(`${bench.url}/api/v1/watch/?after=1`, AbortSignal.timeout(5000))) seen.push(line);
    assert.deepEqual(
      seen.map((line) => (line as { type: string }).type),
      ['compacted'],
    );
  });

  it('is of one tenant if wanted, and ends with the master', async () => {
    const bench = await startBench();
    await bench.call('POST', 'tenants/blue/', { tenantName: 'blue' });
    const stream = lines(`${bench.url}/api/v1/watch/?tenant=blue`, AbortSignal.timeout(5000));
    assert.equal((await stream.next()).value.key, 'blue');
    assert.equal((await stream.next()).value.type, 'synchronized');
    await bench.call('POST', ...policy('default', 'p'));
    await bench.call('POST', ...policy('blue', 'p'));
    assert.equal((await stream.next()).value.key, 'blue:p');
    await bench[Symbol.asyncDispose]();
    assert.equal((await stream.next()).done, true);
  });
});

describe('a store that is away', () => {
  it('is said to be, and nothing else is; and all is well when it is back', async () => {
    const store = createMemoryStore();
    let away = false;
    const { BerthError } = await import('../model/errors.ts');
    const gone =
      <Args extends unknown[], Value>(work: (...args: Args) => Promise<Value>) =>
      async (...args: Args): Promise<Value> => {
        if (away) throw new BerthError('STORE_UNAVAILABLE', 'no etcd server answers');
        return await work(...args);
      };
    await using bench = await startBench(
      {},
      {
        ...store,
        get: gone(store.get),
        list: gone(store.list),
        transact: gone(store.transact),
        grantLease: gone(store.grantLease),
      },
    );
    away = true;
    for (const [method, path, body] of [
      ['GET', 'networks/', undefined],
      ['POST', ...network('default', 'net', '10.1.0.0/16')],
      ['DELETE', 'networks/default:net/', undefined],
      ['GET', 'watch/', undefined],
    ] as const) {
      const reply = await bench.call(method, path, body);
      assert.deepEqual([reply.status, reply.text], [503, 'no etcd server answers'], path);
    }
    away = false;
    assert.equal((await bench.call('POST', ...network('default', 'net', '10.1.0.0/16'))).status, 200);
    await store.close();
  });

  it('a value in it that cannot be read is named, and is no defect of ours', async () => {
    await using bench = await startBench();
    await bench.store.transact({ then: [{ do: 'put', key: 'berth/object/network/default:bad', value: 'what?' }] });
    const reply = await bench.call('GET', 'networks/');
    assert.deepEqual([reply.status, reply.headers.get('berth-error')], [500, 'STORE_CORRUPT']);
    assert.equal(reply.text, 'the value of berth/object/network/default:bad in the store is not JSON');
    await bench.store.transact({ then: [{ do: 'delete', key: 'berth/object/network/default:bad' }] });
    assert.equal((await bench.call('GET', 'networks/')).status, 200);
  });
});

describe('a defect of ours', () => {
  it('is in the log with all that is known of it, and the client is told nothing of that', async () => {
    const store = createMemoryStore();
    let broken = false;
    await using bench = await startBench(
      {},
      {
        ...store,
        get: async (key) => {
          if (broken) throw new TypeError('secret path /etc/berth is not a function');
          return await store.get(key);
        },
      },
    );
    broken = true;
    const reply = await bench.call('GET', 'networks/');
    assert.deepEqual([reply.status, reply.text], [500, 'the master has failed; its log says how']);
    assert.match(JSON.stringify(bench.defects), /secret path.*server\.test\.ts/);
    broken = false;
    assert.equal((await bench.call('GET', 'networks/')).status, 200);
    await store.close();
  });
});
