'use strict';
// Hostile HTTP. Whatever clients send costs them their own connection at most:
// after each test another client still talks. The numbers are those of README.md.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { REFERENCE } = require('../../lib/servers');
const { join, CONFAB_ONLY } = require('../../lib/suite');
const { PollingSession } = require('../../lib/session');
const { Connection, request, requestText, get } = require('../../lib/raw');
const { ask } = require('../../lib/clients');
const { until, sleep, SLOW } = require('../../lib/until');
const { P, W, attacked, metric, leavesNothing } = require('../../lib/hostile');

const HEADER_MS = 400 * SLOW;
const BODY_MS = 600 * SLOW;

const server = attacked({
  'limits.header_timeout_ms': HEADER_MS, 'limits.body_timeout_ms': BODY_MS,
  // sessions that are left behind go soon
  'engine.ping_interval_ms': 3000 * SLOW, 'engine.ping_timeout_ms': 3000 * SLOW,
});

const bytesOf = (text) => [...Buffer.from(text, 'latin1')].map((b) => Buffer.from([b]));

async function refuses(text, statuses) {
  const c = new Connection(server);
  c.write(Buffer.from(text, 'latin1'));
  const r = await c.response();
  assert.ok([statuses].flat().includes(r.status), `${r.status} ${r.reason}, expected ${statuses}`);
  await c.end();
  assert.equal(c.buffer.length, 0, 'nothing behind the refusal');
}

describe('HTTP', () => {
  test('attack 1: a header that trickles in: 408 after the timeout of the whole', CONFAB_ONLY, async () => {
    const c = new Connection(server);
    const begin = Date.now();
    for (const b of bytesOf(`GET ${P} HTTP/1.1\r\nHost: x\r\nX-Slow: ${'x'.repeat(2000)}`)) {
      if (c.ended) break;
      c.write(b);
      await sleep(20);
    }
    await c.end(HEADER_MS * 5);
    const took = Date.now() - begin;
    assert.ok(took >= HEADER_MS - 50 && took < HEADER_MS * 4, `closed after ${took} ms`);
    assert.match(String(c.buffer), /^HTTP\/1\.1 408 /);
  });

  test('attack 1: 100 headers that trickle in at once: closed', CONFAB_ONLY, async () => {
    const all = [...Array(100).keys()].map(() => new Connection(server).write('GET / HTTP/1.1\r\nX: '));
    assert.equal(await ask(server.bystander, 'echo', 1), 1);
    for (const c of all) await c.end(HEADER_MS * 5);
  });

  test('attack 2: a body that trickles in: closed after the timeout of the whole', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    const begin = Date.now();
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10000 }, '42["x'));
    while (!s.poster.ended && Date.now() - begin < BODY_MS * 5) {
      s.poster.write('y');
      await sleep(20);
    }
    const took = Date.now() - begin;
    assert.ok(s.poster.ended, 'closed');
    assert.ok(took >= BODY_MS - 50 && took < BODY_MS * 4, `closed after ${took} ms`);
  });

  test('attack 2: a body that never comes: closed', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10000 }));
    await s.poster.end(BODY_MS * 5);
  });

  const large = {
    'too many headers': [`GET ${P} HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(200)}\r\n`, 431],
    'a header of 20 KB': [`GET ${P} HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20000)}\r\n\r\n`, 431],
    'a header name of 20 KB': [`GET ${P} HTTP/1.1\r\nHost: x\r\n${'y'.repeat(20000)}: 1\r\n\r\n`, 431],
    'a header without an end': [`GET ${P} HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20000)}`, 431],
    'a target of 20 KB': [`GET ${P}&x=${'y'.repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [414, 431]],
    'a sid of 64 KB': [`GET ${P}&sid=${'y'.repeat(65536)} HTTP/1.1\r\nHost: x\r\n\r\n`, [414, 431]],
  };
  for (const [name, [text, status]] of Object.entries(large)) {
    test(`attack ${/sid/.test(name) ? 8 : 3}: ${name}: ${status} and closed`, CONFAB_ONLY, async () => refuses(text, status));
  }

  const post = (headers, body = '') => `POST ${P} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;
  const second = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  const smuggling = {
    'both lengths': post('Content-Length: 4\r\nTransfer-Encoding: chunked', `0\r\n\r\n${second}`),
    'both lengths, the other way round': post('Transfer-Encoding: chunked\r\nContent-Length: 4', `0\r\n\r\n${second}`),
    'two lengths that differ': post('Content-Length: 0\r\nContent-Length: 5', second),
    'two lengths in one header': post('Content-Length: 0, 5', second),
    'a negative length': post('Content-Length: -1', second),
    'a length with a sign': post('Content-Length: +1', `x${second}`),
    'a length in hexadecimal': post('Content-Length: 0x1', `x${second}`),
    'a length of no digits': post('Content-Length: ', second),
    'a length past 2^64': post('Content-Length: 18446744073709551617', second),
    'a chunk size that is none': post('Transfer-Encoding: chunked', `xyz\r\n${second}`),
    'a chunk size past 2^64': post('Transfer-Encoding: chunked', `fffffffffffffffff\r\n${second}`),
    'a negative chunk size': post('Transfer-Encoding: chunked', `-1\r\n${second}`),
    'a space before the colon': post('Content-Length : 0', second),
    'a folded header': post('X: a\r\n Content-Length: 5', second),
    'a header without a colon': post('Content-Length', second),
    'a NUL in a header': post('X: a\0b', second),
    'a NUL in the target': `GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n${second}`,
    'a control character in a name': post('X\x01: 1', second),
    'no version': `GET ${P}\r\n\r\n${second}`,
    'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/9.9': `GET ${P} HTTP/9.9\r\nHost: x\r\n\r\n`,
    'an unknown method': `BREW ${P} HTTP/1.1\r\nHost: x\r\n\r\n`,
    'no request at all': 'hello there\r\n\r\n',
    'an upgrade with a body': `GET ${W} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 5\r\n\r\nhello',
    'an upgrade with a chunked body': `GET ${W} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  };
  for (const [name, text] of Object.entries(smuggling)) {
    test(`attack 4: ${name}: refused and closed`, CONFAB_ONLY, async () =>
      refuses(text, [400, 405, 413, 414, 431, 501, 505]));
  }

  test('a folded header is refused wherever it is cut', CONFAB_ONLY, async () => {
    const all = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n \t b\r\n\r\n');
    const from = all.indexOf('X: a');
    for (let at = from; at < from + 12; at++) {
      const c = new Connection(server);
      await new Promise((resolve) => { c.socket.write(all.subarray(0, at), resolve); });
      await request(server, 'GET', '/healthz'); // meanwhile the first part is read
      c.write(all.subarray(at));
      assert.equal((await c.response()).status, 400, `cut at ${at - from}`);
      c.destroy();
    }
  });

  test('a request in pieces behind an upgrade that was not taken', CONFAB_ONLY, async () => {
    const c = new Connection(server);
    c.write(requestText('GET', '/healthz', { Connection: 'Upgrade', Upgrade: 'x' }));
    assert.equal((await c.response()).status, 200);
    for (const part of ['GET /hea', 'lthz HTT', 'P/1.1\r\nHo', 'st: x\r\n', '\r\n']) {
      assert.equal(c.buffer.length, 0, 'no answer before the request is whole');
      await new Promise((resolve) => { c.socket.write(part, resolve); });
      await request(server, 'GET', '/healthz'); // meanwhile this part is read
    }
    assert.equal((await c.response()).status, 200);
    c.destroy();
  });

  test('attack 5: a chunked body with an extension of 100 KB: closed', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(100000)}`);
    await s.poster.end(BODY_MS * 5);
  });

  test('attack 5: trailers of 100 KB: closed', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n`);
    for (let i = 0; i < 1000 && !s.poster.ended; i++) s.poster.write(`X-${i}: ${'y'.repeat(100)}\r\n`);
    await s.poster.end(BODY_MS * 5);
  });

  test('attack 4: a length of 10 GB: 413 before they come', async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10 ** 10 }, 'x'.repeat(2000000)));
    assert.equal((await s.poster.response()).status, 413);
  });

  test('attack 43: targets in other forms: 200, 400 or 404 and no file', async () => {
    for (const target of ['http://localhost/x', '*', 'localhost:80', '/%', '/%zz', '/?', '/?%00', '/../../etc/passwd']) {
      const c = new Connection(server);
      c.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
      const r = await c.response();
      assert.ok([200, 400, 404].includes(r.status), `${target}: ${r.status}`);
      assert.doesNotMatch(String(r.body), /root:/);
      c.destroy();
    }
  });

  test('random bytes', async () => {
    await server.bounded(20, async () => {
      for (let i = 0; i < 200; i++) {
        const c = new Connection(server);
        c.write(crypto.randomBytes(1 + i * 10));
        if (i % 3 === 0) c.write('\r\n\r\n');
        if (i % 20 === 0) await ask(server.bystander, 'echo', i);
        if (i % 2) c.socket.end();
      }
      assert.equal(await ask(server.bystander, 'echo', 1), 1);
    });
  });

  test('connections that break off anywhere', async () => {
    const text = requestText('POST', `${P}&sid=nope`, { 'X-A': 'b' }, '42["x"]');
    for (let i = 1; i < text.length; i++) {
      const c = new Connection(server);
      c.write(text.subarray(0, i));
      await until(() => c.socket.bytesWritten >= i, 5000, 'bytes are written');
      if (i % 2) c.socket.resetAndDestroy();
      else c.destroy();
    }
  });

  test('a thousand requests whose answers are not read', CONFAB_ONLY, async () => {
    await server.bounded(30, async () => {
      const c = new Connection(server);
      c.socket.pause();
      const one = requestText('GET', '/socket.io/socket.io.js.map');
      for (let i = 0; i < 1000; i++) c.write(one);
      await until(async () => {
        await ask(server.bystander, 'echo', 1);
        await sleep(20);
        return c.socket.bytesWritten > one.length || c.ended;
      }, 5000, 'requests are written');
      for (let i = 0; i < 20; i++) await ask(server.bystander, 'echo', i);
    });
  });

  test('attack 9: 5,000 guesses at a sid: code 1, counted', async () => {
    await server.bounded(20, async () => {
      const c = new Connection(server);
      const before = REFERENCE ? 0 : await metric(server, 'confab_unknown_sid_total');
      for (let i = 0; i < 5000; i += 100) {
        for (let n = 0; n < 100; n++) c.write(requestText('GET', `${P}&sid=${crypto.randomBytes(15).toString('base64url')}`));
        for (let n = 0; n < 100; n++) assert.equal(JSON.parse((await c.response()).body).code, 1);
      }
      if (!REFERENCE) assert.equal(await metric(server, 'confab_unknown_sid_total') - before, 5000);
    });
  });

  test('attack 3: 64 headers pass, 65 do not', CONFAB_ONLY, async () => {
    const many = (n) => Object.fromEntries([...Array(n).keys()].map((i) => [`X-${i}`, 'y']));
    assert.equal((await get(server, P, many(63))).status, 200); // and Host
    assert.equal((await get(server, P, many(64))).status, 431);
  });

  test('attack 5: a chunked body without end: 413 at the limit, the session stays', async () => {
    await server.bounded(10, async () => {
      const s = await PollingSession.open(server, { poll: false });
      const c = new Connection(server);
      c.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const part = 'x'.repeat(100000);
      for (let i = 0; i < 30 && !c.ended; i++) c.write(`${part.length.toString(16)}\r\n${part}\r\n`);
      assert.equal((await c.response()).status, 413);
      assert.equal((await s.post('40')).status, 200);
    });
  });

  const errors = {
    'attack 6: EIO=5': ['/socket.io/?EIO=5&transport=polling', 5, 'Unsupported protocol version'],
    'attack 6: no EIO': ['/socket.io/?transport=polling', 5, 'Unsupported protocol version'],
    'attack 7: transport=constructor': ['/socket.io/?EIO=4&transport=constructor', 0, 'Transport unknown'],
    'attack 7: transport=__proto__': ['/socket.io/?EIO=4&transport=__proto__', 0, 'Transport unknown'],
    'attack 7: an unknown transport': ['/socket.io/?EIO=4&transport=carrier-pigeon', 0, 'Transport unknown'],
    'attack 8: an unknown sid': [`${P}&sid=AAAAAAAAAAAAAAAAAAAA`, 1, 'Session ID unknown'],
    'attack 8: a sid that is none': [`${P}&sid=*%0d%0a%1b`, 1, 'Session ID unknown'],
    'attack 8: a sid with a NUL': [`${P}&sid=%00`, 1, 'Session ID unknown'],
    'attack 8: a sid of 3 KB': [`${P}&sid=${'x'.repeat(3000)}`, 1, 'Session ID unknown'],
  };
  for (const [name, [path, code, message]] of Object.entries(errors)) {
    test(`${name}: 400 ${message}`, async () => {
      const r = await get(server, path);
      assert.deepEqual([r.status, String(r.body)], [400, JSON.stringify({ code, message })]);
    });
  }

  test('attack 9: 120 random bits: 2,000 sids differ, and so does every place of them', async () => {
    const sids = new Set();
    const c = new Connection(server);
    for (let i = 0; i < 2000; i += 100) {
      for (let n = 0; n < 100; n++) c.write(requestText('GET', P));
      for (let n = 0; n < 100; n++) sids.add(/"sid":"([\w-]{20})"/.exec(await c.response().then((r) => r.body))[1]);
    }
    assert.equal(sids.size, 2000);
    if (REFERENCE) return; // which counts in the last characters
    for (let at = 0; at < 20; at++) {
      const seen = new Set([...sids].map((s) => s[at]));
      assert.equal(seen.size, 64, `character ${at}: ${[...seen].sort().join('')}`);
    }
    for (const sid of sids) await request(server, 'POST', `${P}&sid=${sid}`, { body: '1' });
  });

  test('attack 10: two polls at once: 400 for the second, and the session ends', async () => {
    const s = await PollingSession.open(server);
    await s.connect();
    await s.message();
    await until(async () => (await get(server, s.path)).status === 400, 5000, 'a second poll is refused');
    await s.ends();
    assert.equal(JSON.parse((await get(server, s.path)).body).code, 1);
  });

  test('attack 10: two posts at once: 400 for the second, and the session ends', async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10 }, '3'));
    await until(async () => {
      const r = await request(server, 'POST', s.path, { body: '3' });
      return r.status === 400;
    }, 5000, 'a second post is refused');
    assert.equal(JSON.parse((await get(server, s.path)).body).code, 1);
  });

  test('attack 43: paths that lead elsewhere: 404', async () => {
    for (const path of ['/socket.io/../admin', '//socket.io/', '/socket.io/..%2fmetrics', '/%2e%2e/%2e%2e/etc/passwd']) {
      const { status, body } = await get(server, path);
      assert.ok([400, 404].includes(status), `${path}: ${status}`);
      assert.doesNotMatch(String(body), /sid|root:|confab_/);
    }
  });

  test('attack 43: other methods: refused', CONFAB_ONLY, async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'CONNECT']) {
      const { status } = await request(server, method, P);
      assert.ok([400, 405, 501].includes(status), `${method}: ${status}`);
    }
  });

  test('attack 43: HTTP/1.0 is answered and closed', async () => {
    const c = new Connection(server);
    c.write(`GET ${P} HTTP/1.0\r\n\r\n`);
    assert.equal((await c.response()).status, 200);
    await c.end();
  });

  test('attack 43: requests sent at once are answered in order', async () => {
    const c = new Connection(server);
    const paths = [`${P}&sid=nope`, P, '/nothing', '/socket.io/?transport=x', P];
    c.write(Buffer.concat(paths.map((path) => requestText('GET', path))));
    const statuses = [];
    for (const _ of paths) statuses.push((await c.response()).status);
    assert.deepEqual(statuses, [400, 200, 404, 400, 200]);
  });

  test('attack 35: an address made up by the client is not believed', async () => {
    const headers = { 'X-Forwarded-For': '6.6.6.6', 'X-Real-IP': '6.6.6.6', Forwarded: 'for=6.6.6.6' };
    const s = await join(server, '/', undefined, { extraHeaders: headers });
    assert.match(await ask(s, 'address'), /^(::ffff:)?127\.0\.0\.1$/);
  });
});

leavesNothing(server);
