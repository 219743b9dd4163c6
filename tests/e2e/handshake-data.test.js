'use strict';
// What the application can learn about a connection's first request.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, startNode, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport, join, settle, CONFAB_ONLY } = require('../lib/suite');
const { ask } = require('../lib/clients');
const { WebSocketSession } = require('../lib/session');

const server = serving(startFixture);

const first = (mode) => (mode.name === 'websocket' ? 'websocket' : 'polling');

onEachTransport((mode) => {
  test('the handshake object, as the official server has it', async () => {
    const before = Date.now();
    const s = await join(server, '/', mode, {
      query: { room: 'a b&c', empty: '' }, auth: { token: 'é"', n: 1 },
      extraHeaders: { 'X-Custom': 'some text', Origin: 'http://example.com' },
    });
    const h = await ask(s, 'handshake');
    assert.deepEqual(Object.keys(h),
      ['headers', 'time', 'address', 'xdomain', 'secure', 'issued', 'url', 'query', 'auth']);
    assert.equal(h.headers['x-custom'], 'some text');
    assert.equal(h.headers.host, `127.0.0.1:${server.port}`);
    assert.ok(h.issued >= before - 1000 && h.issued <= Date.now() + 1000, String(h.issued));
    assert.match(h.time, /^\w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \(.+\)$/);
    assert.equal(Date.parse(h.time), Math.floor(h.issued / 1000) * 1000);
    assert.match(h.address, /127\.0\.0\.1$/);
    assert.deepEqual([h.xdomain, h.secure], [true, false]);
    assert.match(h.url, /^\/socket\.io\/\?/);
    const { t, ...query } = h.query;
    assert.deepEqual(query, { room: 'a b&c', empty: '', EIO: '4', transport: first(mode) });
    assert.deepEqual(h.auth, { token: 'é"', n: 1 });
    assert.deepEqual(await ask(s, 'request'), { url: h.url, issued: h.issued, secure: false });
  });

  test('without auth and Origin', async () => {
    const s = await join(server, '/', mode);
    const h = await ask(s, 'handshake');
    assert.deepEqual([h.auth, h.xdomain], [{}, false]);
  });

  test('parameters and headers one by one', CONFAB_ONLY, async () => {
    const s = await join(server, '/', mode, {
      query: { 'a b': 'c d', stop: 'here', z: 1 }, extraHeaders: { 'X-One': '1', stop: '2', 'X-Two': '2' },
    });
    await ask(s, 'query-all');
    const pairs = (await s.inbox.takeAll('pair', 2)).map(([k, v]) => `${k}=${v}`);
    assert.deepEqual(pairs, ['a b=c d', 'stop=here']);
    await ask(s, 'header-all');
    await settle(s);
    const headers = s.inbox.all.map((e) => e.args.join('='));
    assert.ok(headers.includes('X-One=1'), headers.join());
    assert.equal(headers.at(-1), 'stop=2');
  });
});

async function handshakeOf(target, { query = '', headers } = {}) {
  const s = await WebSocketSession.open(target, { query, headers });
  await s.connect();
  await s.message();
  await s.send('420["handshake"]');
  const text = (await s.message()).slice(3);
  return { ...JSON.parse(text)[0], text };
}

test('repeated parameters, odd pairs and escapes', async () => {
  const h = await handshakeOf(server, { query: '&a=1&&b&a=2&=x&c=%41+%zz&d==&%22%5c=%e2%82%ac' });
  assert.deepEqual(h.query, {
    EIO: '4', transport: 'websocket', a: '2', b: '', '': 'x', c: 'A %zz', d: '=', '"\\': '€',
  });
});

test('repeated headers are joined, texts are escaped', async () => {
  const h = await handshakeOf(server, { headers: { 'X-A': ['1', '2'], Cookie: ['a=1', 'b=2'], 'X-Q': '"\\' } });
  assert.equal(h.headers['x-a'], '1, 2');
  assert.equal(h.headers.cookie, 'a=1; b=2');
  assert.equal(h.headers['x-q'], '"\\');
});

const from = async (target, forwarded, more) => {
  const headers = { ...more };
  if (forwarded) headers['X-Forwarded-For'] = forwarded;
  const { address, secure } = await handshakeOf(target, { headers });
  return [address.replace('::ffff:', ''), secure];
};

test('nobody is believed by default', async () => {
  assert.deepEqual(await from(server, '1.2.3.4', { 'X-Forwarded-Proto': 'https' }), ['127.0.0.1', false]);
});

describe('behind proxies', { skip: REFERENCE }, () => {
  const behind = serving(startFixture, { set: { 'engine.trusted_proxies': '127.0.0.0/8,10.0.0.0/9,fd00::/16,192.0.2.7' } });

  test('the last address that no trusted proxy has', async () => {
    const cases = {
      '1.2.3.4': '1.2.3.4',
      '1.2.3.4, 5.6.7.8': '5.6.7.8',
      'made up, 1.2.3.4,10.1.2.3 ,  fd00::1': '1.2.3.4',
      '1.2.3.4, 10.200.0.1': '10.200.0.1', // the network has 9 bits
      '10.0.0.1, 192.0.2.7': '10.0.0.1', // all are trusted
      '2001:db8::1': '2001:db8::1',
      '[2001:db8::1]:443, 10.0.0.1': '2001:db8::1',
      '1.2.3.4:80': '1.2.3.4',
      '::ffff:10.0.0.1': '::ffff:10.0.0.1'.replace('::ffff:', ''),
      'unknown': '127.0.0.1',
      '1.2.3.4, unknown': '127.0.0.1',
      '1.2.3.4, x, 10.0.0.1': '10.0.0.1',
      ',': '127.0.0.1',
      '1.2.3.4.5': '127.0.0.1',
    };
    for (const [list, address] of Object.entries(cases)) {
      assert.deepEqual(await from(behind, list), [address, false], list);
    }
    assert.deepEqual(await from(behind), ['127.0.0.1', false]);
  });

  test('the header may be repeated', async () => {
    assert.deepEqual(await from(behind, ['6.6.6.6', '1.2.3.4', '10.0.0.1']), ['1.2.3.4', false]);
  });

  test('the proxy says whether it was TLS', async () => {
    assert.deepEqual(await from(behind, '1.2.3.4', { 'X-Forwarded-Proto': 'https' }), ['1.2.3.4', true]);
    assert.deepEqual(await from(behind, '1.2.3.4', { 'X-Forwarded-Proto': 'http' }), ['1.2.3.4', false]);
  });

  test('the handlers see the same', async () => {
    const s = await join(behind, '/', undefined, { extraHeaders: { 'X-Forwarded-For': '1.2.3.4' } });
    assert.equal(await ask(s, 'address'), '1.2.3.4');
  });

  test('a list that makes no sense is refused at start', async () => {
    for (const list of ['10.0.0.0/33', 'proxy.example', '::/129', '1.2.3.4/', '1.2.3.4/x']) {
      await assert.rejects(startNode({ set: { 'engine.trusted_proxies': list } }), /engine\.trusted_proxies/, list);
    }
  });
});
