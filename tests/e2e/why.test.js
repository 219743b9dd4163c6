'use strict';
// /debug/why: what has happened to a connection, told while it is there and
// after its end, as far back as the journal reaches.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, CONFAB_ONLY, join } = require('../lib/suite');
const { Connection, WebSocketConnection, get, requestText, frame } = require('../lib/raw');
const { PollingSession, WebSocketSession, openUpgraded } = require('../lib/session');
const { MODES, ask, alsoConnect } = require('../lib/clients');
const { adminOf } = require('../lib/metrics');
const { W } = require('../lib/conformance');
const { until } = require('../lib/until');

const PING = { 'engine.ping_interval_ms': 300, 'engine.ping_timeout_ms': 300 };
const server = serving(startFixture, {
  set: { 'engine.max_payload_bytes': 10000, 'engine.upgrade_timeout_ms': 300, 'engine.connect_timeout_ms': 300,
    'limits.output_queue_bytes': 100000, 'limits.slow_consumer_ms': 300, 'limits.namespaces_per_connection': 2 },
});

async function why(id, more = '', at = server) {
  const r = await get(adminOf(at), `/debug/why?sid=${encodeURIComponent(id)}${more}`);
  assert.equal(r.status, 200, String(r.body));
  return JSON.parse(r.body);
}
const texts = (answer) => answer.events.map((e) => e.text);

// Its story once it has ended.
async function story(id, at = server) {
  let a;
  await until(async () => {
    a = await why(id, '', at);
    return a.state === 'ended';
  }, 5000, () => `${id} has ended: ${JSON.stringify(a)}`);
  assert.equal(a.known, true);
  assert.equal(a.now, undefined);
  assert.equal(a.why, texts(a).at(-1));
  assert.equal(a.ended, a.events.at(-1).at);
  assert.ok(a.ended >= a.journal.since);
  return texts(a);
}

const joined = async (kind, at = server) => {
  const s = await kind.open(at);
  await s.connect();
  return s;
};
const sidOf = (s) => s.handshake.sid;

describe('while it is connected', CONFAB_ONLY, () => {
  test('what it does now, and how it came to that', async () => {
    const a = await join(server, '/', MODES[2]);
    const b = await alsoConnect(a, '/custom');
    await ask(a, 'join', 'one');
    await ask(a, 'join', 'two');
    const said = await why(a.io.engine.id);
    assert.deepEqual([said.known, said.state, said.sid], [true, 'connected', a.io.engine.id.slice(0, 8)]);
    assert.deepEqual(texts(said).sort(), ['a WebSocket came to take over from polling', 'connected to namespace /',
      'connected to namespace /custom', 'moved to the WebSocket', 'opened over polling']);
    const { now } = said;
    assert.deepEqual([now.transport, now.protocol, now.address], ['websocket', 4, '127.0.0.1']);
    assert.deepEqual([now.queued_bytes, now.slow, now.closing, now.upgrading], [0, false, false, false]);
    assert.deepEqual(now.sockets, [{ namespace: '/', id: a.id, connected: true, rooms: 2 },
      { namespace: '/custom', id: b.id, connected: true, rooms: 0 }]);
    assert.equal(now.heartbeat.awaits, 'time of next ping');
    assert.ok(now.heartbeat.left_ms > 20000 && now.heartbeat.since_ms < 5000);
    // the head of the sid, and each socket's id, are as good
    const about = ({ journal, now: n, ...rest }) => rest;
    for (const id of [a.io.engine.id.slice(0, 8), a.id, b.id]) assert.deepEqual(about(await why(id)), about(said));
    // of events, the latest are told when fewer are asked for
    const two = await why(a.id, '&n=2');
    assert.deepEqual([two.events_in_all, two.events], [5, said.events.slice(-2)]);
  });

  test('a session that is polling, and one that waits for a pong', async () => {
    const s = await PollingSession.open(server, { poll: false });
    await s.post('40');
    assert.deepEqual([(await why(sidOf(s))).now.transport, (await why(sidOf(s))).now.polling_now], ['polling', false]);
    const other = await startFixture({ set: PING });
    const silent = await WebSocketSession.open(other);
    await until(async () => (await why(sidOf(silent), '', other)).now?.heartbeat.awaits === 'pong', 5000, 'it was pinged');
    silent.destroy();
    await other.stop();
  });

  test('what nobody knows', async () => {
    for (const id of ['nonsense', 'x'.repeat(300), '/', '<&">']) {
      const { journal, ...rest } = await why(id);
      assert.deepEqual(rest, { known: false, state: 'unknown', events_in_all: 0, events: [] });
      assert.match(journal.since, /^\d{4}-\d\d-\d\dT/);
    }
  });
});

describe('after its end', CONFAB_ONLY, () => {
  test('a client that said goodbye, by sid, head and socket id', async () => {
    const a = await join(server, '/', MODES[1]);
    const [sid, id] = [a.io.engine.id, a.id];
    await until(async () => (await why(sid)).known, 5000, 'it is known');
    a.disconnect();
    const told = ['opened over WebSocket', 'connected to namespace /', 'left namespace /',
      'the client closed its WebSocket with code 1005', 'ended: transport close'];
    for (const key of [sid, sid.slice(0, 8), id]) assert.deepEqual(await story(key), told);
  });

  const ends = {
    'the connection was reset': ['its TCP connection broke: Connection reset by peer', 'ended: transport close',
      (s) => s.ws.socket.resetAndDestroy()],
    'the connection was closed without a word': ['its TCP connection ended', 'ended: transport close',
      (s) => s.ws.socket.end()],
    'the client closed with a code': ['the client closed its WebSocket with code 4321', 'ended: transport close',
      (s) => s.ws.write(frame(8, Buffer.from([0x10, 0xe1])))],
    'a bad frame': ['broke the WebSocket protocol: closed with code 1002', 'ended: transport error',
      (s) => s.ws.write(Buffer.from([0xff, 0x80, 0, 0, 0, 0]))],
    'text that is no UTF-8': ['broke the WebSocket protocol: closed with code 1007', 'ended: transport error',
      (s) => s.ws.write(frame(1, Buffer.from([0xc0])))],
    'a message that is too large': ['broke the WebSocket protocol: closed with code 1009', 'ended: transport error',
      (s) => s.send(`42["${'x'.repeat(20000)}"]`)],
    'what is no Engine.IO packet': ['sent no Engine.IO packet', 'ended: parse error', (s) => s.send('x')],
    'what is no Socket.IO packet': ['sent no Socket.IO packet', 'ended: forced close', (s) => s.send('4nonsense')],
    'a packet for a namespace that is not joined': ['sent a packet for a namespace in the wrong state',
      'ended: forced close', (s) => s.send('42/custom,["x"]')],
  };
  for (const [name, [text, end, act]] of Object.entries(ends)) {
    test(name, async () => {
      const s = await joined(WebSocketSession);
      await act(s);
      assert.deepEqual(await story(sidOf(s)), ['opened over WebSocket', 'connected to namespace /', text, end]);
      s.destroy();
    });
  }

  test('a poll that was given up, and two at once', async () => {
    const given = await joined(PollingSession);
    given.getter.socket.resetAndDestroy();
    assert.deepEqual((await story(sidOf(given))).slice(2), ['its TCP connection ended', 'ended: transport error']);
    const two = await joined(PollingSession);
    const c = new Connection(server);
    c.write(requestText('GET', two.path));
    assert.equal((await c.response()).status, 400);
    assert.deepEqual((await story(sidOf(two))).slice(2),
      ['polled or posted twice at once, or posted what it may not', 'ended: transport error']);
  });

  test('a body that was too large is remembered, and did not end it', async () => {
    const s = await joined(PollingSession);
    assert.equal((await s.post(`42["${'x'.repeat(20000)}"]`)).status, 413);
    assert.equal(texts(await why(sidOf(s))).at(-1), 'sent more than engine.max_payload_bytes, which is 10000');
    await s.send('1');
    assert.equal((await story(sidOf(s))).at(-1), 'ended: transport close');
  });

  test('a client that did not answer a ping', async () => {
    const other = await startFixture({ set: PING });
    const s = await joined(WebSocketSession, other);
    assert.deepEqual(await story(sidOf(s), other), ['opened over WebSocket', 'connected to namespace /',
      'ended: ping timeout']);
    await other.stop();
  });

  test('a client that joined nothing, one that was refused, and one that wanted too much', async () => {
    const idle = await WebSocketSession.open(server);
    assert.deepEqual(await story(sidOf(idle)), ['opened over WebSocket',
      'joined no namespace within engine.connect_timeout_ms', 'ended: forced close']);
    const s = await joined(WebSocketSession);
    for (const n of ['/nope', '/private', '/custom', '/dyn-x']) await s.send(`40${n},`);
    await s.send('41');
    await until(async () => (await why(sidOf(s))).events_in_all === 7, 5000, 'all is written down');
    assert.deepEqual(texts(await why(sidOf(s))).slice(1), ['connected to namespace /', 'asked for a namespace that is not',
      'refused by namespace /private', 'connected to namespace /custom',
      'asked for more than limits.namespaces_per_connection', 'left namespace /']);
    s.destroy();
  });

  test('a client that did not read', async () => {
    const s = await PollingSession.open(server, { poll: false });
    await s.post('40');
    await s.get();
    await s.post(`42["burst",11,"e","${'x'.repeat(9000)}"]`);
    await s.get();
    await s.post(`42["burst",12,"e","${'x'.repeat(9000)}"]`);
    const said = await story(sidOf(s));
    assert.match(said[2], /^does not keep up: 1\d{5} bytes wait$|^keeps up/);
    assert.match(said.at(-2), /^given up for not keeping up: 1\d{5} bytes waited$/);
    assert.equal(said.at(-1), 'ended: transport error');
  });

  test('upgrades that failed leave the session, and their reason', async () => {
    const tell = async (act) => {
      const s = await PollingSession.open(server);
      await s.connect();
      const ws = await WebSocketConnection.open(server, `${W}&sid=${sidOf(s)}`);
      await act(ws);
      await until(async () => (await why(sidOf(s))).events_in_all === 4, 5000, 'it has failed');
      const said = await why(sidOf(s));
      assert.equal(said.state, 'connected');
      assert.equal(texts(said)[2], 'a WebSocket came to take over from polling');
      return texts(said)[3];
    };
    assert.equal(await tell(() => {}), 'upgrade failed: not done within engine.upgrade_timeout_ms');
    assert.equal(await tell((ws) => ws.destroy()), 'upgrade failed: the client closed the WebSocket');
    assert.equal(await tell((ws) => ws.text('2nonsense')), 'upgrade failed: the client sent something else');
    const s = await openUpgraded(server);
    await WebSocketConnection.open(server, `${W}&sid=${sidOf(s)}`);
    assert.equal(texts(await why(sidOf(s))).at(-1), 'upgrade refused: the connection has a WebSocket or is closing');
  });

  test('the server\'s own decisions', async () => {
    const s = await joined(WebSocketSession);
    await s.send('42["disconnect-me",true]');
    assert.deepEqual(await story(sidOf(s)), ['opened over WebSocket', 'connected to namespace /', 'left namespace /',
      'ended: forced close']);
  });
});

describe('how far back', CONFAB_ONLY, () => {
  test('the ring is bounded: the oldest are forgotten, and it says since when it knows', async () => {
    const small = await startFixture({ set: { 'admin.journal_records': 16 } });
    const first = await joined(WebSocketSession, small);
    first.destroy();
    await story(sidOf(first), small);
    const before = (await why('x', '', small)).journal;
    for (let i = 0; i < 8; i++) {
      const s = await joined(WebSocketSession, small);
      s.destroy();
      await story(sidOf(s), small);
    }
    const after = await why(sidOf(first), '', small);
    assert.deepEqual([after.known, after.journal.records], [false, 16]);
    assert.ok(after.journal.since > before.since);
    await small.stop();
  });

  test('without a journal, what is there now is told all the same', async () => {
    const none = await startFixture({ set: { 'admin.journal_records': 0 } });
    const s = await joined(WebSocketSession, none);
    const said = await why(sidOf(s), '', none);
    assert.deepEqual([said.known, said.state, said.events, said.journal],
      [true, 'connected', [], { records: 0, since: null }]);
    assert.equal(said.now.sockets.length, 1);
    s.destroy();
    await until(async () => !(await why(sidOf(s), '', none)).known, 5000, 'it is gone');
    await none.stop();
  });
});
