'use strict';
// Nodes hear of the rooms that have members there, and of few others.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const old = require('socket.io-client-2');
const { startFixture, startNodeJsPeer, startRedis } = require('../lib/servers');
const { MODES, connect, ask, closeAll } = require('../lib/clients');
const { metricsOf } = require('../lib/metrics');
const { Gate } = require('../lib/gate');
const { until, within } = require('../lib/until');

const NODES = 4;
const ROOMS = 1000;
const ROUNDS = 3;

const websocket = MODES[1];
const numbers = (n) => [...Array(n).keys()];

async function counters(node) {
  const all = await metricsOf(node);
  return {
    received: all.redis_received_total,
    discarded: all['redis_ignored_total{why="room"}'],
    own: all['redis_ignored_total{why="own"}'],
    subscriptions: all.redis_subscriptions,
  };
}

// The first may have a way of its own to Redis.
async function startNodes(redis, n, set = {}, first = redis) {
  const nodes = [];
  for (const i of numbers(n)) nodes.push(await startFixture({ redis: i ? redis : first, name: `interest-${i}`, set: { ...set, 'rate.connection_events': 0 } }));
  await until(async () => {
    for (const node of nodes) {
      if ((await metricsOf(node)).presence_peers !== n - 1) return false;
    }
    return true;
  }, 10000, 'the nodes know each other');
  return nodes;
}

// Every room has one member, on one node; each node sends numbered messages to
// every room. What the nodes heard meanwhile.
async function everyRoomFromEveryNode(redis, set) {
  const nodes = await startNodes(redis, NODES, set);
  try {
    const clients = await Promise.all(nodes.map((n) => connect(n.url, '/', websocket)));
    const got = new Map(numbers(ROOMS).map((r) => [r, []]));
    for (const [i, s] of clients.entries()) {
      s.offAny();
      s.on('numbered', (room, from, n) => got.get(room)?.push({ at: i, from, n }));
      s.fences = 0;
      s.on('fence', () => { s.fences += 1; });
    }
    await Promise.all(numbers(ROOMS).map((r) => ask(clients[r % NODES], 'join', `room ${r}`, 30000)));
    const start = await Promise.all(nodes.map(counters));
    for (const n of numbers(ROUNDS)) {
      for (const [from, s] of clients.entries()) {
        for (const r of numbers(ROOMS)) s.emit('broadcast', { event: 'numbered', rooms: [`room ${r}`] }, r, from, n);
      }
    }
    // behind all of them, in the order of each node
    for (const s of clients) await ask(s, 'broadcast', { event: 'fence' });
    await until(() => clients.every((s) => s.fences === NODES), 60000, 'all has arrived');
    for (const r of numbers(ROOMS)) {
      const all = got.get(r);
      assert.equal(all.length, NODES * ROUNDS, `room ${r}`);
      for (const from of numbers(NODES)) {
        assert.deepEqual(all.filter((m) => m.from === from).map((m) => m.n), numbers(ROUNDS));
      }
      assert.ok(all.every((m) => m.at === r % NODES));
    }
    const end = await Promise.all(nodes.map(counters));
    const heard = { received: 0, discarded: 0, own: 0, subscriptions: 0 };
    for (const i of numbers(NODES)) {
      for (const k of ['received', 'discarded', 'own']) heard[k] += end[i][k] - start[i][k];
      heard.subscriptions += end[i].subscriptions;
    }
    return heard;
  } finally {
    closeAll();
    for (const n of nodes) await n.stop();
  }
}

describe('interest', () => {
  let redis;
  before(async () => { redis = await startRedis(); });
  afterEach(closeAll);
  after(() => redis?.stop());

  test(`of ${NODES} nodes and ${ROOMS} rooms on one each, nodes discard less than 1 % of what they hear`, async (t) => {
    const on = await everyRoomFromEveryNode(redis, {});
    const off = await everyRoomFromEveryNode(redis, { 'adapter.interest': 'false' });
    const line = (h) => `received ${h.received}, own ${h.own}, discarded ${h.discarded} `
      + `(${(100 * h.discarded / h.received).toFixed(2)} %), subscriptions ${h.subscriptions}`;
    t.diagnostic(`sent ${NODES * ROOMS * ROUNDS} to rooms, each delivered once`);
    t.diagnostic(`adapter.interest=true:  ${line(on)}`);
    t.diagnostic(`adapter.interest=false: ${line(off)}`);
    assert.ok(on.discarded < on.received / 100, line(on));
    assert.ok(off.discarded > off.received / 2, line(off));
    assert.ok(on.subscriptions >= ROOMS);
  });
});

describe('a room is heard', () => {
  let redis;
  let nodes;
  let nodejs;
  let gate; // to Redis, for the first: nothing is heard by being quick
  let quiet; // subscriptions of the first without clients
  before(async () => {
    redis = await startRedis();
    gate = await Gate.open(redis, { delay: 10 });
    nodes = await startNodes(redis, 2, { 'engine.allow_eio3': 'true' }, `redis://127.0.0.1:${gate.port}`);
    nodejs = await startNodeJsPeer({ redis });
    quiet = (await counters(nodes[0])).subscriptions;
  });
  afterEach(closeAll);
  after(async () => {
    for (const p of [nodejs, ...(nodes || [])]) await p?.stop();
    gate?.close();
    await redis?.stop();
  });

  test('from the acknowledgement of the join on: 500 fresh rooms, none missed', async () => {
    const senders = await Promise.all([nodes[1], nodejs].map((n) => connect(n.url, '/', websocket)));
    const members = await Promise.all(numbers(10).map(() => connect(nodes[0].url, '/', websocket)));
    const missed = [];
    const one = async (member, n) => {
      // every tenth name has 20 bytes
      const room = n % 10 ? `fresh ${n}` : `fresh ${n}`.padEnd(20, '.');
      assert.equal(await ask(member, 'join', room), 0);
      senders[n % 2].emit('broadcast', { event: 'right after', rooms: [room] }, n);
      await member.inbox.take('right after', 2000).then(([got]) => assert.equal(got, n), () => missed.push(room));
      await ask(member, 'leave', room);
    };
    await Promise.all(members.map(async (member, i) => {
      for (let n = i * 50; n < (i + 1) * 50 && !missed.length; n++) await one(member, n);
    }));
    assert.deepEqual(missed, []);
    for (const m of members) assert.equal(m.inbox.count('right after'), 0);
  });

  test('from the connection on, in namespaces that it makes', async () => {
    for (const n of numbers(30)) {
      const sender = await connect(nodes[1].url, `/dyn-${n}`, websocket);
      const member = await connect(nodes[0].url, `/dyn-${n}`, websocket);
      sender.emit('broadcast', { event: 'to all' }, n);
      sender.emit('broadcast', { event: 'to one', rooms: [member.id] }, n);
      assert.deepEqual(await member.inbox.take('to all', 2000), [n]);
      assert.deepEqual(await member.inbox.take('to one', 2000), [n]);
    }
  });

  test('until a while after its last member has left', async () => {
    const sender = await connect(nodes[1].url, '/', websocket);
    const member = await connect(nodes[0].url, '/', websocket);
    const settled = async () => (await counters(nodes[0])).subscriptions;
    await until(async () => await settled() === quiet, 10000, 'the tests before have left nothing');
    await ask(member, 'join', 'short');
    assert.equal(await settled(), quiet + 1);
    await ask(member, 'leave', 'short');
    assert.equal(await settled(), quiet + 1);
    await ask(member, 'join', 'short');
    await ask(sender, 'broadcast', { event: 'again', rooms: ['short'] });
    await member.inbox.take('again');
    member.disconnect();
    await until(async () => await settled() === quiet, 6000, 'unsubscribed');
  });

  test('by the clients of protocol 3, whose ids are longer', async () => {
    const sender = await connect(nodes[1].url, '/', websocket);
    const custom = await connect(nodes[1].url, '/custom', websocket);
    for (const [namespace, from] of [['/', sender], ['/custom', custom]]) {
      const s = old(nodes[0].url + (namespace === '/' ? '' : namespace),
        { forceNew: true, reconnection: false, transports: ['websocket'] });
      try {
        await within(new Promise((resolve) => { s.once('connect', resolve); }), 5000, 'the old client connects');
        const got = [];
        s.on('private', (n) => got.push(n));
        for (const n of numbers(20)) await ask(from, 'broadcast', { event: 'private', rooms: [s.id] }, n);
        await until(() => got.length >= 20, 5000, () => `20 messages to ${s.id}: ${got}`);
        assert.deepEqual(got, numbers(20));
      } finally {
        s.close();
      }
    }
  });

  test('once, whatever namespaces are called like rooms', async () => {
    const rooms = ['', '#', 'custom#', 'r#s', '/', '*', '?', '[a]', '\\', 'é'.repeat(10), 'x'.repeat(20), 'x'.repeat(19)];
    const sender = await connect(nodejs.url, '/', websocket);
    const member = await connect(nodes[0].url, '/', websocket);
    const stranger = await connect(nodes[0].url, '/', websocket);
    for (const room of rooms) assert.equal(await ask(member, 'join', room), 0, room);
    for (const [i, room] of rooms.entries()) await ask(sender, 'broadcast', { event: 'named', rooms: [room] }, i);
    await ask(sender, 'broadcast', { event: 'end' });
    await until(() => member.inbox.count('named') >= rooms.length, 5000,
      () => `all rooms: ${JSON.stringify(member.inbox.all)}`);
    await stranger.inbox.take('end');
    assert.deepEqual(member.inbox.all.filter((e) => e.event === 'named').map((e) => e.args[0]).sort((a, b) => a - b),
      numbers(rooms.length));
    assert.equal(stranger.inbox.count('named'), 0);
  });
});

// What sio_join_then says.
const JOINED = 0;
const LIMIT = -2;
const AWAY = -4;

describe('a Redis that is of no use', () => {
  let redis;
  let nodes;
  before(async () => {
    redis = await startRedis();
    nodes = await startNodes(redis, 2, { 'limits.rooms_per_socket': 4 });
  });
  afterEach(closeAll);
  after(async () => {
    for (const p of [...(nodes || []), redis]) await p?.stop();
  });

  test('does not hold up the acknowledgement of a join for long, nor joins without end', async () => {
    const s = await connect(nodes[0].url, '/', websocket);
    assert.equal(await ask(s, 'join-then', 'a'), JOINED);
    redis.signal('SIGSTOP');
    try {
      const start = Date.now();
      const answers = await Promise.all(numbers(6).map(() => ask(s, 'join-then', 'b')));
      assert.deepEqual(answers, [AWAY, AWAY, AWAY, AWAY, LIMIT, LIMIT]);
      assert.ok(Date.now() - start >= 1900);
      // known to be heard, as far as anyone can tell
      assert.equal(await ask(s, 'in-room', 'b'), true);
    } finally {
      redis.signal('SIGCONT');
    }
    await until(async () => await ask(s, 'join-then', 'b') === JOINED, 5000, 'the room is heard');
  });

  test('is no obstacle to a join, which holds and reaches the others later', async () => {
    const member = await connect(nodes[0].url, '/', websocket);
    const sender = await connect(nodes[1].url, '/', websocket);
    const { port } = redis;
    await redis.stop();
    await until(async () => await ask(member, 'join-then', 'early') === AWAY, 5000, 'Redis is missed');
    assert.equal(await ask(member, 'join', 'meanwhile'), 0);
    assert.equal(await ask(member, 'join-then', 'x'.repeat(20)), AWAY);
    redis = await startRedis({ port });
    await until(async () => await ask(member, 'join-then', 'meanwhile') === JOINED, 10000, 'Redis is back');
    await ask(sender, 'broadcast', { event: 'found', rooms: ['meanwhile'] }, 1);
    await ask(sender, 'broadcast', { event: 'found', rooms: ['x'.repeat(20)] }, 2);
    assert.deepEqual(await member.inbox.takeAll('found', 2, 10000), [[1], [2]]);
  });
});
