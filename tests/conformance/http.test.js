'use strict';
// Checks 1 to 24: handshakes and HTTP.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { Connection, WebSocketConnection, request, requestText, get } = require('../lib/raw');
const {
  P, W, isError, isHandshake, sidOf, polled, works, besides, refusal,
} = require('../lib/conformance');

const server = serving(startFixture);

const UPGRADE = {
  Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const opening = (upgrades) => new RegExp(`^0\\{"sid":"[A-Za-z0-9_-]{20}","upgrades":${upgrades},`
  + '"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\\}$');

test('1 the polling handshake, byte by byte', async () => {
  const r = await get(server, P);
  assert.equal(r.status, 200);
  assert.equal(r.headers['content-type'], 'text/plain; charset=UTF-8');
  assert.equal(r.headers['cache-control'], 'no-store');
  assert.equal(r.headers['content-length'], String(r.body.length));
  assert.match(String(r.body), opening('\\["websocket"\\]'));
});

test('2 the WebSocket handshake: 101, then the open packet', async () => {
  const ws = await WebSocketConnection.open(server, W);
  assert.equal(ws.handshake.status, 101);
  const f = await ws.frame();
  assert.equal(f.opcode, 1);
  assert.match(String(f.payload), opening('\\[\\]'));
});

const foreign = async (path) => {
  const r = await get(server, path);
  assert.equal(r.status, 404);
  assert.doesNotMatch(String(r.body), /sid/);
};

test('3 without the slash the path is not ours', () =>
  foreign('/socket.io?EIO=4&transport=polling'));

test('4 a longer path is ours', async () =>
  isHandshake(await get(server, '/socket.io/foo/bar?EIO=4&transport=polling')));

test('5 the path is compared as it is written', async () => {
  await foreign('/Socket.io/?EIO=4&transport=polling');
  await foreign('/socket%2eio/?EIO=4&transport=polling');
});

test('6 without a transport: code 0', async () =>
  isError(await get(server, '/socket.io/?EIO=4'), 0));

test('7 an unknown transport: code 0', async () => {
  isError(await get(server, '/socket.io/?EIO=4&transport=abc'), 0);
  isError(await get(server, '/socket.io/?EIO=4&transport=webtransport'), 0);
});

test('8 an unknown session: code 1', async () => {
  isError(await get(server, `${P}&sid=nope`), 1);
  isError(await get(server, `${P}&sid=__proto__`), 1);
});

test('9 an empty sid is a handshake', async () =>
  isHandshake(await get(server, `${P}&sid=`)));

test('10 a handshake by another method: code 2', async () => {
  for (const method of ['POST', 'PUT', 'OPTIONS']) {
    isError(await request(server, method, P, { body: '' }), 2);
  }
  const c = new Connection(server);
  c.write(requestText('HEAD', P));
  assert.equal((await c.response({ head: true })).status, 400);
  c.write(requestText('GET', P)); // no body was in between
  isHandshake(await c.response());
});

test('11 transport=websocket without an upgrade: code 3', async () =>
  isError(await get(server, W), 3));

test('12 another revision of the protocol: code 5', async () => {
  for (const eio of ['EIO=3&', '', 'EIO=abc&', 'EIO=04&']) {
    isError(await get(server, `/socket.io/?${eio}transport=polling`), 5);
  }
});

test('13 the transport is checked before the revision', async () =>
  isError(await get(server, '/socket.io/?EIO=3&transport=abc'), 0));

test('14 parameters are decoded, the last of several counts', async () => {
  isHandshake(await get(server, '/socket.io/?EIO=%34&transport=p%6flling'));
  isHandshake(await get(server, '/socket.io/?EIO=3&EIO=4&transport=polling'));
});

describe('15 a hook refuses requests', () => {
  const said = (message) => [403, 'application/json', JSON.stringify({ code: 4, message })];
  const answer = (r) => [r.status, r.headers['content-type'], String(r.body)];

  test('15 polling: 403 with its message, or "Forbidden"', async () => {
    assert.deepEqual(answer(await get(server, `${P}&deny=${encodeURIComponent('no "é"\n')}`)), said('no "é"\n'));
    assert.deepEqual(answer(await get(server, `${P}&deny=`)), said('Forbidden'));
  });

  test('15 WebSocket: 400 with the message alone', async () => {
    for (const [deny, body] of [['not%20now', 'not now'], ['', 'Forbidden']]) {
      const r = await refusal(server, `${W}&deny=${deny}`);
      assert.deepEqual(answer(r), [400, 'text/html', body]);
    }
  });

  test('15 it is asked after the checks of transport and method, before that of the revision', async () => {
    isError(await get(server, '/socket.io/?EIO=4&transport=abc&deny=x'), 0);
    isError(await request(server, 'POST', `${P}&deny=x`), 2);
    isError(await get(server, `${W}&deny=x`), 3);
    assert.deepEqual(answer(await get(server, '/socket.io/?EIO=2&transport=polling&deny=x')), said('x'));
    assert.deepEqual(answer(await request(server, 'GET', `${W}&deny=x`,
      { headers: { ...UPGRADE, 'Sec-WebSocket-Version': '7' } })), [400, 'text/html', 'x']);
  });

  test('15 it is not asked about requests of a session', async () => {
    const s = await polled(server);
    s.path += '&deny=x';
    await works(s);
    const ws = await besides(s);
    ws.text('2probe');
    assert.equal(await ws.textFrame(), '3probe');
  });
});

test('16 HTTP/1.0 is answered with a length, then closed', async () => {
  const c = new Connection(server);
  c.write(`GET ${P} HTTP/1.0\r\n\r\n`);
  const r = await c.response();
  isHandshake(r);
  assert.equal(r.headers['content-length'], String(r.body.length));
  assert.equal(r.headers.connection.toLowerCase(), 'close');
  await c.end();
});

test('17 two handshakes over one connection are two sessions', async () => {
  const c = new Connection(server);
  const sids = [];
  for (let i = 0; i < 2; i++) {
    c.write(requestText('GET', P));
    sids.push(sidOf(String((await c.response()).body)));
  }
  assert.notEqual(sids[0], sids[1]);
});

test('18 an Origin with a control character: 400 and the end; with other bytes: fine', async () => {
  const c = new Connection(server);
  c.write(requestText('GET', P, { Origin: 'http://a\x01b' }));
  assert.equal((await c.response()).status, 400);
  await c.end();
  isHandshake(await get(server, P, { Origin: 'http://a\xe9b' }));
});

const corsHeaders = (r) => Object.fromEntries(Object.entries(r.headers)
  .filter(([name]) => /^(access-control|vary$)/.test(name)));
const A = { Origin: 'http://a.example' };

test('19 without CORS there is no header of it anywhere', async () => {
  for (const r of [await get(server, P, A), await get(server, `${P}&sid=nope`, A),
    await request(server, 'OPTIONS', P, { headers: A }),
    await get(server, '/socket.io/socket.io.min.js', A),
    (await WebSocketConnection.open(server, W, { headers: A })).handshake]) {
    assert.deepEqual(corsHeaders(r), {});
  }
});

describe('open to all origins', () => {
  const open = serving(startFixture, { set: { 'engine.cors_origins': '*' } });

  test('20 CORS "*": on success, errors and 101; no Vary', async () => {
    for (const r of [await get(open, P, A), await get(open, `${P}&sid=nope`, A),
      (await WebSocketConnection.open(open, W, { headers: A })).handshake]) {
      assert.deepEqual(corsHeaders(r), { 'access-control-allow-origin': '*' });
    }
  });
});

describe('open to some origins', () => {
  const some = serving(startFixture, {
    set: { 'engine.cors_origins': 'http://a.example,http://b.example' },
  });

  test('21 CORS list: an origin that is not in it gets a session and no permission', async () => {
    const r = await get(some, P, { Origin: 'http://evil.example' });
    isHandshake(r);
    assert.deepEqual(corsHeaders(r), { vary: 'Origin' });
    assert.deepEqual(corsHeaders(await get(some, P, A)),
      { 'access-control-allow-origin': 'http://a.example', vary: 'Origin' });
  });

  test('22 CORS preflight with an unknown session: 204', async () => {
    const r = await request(some, 'OPTIONS', `${P}&sid=nope`,
      { headers: { ...A, 'Access-Control-Request-Method': 'POST' } });
    assert.equal(r.status, 204);
    assert.equal(r.headers['content-length'], '0');
    assert.equal(r.headers['access-control-allow-origin'], 'http://a.example');
  });
});

describe('23 cookie', () => {
  const sticky = serving(startFixture, { set: { 'engine.cookie': 'io' } });

  test('23 cookie: on the polling handshake only', async () => {
    const r = await get(sticky, P);
    assert.equal(r.headers['set-cookie'], `io=${sidOf(String(r.body))}; Path=/; HttpOnly; SameSite=Lax`);
    const s = await polled(sticky, { connect: false });
    const answers = [await s.post('40'), await s.get(), await get(sticky, `${P}&sid=nope`),
      (await WebSocketConnection.open(sticky, W)).handshake, (await besides(s)).handshake];
    for (const other of answers) assert.equal(other.headers['set-cookie'], undefined);
  });
});

test('24 an upgrade on a foreign path: nothing is sent, the connection ends', async () => {
  const c = new Connection(server);
  c.write(requestText('GET', '/elsewhere', UPGRADE));
  await c.end();
  assert.equal(String(c.buffer), '');
});
