'use strict';
// Cross-origin requests.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { PollingSession } = require('../lib/session');
const { WebSocketConnection, request, get } = require('../lib/raw');

const P = '/socket.io/?EIO=4&transport=polling';
const A = { Origin: 'http://a.example' };
const EVIL = { Origin: 'http://evil.example' };

const allowed = (r) => r.headers['access-control-allow-origin'];
const varies = (r) => /(^|, *)origin(,|$)/i.test(r.headers.vary || '');

const preflight = (server, path, headers) => request(server, 'OPTIONS', path, {
  headers: { 'Access-Control-Request-Method': 'POST', ...headers },
});

describe('off', () => {
  const server = serving(startFixture);

  test('no header anywhere, no preflight', async () => {
    for (const r of [await get(server, P, A), await get(server, '/socket.io/?EIO=4', A),
      await get(server, '/socket.io/socket.io.js', A)]) {
      assert.deepEqual(Object.keys(r.headers).filter((h) => h.startsWith('access-control')), []);
    }
    const r = await preflight(server, P, A);
    assert.equal(r.status, 400);
    assert.equal(JSON.parse(r.body).code, 2);
  });
});

describe('all origins', () => {
  const server = serving(startFixture, { set: { 'engine.cors_origins': '*' } });

  test('on answers and errors, on the bundle and the upgrade', async () => {
    const ws = await WebSocketConnection.open(server, P.replace('polling', 'websocket'), { headers: A });
    for (const r of [await get(server, P, A), await get(server, P),
      await get(server, '/socket.io/?EIO=4', A), await get(server, '/socket.io/socket.io.js', A),
      ws.handshake]) {
      assert.equal(allowed(r), '*');
    }
    assert.equal(varies(await get(server, P, A)), false);
  });

  test('on posts and polls', async () => {
    const s = await PollingSession.open(server, { poll: false });
    assert.equal(allowed(await s.post('40')), '*');
    assert.equal(allowed(await s.get()), '*');
  });

  test('preflight, whatever the session', async () => {
    for (const path of [P, `${P}&sid=nope`, '/socket.io/']) {
      const r = await preflight(server, path, { ...A, 'Access-Control-Request-Headers': 'content-type,x-b' });
      assert.equal(r.status, 204);
      assert.equal(allowed(r), '*');
      assert.match(r.headers['access-control-allow-methods'], /GET.*POST/);
      assert.equal(r.headers['access-control-allow-headers'], 'content-type,x-b');
      assert.ok(!('content-length' in r.headers) || r.headers['content-length'] === '0');
    }
  });
});

describe('a list of origins', () => {
  const server = serving(startFixture, {
    set: { 'engine.cors_origins': 'http://a.example,https://b.example:8443' },
  });

  test('those are echoed', async () => {
    for (const Origin of ['http://a.example', 'https://b.example:8443']) {
      const r = await get(server, P, { Origin });
      assert.equal(allowed(r), Origin);
      assert.equal(varies(r), true);
      assert.equal(allowed(await get(server, '/socket.io/?EIO=4', { Origin })), Origin);
    }
  });

  test('others are not, nor those that look alike', async () => {
    for (const Origin of [EVIL.Origin, 'http://a.example.evil', 'https://a.example', 'http://A.example:80',
      'http://a.exampl', 'null', 'https://b.example', '*']) {
      const r = await get(server, P, { Origin });
      assert.equal(r.status, 200);
      assert.equal(allowed(r), undefined, Origin);
      assert.equal(varies(r), true);
    }
  });

  test('a request without an origin works', async () => {
    const r = await get(server, P);
    assert.equal(r.status, 200);
    assert.equal(allowed(r), undefined);
  });

  test('preflight', async () => {
    let r = await preflight(server, P, A);
    assert.equal(r.status, 204);
    assert.equal(allowed(r), 'http://a.example');
    assert.equal(varies(r), true);
    r = await preflight(server, P, EVIL);
    assert.equal(allowed(r), undefined);
  });
});

describe('a list of origins that is enforced', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'engine.cors_origins': 'http://a.example,http://b.example', 'engine.cors_enforce': 'true' },
  });
  const W = P.replace('polling', 'websocket');
  const FORBIDDEN = [403, '{"code":4,"message":"Forbidden"}'];
  const answer = (r) => [r.status, String(r.body)];

  // How the opening of a WebSocket is answered.
  const opening = async (path, headers) => {
    try {
      return (await WebSocketConnection.open(server, path, { headers })).handshake;
    } catch (e) {
      return e.response;
    }
  };

  test('those pass, and who has no origin', async () => {
    for (const headers of [A, { Origin: 'http://b.example' }, {}]) {
      assert.equal((await get(server, P, headers)).status, 200);
      assert.equal((await opening(W, headers)).status, 101);
    }
  });

  test('others are refused: the handshake', async () => {
    for (const Origin of [EVIL.Origin, 'null', 'http://a.example.evil', '']) {
      assert.deepEqual(answer(await get(server, P, { Origin })), FORBIDDEN);
      assert.deepEqual(answer(await opening(W, { Origin })), [400, 'Forbidden']);
    }
  });

  test('others are refused: the requests of a session, which stays', async () => {
    const s = await PollingSession.open(server, { poll: false });
    assert.deepEqual(answer(await get(server, s.path, EVIL)), FORBIDDEN);
    assert.deepEqual(answer(await request(server, 'POST', s.path, { headers: EVIL, body: '40' })), FORBIDDEN);
    assert.deepEqual(answer(await opening(s.path.replace('polling', 'websocket'), EVIL)), [400, 'Forbidden']);
    assert.equal((await s.post('40')).status, 200);
    assert.match(String((await s.get()).body), /^40/);
  });
});
