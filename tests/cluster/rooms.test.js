'use strict';
// A cluster as clients see it: through the balancer, on some node each.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { startCluster } = require('../lib/cluster');
const { MODES, connect, client, connected, transportOf, ask, closeAll } = require('../lib/clients');
const { PollingSession, WebSocketSession, openUpgraded } = require('../lib/session');
const { request, destroyAll } = require('../lib/raw');
const { until } = require('../lib/until');

let cluster;

before(async () => { cluster = await startCluster({ nodes: 3, name: 'rooms' }); });
afterEach(() => { closeAll(); destroyAll(); });
after(() => cluster?.stop());

const nodeOf = async (s) => (await ask(s, 'hello')).node;

// Clients until each node has some of them.
async function onAllNodes(mode, { atLeast = 2, namespace = '/', ...options } = {}) {
  const byNode = new Map(cluster.nodes.map((n) => [n.name, []]));
  for (let tries = 0; tries < 60; tries++) {
    const s = await connect(cluster.url, namespace, mode, options);
    byNode.get(await nodeOf(s)).push(s);
    if ([...byNode.values()].every((list) => list.length >= atLeast)) return byNode;
  }
  throw new Error(`the balancer leaves nodes out: ${[...byNode].map(([n, l]) => `${n} ${l.length}`)}`);
}

// Nothing more is on its way to these clients: a message of each node to
// everybody has come, behind all others of that node.
let fences = 0;
async function settle(byNode) {
  const all = [...byNode.values()].flat();
  fences += 1;
  for (const [node, [s]] of byNode) await ask(s, 'chat message', `fence ${fences} ${node}`);
  for (const s of all) {
    for (const node of byNode.keys()) {
      await until(() => s.inbox.all.some((e) => e.event === 'chat message'
        && e.args[0] === `fence ${fences} ${node}`), 5000, 'the fence');
    }
    s.inbox.all = s.inbox.all.filter((e) => !/^fence /.test(e.args[0]));
  }
}

const said = (s) => s.inbox.all.filter((e) => e.event === 'chat message').map((e) => e.args[0]);

for (const mode of MODES) {
  describe(`over ${mode.name}`, () => {
    test('everybody gets a message once, on every node', async () => {
      const byNode = await onAllNodes(mode);
      const all = [...byNode.values()].flat();
      for (const [node, [s]] of byNode) await ask(s, 'chat message', `from ${node} é`);
      await settle(byNode);
      for (const s of all) {
        assert.deepEqual(said(s).sort(), cluster.nodes.map((n) => `from ${n.name} é`).sort());
      }
    });

    test('a room spread over the nodes gets every message once, others none', async () => {
      const byNode = await onAllNodes(mode);
      const room = `room ${mode.name}`;
      const members = [];
      const strangers = [];
      for (const [first, ...rest] of byNode.values()) {
        assert.equal((await ask(first, 'join room', room)).ok, true);
        members.push(first);
        strangers.push(...rest);
      }
      // a subscription may be a moment on its way: joined is what all have heard of
      for (const s of members) {
        await until(async () => (await ask(s, 'who', room)).count === 3, 5000, 'three members');
      }
      const N = 50;
      await Promise.all(members.map(async (s, i) => {
        for (let n = 0; n < N; n++) {
          assert.equal((await ask(s, 'chat message', { room, message: `${i}:${n}` })).ok, true);
        }
      }));
      await settle(byNode);
      for (const s of members) {
        const got = said(s).map((m) => m.message);
        assert.equal(got.length, 3 * N);
        for (let i = 0; i < 3; i++) {
          assert.deepEqual(got.filter((m) => m.startsWith(`${i}:`)), [...Array(N).keys()].map((n) => `${i}:${n}`));
        }
      }
      for (const s of strangers) assert.deepEqual(said(s), []);
    });

    test('who left the room gets nothing more', async () => {
      const byNode = await onAllNodes(mode, { atLeast: 1 });
      const room = `left ${mode.name}`;
      const [[a], [b], [c]] = [...byNode.values()];
      for (const s of [a, b, c]) await ask(s, 'join room', room);
      await ask(b, 'leave room', room);
      await ask(a, 'chat message', { room, message: 'after' });
      await settle(byNode);
      assert.equal(said(b).length, 0);
      assert.equal(said(a).length, 1);
    });

    test('people are counted over all nodes', async () => {
      const byNode = await onAllNodes(mode, { atLeast: 1, namespace: '/chat' });
      const all = [...byNode.values()].map(([s]) => s);
      for (const [i, s] of all.entries()) {
        assert.equal((await ask(s, 'add user', `user ${i}`)).ok, true);
        for (const other of all.filter((o) => o !== s)) {
          assert.deepEqual(await other.inbox.take('user joined'), [{ username: `user ${i}`, numUsers: i + 1 }]);
        }
      }
      all[0].emit('new message', 'hi');
      assert.deepEqual(await all[1].inbox.take('new message'), [{ username: 'user 0', message: 'hi' }]);
      all[2].disconnect();
      for (const s of all.slice(0, 2)) {
        assert.deepEqual(await s.inbox.take('user left'), [{ username: 'user 2', numUsers: 2 }]);
      }
      all[1].disconnect();
      assert.deepEqual(await all[0].inbox.take('user left'), [{ username: 'user 1', numUsers: 1 }]);
      all[0].disconnect();
      const late = await connect(cluster.url, '/chat', mode);
      await until(async () => {
        const s = await connect(cluster.url, '/chat', mode);
        const { numUsers } = await ask(s, 'add user', 'late');
        s.disconnect();
        return numUsers === 1;
      }, 5000, 'nobody is left');
      late.disconnect();
    });
  });
}

describe('stickiness', () => {
  test('a session id ends in the balancer\'s name of its node', async () => {
    for (let i = 0; i < 6; i++) {
      const s = await PollingSession.open(cluster, { poll: false });
      assert.match(s.handshake.sid, /^[\w-]{20}\.node-[123]$/);
      const w = await WebSocketSession.open(cluster);
      assert.match(w.handshake.sid, /^[\w-]{20}\.node-[123]$/);
      await s.post('1');
      w.destroy();
    }
  });

  test('the id of a socket has 20 characters all the same', async () => {
    const s = await connect(cluster.url);
    assert.match(s.id, /^[\w-]{20}$/);
  });

  test('polling-only clients stay on their nodes, without cookies', async () => {
    const all = await Promise.all([...Array(12).keys()].map(() => connect(cluster.url, '/', MODES[0])));
    const homes = await Promise.all(all.map(nodeOf));
    assert.ok(new Set(homes).size > 1, 'several nodes');
    for (let round = 0; round < 20; round++) {
      assert.deepEqual(await Promise.all(all.map(nodeOf)), homes);
    }
    for (const s of all) assert.equal(transportOf(s), 'polling');
  });

  test('no cookie is set, and cookies change nothing', async () => {
    const r = await request(cluster, 'GET', '/socket.io/?EIO=4&transport=polling');
    assert.equal(r.status, 200);
    assert.equal(r.headers['set-cookie'], undefined);
    const s = await connect(cluster.url, '/', MODES[0], {
      extraHeaders: { Cookie: 'SERVERID=node-1; io=node-1; confab=node-2' },
    });
    const home = await nodeOf(s);
    for (let i = 0; i < 10; i++) assert.equal(await nodeOf(s), home);
  });

  test('upgrades reach the node that the session is on', async () => {
    for (let i = 0; i < 9; i++) {
      const s = await openUpgraded(cluster);
      assert.match(await s.connect(), /^40\{"sid"/);
      s.destroy();
    }
  });

  test('an id with an unknown node is answered, not hung', async () => {
    for (const sid of ['aaaaaaaaaaaaaaaaaaaa.node-9', 'aaaaaaaaaaaaaaaaaaaa', 'aaaaaaaaaaaaaaaaaaaa.', '..', 'a.b.c']) {
      const r = await request(cluster, 'GET', `/socket.io/?EIO=4&transport=polling&sid=${sid}`);
      assert.equal(r.status, 400);
      assert.equal(String(r.body), '{"code":1,"message":"Session ID unknown"}');
    }
  });

  test('a client cannot choose its node by a header', async () => {
    const seen = new Set();
    for (let i = 0; i < 12; i++) {
      const r = await request(cluster, 'GET', '/socket.io/?EIO=4&transport=polling',
        { headers: { 'X-Confab-Slot': 'evil' } });
      const { sid } = JSON.parse(String(r.body).slice(1));
      assert.match(sid, /\.node-[123]$/);
      seen.add(sid.split('.')[1]);
    }
    assert.ok(seen.size > 0);
  });

  test('metrics are not for the public', async () => {
    assert.equal((await request(cluster, 'GET', '/metrics')).status, 404);
  });
});

test('60 clients that upgrade while they talk, over three nodes', async () => {
  const room = 'crowd';
  const N = 20;
  const all = await Promise.all([...Array(60).keys()].map(async (i) => {
    const s = client(cluster.url, '/', MODES[2]);
    s.offAny();
    s.got = [];
    s.on('chat message', (m) => { if (m.room === room) s.got.push(m.message); });
    s.connect();
    await connected(s);
    await ask(s, 'join room', room);
    s.number = i;
    return s;
  }));
  for (const s of all) {
    await until(async () => (await ask(s, 'who', room)).count === all.length, 10000, 'all are in the room');
  }
  await Promise.all(all.map(async (s) => {
    for (let n = 0; n < N; n++) {
      s.emit('chat message', { room, message: `${s.number}:${n}` });
      if (n % 5 === 4) await ask(s, 'hello');
    }
  }));
  await until(() => all.every((s) => s.got.length >= 60 * N), 30000, () => `all messages: ${all.map((s) => s.got.length)}`);
  for (const s of all) {
    const next = Array(60).fill(0);
    for (const m of s.got) {
      const [from, n] = m.split(':').map(Number);
      assert.equal(n, next[from]);
      next[from] += 1;
    }
    assert.deepEqual(next, Array(60).fill(N));
  }
});
