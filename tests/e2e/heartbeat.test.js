'use strict';
// Pings, pongs and what happens without.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join } = require('../lib/suite');
const { SESSIONS, PollingSession, WebSocketSession } = require('../lib/session');
const { frame, get } = require('../lib/raw');
const { ask } = require('../lib/clients');
const { until, sleep, SLOW } = require('../lib/until');

const INTERVAL = 300 * SLOW;
const TIMEOUT = 200 * SLOW;
const server = serving(startFixture, {
  set: { 'engine.ping_interval_ms': INTERVAL, 'engine.ping_timeout_ms': TIMEOUT },
});

// Timers of a busy machine may be late, never early.
function around(ms, expected, what, late = 2000 * SLOW) {
  assert.ok(ms >= expected - 30, `${what} after ${ms} ms, expected ${expected}`);
  assert.ok(ms <= expected + late, `${what} after ${ms} ms, expected ${expected}`);
}

onEachTransport((mode) => {
  test('a quiet client stays connected', async () => {
    const s = await join(server, '/', mode);
    let pings = 0;
    s.io.engine.on('ping', () => { pings += 1; });
    await until(() => pings >= 4, 5000, 'four pings');
    assert.equal(s.connected, true);
    assert.equal(await ask(s, 'echo', 'awake'), 'awake');
  });
});

for (const kind of SESSIONS) {
  describe(`byte by byte over ${kind.name}`, () => {
    const opened = async () => {
      const begin = Date.now(); // the interval begins before an upgrade does
      const s = await kind.open(server);
      s.opened = begin;
      const reply = await s.connect();
      s.id = JSON.parse(reply.slice(2)).sid;
      await s.message();
      return s;
    };

    test('the intervals are announced', async () => {
      const s = await kind.open(server);
      assert.equal(s.handshake.pingInterval, INTERVAL);
      assert.equal(s.handshake.pingTimeout, TIMEOUT);
      s.destroy();
    });

    test('a ping comes an interval after the opening, the next one after the pong', async () => {
      const s = await opened();
      assert.equal(await s.packet(), '2');
      around(Date.now() - s.opened, INTERVAL, 'first ping');
      await sleep(TIMEOUT / 2);
      const pong = Date.now();
      await s.send('3');
      assert.equal(await s.packet(), '2');
      around(Date.now() - pong, INTERVAL, 'second ping');
      s.destroy();
    });

    test('without a pong the session ends', async () => {
      const watcher = await join(server);
      await ask(watcher, 'observe');
      const s = await opened();
      assert.equal(await s.packet(), '2');
      const over = await s.ends();
      around(Date.now() - s.opened, INTERVAL + TIMEOUT, 'end');
      assert.equal(over, kind.name === 'polling' ? 'close packet' : 'close ');
      for (;;) {
        const [gone] = await watcher.inbox.take('gone');
        if (gone.id !== s.id) continue;
        assert.equal(gone.reason, 'ping timeout');
        break;
      }
      s.destroy();
    });

    test('a pong that nobody asked for does no harm', async () => {
      const s = await opened();
      for (let i = 0; i < 20; i++) await s.send('3');
      const last = Date.now();
      assert.equal(await s.packet(), '2');
      around(Date.now() - last, INTERVAL, 'ping');
      await s.send('3');
      assert.equal(await s.packet(), '2');
      s.destroy();
    });
  });
}

test('a polling session that never polls is forgotten', async () => {
  const s = await PollingSession.open(server, { poll: false });
  const begin = Date.now();
  // asking with a wrong transport does not count as a sign of life
  const known = async () =>
    JSON.parse((await get(server, s.path.replace('=polling', '=websocket'))).body).code !== 1;
  assert.equal(await known(), true);
  await until(async () => !(await known()), 5000, 'session is forgotten');
  around(Date.now() - begin, INTERVAL + TIMEOUT, 'forgotten');
});

test('over polling a late client gets its ping with the next request', async () => {
  const s = await PollingSession.open(server, { poll: false });
  await sleep(INTERVAL + TIMEOUT / 3);
  assert.equal(String((await s.get()).body), '2');
});

test('WebSocket pings are no heartbeat', async () => {
  const s = await WebSocketSession.open(server);
  assert.equal(await s.packet(), '2');
  s.ws.write(frame(9, 'are you there'));
  assert.equal(await s.ends(), 'close ');
});

describe('other traffic', () => {
  const LONG = 1200 * SLOW;
  const patient = serving(startFixture, {
    set: { 'engine.ping_interval_ms': INTERVAL, 'engine.ping_timeout_ms': LONG },
  });

  for (const kind of SESSIONS) {
    test(`grants one more timeout, once, over ${kind.name}`, async () => {
      const s = await kind.open(patient);
      await s.connect();
      await s.message();
      assert.equal(await s.packet(), '2');
      const ping = Date.now();
      for (const at of [0.4, 0.8, 1.2]) {
        await sleep(ping + at * LONG - Date.now());
        await s.send('42["unknown"]');
      }
      await s.ends();
      // a second extension would make it 1.8, a third 2.2 of them
      around(Date.now() - ping, LONG * 1.4, 'end', LONG * 0.35);
      s.destroy();
    });
  }
});
