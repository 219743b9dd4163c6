'use strict';
// The bounds that an operator sets on what clients may hold.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport, join } = require('../lib/suite');
const { SESSIONS, PollingSession, WebSocketSession } = require('../lib/session');
const { Connection, WebSocketConnection, requestText, get } = require('../lib/raw');
const { alsoConnect, connected, refused, ask } = require('../lib/clients');
const { until, sleep, SLOW } = require('../lib/until');

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';

describe('bounds', { skip: REFERENCE && 'confab only' }, () => {
  describe('two namespaces per connection', () => {
    const server = serving(startFixture, { set: { 'limits.namespaces_per_connection': 2 } });

    onEachTransport((mode) => {
      test('the third is refused, the others go on, and one that is left makes room', async () => {
        const root = await join(server, '/', mode);
        const custom = await alsoConnect(root, '/custom');
        const third = root.io.socket('/private', { auth: { token: 'secret' } });
        assert.match((await refused(third)).message, /namespaces/);
        assert.equal(await ask(root, 'echo', 1), 1);
        assert.equal(await ask(custom, 'echo', 2), 2);
        custom.disconnect();
        await ask(root, 'echo', 3);
        third.disconnect().connect();
        await connected(third);
      });
    });
  });

  describe('three sessions', () => {
    const server = serving(startFixture, { set: { 'limits.sessions': 3 } });

    test('the fourth is told to come later, and may when one has gone', async () => {
      const sessions = [];
      for (let i = 0; i < 3; i++) sessions.push(await PollingSession.open(server));
      const r = await get(server, P);
      assert.equal(r.status, 503);
      await assert.rejects(WebSocketConnection.open(server, W), (e) => e.response.status === 503);
      // those that are there go on
      assert.equal((await sessions[0].post('40')).status, 200);
      await sessions[1].post('1');
      const w = await WebSocketSession.open(server);
      assert.match(await w.connect(), /^40/);
      assert.equal((await get(server, '/healthz')).status, 200);
    });
  });

  describe('idle connections', () => {
    const IDLE = 400 * SLOW;
    const server = serving(startFixture, { set: { 'limits.idle_timeout_ms': IDLE } });

    test('one that says nothing, and one between requests, are closed', async () => {
      const begin = Date.now();
      const silent = new Connection(server);
      const used = new Connection(server);
      used.write(requestText('GET', P));
      await used.response();
      await Promise.all([silent.end(), used.end()]);
      assert.ok(Date.now() - begin >= IDLE - 50);
      assert.equal(silent.buffer.length, 0);
    });

    test('a parked request and a WebSocket are not idle', async () => {
      const s = await PollingSession.open(server);
      await s.connect();
      await s.message();
      const w = await WebSocketSession.open(server);
      await w.connect();
      await w.message();
      await sleep(IDLE * 2);
      await w.send('42["broadcast",{"event":"late"}]');
      assert.equal(await s.message(), '42["late"]');
      assert.equal(await w.message(), '42["late"]');
    });
  });

  describe('event names and values', () => {
    const server = serving(startFixture, {
      set: { 'limits.event_name_bytes': 20, 'limits.json_values': 50 },
    });

    for (const kind of SESSIONS) {
      test(`past the limit close, up to it pass, over ${kind.name}`, async () => {
        const joined = async () => {
          const s = await kind.open(server);
          await s.connect();
          await s.message();
          return s;
        };
        let s = await joined();
        await s.send(`42["${'n'.repeat(20)}"]`);
        await s.send(`42["message",[${Array(40).fill(1)}]]`);
        assert.equal(await s.message(), `42["message-back",[${Array(40).fill(1)}]]`);
        await s.send(`42["${'n'.repeat(21)}"]`);
        await s.ends();
        s = await joined();
        await s.send(`42["message",[${Array(60).fill(1)}]]`);
        await s.ends();
      });
    }
  });

  describe('connections', () => {
    const server = serving(startFixture, { set: { 'limits.connections': 5 } });

    test('past the limit are told so, and come in when others leave', async () => {
      const held = [];
      for (let i = 0; i < 5; i++) {
        const w = await WebSocketConnection.open(server, W);
        await w.textFrame();
        held.push(w);
      }
      const extra = new Connection(server);
      extra.write(requestText('GET', '/healthz'));
      // nobody who is in is disturbed
      for (const w of held) {
        w.text('40');
        assert.match(await w.textFrame(), /^40/);
      }
      assert.equal((await extra.response()).status, 503);
      held[0].destroy();
      await until(async () => {
        const c = new Connection(server);
        c.write(requestText('GET', '/healthz'));
        try {
          return (await c.response({ ms: 500 })).status === 200;
        } catch {
          return false;
        } finally {
          c.destroy();
        }
      }, 5000, 'a connection is let in');
    });
  });
});
