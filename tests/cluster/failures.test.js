'use strict';
// Nodes and Redis die; people do not notice for long.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { startCluster } = require('../lib/cluster');
const { MODES, Inbox, connect, ask, closeAll } = require('../lib/clients');
const { request, destroyAll } = require('../lib/raw');
const { until, within } = require('../lib/until');

const nodeOf = async (s) => (await ask(s, 'hello')).node;

// A client that reconnects by itself and joins its room again, as the page does.
function resident(url, room, mode = MODES[1]) {
  const s = io(url, {
    ...mode.options, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, timeout: 3000,
  });
  s.inbox = new Inbox(s);
  s.joined = 0;
  s.on('connect', () => s.emit('join room', room, (r) => { if (r.ok) s.joined += 1; }));
  return s;
}

// Messages of `from` reach all of `to`.
let numbers = 0;
async function reaches(from, to, room, ms = 5000) {
  await until(async () => {
    numbers += 1;
    const text = `${numbers}`;
    const r = await from.timeout(1000).emitWithAck('chat message', { room, message: text }).catch(() => null);
    if (!r?.ok) return false;
    const seen = (s) => s.inbox.all.some((e) => e.event === 'chat message' && e.args[0].message === text);
    const end = Date.now() + 300;
    while (Date.now() < end) {
      if (to.every(seen)) return true;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return false;
  }, ms, 'messages reach everybody');
}

describe('a node dies of SIGKILL', () => {
  let cluster;
  const residents = [];
  before(async () => {
    cluster = await startCluster({ nodes: 3, name: 'kill', set: { 'cluster.lease_ms': 1500 } });
  });
  afterEach(() => { closeAll(); destroyAll(); });
  after(async () => {
    for (const s of residents) s.disconnect();
    await cluster?.stop();
  });

  test('its clients come back on others by themselves and the room goes on', async () => {
    const room = 'survivors';
    for (let i = 0; i < 12; i++) residents.push(resident(cluster.url, room, MODES[i % 3]));
    await until(() => residents.every((s) => s.joined === 1), 15000, 'all have joined');
    const homes = await Promise.all(residents.map(nodeOf));
    const victim = cluster.nodes.find((n) => homes.includes(n.name));
    const orphans = residents.filter((s, i) => homes[i] === victim.name);
    const others = residents.filter((s) => !orphans.includes(s));
    assert.ok(orphans.length > 0 && others.length > 0);
    const ids = new Map(orphans.map((s) => [s, s.id]));
    await victim.kill9();
    // those of the other nodes go on without a break
    await reaches(others[0], others, room);
    assert.ok(others.every((s) => s.joined === 1 && s.connected));
    await until(() => orphans.every((s) => s.connected && s.joined >= 2), 15000,
      () => `orphans are back: ${orphans.map((s) => `${s.connected} ${s.joined}`)}`);
    for (const s of orphans) {
      assert.notEqual(s.id, ids.get(s));
      assert.notEqual(await nodeOf(s), victim.name);
    }
    await reaches(orphans[0], residents, room);
    await reaches(others[0], residents, room);
  });

  test('the dead node gets no new clients, and none are refused', async () => {
    for (let i = 0; i < 20; i++) {
      const s = await connect(cluster.url, '/', MODES[i % 3]);
      assert.equal((await ask(s, 'chat message', 'x')).ok, true);
    }
  });

  test('a node that comes back is used again', async () => {
    const dead = cluster.nodes.find((n) => {
      try { process.kill(n.pid, 0); return false; } catch { return true; }
    });
    await dead.restart();
    const found = [];
    await until(async () => {
      const s = await connect(cluster.url);
      found.push(s);
      return await nodeOf(s) === dead.name;
    }, 20000, 'a client is on the node that came back');
    const back = found.at(-1);
    const room = 'survivors';
    await ask(back, 'join room', room);
    await reaches(back, [back, ...residents], room);
    await reaches(residents[0], [back, ...residents], room);
  });
});

describe('people are counted', () => {
  let cluster;
  before(async () => {
    cluster = await startCluster({ nodes: 3, name: 'count', set: { 'cluster.lease_ms': 1500 } });
  });
  afterEach(closeAll);
  after(() => cluster?.stop());

  test('right within seconds of a node\'s sudden death, and never below zero', async () => {
    const byNode = new Map();
    const all = [];
    for (let i = 0; byNode.size < 3 || all.length < 9; i++) {
      assert.ok(i < 60, 'the balancer uses all nodes');
      const s = await connect(cluster.url);
      s.node = await nodeOf(s);
      if (!byNode.has(s.node)) byNode.set(s.node, s);
      all.push(s);
    }
    for (const [i, s] of all.entries()) {
      await ask(s, 'add user', `user ${i}`);
      // every node has heard of it before the next one comes
      for (const other of all) {
        if (other === s) continue;
        const [told] = await other.inbox.take('user joined');
        assert.deepEqual(told, { username: `user ${i}`, numUsers: i + 1 });
      }
    }
    const [victimName] = byNode.keys();
    const victim = cluster.nodes.find((n) => n.name === victimName);
    const left = all.filter((s) => s.node !== victimName);
    const lost = all.length - left.length;
    for (const s of left) s.inbox.clear();
    await victim.kill9();
    for (const s of left) {
      const told = await s.inbox.takeAll('user left', lost, 8000);
      assert.deepEqual(told.map(([t]) => t.username).sort(),
        all.filter((o) => o.node === victimName).map((o) => `user ${all.indexOf(o)}`).sort());
      assert.ok(told.every(([t]) => t.numUsers >= left.length && t.numUsers < all.length), JSON.stringify(told));
      assert.equal(told.at(-1)[0].numUsers, left.length);
    }
    const late = await connect(cluster.url);
    assert.equal((await ask(late, 'add user', 'late')).numUsers, left.length + 1);
    for (const s of [...left]) s.disconnect();
    await until(async () => {
      const s = await connect(cluster.url);
      const { numUsers } = await ask(s, 'add user', 'probe');
      s.disconnect();
      assert.ok(numUsers >= 1);
      return numUsers === 2;
    }, 8000, 'only the late one is left');
  });

  test('both dead: the last node knows', async () => {
    const alive = [];
    for (const n of cluster.nodes) {
      if (await fetch(`${n.url}/readyz`).then((r) => r.ok, () => false)) alive.push(n);
    }
    assert.equal(alive.length, 2);
    const [survivor, victim] = alive;
    const s = await connect(survivor.url);
    const t = await connect(victim.url);
    await ask(s, 'add user', 'survivor');
    await t.inbox.take('user joined');
    await ask(t, 'add user', 'other');
    await s.inbox.take('user joined');
    await victim.kill9();
    // those of the test before may still be on their way
    const told = await until(async () => {
      const [left] = await s.inbox.take('user left', 8000);
      return left.username === 'other' && left;
    }, 8000, 'the other has left');
    assert.deepEqual(told, { username: 'other', numUsers: 1 });
  });
});

describe('a node is stopped by SIGTERM', () => {
  let cluster;
  const residents = [];
  before(async () => { cluster = await startCluster({ nodes: 2, name: 'term' }); });
  after(async () => {
    for (const s of residents) s.disconnect();
    closeAll();
    await cluster?.stop();
  });

  test('its clients move to the other, which counts right at once', async () => {
    for (let i = 0; i < 8; i++) residents.push(resident(cluster.url, 'drain', MODES[i % 3]));
    await until(() => residents.every((s) => s.joined === 1), 15000, 'all have joined');
    const homes = await Promise.all(residents.map(nodeOf));
    const victim = cluster.nodes.find((n) => n.name === homes[0]);
    process.kill(victim.pid, 'SIGTERM');
    await until(() => residents.every((s) => s.connected && s.joined >= 1)
      && residents.filter((s, i) => homes[i] === victim.name).every((s) => s.joined >= 2), 20000, 'all are back');
    for (const s of residents) assert.notEqual(await nodeOf(s), victim.name);
    await reaches(residents[0], residents, 'drain');
    await until(async () => (await ask(residents[0], 'who', 'drain')).count === residents.length, 5000, 'the count');
  });
});

describe('Redis dies', () => {
  let cluster;
  before(async () => { cluster = await startCluster({ nodes: 2, name: 'redis' }); });
  afterEach(() => { closeAll(); destroyAll(); });
  after(() => cluster?.stop());

  const pair = async (node, room) => {
    const s = [];
    for (let i = 0; i < 2; i++) {
      const c = await connect(node.url);
      await ask(c, 'join room', room);
      s.push(c);
    }
    return s;
  };

  for (const round of [1, 2]) {
    test(`local delivery goes on, the rest resumes by itself (${round})`, async () => {
      const room = `cut ${round}`;
      const [one, two] = cluster.nodes;
      const [a, b] = await pair(one, room);
      const [c, d] = await pair(two, room);
      await reaches(a, [a, b, c, d], room);

      await cluster.redis.kill9();
      for (let i = 0; i < 20; i++) {
        const begin = Date.now();
        assert.equal((await ask(a, 'chat message', { room, message: `local ${i}` })).ok, true);
        const local = (s) => until(() => s.inbox.all.some((e) => e.args[0]?.message === `local ${i}`), 2000, 'local');
        await within(Promise.all([local(a), local(b)]), 2000, 'local delivery');
        assert.ok(Date.now() - begin < 1000, 'at once');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      // new clients and rooms work, too
      const [e, f] = await pair(one, `${room} new`);
      await reaches(e, [e, f], `${room} new`);
      assert.equal((await request(one, 'GET', '/healthz')).status, 200);

      await cluster.redis.restart();
      const begin = Date.now();
      await reaches(a, [a, b, c, d], room, 5000);
      await reaches(d, [a, b, c, d], room, 5000);
      assert.ok(Date.now() - begin < 5500, 'within five seconds');
      // rooms that came up while Redis was away
      const g = await connect(two.url);
      await ask(g, 'join room', `${room} new`);
      await reaches(e, [e, f, g], `${room} new`, 5000);
      await reaches(g, [e, f, g], `${room} new`, 5000);
      assert.ok([a, b, c, d, e, f].every((s) => s.connected), 'nobody was disconnected');
    });
  }

  test('nothing arrives twice after that', async () => {
    const room = 'afterwards';
    const [a, b] = await pair(cluster.nodes[0], room);
    const [c, d] = await pair(cluster.nodes[1], room);
    await reaches(a, [a, b, c, d], room);
    for (const s of [a, b, c, d]) s.inbox.clear();
    for (let i = 0; i < 50; i++) await ask(i % 2 ? a : c, 'chat message', { room, message: `n ${i}` });
    for (const s of [a, b, c, d]) await s.inbox.takeAll('chat message', 50, 5000);
    await ask(a, 'chat message', { room, message: 'end a' });
    await ask(c, 'chat message', { room, message: 'end c' });
    for (const s of [a, b, c, d]) {
      const rest = await s.inbox.takeAll('chat message', 2, 5000);
      assert.deepEqual(rest.map(([m]) => m.message).sort(), ['end a', 'end c']);
    }
  });

  test('people are counted right after that', async () => {
    const [a, b] = [await connect(cluster.nodes[0].url, '/chat'), await connect(cluster.nodes[1].url, '/chat')];
    await ask(a, 'add user', 'a');
    assert.deepEqual(await b.inbox.take('user joined'), [{ username: 'a', numUsers: 1 }]);
    assert.equal((await ask(b, 'add user', 'b')).numUsers, 2);
    assert.deepEqual(await a.inbox.take('user joined'), [{ username: 'b', numUsers: 2 }]);
  });

  test('a node that starts without Redis serves, and joins when it comes', async () => {
    const { startNode, startRedis, freePort } = require('../lib/servers');
    const port = await freePort();
    const url = `redis://127.0.0.1:${port}`;
    const [one, two] = [await startNode({ redis: url, name: 'early-1' }), await startNode({ redis: url, name: 'early-2' })];
    const [a] = await pair(one, 'early');
    await reaches(a, [a], 'early');
    const redis = await startRedis({ port });
    const [b] = await pair(two, 'early');
    await reaches(a, [a, b], 'early', 8000);
    closeAll();
    await one.stop();
    await two.stop();
    await redis.stop();
  });
});
