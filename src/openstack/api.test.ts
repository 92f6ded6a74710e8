import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { type Api, type ApiOptions, createApi, type Exchange } from './api.ts';
import { type Bounds, within } from './bounds.ts';
import { detailsOf } from './failure.ts';
import type { Method } from './http.ts';
import { type Answer, failureOf, fakeCloud, hangUp, inTurn, json, silence } from './testing/fake-cloud.ts';

const cloud = await fakeCloud();
let apis: Api[] = [];
afterEach(() => {
  for (const api of apis) api.close();
  apis = [];
});

function open(options: ApiOptions = {}): Api {
  const api = createApi({ backOff: 1, ...options });
  apis.push(api);
  return api;
}

const ask = (api: Api, method: Method = 'GET', bounds?: Bounds, path = '/v2.0/ports') =>
  api.call({
    service: 'Neutron',
    method,
    url: new URL(path, cloud.url),
    bounds,
    ...(method === 'GET' ? {} : { body: { a: 1 } }),
  });
const all = (answer: Answer) =>
  cloud.answer({ 'GET /v2.0/ports': answer, 'POST /v2.0/ports': answer, 'PUT /v2.0/ports': answer });
const status = (code: number, headers = {}) => json({ NeutronError: { type: 'T', message: 'm' } }, code, headers);
const ok = json({ ok: true });

describe('a call', () => {
  it('uses its connection again', async () => {
    all(ok);
    const api = open();
    for (let i = 0; i < 3; i++) assert.deepEqual((await ask(api)).body, { ok: true });
    assert.equal(cloud.connections, 1);
  });

  it('waits its turn when there are too many', async () => {
    all(ok);
    const api = open({ connections: 2 });
    await Promise.all(Array.from({ length: 10 }, () => ask(api)));
    assert.equal(cloud.connections, 2);
    assert.equal(cloud.asked.length, 10);
  });

  it('is told of with each of its requests', async () => {
    const told: Exchange[] = [];
    const api = open({ observe: (exchange) => told.push(exchange) });
    all(inTurn(status(503), ok));
    await ask(api, 'GET', undefined, '/v2.0/ports');
    all(hangUp);
    await assert.rejects(ask(api, 'POST'));
    all(silence);
    await assert.rejects(ask(api, 'POST', within(20)));
    assert.deepEqual(
      told.map(({ method, template, status: code, isAway, failure }) => [
        `${method} ${template}`,
        code,
        isAway,
        failure === undefined,
      ]),
      [
        ['GET /v2.0/ports', 503, true, true],
        ['GET /v2.0/ports', 200, false, true],
        ['POST /v2.0/ports', undefined, true, false],
        // That we have no more time says nothing of the server.
        ['POST /v2.0/ports', undefined, false, false],
      ],
    );
    assert.ok(Math.abs(told[0]!.date! - Date.now()) < 60_000);
    assert.ok(told.every(({ seconds }) => seconds >= 0 && seconds < 60));
  });

  it('sends and gets JSON', async () => {
    all(ok);
    await ask(open(), 'POST');
    const [{ headers, body }] = cloud.asked as [(typeof cloud.asked)[number]];
    assert.deepEqual(body, { a: 1 });
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers.accept, 'application/json');
  });
});

describe('what is repeated', () => {
  // What the server does with the first request, and how often it is asked by GET, PUT and POST.
  const cases: readonly (readonly [string, Answer, number, number])[] = [
    ['500', status(500), 2, 1],
    ['502', status(502), 2, 1],
    ['503', status(503), 2, 1],
    ['503 with Retry-After', status(503, { 'Retry-After': '0' }), 2, 2],
    ['504', status(504), 2, 1],
    ['429', status(429), 2, 2],
    ['409', status(409), 1, 1],
    ['409 with Retry-After', status(409, { 'Retry-After': '0' }), 2, 2],
    ['400', status(400), 1, 1],
    ['404', status(404), 1, 1],
    ['the end of the connection', hangUp, 2, 1],
    [
      'half an answer',
      (_, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '100' }).write('{"ok"');
        setImmediate(() => response.destroy());
      },
      2,
      1,
    ],
  ];
  for (const [title, first, ofGet, ofPost] of cases)
    for (const method of ['GET', 'PUT', 'POST'] as const)
      it(`${method} after ${title}`, async () => {
        all(inTurn(first, ok));
        const expected = method === 'POST' ? ofPost : ofGet;
        const result = await ask(open(), method).then(
          () => 'ok',
          (error: unknown) => detailsOf(error)?.request,
        );
        assert.equal(cloud.asked.length, expected);
        assert.equal(result, expected === 2 ? 'ok' : `${method} /v2.0/ports`);
      });

  it('not without end', async () => {
    all(status(503));
    await assert.rejects(ask(open()), { code: 'OPENSTACK_BUSY' });
    assert.equal(cloud.asked.length, 4);
  });

  it('not when it could not be answered in the time there is', async () => {
    all(status(503, { 'Retry-After': '3600' }));
    await assert.rejects(ask(open(), 'GET', within(5000)), { code: 'OPENSTACK_BUSY' });
    assert.equal(cloud.asked.length, 1);
  });

  it('not when the operation has been ended', async () => {
    const ending = new AbortController();
    all((_, response) => {
      response.writeHead(503, { 'Content-Type': 'application/json', 'Retry-After': '100' }).end('{}');
      setImmediate(() => ending.abort());
    });
    // It hears of the end before the answer, or while it waits to ask again.
    await assert.rejects(ask(open(), 'GET', { signal: ending.signal }), { name: 'BerthError' });
    assert.equal(cloud.asked.length, 1);
  });

  it('says whether it may have been done', async () => {
    const mayBeDone = async (answer: Answer, method: Method) => {
      all(answer);
      return detailsOf(await failureOf(ask(open({ repeats: 0 }), method)))?.mayBeDone;
    };
    assert.equal(await mayBeDone(hangUp, 'POST'), true);
    assert.equal(await mayBeDone(hangUp, 'GET'), false);
    assert.equal(await mayBeDone(status(500), 'POST'), true);
    assert.equal(await mayBeDone(status(504), 'POST'), true);
    assert.equal(await mayBeDone(status(409), 'POST'), false);
  });
});

describe('time', () => {
  it('ends a call that is not answered', async () => {
    all(silence);
    const failure = await failureOf(ask(open({ callLimit: 50 }), 'POST'));
    assert.equal((failure as { code: string }).code, 'OPENSTACK_TIMEOUT');
    assert.equal(detailsOf(failure)?.mayBeDone, true);
    assert.equal(cloud.asked.length, 1);
  });

  it('ends with its operation, which has less, and that says nothing of the server', async () => {
    all(silence);
    const api = open();
    await assert.rejects(ask(api, 'GET', within(50)), { code: 'OPENSTACK_TIMEOUT' });
    all(ok);
    await ask(api);
  });

  it('ends when the operation is ended', async () => {
    const ending = new AbortController();
    all(() => ending.abort());
    await assert.rejects(ask(open(), 'GET', { signal: ending.signal }), { message: /the operation was ended/ });
    await assert.rejects(ask(open(), 'GET', { signal: AbortSignal.abort() }), { message: /the operation was ended/ });
    assert.equal(cloud.asked.length, 1);
  });

  it('is over before it begins', async () => {
    await assert.rejects(ask(open(), 'GET', within(-1)), { code: 'OPENSTACK_TIMEOUT' });
    assert.equal(cloud.asked.length, 0);
  });
});

describe('a server that is away', () => {
  it('is waited for, by POST too: nothing was sent', async () => {
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const call = (api: Api) =>
      api.call({ service: 'Neutron', method: 'POST', url: new URL(`http://127.0.0.1:${port}/v2.0/ports`), body: {} });

    const failure = await failureOf(call(open({ repeats: 1 })));
    assert.match(
      (failure as Error).message,
      /^Neutron at http:\/\/127\.0\.0\.1:[0-9]+: POST \/v2\.0\/ports: .*ECONNREFUSED/,
    );
    assert.equal((failure as { code: string }).code, 'OPENSTACK_UNREACHABLE');
    assert.equal(detailsOf(failure)?.mayBeDone, false);

    const api = open();
    const answered = call(api);
    const late = createServer((socket) => {
      socket.end(
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
      );
    });
    after(() => late.close());
    await new Promise<void>((resolve) => late.listen(port, '127.0.0.1', resolve));
    assert.deepEqual((await answered).body, {});
  });

  it('is known to be away for a while, so that others need not find out', async () => {
    const api = open({ repeats: 0 });
    const gone = (path: string) =>
      api.call({ service: 'Neutron', method: 'GET', url: new URL(path, 'http://127.0.0.1:1') });
    assert.match(((await failureOf(gone('/a'))) as Error).message, /ECONNREFUSED/);
    assert.match(
      ((await failureOf(gone('/b'))) as Error).message,
      /^Neutron at http:\/\/127\.0\.0\.1:1 is away: .*ECONNREFUSED/,
    );
    // Another server is none of that.
    all(ok);
    await ask(api);
  });

  it('has no such name', async () => {
    const url = new URL('http://berth.invalid/');
    await assert.rejects(open({ repeats: 0 }).call({ service: 'Keystone', method: 'GET', url }), {
      code: 'OPENSTACK_UNREACHABLE',
      message: /^Keystone at http:\/\/berth\.invalid: /,
    });
  });
});

describe('answers of something else', () => {
  const page =
    (code: number, headers: Record<string, string> = {}): Answer =>
    (_, response) => {
      response.writeHead(code, { 'Content-Type': 'text/html', ...headers });
      response.end('<html><body><h1>Please log\nin</h1></body></html>');
    };
  const cases: readonly (readonly [string, Answer, string, RegExp])[] = [
    ['a web page', page(200), 'OPENSTACK_BAD_ANSWER', /answers what is not JSON, text\/html, "Please log in"/],
    [
      'a redirection',
      page(302, { Location: 'https://login.example/' }),
      'OPENSTACK_BAD_ANSWER',
      /302, which leads to https:\/\/login\.example\//,
    ],
    ['several choices', page(300), 'OPENSTACK_BAD_ANSWER', /300/],
    ['a page that says no', page(403), 'OPENSTACK_BAD_ANSWER', /403, text\/html, "Please log in"/],
    ['a page of a proxy', page(502), 'OPENSTACK_FAILED', /502, text\/html/],
    ['HTML for a bad token', page(401), 'KEYSTONE_REFUSED', /401/],
    [
      'broken JSON',
      (_, response) => void response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"a":'),
      'OPENSTACK_BAD_ANSWER',
      /broken JSON/,
    ],
    ['no type', (_, response) => void response.writeHead(200).end('{}'), 'OPENSTACK_BAD_ANSWER', /not JSON/],
    [
      'no HTTP',
      (_, response) => void response.socket?.end('220 mail.example ESMTP\r\n'),
      'OPENSTACK_UNREACHABLE',
      /connection broke: Parse Error/,
    ],
    [
      'an answer without end',
      (_, response) => void response.writeHead(200, { 'Content-Type': 'application/json' }).end('"'.repeat(2000)),
      'OPENSTACK_BAD_ANSWER',
      /larger than 1000 bytes/,
    ],
  ];
  for (const [title, answer, code, message] of cases)
    it(`${title} is ${code}`, async () => {
      all(answer);
      await assert.rejects(ask(open({ repeats: 0, answerLimit: 1000 })), { code, message });
    });

  it('are told without what would forge a log', async () => {
    all(
      json({ NeutronError: { type: 'T', message: 'a\n\u001b[31mb\u202e' } }, 400, {
        'X-Openstack-Request-Id': 'evil\tid',
      }),
    );
    const failure = (await failureOf(ask(open()))) as Error;
    assert.equal(failure.message, 'Neutron: GET /v2.0/ports answers 400 T: a [31mb');
  });

  const words: readonly (readonly [unknown, RegExp])[] = [
    [{ NeutronError: 'as a text' }, /400: as a text$/],
    [{ badRequest: { message: 'of a middleware', code: 400 } }, /400: of a middleware$/],
    [{ message: 'of pecan', code: '400' }, /400: of pecan$/],
  ];
  for (const [body, message] of words)
    it(`words of the form ${JSON.stringify(body)}`, async () => {
      all(json(body, 400));
      await assert.rejects(ask(open()), { message });
    });
});
