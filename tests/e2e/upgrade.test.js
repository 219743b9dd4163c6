'use strict';
// The upgrade from polling to WebSocket, which must lose and double nothing.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, join } = require('../lib/suite');
const { PollingSession } = require('../lib/session');
const { WebSocketConnection, requestText, get } = require('../lib/raw');
const { client, connected, upgraded, transportOf, ask } = require('../lib/clients');
const { until, within, SLOW } = require('../lib/until');

// Some tests send as fast as they can.
const server = serving(startFixture, { set: { 'rate.connection_events': 0 } });
const UPGRADE = { name: 'upgrade', options: { transports: ['polling', 'websocket'] } };

const second = (s) => WebSocketConnection.open(s.server, s.path.replace('=polling', '=websocket'));

async function opened(where = server) {
  const s = await PollingSession.open(where, { poll: false });
  await s.post('40');
  await s.get();
  return s;
}

// Opened, and a WebSocket that has been probed.
async function probed(where) {
  const s = await opened(where);
  const ws = await second(s);
  ws.text('2probe');
  assert.equal(await ws.textFrame(), '3probe');
  return { s, ws };
}

const code = async (response) => JSON.parse(String((await response).body)).code;

async function closed(ws) {
  assert.equal(await ws.closeCode(), 1005);
}

describe('step by step', () => {
  test('the probe is answered, and nothing else is sent before', async () => {
    const s = await opened();
    const ws = await second(s);
    ws.text('2probe');
    const f = await ws.frame();
    assert.deepEqual([f.fin, f.opcode, String(f.payload)], [true, 1, '3probe']);
    assert.equal(ws.buffer.length, 0);
  });

  test('each parked request is released within about 100 ms', async () => {
    const { s } = await probed();
    for (let i = 0; i < 4; i++) {
      const begin = Date.now();
      const r = await s.get();
      assert.equal(String(r.body), '6');
      assert.ok(Date.now() - begin < 500 * SLOW, `released after ${Date.now() - begin} ms`);
    }
  });

  test('a request that was parked before the probe is released, too', async () => {
    const s = await opened();
    const parked = s.get();
    const ws = await second(s);
    const begin = Date.now();
    ws.text('2probe');
    assert.equal(await ws.textFrame(), '3probe');
    assert.equal(String((await parked).body), '6');
    assert.ok(Date.now() - begin < 500 * SLOW, `released after ${Date.now() - begin} ms`);
  });

  test('polling goes on during the upgrade', async () => {
    const { s, ws } = await probed();
    assert.equal(String((await s.post('421["echo",1]')).body), 'ok');
    assert.equal(String((await s.get()).body), '431[1]');
    assert.equal(ws.buffer.length, 0);
  });

  test('after "5" the session is on the WebSocket and nowhere else', async () => {
    const { s, ws } = await probed();
    ws.text('5');
    ws.text('421["echo",1]');
    assert.equal(await ws.textFrame(), '431[1]');
    assert.equal(await code(get(server, s.path)), 3);
    assert.equal(await code(s.post('3')), 3);
    ws.text('422["transport"]');
    assert.equal(await ws.textFrame(), '432["websocket"]');
  });

  test('what waits for the client moves over, once and in order', async () => {
    const { s, ws } = await probed();
    for (let i = 0; i < 5; i++) await s.post(`42["message",${i}]`);
    ws.text('5');
    ws.text('42["message",5]');
    for (let i = 0; i <= 5; i++) assert.equal(await ws.textFrame(), `42["message-back",${i}]`);
    ws.text('421["echo","end"]');
    assert.equal(await ws.textFrame(), '431["end"]');
  });

  test('"5" without a probe is accepted', async () => {
    const ws = await second(await opened());
    ws.text('5');
    ws.text('421["echo",1]');
    assert.equal(await ws.textFrame(), '431[1]');
  });

  test('two probes get two answers', async () => {
    const { ws } = await probed();
    ws.text('2probe');
    assert.equal(await ws.textFrame(), '3probe');
  });

  test('"5" with a request still parked answers that with a close packet', async () => {
    const s = await opened();
    const ws = await second(s);
    const parked = s.get();
    await ask(await join(server), 'echo', 'a round trip');
    ws.text('5');
    assert.equal(String((await parked).body), '1');
    ws.text('421["echo",1]');
    assert.equal(await ws.textFrame(), '431[1]');
  });

  test('no noop reaches the WebSocket', async () => {
    const { s, ws } = await probed();
    await s.get();
    await s.get();
    ws.text('5');
    ws.text('421["echo",1]');
    assert.equal(await ws.textFrame(), '431[1]');
  });

  test('attachments may come before and after the switch', async () => {
    const { s, ws } = await probed();
    await s.post('451-["message",{"_placeholder":true,"num":0}]');
    ws.text('5');
    ws.binary(Buffer.from([9]));
    assert.equal(await ws.textFrame(), '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.deepEqual((await ws.frame()).payload, Buffer.from([9]));
  });

  test('leaving after the upgrade ends the session', async () => {
    const { s, ws } = await probed();
    ws.text('5');
    ws.text('421["echo",1]');
    await ws.textFrame();
    ws.destroy();
    await until(async () => await code(get(server, s.path)) === 1, 5000, 'session is gone');
  });
});

describe('when it fails', () => {
  const works = async (s) => {
    assert.equal(String((await s.post('421["echo","polling"]')).body), 'ok');
    assert.equal(String((await s.get()).body), '431["polling"]');
  };

  test('a message instead of the probe', async () => {
    const s = await opened();
    const ws = await second(s);
    ws.text('40');
    await closed(ws);
    await works(s);
  });

  test('a ping that is no probe', async () => {
    const s = await opened();
    const ws = await second(s);
    ws.text('2');
    await closed(ws);
    await works(s);
  });

  test('a message after the probe', async () => {
    const { s, ws } = await probed();
    ws.text('421["echo",1]');
    await closed(ws);
    await works(s);
  });

  test('the WebSocket breaks, and a second attempt succeeds', async () => {
    const { s, ws } = await probed();
    ws.destroy();
    await works(s);
    let again;
    await until(async () => {
      again = await second(s);
      again.text('2probe');
      const f = await again.frame();
      return f.opcode === 1 && String(f.payload) === '3probe';
    }, 5000, 'a second attempt');
    again.text('5');
    again.text('421["echo",2]');
    assert.equal(await again.textFrame(), '431[2]');
  });

  test('a second WebSocket beside the first', async () => {
    const { s, ws } = await probed();
    await closed(await second(s));
    await works(s);
    ws.text('5');
    ws.text('421["echo",1]');
    assert.equal(await ws.textFrame(), '431[1]');
    await closed(await second(s));
    ws.text('422["echo",2]');
    assert.equal(await ws.textFrame(), '432[2]');
  });

  test('"transport=polling" on an upgrade request', async () => {
    const s = await opened();
    const ws = await WebSocketConnection.open(server, s.path).catch((e) => e);
    if (ws instanceof Error) assert.equal(ws.response.status, 400);
    else await closed(ws);
    await works(s);
  });

  test('"transport=websocket" without an upgrade takes nothing out of the queue', async () => {
    const s = await opened();
    await s.post('42["message","kept"]');
    assert.equal(await code(get(server, s.path.replace('=polling', '=websocket'))), 3);
    assert.equal(String((await s.get()).body), '42["message-back","kept"]');
  });
});

describe('an upgrade that takes too long', () => {
  const hasty = serving(startFixture, { set: { 'engine.upgrade_timeout_ms': 200 * SLOW } });

  test('closes the WebSocket and leaves the session', async () => {
    const { s, ws } = await probed(hasty);
    const begin = Date.now();
    await closed(ws);
    assert.ok(Date.now() - begin > 100 * SLOW, `closed after ${Date.now() - begin} ms`);
    s.poster.write(requestText('POST', s.path, {}, '421["echo",1]'));
    await s.poster.response();
    assert.equal(String((await s.get()).body), '431[1]');
  });
});

describe('the official client', () => {
  // Sends numbered messages in both directions from before the upgrade until
  // well after it.
  async function talk(number) {
    const s = client(server.url, '/', UPGRADE);
    const got = [];
    const answered = [];
    s.on('n', (i) => got.push(i));
    let sent = 0;
    s.connect();
    await connected(s);
    const began = Date.now();
    let done = false;
    const sender = (async () => {
      while (!done) {
        const i = sent;
        sent += 1;
        s.emit('echo', i, number % 2 ? Buffer.from([i & 255]) : 'x', (n) => answered.push(n));
        s.emit('broadcast', { rooms: [s.id], event: 'n' }, i);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await upgraded(s);
    const took = Date.now() - began;
    const at = sent;
    await until(() => sent > at + 50, 10000, 'messages after the upgrade');
    done = true;
    await sender;
    await until(() => got.length >= sent && answered.length >= sent, 15000,
      () => `${sent} messages, ${got.length} received, ${answered.length} answered`);
    assert.deepEqual(got, [...Array(sent).keys()]);
    assert.deepEqual(answered, [...Array(sent).keys()]);
    assert.equal(transportOf(s), 'websocket');
    s.disconnect();
    return { took, before: at };
  }

  test('no message is lost, doubled or out of order across the upgrade', async () => {
    let before = 0;
    for (let i = 0; i < 10; i++) before += (await talk(i)).before;
    assert.ok(before > 0, 'messages travelled before and during the upgrades');
  });

  test('20 clients at once upgrade without a stall', async () => {
    const all = await within(Promise.all([...Array(20).keys()].map(talk)), 60000, 'all upgrades');
    for (const { took } of all) assert.ok(took < 10000 * SLOW, `upgrade took ${took} ms`);
  });

  test('messages from others arrive exactly once across the upgrade', async () => {
    const sender = await join(server);
    for (let round = 0; round < 5; round++) {
      const s = client(server.url, '/custom', UPGRADE);
      const other = await join(server, '/custom');
      const got = [];
      s.on('flow', (i) => got.push(i));
      s.connect();
      await connected(s);
      let i = 0;
      while (transportOf(s) !== 'websocket' || i < 200) {
        await ask(other, 'broadcast', { rooms: [s.id], event: 'flow' }, i);
        i += 1;
        assert.ok(i < 20000, 'the client upgrades');
      }
      await ask(s, 'echo', 'fence');
      assert.deepEqual(got, [...Array(i).keys()]);
      s.disconnect();
      other.disconnect();
    }
    assert.equal(await ask(sender, 'echo', 1), 1);
  });
});
