'use strict';
// The listener for operators: who may ask, what it answers, and that it can be
// reached when nobody else can.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { startNode, startFixture, freePort, ready } = require('../lib/servers');
const { Process, run, BUILD } = require('../lib/process');
const { serving, CONFAB_ONLY, join } = require('../lib/suite');
const { Connection, WebSocketConnection, request, get } = require('../lib/raw');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { MODES, connect, ask, closeAll } = require('../lib/clients');
const { adminOf, metricsOf } = require('../lib/metrics');
const { W } = require('../lib/conformance');
const { until } = require('../lib/until');

const ADMIN = { 'X-Confab-Admin': '1' };

async function json(node, at) {
  const r = await get(adminOf(node), at);
  assert.deepEqual([r.status, r.headers['content-type'], r.headers['cache-control']],
    [200, 'application/json', 'no-store'], String(r.body));
  return JSON.parse(r.body);
}

describe('where it listens', CONFAB_ONLY, () => {
  const listen = { 'listen.host': '127.0.0.1', 'listen.port': '0' };
  const args = (set) => Object.entries({ ...listen, ...set }).flatMap(([k, v]) => ['--set', `${k}=${v}`]);

  test('on loopback, on any free port, which the ready line tells', async () => {
    const node = await startNode();
    assert.match(node.admin, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.match(node.output(), / info admin .*url=http:\/\/127\.0\.0\.1:\d+\n/);
    await node.stop();
  });

  test('where it is told', async () => {
    const port = await freePort();
    const node = await startNode({ set: { 'admin.host': '0.0.0.0', 'admin.port': port } });
    assert.equal(node.admin, `http://0.0.0.0:${port}`);
    assert.equal((await metricsOf(node)).connections, 0);
    assert.doesNotMatch(node.output(), /warn/);
    await node.stop();
  });

  test('nowhere, with an empty host', async () => {
    const node = await startNode({ set: { 'admin.host': '' } });
    assert.equal(node.admin, undefined);
    assert.equal((await get(node, '/healthz')).status, 200);
    await node.stop();
  });

  test('a port that is taken ends the start with a sentence', async () => {
    const node = await startNode();
    const { code, output } = await run(path.join(BUILD, 'confab'), args({ 'admin.port': adminOf(node).port }));
    assert.equal(code, 1, output);
    assert.match(output, /cannot listen on 127\.0\.0\.1 port \d+ for operators: .*set admin\.host or admin\.port/);
    await node.stop();
  });
});

describe('who may ask what', CONFAB_ONLY, () => {
  const node = serving(startNode);

  test('the pages of operators are not for clients', async () => {
    for (const at of ['/metrics', '/debug/why?sid=x', '/debug/slow', '/debug/state', '/drain']) {
      assert.equal((await get(node, at)).status, 404, at);
      assert.equal((await request(node, 'POST', at, { headers: ADMIN, body: '' })).status, 404, at);
    }
  });

  test('/healthz and /readyz answer both, and clients are served by one alone', async () => {
    for (const at of ['/healthz', '/readyz']) {
      assert.equal((await get(node, at)).status, 200);
      assert.equal((await get(adminOf(node), at)).status, 200);
    }
    assert.equal((await get(adminOf(node), '/')).status, 404);
    assert.equal((await get(adminOf(node), '/socket.io/?EIO=4&transport=polling')).status, 404);
  });

  test('other methods are refused', async () => {
    for (const at of ['/metrics', '/debug/why?sid=x', '/debug/slow', '/debug/state']) {
      assert.equal((await request(adminOf(node), 'HEAD', at)).status, 200, at);
      const r = await request(adminOf(node), 'POST', at, { headers: ADMIN, body: 'x' });
      assert.deepEqual([r.status, r.headers.allow], [405, 'GET, HEAD'], at);
      assert.equal((await request(adminOf(node), 'DELETE', at)).status, 405, at);
    }
    const r = await get(adminOf(node), '/drain', ADMIN);
    assert.deepEqual([r.status, r.headers.allow], [405, 'POST']);
  });

  test('no page in a browser can ask', async () => {
    const pages = ['/metrics', '/debug/why?sid=x', '/debug/slow', '/debug/state', '/drain'];
    for (const at of pages) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const r = await request(adminOf(node), method, at, { headers: { Origin: 'http://localhost', ...ADMIN }, body: '' });
        assert.equal(r.status, 403, `${method} ${at}`);
        assert.equal(r.headers['access-control-allow-origin'], undefined);
      }
      // a form sends no header of ours
      assert.equal((await request(adminOf(node), 'POST', at, { body: '' })).status, 403, at);
      assert.equal((await request(adminOf(node), 'POST', at, { headers: { 'X-Confab-Admin': '0' }, body: '' })).status, 403);
    }
    assert.equal((await get(node, '/readyz')).status, 200);
    assert.match(node.process.output(), /warn admin_refused .*why=/);
  });

  test('nor one whose name leads here', async () => {
    const asked = async (host) => {
      const c = new Connection(adminOf(node));
      c.write(`GET /metrics HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      return (await c.response()).status;
    };
    for (const host of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '1.2.3', '[evil.example]']) {
      assert.equal(await asked(host), 403, host);
    }
    for (const host of ['127.0.0.1', 'localhost:3001', '[::1]:3001', 'node', 'node:3001', '10.1.2.3:80']) {
      assert.equal(await asked(host), 200, host);
    }
  });

  test('bad questions are answered with a sentence', async () => {
    for (const at of ['/debug/why', '/debug/why?sid=', '/debug/why?sid=x&n=0', '/debug/why?sid=x&n=-1',
      '/debug/slow?n=0', '/debug/slow?n=101', '/debug/slow?n=x']) {
      const r = await get(adminOf(node), at);
      assert.equal(r.status, 400, at);
      assert.match(String(r.body), /n|sid/);
    }
  });
});

describe('when the node is full', CONFAB_ONLY, () => {
  test('operators get in, and take nobody\'s place', async () => {
    const node = await startNode({ set: { 'limits.connections': 5 } });
    const watchers = [];
    for (let i = 0; i < 8; i++) watchers.push(new Connection(adminOf(node)));
    await until(async () => (await metricsOf(node)).admin_connections >= 8, 5000, 'operators are connected');
    const sessions = [];
    for (let i = 0; i < 5; i++) sessions.push(await WebSocketSession.open(node));
    const all = await metricsOf(node);
    assert.equal(all.connections, 5);
    assert.equal(all['sessions{transport="websocket"}'], 5);
    const late = new Connection(node);
    late.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await late.end();
    assert.equal(late.buffer.includes('200 OK'), false);
    for (const c of [...watchers, ...sessions, late]) c.destroy();
    await node.stop();
  });

  test('without descriptors for clients there are some for them', async () => {
    const node = await ready(new Process('few-descriptors', 'prlimit',
      ['--nofile=160', path.join(BUILD, 'confab'), '--set', 'listen.host=127.0.0.1', '--set', 'listen.port=0']));
    const crowd = [...Array(250)].map(() => new Connection(node));
    await until(async () => (await metricsOf(node)).connections >= 96, 10000, 'all places are taken');
    for (let i = 0; i < 20; i++) {
      const state = await json(node, '/debug/state');
      assert.ok(state.numbers.connections <= 112, state.numbers.connections);
    }
    for (const c of crowd) c.destroy();
    await node.stop();
  });

  test('their connections are bounded', async () => {
    const node = await startNode();
    const watchers = [];
    for (let i = 0; i < 40; i++) watchers.push(new Connection(adminOf(node)));
    await until(() => watchers.filter((c) => c.ended).length >= 24, 5000, 'those beyond 16 are closed');
    assert.equal(watchers.filter((c) => !c.ended).length, 16);
    for (const c of watchers) c.destroy();
    await until(async () => {
      try {
        return (await metricsOf(node)).admin_connections === 1;
      } catch {
        return false;
      }
    }, 5000, 'they have left');
    await node.stop();
  });
});

describe('/debug/state', CONFAB_ONLY, () => {
  const server = serving(startFixture);

  test('counts what there is', async () => {
    const a = await join(server, '/', MODES[0]);
    const [b, c] = [await join(server), await join(server, '/custom')];
    for (const s of [a, b]) await ask(s, 'join', 'both');
    await ask(b, 'join', 'b "alone"');
    await ask(c, 'join', 'both');
    await ask(b, 'broadcast', { rooms: ['both'], event: 'e' });
    const s = await json(server, '/debug/state');
    assert.equal(s.pid, server.process.pid);
    assert.match(s.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(s.node.length > 0 && s.version.length > 0 && s.uptime_ms > 0);
    assert.deepEqual([s.state, s.adapter, s.cluster_usable], ['serving', 'memory', true]);
    assert.deepEqual([s.numbers.polling, s.numbers.websocket, s.numbers.sockets, s.numbers.rooms], [1, 2, 3, 3]);
    assert.deepEqual(s.largest_rooms.map((r) => [r.namespace, r.room, r.members]).sort(),
      [['/', 'b "alone"', 1], ['/', 'both', 2], ['/custom', 'both', 1]]);
    assert.equal(s.largest_rooms[0].members, 2);
    assert.equal(s.all_rooms_looked_at, true);
    assert.ok(s.loop.turns > 0);
    assert.equal(s.loop.turn_us.reduce((n, [, count]) => n + count, 0), s.loop.turns);
  });

  test('of many rooms the 50 largest are told, in order', async () => {
    const all = await Promise.all([...Array(6)].map(() => join(server)));
    for (let i = 0; i < 80; i++) {
      for (const s of all.slice(0, i < 60 ? 1 + (i % 5) : 6)) await ask(s, 'join', `room ${i}`);
    }
    const rooms = (await json(server, '/debug/state')).largest_rooms;
    assert.equal(rooms.length, 50);
    assert.deepEqual(rooms.map((r) => r.members), rooms.map((r) => r.members).sort((x, y) => y - x));
    assert.deepEqual(rooms.slice(0, 20).map((r) => r.room).sort(), [...Array(20)].map((_, i) => `room ${60 + i}`).sort());
    assert.equal(rooms[49].members, 3);
  });
});

describe('/debug/slow', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: { 'limits.output_queue_bytes': 100000, 'limits.slow_consumer_ms': 60000 } });
  const slow = async (n = '') => (await json(server, `/debug/slow${n}`)).slow;

  test('lists who does not keep up, the worst first, and nobody who does', async () => {
    const other = await join(server);
    assert.deepEqual(await slow(), []);
    const readers = [];
    for (let i = 0; i < 3; i++) {
      const s = await PollingSession.open(server, { poll: false });
      await s.post('40');
      await s.get();
      await s.post(`421["join","slow ${i}"]`);
      await s.get();
      readers.push(s);
    }
    for (const [i, times] of [11, 15, 13].entries()) {
      await ask(other, 'broadcast', { rooms: [`slow ${i}`], event: 'v', times }, 'x'.repeat(10000));
    }
    const list = await slow();
    assert.deepEqual(list.map((s) => s.sid), [1, 2, 0].map((i) => readers[i].handshake.sid.slice(0, 8)));
    assert.deepEqual(Object.keys(list[0]), ['sid', 'address', 'transport', 'queued_bytes', 'slow_ms']);
    assert.deepEqual([list[0].address, list[0].transport], ['127.0.0.1', 'polling']);
    assert.ok(list[0].queued_bytes > 150000 && list[0].queued_bytes < 160000, list[0].queued_bytes);
    const all = await metricsOf(server);
    assert.equal(all.slow_clients, 3);
    assert.equal(all.output_queue_bytes, list.reduce((n, s) => n + s.queued_bytes, 0));
    assert.deepEqual((await slow('?n=1')).map((s) => s.sid), [list[0].sid]);
    await until(async () => (await slow())[0].slow_ms >= 20, 5000, 'time goes by');
    await readers[1].get();
    assert.deepEqual((await slow()).map((s) => s.sid), [list[1].sid, list[2].sid]);
  });
});

test('POST /drain ends the node well', CONFAB_ONLY, async () => {
  const node = await startNode({ name: 'drained' });
  const s = await connect(node.url, '/', MODES[1]);
  const raw = await WebSocketConnection.open(node, W);
  const r = await request(adminOf(node), 'POST', '/drain', { headers: ADMIN, body: '' });
  assert.deepEqual([r.status, JSON.parse(r.body)], [200, { draining: true }]);
  await s.gone;
  raw.destroy();
  closeAll();
  assert.deepEqual(await node.exits(10000), { code: 0, signal: null });
});
