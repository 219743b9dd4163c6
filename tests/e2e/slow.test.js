'use strict';
// Clients that do not keep up: what is dropped for them, what never is, and
// what becomes of them.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, join, settle, CONFAB_ONLY } = require('../lib/suite');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { ask, MODES } = require('../lib/clients');
const { WebSocketConnection } = require('../lib/raw');
const { metric, bounded } = require('../lib/hostile');
const { until, within, SLOW } = require('../lib/until');

const WEBSOCKET = MODES[1];
const PAD = 'x'.repeat(20000);
const HOPELESS = 1500; // events with PAD that no buffer between takes in
const slow = (why) => `confab_dropped_total{why="slow_${why}"}`;
const ended = (why) => `confab_slow_consumers_total{why="${why}"}`;

const settings = (more) => ({
  'slow.policies': 'typing=latest,cursor=drop_oldest,tick=drop_new',
  'slow.queue_bytes': 200000, 'rate.connection_events': 0, ...more,
});

// Says n numbered events into the room, not faster than those who listen read.
async function say(sender, room, event, n, pad, listeners = []) {
  for (let i = 0; i < n; i += 5) {
    const some = [...Array(Math.min(5, n - i)).keys()];
    await Promise.all(some.map((k) =>
      ask(sender, 'broadcast', { rooms: [room], event }, i + k, pad)));
    await settle(...listeners);
  }
}

// A member of the rooms that stops reading, and reads on when it is told to.
async function webSocketReader(server, rooms) {
  const s = await WebSocketSession.open(server);
  await s.connect();
  await s.message();
  for (const room of rooms) {
    await s.send(`421["join","${room}"]`);
    await s.message();
  }
  s.ws.socket.pause();
  s.resume = async () => {
    s.ws.socket.resume();
    await s.send('429["echo","fence"]');
  };
  return s;
}

async function pollingReader(server, rooms) {
  const s = await PollingSession.open(server, { poll: false });
  await s.post('40');
  await s.get();
  for (const room of rooms) {
    await s.post(`421["join","${room}"]`);
    while (!String((await s.get()).body).includes('431['));
  }
  s.resume = async () => {
    await s.post('429["echo","fence"]');
    s.poll();
  };
  return s;
}

// Everything up to the answer that the fence gets.
async function readAll(s) {
  const packets = [];
  await s.resume();
  for (;;) {
    const p = await s.message(20000);
    if (String(p).startsWith('439[')) return packets;
    packets.push(p);
  }
}

const numbersOf = (packets, event) => packets
  .filter((p) => String(p).startsWith(`42["${event}",`))
  .map((p) => JSON.parse(p.slice(2))[1]);

// 0, 1, 2... up to where it stops being so.
const prefixOf = (numbers) => {
  const at = numbers.findIndex((n, i) => n !== i);
  return at < 0 ? numbers.length : at;
};

const READERS = [['over WebSocket', webSocketReader], ['over polling', pollingReader]];

for (const [name, reader] of READERS) {
  describe(name, CONFAB_ONLY, () => {
    const server = serving(startFixture, { set: settings() });

    // What a stopped reader gets of n events, and how many were dropped; all
    // the others get them all.
    async function lost(event, why, n = HOPELESS) {
      const [sender, other] = [await join(server), await join(server)];
      const s = await reader(server, ['r']);
      await ask(other, 'join', 'r');
      const before = await metric(server, slow(why));
      await say(sender, 'r', event, n, PAD, [other]);
      const others = await other.inbox.takeAll(event, n);
      assert.deepEqual(others.map(([i]) => i), [...Array(n).keys()]);
      const got = numbersOf(await readAll(s), event);
      const dropped = await metric(server, slow(why)) - before;
      assert.equal(got.length + dropped, n);
      assert.ok(dropped > 0);
      s.destroy();
      return got;
    }

    test('latest: the newest is there, and what was sent before it lagged', async () => {
      const got = await lost('typing', 'latest');
      assert.equal(prefixOf(got), got.length - 1);
      assert.equal(got.at(-1), HOPELESS - 1);
    });

    test('drop_oldest: the last ones are there without a hole', async () => {
      const got = await lost('cursor', 'oldest');
      const kept = got.slice(prefixOf(got));
      assert.ok(kept.length > 1);
      assert.deepEqual(kept, [...Array(kept.length).keys()].map((i) => HOPELESS - kept.length + i));
    });

    test('drop_new: the first ones are there without a hole', async () => {
      const got = await lost('tick', 'new');
      assert.equal(prefixOf(got), got.length);
    });

    test('it goes on as if nothing had been afterwards', async () => {
      const sender = await join(server);
      const s = await reader(server, ['r']);
      await say(sender, 'r', 'cursor', HOPELESS, PAD);
      await readAll(s);
      await say(sender, 'r', 'cursor', 3, 'after');
      for (let i = 0; i < 3; i++) assert.equal(await s.message(), `42["cursor",${i},"after"]`);
      assert.equal(await metric(server, 'confab_slow_behind'), 0);
      s.destroy();
    });

    test('other events are all there, in order between those that are left', async () => {
      const sender = await join(server);
      const s = await reader(server, ['r']);
      const before = await metric(server, slow('oldest'));
      for (let i = 0; i < 30; i++) {
        await say(sender, 'r', 'cursor', 50, PAD);
        await ask(sender, 'broadcast', { rooms: ['r'], event: 'news' }, i);
      }
      const got = await readAll(s);
      assert.deepEqual(numbersOf(got, 'news'), [...Array(30).keys()]);
      const dropped = await metric(server, slow('oldest')) - before;
      assert.equal(numbersOf(got, 'cursor').length + dropped, 1500);
      // each is a part of its round of 50
      let last = -1;
      let round = 0;
      for (const p of got) {
        const [event, i] = JSON.parse(p.slice(2));
        if (event === 'news') {
          assert.equal(i, round);
          round += 1;
          last = -1;
        } else {
          assert.ok(i > last);
          last = i;
        }
      }
      s.destroy();
    });

    test('the latest of each room is kept', async () => {
      const sender = await join(server);
      const s = await reader(server, ['r', 'q', 'p']);
      await say(sender, 'r', 'cursor', HOPELESS, PAD);
      for (const room of ['q', 'p']) await say(sender, room, 'typing', 10, room);
      const got = (await readAll(s)).filter((p) => p.includes('typing'));
      assert.deepEqual(got, ['42["typing",9,"q"]', '42["typing",9,"p"]']);
      s.destroy();
    });

    test('questions are never dropped', async () => {
      const sender = await join(server);
      const s = await reader(server, ['r']);
      await say(sender, 'r', 'cursor', HOPELESS, PAD);
      for (let i = 0; i < 10; i++) {
        await ask(sender, 'broadcast-ack', { rooms: ['r'], event: 'cursor', timeout: 60000 }, i);
      }
      const got = (await readAll(s)).filter((p) => /^42\d+\["cursor",\d\]$/.test(p));
      assert.deepEqual(got.map((p) => Number(p.at(-2))), [...Array(10).keys()]);
      s.destroy();
    });
  });
}

describe('an upgrade', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: settings({ 'limits.output_queue_bytes': 5000000 }) });

  test('of a client that lags keeps the order', async () => {
    const sender = await join(server);
    const s = await pollingReader(server, ['r']);
    await say(sender, 'r', 'news', 100, PAD);
    const ws = await WebSocketConnection.open(server, s.path.replace('polling', 'websocket'));
    ws.text('2probe');
    assert.equal(await ws.textFrame(), '3probe');
    await say(sender, 'r', 'tick', 10, PAD);
    ws.text('5');
    const got = [];
    while (got.length < 100) got.push(await ws.textFrame());
    assert.deepEqual(numbersOf(got, 'news'), [...Array(100).keys()]);
    ws.text('429["echo","fence"]');
    assert.equal(await ws.textFrame(), '439["fence"]');
    ws.destroy();
  });

  test('an end by the server sends what waits first', async () => {
    const sender = await join(server);
    const s = await webSocketReader(server, ['q']);
    await say(sender, 'q', 'cursor', HOPELESS, PAD);
    await ask(sender, 'broadcast', { rooms: ['q'], event: 'news' }, 'last');
    await ask(sender, 'sockets-disconnect', { rooms: ['q'] }, true);
    s.ws.socket.resume();
    await s.ends(20000);
    assert.deepEqual(s.packets.slice(-2), ['42["news","last"]', '41']);
    s.destroy();
  });
});

describe('attachments', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: settings() });

  test('no event loses one, and none is left without its event', async () => {
    const [sender, s] = [await join(server), await join(server, '/', WEBSOCKET)];
    await ask(s, 'join', 'r');
    const socket = s.io.engine.transport.ws._socket;
    socket.pause();
    const n = 1500;
    for (let i = 0; i < n; i += 50) {
      await Promise.all([...Array(50).keys()].map((k) => ask(sender, 'broadcast',
        { rooms: ['r'], event: 'cursor' }, i + k, Buffer.alloc(10000, i + k), Buffer.alloc(9999, i + k + 1))));
    }
    socket.resume();
    await settle(s);
    const got = s.inbox.all.filter((e) => e.event === 'cursor').map((e) => e.args);
    for (const [i, a, b] of got) {
      assert.deepEqual(a, Buffer.alloc(10000, i));
      assert.deepEqual(b, Buffer.alloc(9999, i + 1));
    }
    assert.equal(got.length + await metric(server, slow('oldest')), n);
    assert.equal(got.at(-1)[0], n - 1);
    assert.ok(got.length < n);
  });
});

describe('with recovery', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: settings({ 'recovery.enabled': true, 'limits.output_queue_bytes': 20000000 }),
  });

  test('events that can be recovered are not dropped', async () => {
    const sender = await join(server);
    const s = await pollingReader(server, ['r']);
    await say(sender, 'r', 'cursor', 500, PAD);
    assert.deepEqual(numbersOf(await readAll(s), 'cursor'), [...Array(500).keys()]);
    assert.equal(await metric(server, slow('oldest')), 0);
  });
});

describe('by default', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'rate.connection_events': 0, 'limits.slow_consumer_ms': 500 * SLOW },
  });

  const stopped = async (s) => {
    const socket = s.io.engine.transport.ws._socket;
    await ask(s, 'join', 'r');
    socket.pause();
    return socket;
  };

  test('nothing is dropped: a client that does not read is closed, and told why', async () => {
    const [sender, s] = [await join(server), await join(server, '/', WEBSOCKET)];
    const socket = await stopped(s);
    const before = await metric(server, ended('full'));
    await say(sender, 'r', 'cursor', HOPELESS, PAD);
    assert.equal(await metric(server, ended('full')) - before, 1);
    socket.resume();
    const { reason, details } = await within(s.gone, 5000, 'it is closed');
    assert.equal(reason, 'transport close');
    assert.equal(details.context.code, 1013);
    assert.equal(details.context.reason, 'slow consumer');
    const got = s.inbox.all.filter((e) => e.event === 'cursor').map(({ args: [i] }) => i);
    assert.equal(prefixOf(got), got.length);
    assert.match(server.process.output(), /slow_consumer node=\S+ sid=\S{10} address=127\.0\.0\.1 transport=websocket/);
  });

  test('one that stays at the limit is closed after a while', async () => {
    const [sender, s] = [await join(server), await pollingReader(server, ['r'])];
    const before = await metric(server, ended('time'));
    await say(sender, 'r', 'cursor', 75, PAD);
    await until(async () => await metric(server, ended('time')) === before + 1, 5000, 'it is closed');
    assert.equal((await s.get()).status, 400);
  });

  test('one that is a little behind is not', async () => {
    const [sender, s] = [await join(server), await pollingReader(server, ['r'])];
    await say(sender, 'r', 'cursor', 40, PAD);
    assert.equal(await metric(server, 'confab_slow_behind'), 1);
    assert.deepEqual(numbersOf(await readAll(s), 'cursor'), [...Array(40).keys()]);
  });
});

describe('all of them together', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'rate.connection_events': 0, 'slow.total_bytes': 3000000,
      'limits.output_queue_bytes': 10000000, 'limits.slow_consumer_ms': 60000 },
  });

  test('a buffer that many wait for counts once', async () => {
    const sender = await join(server);
    const readers = await Promise.all([...Array(30)].map(() => pollingReader(server, ['r'])));
    await say(sender, 'r', 'e', 100, PAD); // 2 MB, 60 MB for all
    const held = await metric(server, 'confab_slow_held_bytes');
    assert.ok(held > 2000000 && held < 2100000, `${held} bytes`);
    assert.equal(await metric(server, 'confab_slow_behind'), 30);
    for (const s of readers) assert.equal(numbersOf(await readAll(s), 'e').length, 100);
    assert.equal(await metric(server, ended('shed')), 0);
    assert.equal(await metric(server, 'confab_slow_held_bytes'), 0);
  });

  test('beyond the bound the worst are closed first, and no more than needed', async () => {
    const sender = await join(server);
    const [little, much, more] = await Promise.all(
      ['little', 'much', 'more'].map((room) => pollingReader(server, [room])));
    await say(sender, 'little', 'e', 20, PAD);
    await say(sender, 'much', 'e', 50, PAD);
    await say(sender, 'more', 'e', 70, PAD);
    assert.equal(await metric(server, ended('shed')), 0); // 2.8 MB
    await say(sender, 'little', 'e', 15, PAD);
    assert.equal(await metric(server, ended('shed')), 1);
    assert.equal((await more.get()).status, 400);
    await say(sender, 'little', 'e', 70, PAD); // 35 + 70, and 50
    assert.equal(await metric(server, ended('shed')), 2);
    assert.equal((await little.get()).status, 400);
    assert.equal(numbersOf(await readAll(much), 'e').length, 50);
    assert.match(server.process.output(), /why=server\S*is\S*short\S*of\S*memory|why="server is short of memory"/);
  });
});

describe('a farm of slow readers in a busy room', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: settings({ 'limits.slow_consumer_ms': 60000 }) });

  test('memory is bounded, and the others get everything', async () => {
    const sender = await join(server);
    const others = await Promise.all([...Array(10)].map(() => join(server)));
    for (const s of others) await ask(s, 'join', 'r');
    await bounded(server.process, 40, async () => {
      const readers = await Promise.all([...Array(100)].map((_, i) =>
        READERS[i % 2][1](server, ['r'])));
      await say(sender, 'r', 'cursor', 600, PAD, others);
      for (const s of others) {
        const got = await s.inbox.takeAll('cursor', 600);
        assert.deepEqual(got.map(([i]) => i), [...Array(600).keys()]);
      }
      for (const s of readers) s.destroy();
    });
  });
});
