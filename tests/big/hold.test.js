'use strict';
// As many connections as a process may have, and three nodes full of them, held
// while one node is drained and started again.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { io } = require('socket.io-client');
const { QUICK, startServer, Holder } = require('../lib/load');
const { metricsOf } = require('../lib/metrics');
const { startRedis, freePort } = require('../lib/servers');
const { until, sleep } = require('../lib/until');

const PER_NODE = QUICK ? 1500 : 18000;
const PER_ROOM = 30; // ten on each of three nodes
const MINUTES = Number(process.env.BIG_MINUTES || (QUICK ? 0.25 : 10));
const SPARE = 200; // sessions that a full node still takes
const WINDOW_MS = QUICK ? 3000 : 20000;
const PING = { 'engine.ping_interval_ms': 10000, 'engine.ping_timeout_ms': 15000 };

const sum = (list) => list.reduce((a, b) => a + b, 0);
const columns = (rows) => rows[0].map((_, i) => sum(rows.map((r) => r[i])));
const sessions = (m) => m['sessions{transport="websocket"}'] + m['sessions{transport="polling"}'];
const family = (m, name) => sum(Object.keys(m).filter((k) => k.startsWith(`${name}{`)).map((k) => m[k]));
const closed = (m) => family(m, 'disconnects_total');
const refused = (m) => family(m, 'handshakes_refused_total');

// What the nodes say is what the generators say, node by node.
// `beside`: clients of this test on each node.
async function agree(nodes, holders, beside = 0) {
  const counts = await Promise.all(holders.map((h) => h.ask('count')));
  const held = columns(counts.map((c) => c.held));
  const told = (await Promise.all(nodes.map(metricsOf))).map((m) => sessions(m) - beside);
  assert.deepEqual(told, held, 'sessions by metrics, and connections that generators hold');
  return { held, counts };
}

async function everybodySays(holders, n) {
  const all = await Promise.all(holders.map((h) => h.ask(`say ${n}`, 120000)));
  for (const r of all) {
    assert.equal(r.delivered, r.expected, JSON.stringify(r));
    assert.deepEqual([r.doubled, r.reordered, r.bad], [0, 0, 0], JSON.stringify(r));
  }
  return sum(all.map((r) => r.delivered));
}

test(`one node holds ${PER_NODE} connections through their heartbeats, and counts them exactly`, async () => {
  const node = await startServer({ set: { ...PING, 'engine.ping_interval_ms': 2000 } });
  const empty = node.rss();
  const began = Date.now();
  const h = await Holder.open([node], { conns: PER_NODE, 'per-room': PER_ROOM });
  const opened = Date.now() - began;
  try {
    await agree([node], [h]);
    const delivered = await everybodySays([h], 3);
    const before = await h.ask('count');
    const cpu = node.cpu();
    await sleep(QUICK ? 5000 : 20000);
    const { counts: [now] } = await agree([node], [h]);
    assert.deepEqual(now.lost, [0]);
    const pings = now.messages - before.messages;
    assert.ok(pings >= PER_NODE * (QUICK ? 1 : 4), `${pings} heartbeats`);
    console.log(`one node: ${PER_NODE} connections opened in ${opened} ms; ${delivered} messages exactly once; `
      + `${pings} heartbeats in ${QUICK ? 5 : 20} s took ${node.cpu() - cpu} ms of processor time; `
      + `${Math.round((node.rss() - empty) * 1024 / PER_NODE)} bytes of memory for each`);
  } finally {
    await h.quit();
  }
  await until(async () => sessions(await metricsOf(node)) === 0, 10000, 'all have left');
  const m = await metricsOf(node);
  assert.equal(closed(m), PER_NODE);
  assert.equal(m.handshakes_total, PER_NODE);
  await node.stop(20000);
});

test(`three nodes full hold ${3 * PER_NODE} for ${MINUTES} minutes, with a drain and a restart in the middle`, async (t) => {
  const redis = await startRedis();
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const set = (i) => ({
    ...PING, 'redis.url': redis.url, 'listen.port': ports[i], 'limits.sessions': PER_NODE + SPARE,
    'drain.notice_ms': 1000, 'drain.window_ms': WINDOW_MS,
  });
  const start = (i) => startServer({ set: set(i), name: `node-${i}`, presence: true });
  const nodes = await Promise.all([0, 1, 2].map(start));
  const empty = nodes.map((n) => n.rss());
  const everybody = 3 * PER_NODE;
  const holders = [];
  // One on each, who asks how many are shown: it would not get in later.
  const askers = nodes.map((n) => io(n.url, { transports: ['websocket'], forceNew: true, reconnection: false }));
  t.after(async () => {
    for (const s of askers) s.disconnect();
    for (const h of holders) await h.process.kill9();
    for (const n of nodes) await n.kill9();
    await redis.kill9();
  });
  await until(async () => (await Promise.all(nodes.map(metricsOf))).every((m) => m.presence_peers === 2), 10000,
    'the nodes know each other');

  // One after the other: they count rooms from numbers of their own.
  for (let i = 0; i < 3; i++) {
    holders.push(await Holder.open(nodes, { conns: PER_NODE, 'per-room': PER_ROOM, 'first-room': i * PER_NODE / PER_ROOM }));
  }
  const { held } = await agree(nodes, holders, 1);
  assert.deepEqual(held, [PER_NODE, PER_NODE, PER_NODE]);
  const each = nodes.map((n, i) => Math.round((n.rss() - empty[i]) * 1024 / PER_NODE));
  console.log(`three nodes: ${held.join(' + ')} connections; ${each.join(', ')} bytes of memory for each, presence of all included`);
  const first = await everybodySays(holders, 2);

  // Everybody is shown on every node.
  const presence = () => Promise.all(askers.map((s) => s.timeout(10000).emitWithAck('count')));
  let seen;
  const allShown = (ms) => until(async () => {
    seen = await presence();
    return seen.every((n) => n === everybody);
  }, ms, () => `presence on each node: ${seen}`);
  await allShown(20000);

  const half = MINUTES * 60000 / 2;
  const hold = async (ms) => {
    const end = Date.now() + ms;
    let looks = 0;
    do {
      await sleep(Math.min(5000, Math.max(0, end - Date.now())));
      const now = await agree(nodes, holders, 1);
      assert.equal(sum(now.held), everybody);
      looks += 1;
    } while (Date.now() < end);
    return looks;
  };
  const quiet = await hold(half);
  const calm = await agree(nodes, holders, 1);
  assert.deepEqual(columns(calm.counts.map((c) => c.lost)), [0, 0, 0], 'nobody is lost in peace');

  // Node 2 is drained, and started again when it has ended.
  const began = Date.now();
  const node = nodes[2];
  node.signal('SIGTERM');
  let highest = 0;
  let last;
  while (!node.ended) {
    try {
      last = await metricsOf(node);
    } catch { /* it has ended meanwhile */ }
    for (const n of nodes.slice(0, 2)) highest = Math.max(highest, sessions(await metricsOf(n)));
    await sleep(100);
  }
  const drained = Date.now() - began;
  assert.equal(node.ended.code, 0);
  const log = node.output();
  const pace = Number(/drain_window .*closes_per_second=(\d+)/.exec(log)[1]);
  const left = Number(/drain_window .*sessions=(\d+)/.exec(log)[1]);
  assert.equal(left, PER_NODE + 1);
  assert.match(log, /drain_end .*cut_off=0/);
  nodes[2] = await start(2);
  askers[2] = io(nodes[2].url, { transports: ['websocket'], forceNew: true, reconnection: false });
  await until(async () => sum((await Promise.all(holders.map((h) => h.ask('count')))).map((c) => c.ready)) === everybody,
    120000, 'everybody is back');
  const away = Date.now() - began;
  const back = await agree(nodes, holders, 1);
  assert.equal(sum(back.held), everybody);
  const backAt = Date.now();
  await allShown(20000);
  const shown = Date.now() - backAt;
  const lost = columns(back.counts.map((c) => c.lost));
  assert.deepEqual(lost, [0, 0, PER_NODE], 'only connections of the drained node are lost, each once');
  assert.ok(highest <= PER_NODE + SPARE, `${highest} sessions on a node that was full`);
  const seconds = new Map();
  for (const h of holders) {
    for (const [s, n] of await h.ask('closes')) seconds.set(s, (seconds.get(s) || 0) + n);
  }
  const most = Math.max(...seconds.values());
  // Seconds of whoever reads: what was closed at the end of one may be read in the next.
  assert.ok(most <= pace * 1.1 + 5, `${most} closes in a second; the pace is ${pace}`);
  const full = sum((await Promise.all(nodes.slice(0, 2).map(metricsOf))).map(refused));
  const heard = sum(back.counts.map((c) => c.refused));
  assert.ok(heard >= full + refused(last), `${heard} attempts heard that they were refused, of ${full} and ${refused(last)}`);
  console.log(`drain: ${left} connections in ${drained} ms, ${most} closes in the worst second at a pace of ${pace}; `
    + `everybody back after ${away} ms, presence right on all nodes ${shown} ms later; attempts meanwhile: `
    + `${heard} refused (${full} by the two full nodes), ${sum(back.counts.map((c) => c.unreached))} reached no server, `
    + `${sum(back.counts.map((c) => c.broken_off))} broken off; now ${back.held.join(' + ')}`);

  const second = await everybodySays(holders, 2);
  const after = await hold(half);
  const end = await agree(nodes, holders, 1);
  assert.deepEqual(columns(end.counts.map((c) => c.lost)), [0, 0, PER_NODE]);
  console.log(`three nodes: ${first} deliveries before and ${second - first} after, each exactly once; counts agreed ${quiet + after} times; `
    + `${sum(end.counts.map((c) => c.messages))} messages and heartbeats in all`);
  for (const h of holders.splice(0)) await h.quit();
  for (const s of askers) s.disconnect();
  await until(async () => (await Promise.all(nodes.map(metricsOf))).every((m) => sessions(m) === 0), 20000, 'all have left');
});
