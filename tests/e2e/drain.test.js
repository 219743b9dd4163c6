'use strict';
// A node that is told to end sees its clients off one by one.

const { describe, test, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { REFERENCE, BUILD, startFixture, startNode } = require('../lib/servers');
const { run } = require('../lib/process');
const { join } = require('../lib/suite');
const { MODES, connect, ask, reasonOf, closeAll } = require('../lib/clients');
const { PollingSession, WebSocketSession, openUpgraded } = require('../lib/session');
const { Connection, WebSocketConnection, get, request, requestText, destroyAll } = require('../lib/raw');
const { metric } = require('../lib/hostile');
const { until, sleep, SLOW } = require('../lib/until');

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';
const UPGRADE = {
  Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const HOUR = 3600000;

const drains = (notice, window, set = {}) =>
  ({ set: { 'drain.notice_ms': notice, 'drain.window_ms': window, ...set } });

const CLEAN = { code: 0, signal: null };

// Until the node has heard it.
async function drain(p) {
  const began = Date.now();
  p.signal('SIGTERM');
  await until(async () => (await get(p, '/readyz')).status === 503, 5000, 'it is not ready');
  return began;
}

const windowOf = (p) => p.says(/ drain_window /);

describe('drain', { skip: REFERENCE && 'confab only' }, () => {
  afterEach(() => {
    closeAll();
    destroyAll();
  });

  test('in the notice time it is not ready, and takes clients of every kind', async () => {
    const p = await startFixture(drains(2000 * SLOW, HOUR));
    await drain(p);
    const r = await get(p, '/readyz');
    assert.deepEqual([r.status, JSON.parse(r.body).status], [503, 'draining']);
    assert.equal((await get(p, '/healthz')).status, 200);
    const late = [];
    for (const mode of MODES) late.push(await join(p, '/', mode));
    assert.equal(await metric(p, 'confab_draining'), 1);
    assert.equal(await metric(p, 'confab_drain_sessions_left'), 3);
    for (const s of late) assert.equal(await ask(s, 'echo', 'late'), 'late');
    assert.doesNotMatch(p.output(), / drain_window /);
    await windowOf(p);
    p.signal('SIGINT');
    assert.deepEqual(await p.exits(5000), CLEAN);
  });

  test('afterwards handshakes are refused over either transport: 503, when to come again, and why', async () => {
    const p = await startFixture(drains(1, HOUR));
    const s = await Promise.all([...Array(20).keys()].map(() => WebSocketSession.open(p)));
    await drain(p);
    await windowOf(p);
    const after = new Set();
    for (let i = 0; i < 30; i++) {
      for (const [path, headers] of [[P, { Origin: 'http://a' }], [W, UPGRADE]]) {
        const c = new Connection(p);
        c.write(requestText('GET', path, headers));
        const r = await c.response();
        assert.equal(r.status, 503);
        assert.match(r.headers['retry-after'], /^[1-5]$/);
        assert.deepEqual(JSON.parse(r.body), { code: 503, message: 'Server is draining' });
        after.add(r.headers['retry-after']);
        await c.end();
      }
    }
    assert.ok(after.size > 2, `they are spread: ${[...after]}`);
    assert.equal(await metric(p, 'confab_handshakes_refused_total{why="draining"}'), 60);
    assert.equal((await get(p, '/readyz')).status, 503);
    assert.ok(s.filter((one) => !one.over).length >= 19);
    p.signal('SIGINT');
    assert.deepEqual(await p.exits(5000), CLEAN);
  });

  test('sessions that are still here are served: polls, posts and upgrades', async () => {
    const p = await startFixture(drains(1, HOUR));
    const all = [];
    for (let i = 0; i < 10; i++) {
      all.push(await PollingSession.open(p), await PollingSession.open(p, { poll: false }));
    }
    for (const s of all) if (!s.over) await s.post('40');
    await drain(p);
    await windowOf(p);
    // one of an hour's twenty may be closed already
    let served = 0;
    for (const s of all.filter((one, i) => i % 2 === 0)) {
      for (let round = 0; round < 5 && !s.over; round++) {
        await s.send(`42${round}["echo",${round}]`);
        for (let m = await s.message().catch(() => ''); m && m !== `43${round}[${round}]`;) m = await s.message();
      }
      served += !s.over;
    }
    assert.ok(served >= 9, `${served} of 10`);
    const idle = all[1].over ? all[3] : all[1];
    const path = idle.path.replace('transport=polling', 'transport=websocket');
    const ws = new WebSocketSession(p, path);
    ws.ws = await WebSocketConnection.open(p, path);
    ws.ws.text('2probe');
    assert.equal(await ws.ws.textFrame(), '3probe');
    p.signal('SIGINT');
    assert.deepEqual(await p.exits(5000), CLEAN);
  });

  test('200 clients are closed evenly over the window, none before it, never faster than the pace', async () => {
    const [N, NOTICE, WINDOW] = [200, 1000 * SLOW, 4000 * SLOW];
    const p = await startFixture(drains(NOTICE, WINDOW));
    const officials = [];
    const kinds = [PollingSession.open, WebSocketSession.open, openUpgraded];
    for (let i = 0; i < 30; i++) officials.push(await join(p, '/', MODES[i % 3]));
    const raw = await Promise.all([...Array(N - 30).keys()].map(async (i) => {
      const s = await kinds[i % 3](p);
      await s.connect();
      return s;
    }));
    const closed = [];
    const reasons = new Set();
    const lag = monitorEventLoopDelay({ resolution: 5 });
    lag.enable();
    const began = await drain(p);
    await Promise.all([
      ...raw.map(async (s) => {
        reasons.add(await s.ends(NOTICE + WINDOW + 5000));
        closed.push(Date.now());
      }),
      ...officials.map(async (s) => {
        assert.match(await reasonOf(s, NOTICE + WINDOW + 5000), /^transport (close|error)$/);
        closed.push(Date.now());
      }),
    ]);
    lag.disable();
    assert.deepEqual(await p.exits(5000), CLEAN);
    assert.deepEqual([...reasons].sort(), ['close ', 'close packet'], 'each is told');

    closed.sort((a, b) => a - b);
    assert.ok(closed[0] - began >= NOTICE, `the first after ${closed[0] - began} ms`);
    const last = closed.at(-1) - began;
    assert.ok(last <= NOTICE + WINDOW + 500 * SLOW, `the last after ${last} ms`);
    assert.ok(last >= NOTICE + WINDOW * 0.95, `the last after ${last} ms`);
    // what was late here may stand beside what was in time
    const late = lag.max / 1e6 + 10;
    const most = (span) => Math.ceil(N * (span + late) / WINDOW) + 1;
    for (const [i, from] of closed.entries()) {
      for (const span of [100 * SLOW, 1000 * SLOW]) {
        const n = closed.filter((t, j) => j >= i && t < from + span).length;
        assert.ok(n <= most(span), `${n} within ${span} ms from ${from - began}; ${most(span)} are allowed`);
      }
    }
    for (let q = 1; q < 4; q++) {
      const n = closed.filter((t) => t - began - NOTICE < WINDOW * q / 4).length;
      assert.ok(Math.abs(n - N * q / 4) <= N / 20, `${n} in ${q} quarters of the window`);
    }
    const out = p.output();
    assert.equal([...out.matchAll(/^gone \S+ server shutting down$/mg)].length, N);
    assert.match(out, new RegExp(` drain_begin .*sessions=${N} notice_ms=${NOTICE} window_ms=${WINDOW}`));
    assert.match(out, new RegExp(` drain_window .*sessions=${N} .*closes_per_second=${Math.ceil(N * 1000 / WINDOW)}\\b`));
    assert.match(out, new RegExp(` drain_end .*closed=${N} left=0 cut_off=0 `));
  });

  test('an official client comes back by itself, to another node', async () => {
    const p = await startFixture(drains(1, 300));
    const s = await connect(p.url, '/', MODES[2], { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 100 });
    const first = s.id;
    await drain(p);
    await until(() => !s.connected, 5000, 'it is closed');
    assert.equal(s.active, true);
    assert.deepEqual(await p.exits(5000), CLEAN);
    const other = await startFixture({ set: { 'listen.port': p.port } });
    await until(() => s.connected, 10000, 'it is back');
    assert.notEqual(s.id, first);
    assert.equal(await ask(s, 'echo', 'again'), 'again');
    closeAll();
    await other.stop();
  });

  test('polling clients that never come back do not hold it up, and are not called cut off', async () => {
    const p = await startFixture(drains(1, 300));
    const silent = [];
    for (let i = 0; i < 5; i++) silent.push(await PollingSession.open(p, { poll: false }));
    const began = await drain(p);
    assert.deepEqual(await p.exits(8000), CLEAN);
    assert.ok(Date.now() - began >= 1000, 'they had time to');
    assert.match(p.output(), / drain_end .*closed=5 left=0 cut_off=0 /);
  });

  test('when all have left it ends, long before the window does', async () => {
    const p = await startFixture(drains(200, HOUR));
    const all = [];
    for (const mode of MODES) all.push(await join(p, '/', mode));
    await drain(p);
    await windowOf(p);
    assert.equal(p.ended, null);
    for (const s of all) s.disconnect();
    assert.deepEqual(await p.exits(3000), CLEAN);
    assert.match(p.output(), / drain_end .*cut_off=0 /);
  });

  test('without clients it stays for the notice time, and no longer', async () => {
    const p = await startFixture(drains(800, HOUR));
    const began = await drain(p);
    assert.deepEqual(await p.exits(5000), CLEAN);
    const took = Date.now() - began;
    assert.ok(took >= 800, `${took} ms`);
  });

  test('a window of 0 closes all at once after the notice', async () => {
    const p = await startFixture(drains(500, 0));
    const s = await Promise.all([...Array(20).keys()].map(() => WebSocketSession.open(p)));
    const began = await drain(p);
    const ends = await Promise.all(s.map(async (one) => {
      assert.equal(await one.ends(5000), 'close ');
      return Date.now();
    }));
    assert.ok(Math.min(...ends) - began >= 500);
    assert.ok(Math.max(...ends) - Math.min(...ends) < 200 * SLOW);
    assert.deepEqual(await p.exits(5000), CLEAN);
  });

  test('those that wait for their admission are answered', async () => {
    const p = await startFixture(drains(1, HOUR));
    const judge = await join(p);
    const others = await Promise.all([...Array(5).keys()].map(() => WebSocketSession.open(p)));
    await ask(judge, 'observe');
    const waiting = [];
    for (const [path, headers] of [[P, {}], [W, UPGRADE]]) {
      const c = new Connection(p);
      c.write(requestText('GET', `${path}&wait=key`, headers));
      await judge.inbox.take('waiting');
      waiting.push(c);
    }
    p.signal('SIGTERM');
    for (const c of waiting) {
      const r = await c.response();
      assert.deepEqual([r.status, JSON.parse(r.body).message], [503, 'Server is draining']);
    }
    assert.ok(others.filter((s) => !s.over).length >= 4);
    p.signal('SIGINT');
    assert.deepEqual(await p.exits(5000), CLEAN);
  });

  test('connections that nobody uses are closed, and a response is the last of its connection', async () => {
    const p = await startFixture(drains(1500, HOUR));
    const others = await Promise.all([...Array(5).keys()].map(() => WebSocketSession.open(p)));
    const unused = new Connection(p);
    unused.write(requestText('GET', '/healthz'));
    assert.match((await unused.response()).headers.connection, /keep-alive/i);
    await drain(p);
    assert.equal(unused.ended, false);
    await windowOf(p);
    await unused.end();
    const r = await request(p, 'GET', '/healthz');
    assert.deepEqual([r.status, r.headers.connection], [200, 'close']);
    assert.ok(others.some((s) => !s.over));
    p.signal('SIGINT');
    assert.deepEqual(await p.exits(5000), CLEAN);
  });

  for (const [phase, notice] of [['notice', HOUR / 10], ['window', 1]]) {
    for (const again of ['SIGTERM', 'SIGINT']) {
      test(`${again} in the ${phase} time ends it at once`, async () => {
        const p = await startFixture(drains(notice, HOUR));
        const all = [];
        for (const mode of MODES) all.push(await join(p, '/', mode));
        all.push(await join(p), await join(p));
        await drain(p);
        if (phase === 'window') await windowOf(p);
        p.signal(again);
        for (const s of all) assert.match(await reasonOf(s), /^transport (close|error)$/);
        assert.deepEqual(await p.exits(3000), CLEAN);
        assert.match(p.output(), / drain_end /);
      });
    }
  }

  test('SIGINT ends a node at once that does not drain', async () => {
    const p = await startNode(drains(HOUR / 10, HOUR));
    const s = await connect(p.url);
    p.signal('SIGINT');
    assert.match(await reasonOf(s), /^transport (close|error)$/);
    assert.deepEqual(await p.exits(2000), CLEAN);
    assert.doesNotMatch(p.output(), / drain_/);
  });

  test('by default it takes 3 and 20 seconds', async () => {
    const { output } = await run(`${BUILD}/confab`, ['--print-config']);
    assert.match(output, /^ +notice_ms: 3000/m);
    assert.match(output, /^ +window_ms: 20000/m);
  });

  test('counters tell how far it is', async () => {
    const p = await startFixture(drains(1, 2000 * SLOW));
    const s = await Promise.all([...Array(40).keys()].map(() => WebSocketSession.open(p)));
    await drain(p);
    await until(() => s.filter((one) => one.over).length >= 10, 10000, 'some are closed');
    const [closed, left] = [await metric(p, 'confab_drain_closed_total'), await metric(p, 'confab_drain_sessions_left')];
    assert.ok(closed >= 10, `${closed}`);
    assert.ok(closed + left >= 40 && closed + left <= 42, `${closed} and ${left}`);
    assert.deepEqual(await p.exits(10000), CLEAN);
  });

  test('nothing that is on its way to a polling client is lost', async () => {
    const p = await startFixture(drains(1, 400));
    const s = await PollingSession.open(p, { poll: false });
    await s.post('40');
    await s.get(); // CONNECT and the greeting
    await s.post('421["echo","kept"]');
    await drain(p);
    await p.says(/^gone /m); // it is closed, and has not been told
    await sleep(100);
    const rest = String((await s.get()).body);
    assert.ok(rest.includes('431["kept"]'), rest);
    assert.match(String((await s.get()).body), /(^|\x1e)1$/);
    assert.deepEqual(await p.exits(3000), CLEAN);
  });
});
