'use strict';
// Numbered messages while Redis, nodes, the network and the balancer fail. Each
// scenario prints what was sent, delivered, lost, doubled and reordered, and
// what the nodes have counted meanwhile. The groups run side by side, each with
// a Redis and nodes of its own.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const net = require('node:net');
const { io } = require('socket.io-client');
const { startCluster } = require('../lib/cluster');
const { startNode, startRedis } = require('../lib/servers');
const { Proxy } = require('../lib/proxy');
const { Stage, promises, onlyWhatIsCounted, nothingLost, wasAway, wasNotTaken, redis, messages } = require('../lib/stage');
const { until, sleep, SLOW } = require('../lib/until');

const asNode = (p) => ({
  process: p, name: p.name, url: p.url, port: p.port, admin: p.admin, log: () => p.output(), signal: (s) => p.signal(s), stop: () => p.stop(),
});

async function startNodes(names, server, set = {}) {
  const nodes = await Promise.all(names.map((name) =>
    startNode({ redis: typeof server === 'function' ? server(name) : server, name, set })));
  return nodes.map(asNode);
}

// A group's servers, and their end.
function group({ names, setup }) {
  const g = {};
  before(async () => {
    g.redis = await startRedis();
    await setup?.(g);
    g.nodes = await startNodes(names, g.urlFor || g.redis, g.set);
    g.stage = await Stage.open({ nodes: g.nodes, ...g.stageOptions });
  });
  after(async () => {
    g.stage?.close();
    for (const n of g.nodes || []) await n.stop();
    await g.redis?.kill9();
    g.proxy?.close();
  });
  return g;
}

const ready = async (node) => (await fetch(`${node.url}/readyz`)).text();

// Those lost were on their way at that moment, or said before it was noticed.
function lostAround(r, at, ms = 1000 * SLOW) {
  for (const l of r.lost) {
    assert.ok(Math.abs(l.at - at) <= ms, `${l.publisher.name} ${l.n} was sent ${l.at - at} ms after the break`);
  }
}

describe('chaos', { concurrency: true }, () => {
  describe('Redis', { concurrency: false }, () => {
    const g = group({ names: ['r1', 'r2', 'r3'] });

    test('FLUSHALL: nothing happens', async () => {
      const r = await g.stage.run('FLUSHALL', async () => {
        assert.equal(await redis(g.redis, 'FLUSHALL'), 'OK');
        await sleep(500);
      });
      promises(r);
      nothingLost(r);
      assert.equal(r.sum.publisher + r.sum.subscriber, 0);
    });

    test('stopped for 2 s: all is delivered, later', async () => {
      const r = await g.stage.run('Redis stopped 2 s', async () => {
        g.redis.signal('SIGSTOP');
        await sleep(2000);
        g.redis.signal('SIGCONT');
      });
      promises(r);
      nothingLost(r);
      assert.equal(r.sum.publisher + r.sum.subscriber, 0);
    });

    test('CLIENT KILL TYPE pubsub: what was on its way', async () => {
      const r = await g.stage.run('CLIENT KILL TYPE pubsub', async (times) => {
        times.at = Date.now();
        assert.equal(await redis(g.redis, 'CLIENT KILL TYPE pubsub'), '3');
        await sleep(1000);
      });
      promises(r);
      lostAround(r, r.times.at);
      assert.deepEqual([r.sum.publisher, r.sum.subscriber], [0, 3]);
      // what is said until all are back waits for them
      assert.ok([...r.nodes.values()].every((c) => c.deaf > 0 && c.late > 0));
    });

    test('CLIENT KILL TYPE normal: what was not answered', async () => {
      const r = await g.stage.run('CLIENT KILL TYPE normal', async () => {
        assert.equal(await redis(g.redis, 'CLIENT KILL TYPE normal'), '3');
        await sleep(500);
      });
      promises(r);
      onlyWhatIsCounted(r);
      assert.deepEqual([r.sum.publisher, r.sum.subscriber, r.sum.deaf], [3, 0, 0]);
      assert.ok(r.sum.late > 0);
    });

    test('killed and started again: what was on its way', async () => {
      const r = await g.stage.run('Redis killed', async (times) => {
        times.at = Date.now();
        await g.redis.kill9();
        await g.stage.says(200);
        g.redis = await startRedis({ port: g.redis.port });
      });
      promises(r);
      lostAround(r, r.times.at);
      assert.deepEqual([r.sum.publisher, r.sum.subscriber], [3, 3]);
      assert.ok(r.sum.late > 100, `${r.sum.late} waited`);
    });
  });

  describe('a silent Redis', { concurrency: false }, () => {
    const g = group({ names: ['s1', 's2', 's3'] });

    test('stopped for 12 s: given up after 10 s', async () => {
      const r = await g.stage.run('Redis stopped 12 s', async () => {
        g.redis.signal('SIGSTOP');
        await sleep(12000);
        g.redis.signal('SIGCONT');
      });
      promises(r);
      onlyWhatIsCounted(r);
      assert.equal(r.sum.publisher, 3);
      assert.ok(r.sum.unanswered < r.sent / 4, 'little is given to a Redis that does not answer');
      for (const n of g.nodes) assert.match(n.log(), /redis_lost .*role=publisher .*reason="?no reply in time/);
    });
  });

  // n1 alone reaches Redis through a proxy.
  describe('the network', { concurrency: false }, () => {
    const g = group({
      names: ['n1', 'n2', 'n3'],
      setup: async (all) => {
        all.proxy = await Proxy.open(all.redis.port);
        all.urlFor = (name) => (name === 'n1' ? all.proxy : all.redis);
      },
    });
    const [first, others] = [() => g.nodes[0], () => g.nodes.slice(1)];
    const untouched = (r) => {
      for (const n of others()) assert.deepEqual([r.nodes.get(n).publisher, r.nodes.get(n).subscriber], [0, 0]);
    };
    // Whom the node could not hear, it missed while it was away.
    const missedBy = (r, node) => {
      for (const l of r.lost) {
        assert.ok(l.member.node === node || l.publisher.node === node);
        assert.ok(l.at >= r.times.from - 250 && l.at <= r.times.to);
      }
      const own = r.lost.filter((l) => l.publisher.node === node);
      assert.ok(messages(own) <= r.nodes.get(node).unanswered, `${messages(own)} of its own`);
    };

    test('200 ms in each direction: all is delivered', async () => {
      const r = await g.stage.run('200 ms latency', async () => {
        g.proxy.delay = 200;
        await sleep(2000);
        g.proxy.delay = 0;
      });
      promises(r);
      nothingLost(r);
      untouched(r);
    });

    test('cut off: it misses what the others say meanwhile', async () => {
      const r = await g.stage.run('cut off from Redis', async () => {
        g.proxy.cut();
        await g.stage.says(250);
        g.proxy.mend();
      });
      promises(r);
      untouched(r);
      missedBy(r, first());
      const c = r.nodes.get(first());
      assert.deepEqual([c.publisher, c.subscriber], [1, 1]);
      assert.ok(c.deaf > 0 && c.late >= 50, JSON.stringify(c));
    });

    test('a black hole: given up after 10 s, and what is found in it later does no harm', async () => {
      const r = await g.stage.run('a black hole', async () => {
        g.proxy.hole();
        await until(() => /redis_lost .*role=subscriber .*no reply in time/.test(first().log()), 20000, 'both are given up');
        await sleep(500);
        g.proxy.mend(1500);
        await sleep(2000);
      });
      promises(r);
      untouched(r);
      missedBy(r, first());
      const c = r.nodes.get(first());
      assert.deepEqual([c.publisher, c.subscriber], [1, 1]);
      assert.ok(c.deaf >= 10000 && c.unanswered > 0 && c.late > 50, JSON.stringify(c));
    });
  });

  describe('a node', { concurrency: false }, () => {
    const g = group({ names: ['p1', 'p2', 'p3'] });

    test('stopped for 10 s: all is delivered, later', async () => {
      const r = await g.stage.run('node stopped 10 s', async () => {
        g.nodes[1].signal('SIGSTOP');
        await sleep(10000);
        g.nodes[1].signal('SIGCONT');
      });
      promises(r);
      nothingLost(r);
      assert.equal(r.sum.publisher + r.sum.subscriber, 0);
    });

    test('so slow that Redis ends its subscriber: it alone misses something, and knows', async () => {
      const [one, two] = g.nodes;
      assert.equal(await redis(g.redis, 'CONFIG SET client-output-buffer-limit "pubsub 1mb 0 0"'), 'OK');
      const subscribers = async () => Number(/connected_clients:(\d+)/.exec(await redis(g.redis, 'INFO clients'))[1]);
      const all = await subscribers();
      const small = g.stage.pad;
      const r = await g.stage.run('subscriber too slow', async () => {
        two.signal('SIGSTOP');
        g.stage.pad = `/${'x'.repeat(16000)}`;
        const [speaker] = g.stage.members.filter((m) => m.node === one && m.speaks);
        for (let i = 0; i < 1200 && await subscribers() === all; i += 10) {
          for (let k = 0; k < 10; k++) g.stage.say(speaker, g.stage.rooms[k % 2]);
          await sleep(10);
        }
        g.stage.pad = small;
        assert.ok(await subscribers() < all, 'Redis has ended it');
        two.signal('SIGCONT');
      });
      promises(r);
      assert.ok(r.lost.length > 0);
      for (const l of r.lost) assert.equal(l.member.node, two);
      assert.deepEqual([r.sum.publisher, r.sum.subscriber], [0, 1]);
      assert.equal(r.nodes.get(two).subscriber, 1);
      assert.ok(r.nodes.get(two).deaf > 0);
      assert.ok(two.process.rss() < 100000, `${two.process.rss()} kB`);
    });
  });

  describe('a full queue', { concurrency: false }, () => {
    const g = group({
      names: ['q1', 'q2'],
      setup: (all) => {
        all.set = { 'limits.publish_queue_bytes': 20000 };
        all.stageOptions = { everyMs: 5 };
      },
    });

    test('what is refused is counted, and exactly that is missed', async () => {
      const r = await g.stage.run('queue full', async () => {
        await g.redis.kill9();
        await until(() => g.nodes.every((n) => /redis_lost .*publisher/.test(n.log())), 5000, 'the loss is noticed');
        await g.stage.says(500);
        g.redis = await startRedis({ port: g.redis.port });
      });
      promises(r);
      onlyWhatIsCounted(r);
      for (const n of g.nodes) {
        const c = r.nodes.get(n);
        const missed = messages(r.lost.filter((l) => l.publisher.node === n));
        assert.ok(c.full > 20 && c.late > 20, JSON.stringify(c));
        assert.ok(missed >= c.full && missed <= c.full + c.unanswered, `${missed} are missed: ${JSON.stringify(c)}`);
        assert.equal(c.log.lines, 1, 'one line for all of it');
      }
    });

    test('volatile ones do not wait', async () => {
      const [a] = g.stage.members;
      const r = await g.stage.run('volatile', async () => {
        await g.redis.kill9();
        await until(async () => /degraded/.test(await ready(a.node)), 5000, 'the loss is noticed');
        for (let i = 0; i < 10; i++) a.socket.emit('typing', { room: g.stage.rooms[0] });
        g.stage.aside = 10;
        await a.socket.timeout(5000).emitWithAck('hello');
        g.redis = await startRedis({ port: g.redis.port });
      });
      promises(r);
      assert.equal(r.nodes.get(a.node).volatile, 10);
    });
  });

  describe('behind the balancer', { concurrency: false }, () => {
    const HARD_STOP_MS = 2500;
    let cluster;
    let stage;
    before(async () => {
      cluster = await startCluster({
        nodes: 3, name: 'chaos', set: { 'cluster.lease_ms': 1500 }, env: { BALANCER_HARD_STOP: `${HARD_STOP_MS}ms` },
      });
      stage = await Stage.open({ nodes: cluster.nodes, url: cluster.url, perNode: 4, speakers: 2, everyMs: 30 });
    });
    after(async () => {
      stage?.close();
      await cluster?.stop();
    });

    const unexplained = (lost) => lost.map((l) =>
      `${l.member.name} misses ${l.publisher.name} ${l.n} at ${l.at}, away ${JSON.stringify(l.member.away)}`);

    test('a node is killed and started again', async () => {
      let victim;
      const r = await stage.run('kill -9 of a node', async (times) => {
        victim = stage.members[0].node;
        times.at = Date.now();
        await victim.kill9();
        await until(() => stage.members.every((m) => m.ready), 10000, 'its clients are on others');
        await victim.restart();
        await sleep(500);
      });
      promises(r, { restarted: true });
      const onItsWay = (l) => l.from === victim && l.ok && l.at >= r.times.at - 1000 * SLOW;
      assert.deepEqual(unexplained(r.lost.filter((l) => !wasAway(l) && !wasNotTaken(l) && !onItsWay(l))), []);
      for (const n of cluster.nodes) {
        if (n !== victim) assert.equal(r.nodes.get(n).publisher + r.nodes.get(n).subscriber, 0);
      }
    });

    test('HAProxy is reloaded', async () => {
      const r = await stage.run('HAProxy reload', async () => {
        await cluster.balancer.reload();
        await sleep(HARD_STOP_MS + 500);
      });
      promises(r);
      assert.deepEqual(unexplained(r.lost.filter((l) => !wasAway(l) && !wasNotTaken(l))), []);
      // those who poll do not notice; a WebSocket lives as long as its balancer
      for (const m of stage.members) {
        assert.equal(m.away.length, m.transports[0] === 'polling' ? 0 : 1, `${m.name} ${m.transports}`);
      }
      nothingLost({ ...r, lost: r.lost.filter((l) => l.member.transports[0] === 'polling' && !wasNotTaken(l)) });
    });
  });

  describe('readiness', { concurrency: false }, () => {
    const STRICT = { 'cluster.ready_without_redis': false };
    const state = async (node) => {
      const r = await fetch(`${node.url}/readyz`);
      const { status, adapter, why } = await r.json();
      return { code: r.status, status, adapter, ...(why && { why }) };
    };

    test('a Redis that accepts and never answers', async () => {
      const accepted = [];
      const silent = net.createServer((s) => accepted.push(s.on('error', () => {})));
      await new Promise((resolve) => { silent.listen(0, '127.0.0.1', resolve); });
      const { port } = silent.address();
      const url = `redis://127.0.0.1:${port}`;
      const [lax, strict] = [await startNode({ redis: url, name: 'lax' }), await startNode({ redis: url, name: 'strict', set: STRICT })];
      const s = io(lax.url, { transports: ['websocket'], forceNew: true });
      for (const [node, code] of [[lax, 200], [strict, 503]]) {
        const now = await state(node);
        assert.equal(now.code, code);
        assert.equal(now.status, 'degraded');
        assert.match(now.why, /Redis/);
        await node.says(/redis_unreachable .*no greeting in time/, 8000);
      }
      await s.timeout(5000).emitWithAck('join room', 'local');
      assert.equal((await s.timeout(1000 * SLOW).emitWithAck('chat message', { room: 'local', message: 'x' })).ok, true);
      for (const a of accepted) a.destroy();
      await new Promise((resolve) => { silent.close(resolve); });
      const server = await startRedis({ port });
      for (const node of [lax, strict]) {
        await until(async () => (await state(node)).status === 'ready', 10000, 'Redis is found');
        assert.deepEqual(await state(node), { code: 200, status: 'ready', adapter: 'redis' });
      }
      s.disconnect();
      await lax.stop();
      await strict.stop();
      await server.kill9();
    });

    test('503 without Redis: the balancer brings no new clients, and leaves those there are', async () => {
      const cluster = await startCluster({ nodes: 2, name: 'strict', set: STRICT });
      const client = () => io(cluster.url, { transports: ['websocket'], forceNew: true, reconnection: false });
      const s = client();
      await until(() => s.connected, 5000, 'a client');
      await s.timeout(5000).emitWithAck('join room', 'local');
      await cluster.redis.kill9();
      await until(async () => (await fetch(`${cluster.url}/`)).status === 503, 10000, 'no node takes new clients');
      const late = client();
      await until(() => new Promise((resolve) => { late.once('connect_error', () => resolve(true)); }), 5000, 'refused');
      assert.equal((await s.timeout(1000 * SLOW).emitWithAck('chat message', { room: 'local', message: 'x' })).ok, true);
      assert.ok(s.connected);
      await cluster.redis.restart();
      await until(async () => (await fetch(`${cluster.url}/`)).status === 200, 10000, 'they do again');
      assert.ok(s.connected);
      s.disconnect();
      late.disconnect();
      await cluster.stop();
    });
  });
});
