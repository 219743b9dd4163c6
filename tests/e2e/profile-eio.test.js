'use strict';
// The profiles of bare Engine.IO.

const { test, describe } = require('node:test');
const assert = require('node:assert/strict');
const { Socket } = require('engine.io-client');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport } = require('../lib/suite');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { request } = require('../lib/raw');
const { until } = require('../lib/until');

const PATH = { path: '/engine.io/' };
const SKIP = { skip: REFERENCE && 'a profile of the test program' };

function open(server, mode, options = {}) {
  const s = new Socket(server.url, { ...mode.options, ...options });
  s.messages = [];
  s.on('message', (m) => s.messages.push(m));
  s.on('error', (e) => { s.error = e; });
  return s;
}

const message = async (s) => {
  await until(() => s.messages.length || s.error, 5000, 'a message');
  assert.ok(s.messages.length, s.error?.message);
  return s.messages.shift();
};

describe('profile eio', SKIP, () => {
  const server = serving(startFixture, { profile: 'eio' });

  onEachTransport((mode) => {
    test('every message comes back, text as text and binary as binary', async () => {
      const s = open(server, mode);
      s.send('héllo').send(Buffer.from([1, 2, 3])).send('x'.repeat(100000));
      assert.equal(await message(s), 'héllo');
      assert.deepEqual([...new Uint8Array(await message(s))], [1, 2, 3]);
      assert.equal((await message(s)).length, 100000);
      s.close();
    });
  });

  test('the handshake tells the profile\'s times and permits every origin', async () => {
    const r = await request(server, 'GET', '/engine.io/?EIO=4&transport=polling', { headers: { Origin: 'http://a.com' } });
    const h = JSON.parse(r.body.toString().slice(1));
    assert.deepEqual([h.pingInterval, h.pingTimeout, h.maxPayload], [300, 200, 1000000]);
    assert.equal(r.headers['access-control-allow-origin'], '*');
  });

  test('a client that does not answer the heartbeat is closed', async () => {
    const s = await WebSocketSession.open(server, PATH);
    assert.equal(await s.packet(), '2');
    await s.ends();
  });
});

describe('profile engine-client', SKIP, () => {
  const server = serving(startFixture, { profile: 'engine-client' });

  onEachTransport((mode) => {
    test('greets and answers as the official server of those tests', async () => {
      const s = open(server, mode);
      assert.equal(await message(s), 'hi');
      s.send('give binary').send('give utf8').send('other');
      assert.deepEqual([...new Uint8Array(await message(s))], [0, 1, 2, 3, 4]);
      assert.equal(await message(s), 'пойду спать всем спокойной ночи');
      assert.equal(await message(s), 'other');
      s.close();
    });

    test('a query with "deny" is refused', async () => {
      const s = open(server, mode, { query: { deny: 1 } });
      await until(() => s.error, 5000, 'an error');
      assert.deepEqual(s.messages, []);
    });
  });

  test('the headers of the request that asked for them come as JSON', async () => {
    const s = open(server, { options: { transports: ['polling'], upgrade: false } }, { extraHeaders: { 'X-Test': 'a"b' } });
    assert.equal(await message(s), 'hi');
    s.send('sendHeaders');
    assert.equal(JSON.parse(await message(s))['x-test'], 'a"b');
    s.close();
  });

  test('the first response of a session carries four cookies, later ones none', async () => {
    const first = await request(server, 'GET', '/engine.io/?EIO=4&transport=polling');
    const cookies = first.lines.filter((l) => /^set-cookie:/i.test(l)).map((l) => l.slice(12));
    assert.deepEqual(cookies.slice(0, 3),
      ['1=1; Max-Age=86400', '2=2; Path=/; HttpOnly; Secure; SameSite=Strict', '3=3; Max-Age=0']);
    assert.match(cookies[3], /^4=4; Expires=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    const { sid } = JSON.parse(first.body.toString().slice(1));
    const second = await request(server, 'GET', `/engine.io/?EIO=4&transport=polling&sid=${sid}`);
    assert.equal(second.body.toString(), '4hi');
    assert.equal(second.headers['set-cookie'], undefined);
  });

  test('a message of more than a hundred bytes is too large', async () => {
    const s = await PollingSession.open(server, PATH);
    const r = await s.exchange('poster', `POST ${s.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n${'4'.repeat(101)}`);
    assert.equal(r.status, 413);
  });
});

for (const [profile, path] of [['eio3', '/engine.io/'], ['sio-eio3', '/socket.io/']]) {
  describe(`profile ${profile}`, SKIP, () => {
    const server = serving(startFixture, { profile });

    test('takes clients of protocol 3, and of 4', async () => {
      const old = await request(server, 'GET', `${path}?EIO=3&transport=polling`);
      assert.match(old.body.toString(), /^\d+:0\{"sid":/);
      const now = await request(server, 'GET', `${path}?EIO=4&transport=polling`);
      assert.match(now.body.toString(), /^0\{"sid":/);
    });
  });
}
