'use strict';
// Connection state recovery with the official client: what a client that lost
// its connection finds when it comes back.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('socket.io-msgpack-parser');
const { REFERENCE, startFixture, startNode, startRedis } = require('../lib/servers');
const { serving, onEachTransport, CONFAB_ONLY, join, settle } = require('../lib/suite');
const { client, connected, connect, alsoConnect, refused, ask } = require('../lib/clients');
const { WebSocketConnection } = require('../lib/raw');
const { metric } = require('../lib/metrics');
const { until, sleep, SLOW } = require('../lib/until');
const { Gate } = require('../lib/gate');

const SET = { 'recovery.enabled': true };
const server = serving(startFixture, { set: SET });

// The client's connection is lost, and the server knows it.
async function lose(socket, at = server) {
  const { id } = socket;
  socket.io.engine.close();
  return (await at.process.says(new RegExp(`gone ${id} (.+)`)))[1];
}

// Once the client is connected again.
async function back(socket) {
  socket.connect();
  return connected(socket);
}

// Its events of that name; without the offset, which is the last argument.
const seen = (socket, event) => socket.inbox.all.filter((e) => e.event === event)
  .map(({ args }) => args.slice(0, -1));

const tell = (from, spec, ...args) => ask(from, 'broadcast', spec, ...args);

const recoveries = (at, result) => metric(at, `confab_recoveries_total{result="${result}"}`);

onEachTransport((mode) => {
  test('missed events arrive once and in order, ids, rooms and data are the old ones', async () => {
    const [s, other] = [await join(server, '/', mode), await join(server)];
    await ask(s, 'join', 'a room');
    await ask(s, 'set-data', { name: 'é', n: [1, null] });
    await tell(other, { event: 'e' }, 0);
    await settle(s);
    const { id } = s;
    assert.equal(s.recovered, false);
    await lose(s);
    await tell(other, { event: 'e' }, 1);
    await tell(other, { event: 'e', rooms: ['a room'] }, 2, Buffer.from([1, 2]));
    await tell(other, { event: 'e', rooms: ['another room'] }, 'not for it');
    await tell(other, { event: 'e', except: ['a room'] }, 'not for it');
    await tell(other, { event: 'e', rooms: [id] }, 3, 'text');
    await back(s);
    assert.equal(s.recovered, true);
    assert.equal(s.id, id);
    await tell(other, { event: 'e', rooms: ['a room'] }, 4);
    await settle(s);
    assert.deepEqual(seen(s, 'e'), [[0], [1], [2, Buffer.from([1, 2])], [3, 'text'], [4]]);
    assert.deepEqual((await ask(s, 'rooms')).sort(), [id, 'a room'].sort());
    assert.deepEqual(await ask(s, 'get-data'), { name: 'é', n: [1, null] });
    assert.equal(await ask(s, 'recovered'), true);
  });

  test('the same again and again', async () => {
    const [s, other] = [await join(server, '/', mode), await join(server)];
    const { id } = s;
    for (let i = 0; i < 4; i++) {
      await lose(s);
      await tell(other, { event: 'e' }, i);
      await back(s);
      assert.deepEqual([s.recovered, s.id], [true, id]);
    }
    await settle(s);
    assert.deepEqual(seen(s, 'e'), [[0], [1], [2], [3]]);
  });

  test('a stream of events has no gap and no double, whenever the connection is lost', async () => {
    const [s, other] = [await join(server, '/', mode), await join(server)];
    let n = 0, stop = false;
    const sending = (async () => {
      while (!stop) await tell(other, { event: 'n' }, n++);
    })();
    for (let i = 0; i < 5; i++) {
      const now = s.inbox.count('n');
      await until(() => s.inbox.count('n') > now, 5000, 'events go on');
      s.io.engine.close();
      await back(s);
      assert.equal(s.recovered, true);
    }
    stop = true;
    await sending;
    await settle(s);
    assert.deepEqual(seen(s, 'n').map(([i]) => i), [...Array(n).keys()]);
  });

  test('who has said goodbye is new', async () => {
    const s = await join(server, '/', mode);
    const { id } = s;
    s.disconnect();
    await server.process.says(new RegExp(`gone ${id} client namespace disconnect`));
    await back(s);
    assert.equal(s.recovered, false);
    assert.notEqual(s.id, id);
  });

  test('all namespaces of a connection come back', async () => {
    const s = await join(server, '/', mode);
    const custom = await alsoConnect(s, '/custom');
    const other = await join(server, '/custom');
    await custom.inbox.take('auth');
    await lose(s);
    await tell(other, { event: 'e' }, 1);
    await Promise.all([back(s), back(custom)]);
    assert.deepEqual([s.recovered, custom.recovered], [true, true]);
    await settle(s, custom);
    assert.deepEqual(seen(custom, 'e'), [[1]]);
  });
});

// ---- connections that are dead and do not show it ------------------------------

describe('a connection that is dead without a word', () => {
  const BEAT = 400 * SLOW;
  const hasty = serving(startFixture, {
    set: { ...SET, 'engine.ping_interval_ms': BEAT, 'engine.ping_timeout_ms': BEAT },
  });
  let gate;
  before(async () => { gate = await Gate.open(hasty); });
  after(() => gate.close());

  onEachTransport((mode) => {
    test('gives way to its client, for good', CONFAB_ONLY, async () => {
      const s = await join({ url: gate.url }, '/', mode);
      const other = await join(hasty);
      const { id } = s;
      await ask(s, 'join', 'a room');
      await ask(s, 'set-data', 7);
      for (let i = 0; i < 2; i++) {
        gate.cut();
        await until(() => !s.connected, 5000, 'the client notices');
        await tell(other, { event: 'e', rooms: ['a room'] }, i); // into the void
        gate.mend();
        await back(s);
        assert.deepEqual([s.recovered, s.id], [true, id]);
        assert.equal(await ask(s, 'get-data'), 7);
      }
      assert.equal(hasty.process.output().match(new RegExp(`gone ${id} transport close`, 'g')).length, 2);
      await sleep(3 * BEAT); // the dead ones would have timed out by now
      await tell(other, { event: 'e', rooms: ['a room'] }, 2);
      await settle(s);
      assert.deepEqual(seen(s, 'e'), [[0], [1], [2]]);
      assert.equal(await ask(other, 'socket-count'), 2);
    });
  });

  test('is recovered from after the ping timeout, too', async () => {
    const s = await join({ url: gate.url });
    const other = await join(hasty);
    const { id } = s;
    gate.cut();
    await tell(other, { event: 'e' }, 1);
    await hasty.process.says(new RegExp(`gone ${id} ping timeout`));
    await tell(other, { event: 'e' }, 2);
    gate.mend();
    await back(s);
    assert.deepEqual([s.recovered, s.id], [true, id]);
    await settle(s);
    assert.deepEqual(seen(s, 'e'), [[1], [2]]);
  });
});

test('a second client with the pid of a connected one ends that one', CONFAB_ONLY, async () => {
  const first = await join(server);
  const { id } = first;
  const [pid, offset] = [first._pid, first._lastOffset];
  const second = await connect(server.url, '/', undefined, { auth: { pid, offset } });
  assert.equal((await first.gone).reason, 'transport close');
  assert.equal(second.id, id);
  assert.equal(await ask(second, 'socket-count'), 1);
});

// ---- admission ---------------------------------------------------------------

describe('middlewares', () => {
  const asking = serving(startFixture, { set: { ...SET, 'recovery.skip_middlewares': false } });
  const secret = { auth: { token: 'secret' } };

  test('are skipped', async () => {
    const s = await join(server, '/private', undefined, secret);
    const { id } = s;
    await lose(s);
    s.auth = {};
    await back(s);
    assert.deepEqual([s.recovered, s.id], [true, id]);
    assert.equal(await ask(s, 'in-room', 'members'), true);
  });

  test('are asked without skip_middlewares; who is refused may try again, and has missed nothing', async () => {
    const s = await join(asking, '/private', undefined, secret);
    const other = await join(asking, '/private', undefined, secret);
    const { id } = s;
    await lose(s, asking);
    await tell(other, { event: 'e' }, 1);
    s.auth = {};
    assert.equal((await refused(s)).message, 'no token');
    s.auth = secret.auth;
    await back(s);
    assert.deepEqual([s.recovered, s.id], [true, id]);
    await settle(s);
    if (!REFERENCE) assert.deepEqual(seen(s, 'e'), [[1]]); // it tells those that it refuses, too
  });

  test('may take their time: what happens meanwhile is missed, too', CONFAB_ONLY, async () => {
    const [watcher, other] = [await join(asking), client(asking.url, '/slow', { options: {} }, { auth: { key: 'other' } })];
    await ask(watcher, 'observe');
    const admitted = async (socket, key) => {
      socket.connect();
      await until(() => watcher.inbox.all.some((e) => e.event === 'waiting' && e.args[0] === key), 5000, 'it waits');
      watcher.inbox.clear();
    };
    const release = async (socket, key) => {
      await ask(watcher, 'release', key);
      await connected(socket);
    };
    await admitted(other, 'other');
    await release(other, 'other');
    const s = client(asking.url, '/slow', { options: {} }, { auth: { key: 's' } });
    await admitted(s, 's');
    await release(s, 's');
    await settle(s);
    await lose(s, asking);
    await tell(other, { event: 'e' }, 1);
    await admitted(s, 's');
    await tell(other, { event: 'e' }, 2);
    await settle(other);
    await release(s, 's');
    assert.equal(s.recovered, true);
    await settle(s);
    assert.deepEqual(seen(s, 'e'), [[1], [2]]);
  });

  test('what one emits comes before the reply, and does no harm to recovery', CONFAB_ONLY, async () => {
    const s = await join(server, '/private', undefined, secret);
    assert.deepEqual(seen(s, 'welcome'), [['early']]);
    await lose(s);
    await back(s);
    assert.equal(s.recovered, true);
  });
});

// ---- when there is no way back, and when there is ------------------------------

test('it has missed what the handlers of its own end told its rooms', async () => {
  const s = await join(server);
  const { id } = s;
  await ask(s, 'observe');
  await lose(s);
  await back(s);
  await settle(s);
  assert.deepEqual(seen(s, 'gone').map(([gone]) => gone.id), [id]);
});

describe('limits', { skip: CONFAB_ONLY.skip }, () => {
  // A server with these settings; one client loses its connection, events follow.
  async function missing(set, events, check) {
    const at = { process: await startFixture({ set: { ...SET, ...set } }) };
    Object.assign(at, { url: at.process.url, port: at.process.port, admin: at.process.admin });
    try {
      const [s, other] = [await join(at), await join(at)];
      const { id } = s;
      await lose(s, at);
      for (const args of events) await tell(other, { event: 'e', ...args[0] }, ...args.slice(1));
      await back(s);
      await settle(s);
      await check({ s, other, at, same: s.id === id });
    } finally {
      await at.process.stop();
    }
  }
  const numbered = (n, ...more) => [...Array(n).keys()].map((i) => [{}, i, ...more]);

  test('all that was missed, or a new session: too many events', async () => {
    // one more tells of the end of its connection
    await missing({ 'recovery.packets': 10 }, numbered(9), ({ s, same }) => {
      assert.deepEqual([same, s.recovered, seen(s, 'e').length], [true, true, 9]);
    });
    await missing({ 'recovery.packets': 10 }, numbered(10), async ({ s, at, same }) => {
      assert.deepEqual([same, s.recovered, seen(s, 'e').length], [false, false, 0]);
      assert.equal(await recoveries(at, 'trimmed'), 1);
      assert.ok(await metric(at, 'confab_recovery_dropped_total{what="packet"}') > 0);
      assert.equal(await metric(at, 'confab_recovery_packets'), 10);
    });
  });

  test('too much memory for events', async () => {
    await missing({ 'recovery.bytes': 20000 }, numbered(20, 'x'.repeat(1000)), async ({ s, at, same }) => {
      assert.deepEqual([same, seen(s, 'e').length], [false, 0]);
      assert.equal(await recoveries(at, 'trimmed'), 1);
      assert.ok(await metric(at, 'confab_recovery_packet_bytes') <= 20000);
    });
  });

  test('too much to send at once', async () => {
    const set = { 'recovery.missed_bytes': 5000 };
    await missing(set, numbered(4, 'x'.repeat(1000)), ({ s, same }) => {
      assert.deepEqual([same, seen(s, 'e').length], [true, 4]);
    });
    await missing(set, numbered(5, 'x'.repeat(1000)), async ({ s, at, same }) => {
      assert.deepEqual([same, seen(s, 'e').length], [false, 0]);
      assert.equal(await recoveries(at, 'too much'), 1);
    });
    // what is not for it does not count
    await missing(set, [[{ rooms: ['another'] }, 'x'.repeat(9000)]], ({ same }) => assert.ok(same));
  });

  test('too many who might come back: the oldest may not', async () => {
    const at = { process: await startFixture({ set: { ...SET, 'recovery.session_bytes': 2000 } }) };
    Object.assign(at, { url: at.process.url, port: at.process.port, admin: at.process.admin });
    try {
      const sockets = [];
      for (let i = 0; i < 20; i++) sockets.push(await join(at));
      for (const s of sockets) await lose(s, at);
      const last = sockets.at(-1);
      await back(sockets[0]);
      await back(last);
      assert.deepEqual([sockets[0].recovered, last.recovered], [false, true]);
      assert.equal(await recoveries(at, 'unknown pid'), 1);
      assert.equal(await recoveries(at, 'recovered'), 1);
      const dropped = await metric(at, 'confab_recovery_dropped_total{what="session"}');
      assert.equal(dropped + await metric(at, 'confab_recovery_sessions'), 19);
      assert.ok(dropped > 0);
    } finally {
      await at.process.stop();
    }
  });

  test('settings that do not fit together are refused', async () => {
    await assert.rejects(startFixture({ set: { ...SET, 'recovery.missed_bytes': 2000000 } }),
      /recovery\.missed_bytes is larger than limits\.output_queue_bytes/);
  });
});

describe('with a short time', () => {
  const TIME = 1200 * SLOW;
  const hasty = serving(startFixture, { set: { ...SET, 'recovery.max_disconnection_ms': TIME } });

  test('who comes too late is new', async () => {
    const s = await join(hasty);
    const { id } = s;
    await lose(s, hasty);
    await sleep(TIME + 100);
    await back(s);
    assert.deepEqual([s.recovered, s.id === id], [false, false]);
  });

  test('a client in a quiet place can be recovered, however old its last event is', async () => {
    const [s, other] = [await join(hasty), await join(hasty)];
    await sleep(2 * TIME);
    if (!REFERENCE) assert.equal(await metric(hasty, 'confab_recovery_packets'), 0);
    await lose(s, hasty);
    await tell(other, { event: 'e' }, 1);
    await back(s);
    assert.equal(s.recovered, true);
    await settle(s);
    assert.deepEqual(seen(s, 'e'), [[1]]);
  });
});

describe('the chat', () => {
  const chat = serving(startNode, { set: SET });

  test('a client that never got an event can be recovered', CONFAB_ONLY, async () => {
    const [s, other] = [await connect(chat.url), await connect(chat.url)];
    const { id } = s;
    s.io.engine.close();
    await until(async () => await metric(chat, 'confab_recovery_sessions') === 1, 5000, 'it is gone');
    await ask(other, 'chat message', 'hello');
    assert.equal(s._lastOffset, undefined);
    await back(s);
    assert.deepEqual([s.recovered, s.id], [true, id]);
    assert.equal((await s.inbox.take('chat message'))[0], 'hello');
  });
});

test('a dynamic namespace waits for its last client', CONFAB_ONLY, async () => {
  const s = await join(server, '/dyn-alone');
  const { id } = s;
  await ask(s, 'join', 'a room');
  await lose(s);
  await until(async () => !(await ask(await join(server), 'namespaces')).includes('/dyn-alone'), 5000,
    'the namespace is gone');
  await back(s);
  assert.deepEqual([s.recovered, s.id], [true, id]);
  assert.equal(await ask(s, 'in-room', 'a room'), true);
});

describe('in MessagePack', () => {
  const packed = serving(startFixture, { set: { ...SET, 'engine.parser': 'msgpack' } });

  onEachTransport((mode) => {
    test('missed events arrive once and in order', async () => {
      const options = { parser: msgpack };
      const [s, other] = [await join(packed, '/', mode, options), await join(packed, '/', undefined, options)];
      const { id } = s;
      await lose(s, packed);
      await tell(other, { event: 'e' }, 1, 'é', { deep: [Buffer.from([1])] });
      await tell(other, { event: 'e', rooms: [id] });
      await ask(other, 'send-to', id, 'e', 'nobody there');
      await back(s);
      assert.deepEqual([s.recovered, s.id], [true, id]);
      await settle(s);
      const [[one, text, { deep }], ...rest] = seen(s, 'e');
      assert.deepEqual([one, text, [...new Uint8Array(deep[0])], rest], [1, 'é', [1], [[]]]);
    });
  });
});

describe('with Redis', () => {
  let redis, at;
  before(async () => {
    redis = await startRedis();
    at = { process: await startFixture({ redis, set: SET }) };
    Object.assign(at, { url: at.process.url, port: at.process.port, admin: at.process.admin });
  });
  after(async () => {
    await at.process.stop();
    await redis.stop();
  });

  test('there is a pid, no offset and no recovery', async () => {
    const s = await join(at);
    const { id } = s;
    assert.match(s._pid, /^[\w-]{20}$/);
    await tell(s, { event: 'e' }, 1);
    assert.deepEqual(await s.inbox.take('e'), [1]);
    await lose(s, at);
    await back(s);
    assert.deepEqual([s.recovered, s.id === id], [false, false]);
  });
});

describe('a client of protocol 3', () => {
  const old = serving(startFixture, { set: { ...SET, 'engine.allow_eio3': true } });

  test('has no pid, and its id cannot be taken with one', async () => {
    const modern = await join(old);
    const path = '/socket.io/?EIO=3&transport=websocket';
    const ws = await WebSocketConnection.open(old, path);
    await ws.textFrame(); // the handshake
    assert.equal(await ws.textFrame(), '40');
    assert.match(await ws.textFrame(), /^42\["auth"/);
    ws.text(`40/custom?pid=${modern._pid}&offset=${modern._lastOffset}`);
    assert.match(await ws.textFrame(), /^40\/custom/);
    await tell(modern, { event: 'e' }, 1);
    assert.match(await nextEvent(ws), /^42\["e",1,"[\w.-]+"\]$/);
    assert.equal(modern.connected, true);
  });

  async function nextEvent(ws) {
    for (;;) {
      const packet = await ws.textFrame();
      if (packet.startsWith('42["')) return packet;
    }
  }
});

describe('without recovery.enabled', () => {
  const plain = serving(startFixture);

  test('there is neither pid nor offset', async () => {
    const s = await join(plain);
    assert.equal(s._pid, undefined);
    await tell(s, { event: 'e' }, 1);
    assert.deepEqual(await s.inbox.take('e'), [1]);
  });
});
