'use strict';
// confabctl bench: silent servers are not believed, and what is lost, doubled,
// reordered or late is found, to the message.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { Process, run, BUILD } = require('../lib/process');
const { startNode, startReference, startRedis, freePort, REFERENCE } = require('../lib/servers');
const { startNodes, startBalancer } = require('../lib/balanced');
const { startFaulty } = require('../lib/faulty');
const { metricsOf } = require('../lib/metrics');
const { until, SLOW } = require('../lib/until');

const CTL = path.join(BUILD, 'confabctl');
const bench = (...args) => run(CTL, ['bench', ...args.map(String)], { ms: 60000 });

// "1,234 lost" and the like, as numbers.
function read(output) {
  const all = {};
  for (const [, n, what] of output.matchAll(/([\d,]+) (said|taken|refused|unanswered|expected|heard|lost|doubled|reordered|late|to the wrong room)/g)) {
    all[what] = Number(n.replaceAll(',', ''));
  }
  const m = /(\d+) of (\d+) connected in [\d.]+ s by (\w+), (\d+) room/.exec(output);
  assert.ok(m, output);
  [all.connected, all.clients] = [Number(m[1]), Number(m[2])];
  return all;
}

const CLEAN = { lost: 0, doubled: 0, reordered: 0 };

function isClean(r) {
  assert.equal(r.code, 0, r.output);
  const found = read(r.output);
  assert.deepEqual({ lost: found.lost, doubled: found.doubled, reordered: found.reordered }, CLEAN);
  assert.equal(found.heard, found.expected);
  assert.equal(found.taken, found.said);
  assert.ok(found.heard > 0);
  assert.match(r.output, /^latency +p50 \S+ +p90 \S+ +p99 \S+ +p99\.9 \S+ +max \S+$/m);
  const lines = [...r.output.matchAll(/^ {2}<= \S+ +#* +([\d,]+)$/gm)].map((m) => Number(m[1].replaceAll(',', '')));
  assert.equal(lines.reduce((a, b) => a + b), found.heard, 'the histogram has all of them');
  return found;
}

describe('bench of one node', { skip: REFERENCE }, () => {
  let node;
  before(async () => { node = await startNode(); });
  after(() => node.stop());

  for (const transport of ['websocket', 'polling', 'upgrade']) {
    test(`${transport}: what it counts is what the node counts`, async () => {
      const was = await metricsOf(node);
      const r = await bench('--clients', 40, '--rooms', 4, '--rate', 200, '--seconds', 1, '--transport', transport, node.url);
      const found = isClean(r);
      assert.deepEqual([found.connected, found.clients], [40, 40]);
      assert.equal(found.expected, found.taken * 10);
      const m = await metricsOf(node);
      const of = (name) => m[name] - was[name];
      assert.equal(of('events_in_total'), found.said + 40, 'and the rooms were joined');
      if (transport === 'upgrade') assert.equal(of('upgrades_total'), 40);
    });
  }

  test('in another namespace, in one room, with a window', async () => {
    const free = await startNode({ set: { 'rate.room_events': 0, 'rate.connection_events': 0, 'rate.address_events': 0 } });
    const r = await bench('--namespace', '/chat', '--clients', 10, '--rooms', 1, '--window', 2, '--seconds', 1, '--size', 500, free.url);
    const found = isClean(r);
    assert.ok(found.said > 100);
    assert.ok((await metricsOf(free)).bytes_in_total > found.said * 500, 'of that size');
    await free.stop();
  });

  test('clients that have finished leave nothing behind', async () => {
    for (const transport of ['websocket', 'polling', 'upgrade']) {
      await bench('--clients', 10, '--seconds', 1, '--transport', transport, node.url);
      await until(async () => (await metricsOf(node)).sockets === 0, 3000, `those by ${transport} have gone`);
    }
  });

  test('an event that is named is heard by all, or in its answer', async () => {
    const all = isClean(await bench('--clients', 10, '--seconds', 1, '--event', 'chat message', '--heard', 'chat message', node.url));
    assert.equal(all.expected, all.taken * 10);
    const r = await bench('--clients', 10, '--seconds', 1, '--event', 'hello', node.url);
    assert.equal(r.code, 1, 'the answer does not hold it');
    assert.equal(read(r.output).lost, read(r.output).taken);
    assert.match(r.output, /^note +nothing was heard: does the application know these events\?$/m);
  });

  test('what its rate limits refuse is said plainly, and is not lost', async () => {
    const limited = await startNode({ set: { 'rate.room_events': 20, 'rate.room_burst': 5 } });
    const r = await bench('--clients', 10, '--rooms', 1, '--rate', 200, '--seconds', 1, limited.url);
    assert.equal(r.code, 0, r.output);
    const found = read(r.output);
    assert.ok(found.refused > 100 && found.taken + found.refused === found.said, r.output);
    assert.deepEqual([found.lost, found.expected], [0, found.taken * 10]);
    assert.match(r.output, new RegExp(`^ +${found.refused}  rate_limited$`, 'm'));
    assert.match(r.output, /^note +the server's rate limits refused \d+ messages .*raise its rate\.\*/m);
    await limited.stop();
  });

  test('a thousand clients, from one process', async () => {
    const r = await bench('--clients', 1000, '--rooms', 100, '--rate', 500 / SLOW, '--seconds', 2, node.url);
    const found = isClean(r);
    assert.deepEqual([found.connected, found.expected], [1000, found.taken * 10]);
  });

  test('who is not admitted at once comes again', async () => {
    const busy = await startNode({ set: { 'limits.handshakes_per_second': 20 } });
    const r = await bench('--clients', 50, '--rooms', 5, '--seconds', 1, busy.url);
    assert.equal(isClean(r).connected, 50);
    await busy.stop();
  });

  test('interrupted, it says what there was so far', async () => {
    const p = new Process('bench', CTL, ['bench', '--seconds', '600', node.url]);
    const heard = (await metricsOf(node)).events_in_total;
    await until(async () => (await metricsOf(node)).events_in_total > heard + 100 + 10, 10000, 'all are in, and they speak');
    p.signal('SIGINT');
    const { code } = await p.exits(10000);
    isClean({ code, output: p.output() });
  });

  test('a node that dies under it is no success', async () => {
    const dying = await startNode();
    const p = new Process('bench', CTL, ['bench', '--clients', '20', '--seconds', '600', dying.url]);
    await until(async () => (await metricsOf(dying)).broadcasts_total > 10, 10000, 'they speak');
    await dying.kill9();
    const { code } = await p.exits(20000);
    assert.equal(code, 1);
    assert.match(p.output(), /^ended +20 connections:\n +20 {2}the connection (was closed|broke: .*)$/m);
  });

  test('reasons for not coming in are counted', async () => {
    const port = await freePort();
    let r = await bench('--clients', 7, '--seconds', 1, `http://127.0.0.1:${port}`);
    assert.equal(r.code, 1);
    assert.match(r.output, new RegExp(`^no entry +7 clients:\n +7 {2}127.0.0.1:${port}: Connection refused$`, 'm'));
    r = await bench('--clients', 7, '--seconds', 1, '--namespace', '/nix', node.url);
    assert.equal(r.code, 1);
    assert.match(r.output, /^ +7 {2}the namespace .*nix.* refused: .*Invalid namespace/m);
  });

  test('bad usage is told', async () => {
    for (const [args, pattern] of [
      [[], /which server\?/], [['--rate', '1', '--window', '1', 'h'], /either --rate or --window/],
      [['--clients', '0', 'h'], /this number is wrong/], [['--transport', 'carrier', 'h'], /websocket, polling or upgrade/],
      [['--heard', 'x', 'h'], /means nothing without --event/], [['--event', 'x', '--rooms', '2', 'h'], /no --rooms/],
      [['--clients', '2', '--rooms', '3', 'h'], /more rooms than clients/], [['--namespace', 'x', 'h'], /begins with \//],
      [['--clients', '20000', '--rooms', '1', 'h'], /take more --rooms/]]) {
      const r = await bench(...args);
      assert.equal(r.code, 2, r.output);
      assert.match(r.output, pattern);
    }
  });
});

describe('bench of a cluster', { skip: REFERENCE }, () => {
  test('through HAProxy on three nodes, all transports', async () => {
    const redis = await startRedis();
    const nodes = await startNodes(3, { redis });
    await until(async () => (await Promise.all(nodes.map(metricsOf))).every((m) => m.presence_peers === 2),
      10000, 'the nodes know each other');
    const balancer = await startBalancer(nodes);
    for (const transport of ['websocket', 'polling', 'upgrade']) {
      const r = await bench('--clients', 30, '--rooms', 3, '--rate', 100, '--seconds', 1, '--transport', transport, balancer.url);
      assert.equal(isClean(r).expected, isClean(r).taken * 10);
    }
    for (const n of nodes) assert.ok((await metricsOf(n)).redis_received_total > 0, 'they heard of each other');
    await balancer.stop();
    for (const n of nodes) await n.stop();
    await redis.stop();
  });
});

describe('bench of other servers', { skip: REFERENCE }, () => {
  test('the official server with the same application', async () => {
    const server = await startReference({ app: 'chat' });
    for (const transport of ['websocket', 'polling', 'upgrade']) {
      isClean(await bench('--clients', 20, '--rooms', 2, '--seconds', 1, '--transport', transport, server.url));
    }
    await server.stop();
  });

  // What the server did, and what is said of it.
  async function faulty(fault, args = [], options) {
    const server = await startFaulty(fault, options);
    const r = await bench('--clients', 10, '--rooms', 2, '--rate', 200, '--seconds', 1, ...args, server.url);
    await server.close();
    return { ...r, server, found: r.output.includes('connected') && read(r.output) };
  }

  test('one that does all well', async () => isClean(await faulty('none')));

  for (const fault of ['lost', 'doubled', 'reordered', 'strange']) {
    test(`one that delivers ${fault}`, async () => {
      const { code, output, server, found } = await faulty(fault);
      assert.equal(code, 1, output);
      assert.ok(server[fault] > 0);
      const said = { lost: found.lost, doubled: found.doubled, reordered: found.reordered, strange: found['to the wrong room'] || 0 };
      assert.deepEqual(said, { ...CLEAN, strange: 0, [fault]: server[fault] }, output);
      assert.equal(found.heard, server.delivered);
    });
  }

  test('one that is late is told of, and forgiven', async () => {
    const { code, output, server, found } = await faulty('late', ['--late', 200 * SLOW], { lateMs: 400 * SLOW });
    assert.equal(found.late, server.late, output);
    // what is overtaken while it waits is out of order, too
    assert.equal(found.lost + found.doubled, 0);
    assert.equal(code, found.reordered ? 1 : 0);
  });

  test('one that cuts connections', async () => {
    const { code, output, server } = await faulty('cut', ['--clients', 20]);
    assert.equal(code, 1);
    assert.match(output, new RegExp(`^ended +${server.cut} connections:$`, 'm'));
  });

  test('one that refuses, for a while or at the door', async () => {
    const server = await startFaulty('refused');
    const limited = await bench('--clients', 4, '--rooms', 2, '--window', 1, '--seconds', 1, server.url);
    await server.close();
    assert.equal(limited.code, 0, limited.output);
    assert.equal(read(limited.output).refused, server.refused);
    assert.ok(server.refused > 4 && server.refused < 4 * 16, `they wait for 70 ms each time: ${server.refused} times`);
    const r = await faulty('closed');
    assert.equal(r.code, 1);
    assert.match(r.output, /^ +10 {2}"join room" was refused: this room is closed$/m);
  });
});
