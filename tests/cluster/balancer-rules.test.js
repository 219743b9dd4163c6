'use strict';
// What the balancers' files say about requests, one by one: HAProxy and nginx
// themselves, in front of nodes that note what they get.

const { describe, test, before, beforeEach, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { FakeNode, startHaproxy, startNginx } = require('../lib/balancer');
const { Connection, WebSocketConnection, request, requestText, destroyAll } = require('../lib/raw');
const { until, sleep, SLOW } = require('../lib/until');

const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';
const nodes = [];

before(async () => {
  for (const i of [1, 2, 3]) nodes.push(await FakeNode.start(`node-${i}`));
});
beforeEach(() => {
  for (const n of nodes) Object.assign(n, { requests: [], ready: 200, handshakes: 200, sessions: 200 });
});
afterEach(destroyAll);
after(() => Promise.all(nodes.map((n) => n.stop())));

// One of a test or describe block, of the nodes.
function balancer(start, options) {
  const b = {};
  before(async () => {
    b.process = await start(nodes, options);
    b.port = b.process.port;
    b.figure = b.process.figure;
  });
  after(() => b.process?.kill9());
  return b;
}

const from = (b, local) => ({ port: b.port, local });

// A handshake: the node that answered, and the session's id.
async function open(b, headers) {
  const r = await request(b, 'GET', HANDSHAKE, { headers });
  assert.equal(r.status, 200, String(r.body));
  return { node: r.headers['x-node'], sid: JSON.parse(String(r.body).slice(1)).sid, headers: r.headers };
}

async function many(b, n = 12) {
  const all = [];
  for (let i = 0; i < n; i++) all.push(await open(b));
  return all;
}

const used = (all) => new Set(all.map((s) => s.node));

// The same for each balancer that sends a session to its node by its id.
function bySessionId(b) {
  test('new sessions go to all nodes, and theirs is in the id', async () => {
    const all = await many(b, 30);
    assert.equal(used(all).size, 3);
    for (const { node, sid } of all) assert.match(sid, new RegExp(`\\.${node}$`));
  });

  test('the requests of a session go to its node', async () => {
    for (const { node, sid } of await many(b, 6)) {
      for (const method of ['GET', 'POST', 'GET']) {
        const r = await request(b, method, `${HANDSHAKE}&sid=${sid}`, { body: method === 'POST' ? '2' : undefined });
        assert.equal(r.status, 200);
        assert.equal(r.headers['x-node'], node);
      }
      const ws = await WebSocketConnection.open(b, `${HANDSHAKE.replace('polling', 'websocket')}&sid=${sid}`);
      assert.equal(ws.handshake.headers['x-node'], node);
    }
  });

  test('an id without a node, or with an unknown one, goes to any', async () => {
    for (const sid of ['aaaaaaaaaaaaaaaaaaaa', 'aaaaaaaaaaaaaaaaaaaa.node-9', 'a.127.0.0.1:22', '..', 'nodes']) {
      const r = await request(b, 'GET', `${HANDSHAKE}&sid=${sid}`);
      assert.equal(r.status, 200, sid);
    }
  });

  test('a request of a session is tried once', async () => {
    const [{ node, sid }] = await many(b, 1);
    for (const n of nodes) n.requests = [];
    nodes.find((n) => n.name === node).sessions = 503;
    const r = await request(b, 'POST', `${HANDSHAKE}&sid=${sid}`, { body: '2' });
    assert.equal(r.status, 503);
    assert.deepEqual(nodes.map((n) => n.count(true)), nodes.map((n) => Number(n.name === node)));
  });

  common(b);
}

function common(b) {
  test('a handshake that a node refuses is taken by another', async () => {
    nodes[0].handshakes = 503;
    const all = await many(b, 30);
    assert.ok(nodes[0].count(false) > 0, 'it was asked');
    assert.deepEqual([...used(all)].sort(), ['node-2', 'node-3']);
    const ws = [];
    for (let i = 0; i < 12; i++) ws.push(await WebSocketConnection.open(b, HANDSHAKE.replace('polling', 'websocket')));
    assert.deepEqual([...new Set(ws.map((w) => w.handshake.headers['x-node']))].sort(), ['node-2', 'node-3']);
  });

  test('when all refuse, so does the balancer', async () => {
    for (const n of nodes) n.handshakes = 503;
    const r = await request(b, 'GET', HANDSHAKE);
    if (r.status === 502) assert.match(String(r.body), /nginx/);
    else assert.deepEqual([r.status, r.headers['retry-after']], [503, '7']);
  });

  test('nodes are told what the balancer knows, not what a client claims', async () => {
    await open(b, { 'X-Forwarded-For': '8.8.8.8', 'X-Forwarded-Proto': 'https', 'X-Confab-Slot': 'evil' });
    const { headers } = nodes.find((n) => n.requests.length).requests[0];
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.notEqual(headers['x-confab-slot'], 'evil');
  });

  test('a head that trickles in is cut', { timeout: 20000 * SLOW }, async () => {
    const c = new Connection(b);
    const began = Date.now();
    c.write('GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n');
    while (!c.ended && Date.now() - began < 15000) {
      c.write('X-Slow: 1\r\n');
      await sleep(200);
    }
    assert.ok(c.ended, 'it ends');
    assert.ok(Date.now() - began > 4000, 'not at once');
    assert.deepEqual(nodes.map((n) => n.requests.length), [0, 0, 0]);
  });
}

describe('HAProxy by session id', () => {
  const b = balancer(startHaproxy);
  bySessionId(b);
  test('no cookie is set', async () => {
    assert.equal((await open(b)).headers['set-cookie'], undefined);
  });

  test('a node that drains gets no new sessions and keeps its own', async () => {
    const mine = (await many(b, 12)).find((s) => s.node === 'node-1');
    nodes[0].ready = 503;
    await until(async () => (await b.figure('nodes', 'node-1', 'status')) === 'NOLB', 5000, 'it is out');
    nodes[0].requests = [];
    assert.deepEqual([...used(await many(b, 20))].sort(), ['node-2', 'node-3']);
    for (let i = 0; i < 5; i++) {
      assert.equal((await request(b, 'GET', `${HANDSHAKE}&sid=${mine.sid}`)).headers['x-node'], 'node-1');
    }
    assert.deepEqual([nodes[0].count(false), nodes[0].count(true)], [0, 5]);
    nodes[0].ready = 200;
    await until(async () => /UP/.test(await b.figure('nodes', 'node-1', 'status')), 5000, 'it is back');
  });

  test('a node that comes back is filled slowly', async () => {
    const hold = async (n) => {
      const all = [];
      for (let i = 0; i < n; i++) all.push((await WebSocketConnection.open(b, HANDSHAKE)).handshake.headers['x-node']);
      return all;
    };
    nodes[2].ready = 500;
    await until(async () => /DOWN/.test(await b.figure('nodes', 'node-3', 'status')), 8000, 'it is out');
    const before = await hold(10);
    assert.deepEqual([...new Set(before)].sort(), ['node-1', 'node-2']);
    nodes[2].ready = 200;
    await until(async () => /UP/.test(await b.figure('nodes', 'node-3', 'status')), 5000, 'it is back');
    // it has the fewest connections by far, and would get them all
    const got = (await hold(6)).filter((name) => name === 'node-3').length;
    assert.ok(got <= 2, `${got} of 6`);
    await until(async () => (await hold(1))[0] === 'node-3', 12000, 'it gets some');
  });
});

describe('HAProxy by cookie', () => {
  const b = balancer(startHaproxy, { BALANCER_STICKY: 'cookie' });
  common(b);
  test('the cookie leads to the node, and nodes do not see it', async () => {
    for (const { node, sid, headers } of await many(b, 9)) {
      const [, cookie] = /^(confab-node=\w+); path=\/; HttpOnly; SameSite=Lax$/.exec(headers['set-cookie']);
      for (const n of nodes) n.requests = [];
      for (let i = 0; i < 5; i++) {
        const r = await request(b, 'GET', `${HANDSHAKE}&sid=${sid}`, { headers: { Cookie: `${cookie}; other=1` } });
        assert.equal(r.headers['x-node'], node);
        assert.equal(r.headers['set-cookie'], undefined);
      }
      const { requests } = nodes.find((n) => n.name === node);
      assert.deepEqual(requests.map((r) => r.headers.cookie), Array(5).fill('other=1'));
      assert.doesNotMatch(cookie, /127|node-\d/);
    }
  });
});

describe('HAProxy in turn', () => {
  const b = balancer(startHaproxy, { BALANCER_STICKY: 'none' });
  common(b);
  test('requests go to all nodes, those of a session as well', async () => {
    const seen = new Set();
    for (let i = 0; i < 6; i++) {
      seen.add((await request(b, 'GET', `${HANDSHAKE}&sid=aaaaaaaaaaaaaaaaaaaa.node-1`)).headers['x-node']);
    }
    assert.equal(seen.size, 3);
  });
});

describe('HAProxy\'s limits per address', () => {
  const b = balancer(startHaproxy, { BALANCER_CONNS_PER_ADDRESS: '5', BALANCER_REQUESTS_PER_ADDRESS: '30' });
  const refused = async () => Number(await b.figure('clients', 'FRONTEND', 'dreq'));

  const talk = (c) => {
    c.write(requestText('GET', HANDSHAKE));
    return c.response();
  };

  test('a connection too many is refused and counted; the others go on', async () => {
    const here = from(b, '127.0.0.2');
    const all = [...Array(5)].map(() => new Connection(here));
    for (const c of all) assert.equal((await talk(c)).status, 200);
    const before = await refused();
    const sixth = new Connection(here);
    const r = await talk(sixth);
    assert.equal(r.status, 429);
    assert.equal(r.headers['retry-after'], '10');
    await sixth.end();
    assert.equal(await refused(), before + 1);
    for (const c of all) assert.equal((await talk(c)).status, 200);
    assert.equal((await talk(new Connection(from(b, '127.0.0.3')))).status, 200);
    all[0].destroy();
    await until(async () => (await request(here, 'GET', HANDSHAKE)).status === 200, 5000, 'there is room again');
  });

  test('too many requests are refused and counted', async () => {
    const here = from(b, '127.0.0.4');
    for (let i = 0; i < 30; i++) assert.equal((await request(here, 'GET', HANDSHAKE)).status, 200);
    const before = await refused();
    const r = await request(here, 'GET', HANDSHAKE);
    assert.equal(r.status, 429);
    assert.equal(r.headers['retry-after'], '10');
    assert.equal(await refused(), before + 1);
    assert.equal((await request(from(b, '127.0.0.5'), 'GET', HANDSHAKE)).status, 200);
  });
});

test('HAProxy\'s limits can be off', async () => {
  const b = await startHaproxy(nodes, { BALANCER_CONNS_PER_ADDRESS: '0', BALANCER_REQUESTS_PER_ADDRESS: '0' });
  try {
    for (let i = 0; i < 40; i++) assert.equal((await request(b, 'GET', HANDSHAKE)).status, 200);
  } finally {
    await b.kill9();
  }
});

describe('nginx', () => {
  const b = balancer(startNginx);
  bySessionId(b);

  test('a dead node costs new sessions nothing', async () => {
    const gone = await FakeNode.start('node-1');
    const other = await startNginx([gone, nodes[1], nodes[2]]);
    try {
      await gone.stop();
      assert.deepEqual([...used(await many(other, 20))].sort(), ['node-2', 'node-3']);
      assert.equal((await request(other, 'GET', `${HANDSHAKE}&sid=aaaaaaaaaaaaaaaaaaaa.node-1`)).status, 502);
    } finally {
      await other.kill9();
    }
  });
});

describe('nginx\'s limits per address', () => {
  const b = balancer(startNginx, {
    'limit_conn connections 2000;': 'limit_conn connections 2;',
    'burst=4000': 'burst=20', 'rate=2000r/s': 'rate=1r/m',
  });

  test('too many requests are refused', async () => {
    const here = from(b, '127.0.0.4');
    const got = [];
    for (let i = 0; i < 25; i++) got.push((await request(here, 'GET', HANDSHAKE)).status);
    assert.deepEqual(got, [...Array(21).fill(200), ...Array(4).fill(429)]);
    assert.equal((await request(from(b, '127.0.0.5'), 'GET', HANDSHAKE)).status, 200);
  });
});
