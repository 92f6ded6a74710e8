import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BerthError } from '../model/errors.ts';
import { parseTokens, tokenAccess } from './access.ts';
import { type Bench, startBench } from './testing/bench.ts';
import { policy } from './testing/contiv.ts';

const digest = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const ADMIN = 'admin-token-0123456789';
const READER = 'reader-token-0123456789';
const OLD = 'expired-token-0123456789';
const SECRET = 'hashed-token-0123456789';

const file = `# who may do what
alice admin ${ADMIN}
bob   read  ${READER}

carol admin ${OLD} 2020-01-01T00:00:00Z
dave  admin ${digest(SECRET)} 2999-01-01T00:00:00Z
`;

describe('tokens', () => {
  let folder: string;
  let path: string;
  let bench: Bench;
  let changes = 0;
  const write = (text: string) => {
    writeFileSync(path, text);
    // Two writes within the resolution of the file system's clock are two all the same.
    utimesSync(path, new Date(), new Date(Date.now() + ++changes * 1000));
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-tokens-'));
    path = join(folder, 'tokens');
    write(file);
    bench = await startBench({ tokenFile: path });
  });
  after(async () => {
    await bench[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const ask = async (method: 'GET' | 'POST' | 'DELETE', headers: Record<string, string>) => {
    const [where, body] = policy('default', 'p');
    const reply = await bench.call(method, where, method === 'POST' ? body : undefined, headers);
    return { status: reply.status, text: reply.text, error: reply.headers.get('berth-error') };
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  it('are needed for everything', async () => {
    for (const path of [
      'tenants/',
      'inspect/tenants/default/',
      'watch/',
      'status/',
      'openapi.json',
      '/version',
      '/nosuch',
    ]) {
      const reply = await bench.call('GET', path);
      assert.deepEqual([reply.status, reply.text], [401, 'a token is needed'], path);
      assert.equal(reply.headers.get('www-authenticate'), 'Bearer');
    }
    assert.deepEqual(await ask('POST', {}), { status: 401, text: 'a token is needed', error: 'TOKEN_MISSING' });
  });

  it('that are wrong are refused, and change nothing', async () => {
    const before = JSON.stringify((await bench.store.list('')).entries);
    const wrong = [
      bearer('wrong'),
      bearer(ADMIN.slice(0, -1)),
      bearer(`${ADMIN}x`),
      bearer(ADMIN.toUpperCase()),
      bearer(digest(SECRET)),
      bearer('a'.repeat(10_000)),
      { 'x-auth-token': 'wrong' },
    ];
    for (const headers of wrong) {
      assert.deepEqual(await ask('POST', headers), {
        status: 401,
        text: 'the token is not known',
        error: 'TOKEN_REFUSED',
      });
    }
    for (const authorization of ['Basic YWxpY2U6eA==', ADMIN, 'Bearer', 'Bearer  ']) {
      assert.equal((await ask('POST', { authorization })).error, 'TOKEN_MISSING', authorization);
    }
    const expired = { status: 401, text: 'the token of carol has expired', error: 'TOKEN_REFUSED' };
    assert.deepEqual(await ask('POST', bearer(OLD)), expired);
    assert.deepEqual(await ask('GET', bearer(OLD)), expired);
    const reading = { status: 403, text: 'the token of bob is for reading only', error: 'TOKEN_READ_ONLY' };
    assert.deepEqual(await ask('POST', bearer(READER)), reading);
    assert.deepEqual(await ask('DELETE', bearer(READER)), reading);
    assert.equal(JSON.stringify((await bench.store.list('')).entries), before);
    // Who was refused stands in the audit too.
    assert.ok(bench.refused.every(({ from }) => from === '127.0.0.1'));
    const shown = new Set(
      bench.refused.map(({ who, method, status }) => `${String(who)} ${String(method)} ${String(status)}`),
    );
    for (const entry of ['null POST 401', 'null GET 401', 'bob POST 403', 'bob DELETE 403'])
      assert.ok(shown.has(entry), entry);
  });

  it('that are right may do what their role is for, and the audit says who it was', async () => {
    assert.equal((await ask('POST', bearer(ADMIN))).status, 200);
    assert.equal((await ask('GET', bearer(READER))).status, 200);
    assert.equal((await ask('DELETE', { 'x-auth-token': SECRET })).status, 200);
    const shown = bench.audit
      .filter(({ kind }) => kind === 'policy')
      .map(({ who, action, key }) => ({ who, action, key }));
    assert.deepEqual(shown, [
      { who: 'alice', action: 'create', key: 'default:p' },
      { who: 'dave', action: 'delete', key: 'default:p' },
    ]);
    const [created, deleted] = bench.audit.filter(({ kind }) => kind === 'policy');
    assert.equal(created!.before, undefined);
    assert.equal(deleted!.before, created!.after);
    assert.ok((deleted!.after as number) > (created!.after as number));
    // No token stands in a log.
    assert.doesNotMatch(JSON.stringify(bench.audit), /token-0123456789|sha256:/);
  });

  it('that are taken out of the file are refused from then on', async () => {
    write('erin admin another-token-0123456789\n');
    assert.equal((await ask('GET', bearer(ADMIN))).error, 'TOKEN_REFUSED');
    assert.equal((await ask('GET', bearer('another-token-0123456789'))).status, 404);
    write('what is this\n');
    const broken = await ask('GET', bearer('another-token-0123456789'));
    assert.deepEqual([broken.status, broken.error], [500, 'BAD_TOKEN_FILE']);
    write(file);
    assert.equal((await ask('GET', bearer(ADMIN))).status, 404);
  });
});

describe('a file of tokens', () => {
  const bad: readonly (readonly [line: string, why: RegExp])[] = [
    ['alice admin', /^line 2 of the token file: NAME ROLE TOKEN \[EXPIRY\] is wanted$/],
    ['alice', /NAME ROLE TOKEN/],
    [`alice root ${ADMIN}`, /the role must be admin or read$/],
    [`alice admin ${ADMIN} tomorrow`, /the expiry is not a time$/],
    [`alice admin ${ADMIN} 2027-01-01 x`, /NAME ROLE TOKEN/],
    ['alice admin short', /fewer than 16 characters$/],
    ['alice admin sha256:12', /not 64 hexadecimal digits$/],
  ];
  for (const [line, why] of bad) {
    it(`cannot have the line ${line}`, () => {
      assert.throws(
        () => parseTokens(`# tokens\n${line}\n`),
        (error) => error instanceof BerthError && why.test(error.message) && !error.message.includes(ADMIN),
      );
    });
  }

  it('that is not there stops the master at its start', async () => {
    await assert.rejects(tokenAccess('/nonexistent/tokens'), { code: 'BAD_TOKEN_FILE' });
  });
});
