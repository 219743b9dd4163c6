'use strict';
// confabctl top and confabctl drain: what they show is what nodes count, and the
// terminal is given back whatever happens.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { Process, run, BUILD } = require('../lib/process');
const { startNode, startRedis, freePort, REFERENCE } = require('../lib/servers');
const { startNodes } = require('../lib/balanced');
const { metricsOf } = require('../lib/metrics');
const { connect, ask, closeAll } = require('../lib/clients');
const { WebSocketSession } = require('../lib/session');
const { destroyAll } = require('../lib/raw');
const { until, SLOW } = require('../lib/until');

const CTL = path.join(BUILD, 'confabctl');
const PLAY = path.join(__dirname, '../lib/terminal.py');
const WS = { name: 'websocket', options: { transports: ['websocket'] } };
const POLLING = { name: 'polling', options: { transports: ['polling'] } };

const top = (...args) => run(CTL, ['top', ...args], { ms: 20000 });
const admins = (nodes) => nodes.flatMap((n) => ['--admin', n.admin]);

// The plain text: { nodes: { name: { COLUMN: text } | string }, rooms, slow }.
function read(text) {
  const [table, rooms, slow] = text.split(/\n\n/).map((part) => part.split('\n'));
  const titles = table[1].trim().split(/\s+/);
  const nodes = {};
  for (const line of table.slice(2)) {
    const [name, ...cells] = line.trim().split(/\s+/);
    nodes[name] = cells[0] === 'unreachable' ? line
      : Object.fromEntries(titles.slice(1).map((t, i) => [t, cells[i]]));
  }
  return {
    nodes, titles,
    rooms: rooms.slice(1).map((l) => l.trim().split(/\s+/)),
    slow: slow.slice(1).filter(Boolean).map((l) => l.trim().split(/\s+/)),
  };
}

// Several steps in a pseudo-terminal; see tests/lib/terminal.py.
async function play(steps, ...args) {
  const p = new Process('terminal', 'python3', [PLAY, JSON.stringify(steps), CTL, 'top', ...args],
    { env: { PTY_DEADLINE_S: String(10 * SLOW) } });
  const { code } = await p.exits(60000);
  const output = p.output();
  assert.equal(code, 0, output);
  p.checkSanitizers();
  return JSON.parse(output.slice(output.lastIndexOf('\n{') + 1));
}

// The other screen, and back to the one before, with the cursor.
const LEFT = /\x1b\[\?25h\x1b\[\?1049l\s*$/;

describe('top', { skip: REFERENCE }, () => {
  let redis;
  let nodes;
  before(async () => {
    redis = await startRedis();
    nodes = await startNodes(3, { redis });
    await until(async () => (await Promise.all(nodes.map(metricsOf))).every((m) => m.presence_peers === 2),
      10000, 'the nodes know each other');
    for (const [i, node] of nodes.entries()) {
      for (let k = 0; k <= i; k++) {
        const s = await connect(node.url, '/', k ? WS : POLLING);
        await ask(s, 'join room', 'lobby');
        await ask(s, 'join room', `only ${i}`);
      }
    }
  });
  after(async () => {
    closeAll();
    destroyAll();
    for (const n of nodes) if (!n.ended) await n.stop();
    await redis.stop();
  });

  test('once, it says of each node what the node counts, and adds rooms up over nodes', async () => {
    const { code, output } = await top('--once', ...admins(nodes));
    assert.equal(code, 0, output);
    const shown = read(output);
    assert.deepEqual(Object.keys(shown.nodes), ['node-1', 'node-2', 'node-3', 'all']);
    for (const node of nodes) {
      const m = await metricsOf(node);
      const row = shown.nodes[node.output().match(/node=(\S+)/)?.[1] || node.name];
      assert.deepEqual(
        [row.STATE, row.POLL, row.WS, row.SOCKETS, row.ROOMS, row.QUEUED, row.SLOW, row.DROPS, row.REDIS, row.LOST],
        ['serving', m['sessions{transport="polling"}'], m['sessions{transport="websocket"}'], m.sockets, m.rooms,
          '0B', 0, 0, 'up', 0].map(String));
    }
    assert.deepEqual([shown.nodes.all.POLL, shown.nodes.all.WS, shown.nodes.all.SOCKETS], ['3', '3', '6']);
    assert.deepEqual(shown.rooms[0], ['6', '3', '/', 'lobby']);
    assert.deepEqual(shown.rooms[1], ['3', '1', '/', 'only', '2']);
  });

  test('rates are those of what was counted between two looks', async () => {
    const s = await connect(nodes[0].url, '/', WS);
    const before = await metricsOf(nodes[0]);
    let sent = 0;
    const talking = setInterval(() => {
      sent += 10;
      for (let i = 0; i < 10; i++) s.emit('hello', () => {});
    }, 50);
    const { output } = await top('--once', '--interval', '2', '--admin', nodes[0].admin);
    clearInterval(talking);
    const rate = Number(read(output).nodes['node-1']['EV/S']);
    assert.ok(rate > 100 && rate < 260, `${rate} events a second, of about 200`);
    await until(async () => (await metricsOf(nodes[0])).events_in_total - before.events_in_total === sent, 5000,
      'all is counted');
    s.disconnect();
  });

  test('it is the same without --once when standard output is no terminal, or of a list of URLs', async () => {
    const { code, output } = await top('--interval', '0.1', '--admin', nodes.map((n) => n.admin).join(','));
    assert.equal(code, 0);
    assert.match(output, /^\S+ {2}3 of 3 nodes answer\n/);
    assert.doesNotMatch(output, /\x1b/);
  });

  test('the environment of a node says where it is', async () => {
    const { port } = new URL(nodes[1].admin);
    const { output } = await run(CTL, ['top', '--interval', '0.1'],
      { env: { CONFAB_ADMIN_HOST: '0.0.0.0', CONFAB_ADMIN_PORT: port } });
    assert.match(output, /^node-2 +serving/m);
  });

  test('bad usage, and nodes that are none, are told', async () => {
    for (const [args, pattern] of [
      [[], /which nodes\? Give --admin/], [['--admin', 'https://h:1'], /speaks http, not https/],
      [['--admin', 'ftp://h'], /is no URL/], [['--interval', '0'], /no number of seconds/],
      [['--admin', 'h', 'more'], /this is too much: more/], [['--nix'], /option is wrong/]]) {
      const r = await top(...args);
      assert.equal(r.code, 2, r.output);
      assert.match(r.output, pattern);
    }
    const r = await top('--once', '--admin', nodes[0].url);
    assert.equal(r.code, 1, r.output);
    assert.match(r.output, /unreachable since [\d:]+: .*404: no admin listener\?/);
  });

  test('in a terminal it draws, follows its size, sorts, and gives it back at q', async () => {
    const r = await play([
      ['sees', '3 of 3 nodes answer[\\s\\S]*node-3[\\s\\S]*lobby'],
      ['size', 60, 12],
      ['sees', '^NODE +STATE +WS +SOCKETS?|^NODE +STATE +WS'],
      ['size', 160, 40],
      ['sees', 'PUB/S'],
      ['keys', '\u001b[C\u001b[C\u001b[C\u001b[C'],
      ['sees', 'node-3 [\\s\\S]*node-2 [\\s\\S]*node-1 '],
      ['keys', 'r'],
      ['sees', 'node-1 [\\s\\S]*node-2 [\\s\\S]*node-3 '],
      ['keys', '\u001b[B'],
      ['sees', 'below: only node-1[\\s\\S]*only 0'],
      ['keys', '\u001b[A'],
      ['sees', 'nodes answer  '],
      ['keys', '1'],
      ['keys', 'q'],
      ['end'],
    ], '--interval', '0.2', ...admins(nodes));
    assert.deepEqual([r.code, r.restored], [0, true]);
    assert.match(r.written, /^\x1b\[\?1049h/);
    assert.match(r.written, LEFT);
    const small = r.screens[2].split('\n');
    assert.ok(small.length <= 12, `${small.length} lines`);
    for (const line of small.slice(1)) assert.ok(line.length <= 60, line);
    assert.doesNotMatch(r.screens[10], /only 2/);
  });

  test('whatever signal ends it, the terminal is as it was', async () => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGABRT']) {
      const r = await play([['sees', '3 of 3 nodes'], ['raw'], ['signal', name], ['end']], ...admins(nodes));
      assert.deepEqual([r.signal, r.restored], [name, true]);
      assert.match(r.written, LEFT);
    }
    const r = await play([['sees', '3 of 3 nodes'], ['keys', '\u0003'], ['end']], ...admins(nodes));
    assert.deepEqual([r.signal, r.restored], ['SIGINT', true]);
  });

  test('stopped, it lends the terminal to the shell, and takes it again', async () => {
    const r = await play([
      ['sees', '3 of 3 nodes'], ['signal', 'SIGTSTP'], ['stopped'], ['cooked'],
      ['continue'], ['raw'], ['sees', '3 of 3 nodes'], ['keys', 'q'], ['end'],
    ], '--interval', '0.2', ...admins(nodes));
    assert.deepEqual([r.code, r.restored], [0, true]);
    assert.equal(r.written.split('\x1b[?1049h').length, 3);
  });

  test('a client that does not read is among the slowest', async () => {
    const node = await startNode({ set: { 'node.name': 'slow-one', 'limits.slow_consumer_ms': 60000 } });
    const s = await WebSocketSession.open(node);
    await s.send('40');
    await until(async () => (await metricsOf(node)).sockets === 1, 5000, 'it is there');
    s.ws.socket.pause();
    const noisy = await connect(node.url, '/', WS);
    const text = 'x'.repeat(16000);
    const shown = await until(async () => {
      for (let i = 0; i < 100; i++) noisy.emit('chat message', text);
      await ask(noisy, 'hello');
      const { output } = await top('--interval', '0.1', '--admin', node.admin);
      const { slow, nodes: all } = read(output);
      return slow.length > 0 && { row: slow[0], node: all['slow-one'] };
    }, 20000, 'it is slow');
    assert.deepEqual(shown.row.slice(2, 4), ['websocket', 'slow-one']);
    assert.match(shown.row[0], /^[\d.]+[kM]B$/);
    assert.equal(shown.node.SLOW, '1');
    noisy.disconnect();
    destroyAll();
    await node.stop();
  });

  test('a node that dies is shown with since when, and found again', async () => {
    const port = await freePort();
    const set = { 'node.name': 'node-4', 'admin.port': port };
    let node = await startNode({ set });
    const steps = [['sees', 'node-4 +serving'], ['signal', 'SIGWINCH']];
    const args = ['--interval', '0.1', ...admins(nodes), '--admin', node.admin];
    assert.equal((await play([...steps, ['keys', 'q'], ['end']], ...args)).code, 0);
    const watching = play([
      ['sees', 'node-4 +serving'],
      ['sees', 'node-4 +unreachable since \\d\\d:\\d\\d:\\d\\d: .*refused'],
      ['sees', '4 of 4 nodes answer[\\s\\S]*node-4 +serving'],
      ['keys', 'q'], ['end'],
    ], ...args);
    await until(async () => (await metricsOf(node)).admin_connections > 1, 5000, 'it is watched');
    await new Promise((resolve) => { setTimeout(resolve, 500 * SLOW); });
    await node.kill9();
    const { code, output } = await top('--once', ...admins(nodes), '--admin', node.admin);
    assert.equal(code, 0);
    const shown = read(output);
    assert.equal(shown.nodes.all.SOCKETS, '6');
    assert.match(output, /3 of 4 nodes answer/);
    assert.match(output, new RegExp(`127.0.0.1:${port} +unreachable since [\\d:]+: .*Connection refused`));
    node = await startNode({ set });
    const r = await watching;
    assert.deepEqual([r.code, r.restored], [0, true]);
    await node.stop();
  });
});

describe('drain', { skip: REFERENCE }, () => {
  after(closeAll);

  const drain = (...args) => run(CTL, ['drain', ...args], { ms: 30000 });

  test('waits until the node has gone, and says how many are left', async () => {
    const node = await startNode({ set: { 'drain.window_ms': 3000 * SLOW } });
    for (let i = 0; i < 10; i++) await connect(node.url, '/', WS);
    const r = await drain('--wait', '--admin', node.admin);
    assert.equal(r.code, 0, r.output);
    const left = [...r.output.matchAll(/: (\d+) sessions left$/gm)].map((m) => Number(m[1]));
    assert.ok(left.length >= 3, r.output);
    assert.deepEqual(left, [...left].sort((a, b) => b - a));
    assert.match(r.output, /it has gone\n$/);
    assert.deepEqual(await node.exits(1000), { code: 0, signal: null });
  });

  test('without --wait only tells it to; top shows that it drains', async () => {
    const node = await startNode({ set: { 'node.name': 'leaving', 'drain.window_ms': 3600000 } });
    await connect(node.url, '/', WS);
    const r = await drain('--admin', node.admin);
    assert.deepEqual([r.code, r.output], [0, 'it drains\n']);
    const { output } = await top('--interval', '0.1', '--admin', node.admin);
    assert.match(output, /^leaving +draining/m);
    node.signal('SIGINT');
    await node.exits(5000);
  });

  test('what is no admin listener, or nobody, is told', async () => {
    const node = await startNode();
    let r = await drain('--admin', node.url);
    assert.equal(r.code, 1);
    assert.match(r.output, /POST \/drain is answered with 404: is this an admin listener\?/);
    r = await drain('--admin', `http://127.0.0.1:${await freePort()}`);
    assert.equal(r.code, 1);
    assert.match(r.output, /Connection refused/);
    r = await drain('--admin', 'http://a:1,http://b:1');
    assert.equal(r.code, 2);
    assert.match(r.output, /one node after the other/);
    assert.equal((await fetch(`${node.url}/readyz`)).status, 200);
    await node.stop();
  });
});
