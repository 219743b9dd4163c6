'use strict';
// Balancers that stick to nothing: a request that comes to the wrong node is
// relayed to the one that has its session.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const { startFixture, startRedis, freePort } = require('../lib/servers');
const { Process, run, BUILD, OUTPUT } = require('../lib/process');
const { MODES, connect, ask, transportOf, closeAll } = require('../lib/clients');
const { PollingSession } = require('../lib/session');
const { Connection, WebSocketConnection, requestText, get, request, destroyAll } = require('../lib/raw');
const { metricsOf } = require('../lib/stage');
const { Robin } = require('../lib/robin');
const { FakeNode } = require('../lib/fake-node');
const { until, sleep, SLOW } = require('../lib/until');

const UNKNOWN = { code: 1, message: 'Session ID unknown' };

let redis;
let nodes;

const start = (name, set = {}) => startFixture({ redis, name, set: { 'listen.host': '127.0.0.1', 'node.name': name, ...set } });

// Each has heard of the others.
const meet = (list, n = list.length) => Promise.all(list.map((node) =>
  until(async () => (await metricsOf(node)).presence_peers === n - 1, 10000, `${node.name} knows ${n - 1} others`)));

async function counted(what, list = nodes) {
  let sum = 0;
  for (const n of list) sum += (await metricsOf(n))[what];
  return sum;
}

before(async () => {
  redis = await startRedis();
  nodes = await Promise.all(['one', 'two', 'three'].map((name) => start(name)));
  await meet(nodes);
});
afterEach(() => { closeAll(); destroyAll(); });
after(async () => {
  for (const n of nodes || []) await n.stop();
  await redis?.stop();
});

for (const by of ['request', 'connection']) {
  describe(`each ${by} to the next node`, () => {
    let robin;
    before(async () => { robin = await Robin.open(nodes, by); });
    after(() => robin?.close());

    for (const mode of MODES) {
      test(`${mode.name}: everybody gets every message once`, async () => {
        const clients = await Promise.all([...Array(12).keys()].map(() => connect(robin.url, '/', mode)));
        const N = 20;
        await Promise.all(clients.map(async (s, i) => {
          for (let n = 0; n < N; n++) await ask(s, 'broadcast', { event: 'said' }, `${i}:${n}`);
        }));
        for (const s of clients) await until(() => s.inbox.count('said') >= 12 * N, 10000, 'all messages');
        for (const s of clients) {
          const got = s.inbox.all.filter((e) => e.event === 'said').map((e) => e.args[0]);
          assert.equal(got.length, 12 * N);
          for (let i = 0; i < clients.length; i++) {
            assert.deepEqual(got.filter((t) => t.startsWith(`${i}:`)), [...Array(N).keys()].map((n) => `${i}:${n}`));
          }
        }
      });

      test(`${mode.name}: large messages come back as they were`, async () => {
        const s = await connect(robin.url, '/', mode);
        for (const size of [1, 70000, 600000]) {
          const data = Buffer.alloc(size, 'confab binary');
          assert.deepEqual(await ask(s, 'echo', data), data);
        }
      });
    }
  });
}

test('what is relayed is counted on both sides, and nothing of it fails', async () => {
  await until(async () => await counted('relays') === 0, 5000, 'nothing is open');
  const relayed = await counted('relayed_total{result="answered"}');
  const tunnels = await counted('relayed_total{result="websocket"}');
  const gone = await counted('relayed_total{result="gone"}');
  assert.ok(relayed > 100 && tunnels > 5, `${relayed} and ${tunnels}`);
  const served = await counted('relayed_served_total');
  assert.ok(served >= relayed + tunnels && served <= relayed + tunnels + gone, `${served} of ${relayed} + ${tunnels} + ${gone}`);
  for (const bad of ['failed', 'refused', 'busy']) assert.equal(await counted(`relayed_total{result="${bad}"}`), 0, bad);
});

describe('behind HAProxy with balance roundrobin', () => {
  let haproxy;
  const url = () => `http://127.0.0.1:${haproxy.port}`;

  before(async () => {
    const port = await freePort();
    const file = path.join(OUTPUT, `${process.pid}-roundrobin.cfg`);
    fs.writeFileSync(file, ['global', '  log stdout format raw local0 info', 'defaults', '  mode http', '  log global',
      '  timeout connect 2s', '  timeout client 75s', '  timeout server 75s', '  timeout tunnel 1h',
      '  option forwardfor', `listen all`, `  bind 127.0.0.1:${port}`, '  balance roundrobin',
      ...nodes.map((n) => `  server ${n.name} 127.0.0.1:${n.port} check inter 100ms`), ''].join('\n'));
    haproxy = new Process('haproxy', 'haproxy', ['-f', file], { env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
    haproxy.port = port;
    await until(async () => {
      try {
        return (await fetch(`${url()}/healthz`)).ok;
      } catch {
        return false;
      }
    }, 10000, 'haproxy serves');
  });
  after(() => haproxy?.kill9());

  for (const mode of MODES) {
    test(`${mode.name}: many clients, numbered messages, each once and in order`, async () => {
      const clients = await Promise.all([...Array(30).keys()].map(() => connect(url(), '/', mode)));
      const N = 10;
      const homes = new Set(await Promise.all(clients.map((s) => ask(s, 'node'))));
      assert.equal(homes.size, 3);
      await Promise.all(clients.map(async (s, i) => {
        for (let n = 0; n < N; n++) await ask(s, 'broadcast', { event: 'said' }, i, n, Buffer.alloc(2000, i));
      }));
      for (const s of clients) {
        await until(() => s.inbox.count('said') >= clients.length * N, 20000, 'all messages');
        const got = s.inbox.all.filter((e) => e.event === 'said').map((e) => e.args);
        assert.equal(got.length, clients.length * N);
        for (let i = 0; i < clients.length; i++) {
          const mine = got.filter((a) => a[0] === i);
          assert.deepEqual(mine.map((a) => a[1]), [...Array(N).keys()]);
          for (const a of mine) assert.ok(a[2].equals(Buffer.alloc(2000, i)));
        }
      }
    });
  }
});

// All nodes relay to them.
const found = (...fakes) => Promise.all(nodes.map((n) => until(
  async () => (await metricsOf(n)).presence_peers === nodes.length - 1 + fakes.length, 5000, `${n.name} knows them`)));

// ---- answers ---------------------------------------------------------------

const P = '/socket.io/?EIO=4&transport=polling&sid=';
const W = '/socket.io/?EIO=4&transport=websocket&sid=';
const UPGRADE = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
const NOBODY = 'AAAAAAAAAAAAAAAAAAAA';
const withoutDate = (r) => ({ ...r, body: String(r.body), headers: { ...r.headers, date: undefined }, lines: undefined });

function isUnknown(r) {
  assert.equal(r.status, 400);
  assert.deepEqual(JSON.parse(r.body), UNKNOWN);
}

describe('answers', () => {
  test('come as the owner gives them: headers, errors, HTTP 1.0, HEAD and what is no request of a client', async () => {
    const s = await PollingSession.open(nodes[0], { poll: false });
    const { sid } = s.handshake;
    await s.post('40');
    const headers = { Origin: 'http://example.test', 'Accept-Encoding': 'gzip' };
    const there = await get(nodes[1], P + sid, headers);
    assert.equal(there.status, 200);
    assert.match(String(there.body), /^40\{"sid":/);
    // one that the owner refuses: a binary body of the wrong kind does not end it, a second GET does
    const wrong = '/socket.io/?EIO=3&transport=polling&sid=';
    assert.deepEqual(withoutDate(await get(nodes[1], wrong + sid)), withoutDate(await get(nodes[0], wrong + sid)));
    isUnknown(await request(nodes[1], 'HEAD', P + sid).then((r) => ({ ...r, body: JSON.stringify(UNKNOWN) })));
    const c = new Connection(nodes[1]);
    c.write(`POST ${P}${sid} HTTP/1.0\r\nContent-Length: 1\r\n\r\n3`);
    const old = await c.response();
    assert.deepEqual([old.status, String(old.body), old.headers.connection], [200, 'ok', 'close']);
    await c.end();
    s.destroy();
  });

  test('keep the connection, and requests on it stay in order', async () => {
    const s = await PollingSession.open(nodes[0], { poll: false });
    const c = new Connection(nodes[2]);
    const post = (body) => requestText('POST', P + s.handshake.sid, { 'Content-Type': 'text/plain' }, body);
    c.write(Buffer.concat([post('40'), requestText('GET', P + s.handshake.sid), requestText('GET', '/healthz'), post('3')]));
    const bodies = [];
    for (let i = 0; i < 4; i++) bodies.push(String((await c.response()).body).slice(0, 2));
    assert.deepEqual([bodies[0], bodies[1], bodies[3]], ['ok', '40', 'ok']);
    s.destroy();
  });

  test('a body over the limit is refused, and the session stays', async () => {
    const s = await PollingSession.open(nodes[0], { poll: false });
    const r = await request(nodes[1], 'POST', P + s.handshake.sid, { body: `4${'x'.repeat(1000001)}` });
    assert.equal(r.status, 413);
    assert.equal((await request(nodes[1], 'POST', P + s.handshake.sid, { body: '40' })).status, 200);
    s.destroy();
  });

  test('the address of a client is that of its first request, whoever carries the others', async () => {
    const s = await PollingSession.open({ port: nodes[0].port, local: '127.0.0.7' }, { poll: false });
    const sid = P + s.handshake.sid;
    await request(nodes[1], 'POST', sid, { body: '40', headers: { 'X-Forwarded-For': '9.9.9.9' } });
    await get(nodes[1], sid); // the greeting
    await request(nodes[2], 'POST', sid, { body: '421["address"]' });
    let heard = '';
    await until(async () => {
      heard += String((await get(nodes[1], sid)).body);
      return heard.includes('431[');
    }, 5000, () => `the answer in ${heard}`);
    assert.match(heard, /431\["127\.0\.0\.7"/);
    s.destroy();
  });
});

describe('nobody is relayed to', () => {
  const cases = {
    'an unknown tag': () => NOBODY,
    'its own tag and a session that is not there': async () => (await PollingSession.open(nodes[0], { poll: false })).handshake.sid.slice(0, 6) + NOBODY.slice(6),
    'another node\'s tag and a session that is not there': async () => (await PollingSession.open(nodes[1], { poll: false })).handshake.sid.slice(0, 6) + NOBODY.slice(6),
    'a tag alone': async () => (await PollingSession.open(nodes[1], { poll: false })).handshake.sid.slice(0, 6),
  };
  for (const [what, sid] of Object.entries(cases)) {
    test(`for ${what}: the official error`, async () => {
      const id = await sid();
      isUnknown(await get(nodes[0], P + id));
      isUnknown(await request(nodes[0], 'POST', P + id, { body: '40' }));
      const here = await get(nodes[0], W + NOBODY, UPGRADE);
      const there = await get(nodes[0], W + id, UPGRADE);
      assert.deepEqual([there.status, String(there.body), there.headers], [here.status, String(here.body), here.headers]);
    });
  }

  test('when a client says it is relayed: its header makes it nobody\'s', async () => {
    const s = await PollingSession.open(nodes[1], { poll: false });
    await s.post('40');
    const before = await counted('relayed_served_total');
    isUnknown(await get(nodes[0], P + s.handshake.sid, { 'X-Confab-Relay': 'AAAAAAAAAAAAAAAAAAAAAA' }));
    isUnknown(await get(nodes[0], P + s.handshake.sid, { 'x-confab-relay': '' }));
    // where the session is, the header means nothing
    assert.equal((await get(nodes[1], P + s.handshake.sid, { 'X-Confab-Relay': 'AAAAAAAAAAAAAAAAAAAAAA' })).status, 200);
    assert.equal(await counted('relayed_served_total'), before);
    s.destroy();
  });

  test('twice: a node that is told to be another one says that it has no such session', async () => {
    const before = await counted('relayed_served_total');
    const fakes = await Promise.all(nodes.map((n) => FakeNode.open(redis, { address: `127.0.0.1:${n.port}` })));
    try {
      await found(...fakes);
      for (const f of fakes) {
        const answered = await counted('relayed_total{result="answered"}');
        for (const n of nodes) isUnknown(await get(n, P + f.sid()));
        assert.equal(await counted('relayed_total{result="answered"}'), answered + 3, 'once each');
      }
      assert.equal(await counted('relayed_served_total'), before);
    } finally {
      for (const f of fakes) await f.close();
    }
  });
});

// ---- owners that fail --------------------------------------------------------

describe('an owner', () => {
  let robin;
  let owner;
  after(() => robin?.close());

  test('that is killed: its clients are refused at once and connect anew', async () => {
    owner = await start('owner');
    await meet([...nodes, owner]);
    const poller = await PollingSession.open(owner, { poll: false });
    const killed = poller.handshake.sid;
    await poller.post('40');
    robin = await Robin.open([...nodes, owner]);
    const clients = [];
    for (const mode of MODES) {
      for (let i = 0; i < 8; i++) {
        robin.turn = i; // whose turn it is depends on how many requests a client needs
        clients.push(await connect(robin.url, '/', mode, { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 }));
      }
    }
    const homes = await Promise.all(clients.map((s) => ask(s, 'node')));
    assert.ok(homes.filter((h) => h === 'owner').length >= 3, `${homes}`);
    await owner.kill9();
    robin.nodes = nodes;
    const began = Date.now();
    isUnknown(await get(nodes[0], P + killed));
    isUnknown(await request(nodes[1], 'POST', P + killed, { body: '3' }));
    assert.equal((await get(nodes[2], W + killed, UPGRADE)).status, 400);
    assert.ok(Date.now() - began < 1000 * SLOW, `${Date.now() - began} ms`);
    for (const [i, s] of clients.entries()) {
      await until(() => s.connected, 10000, 'back again');
      const now = await ask(s, 'node');
      // what the killed node carried for others has died with it, too
      if (homes[i] !== 'owner' && s.io.opts.transports.length === 1 && transportOf(s) === 'websocket') assert.equal(now, homes[i]);
      assert.notEqual(now, 'owner');
    }
    assert.ok(await counted('relayed_total{result="refused"}') >= 3);
    poller.destroy();
    await until(async () => (await metricsOf(nodes[0])).presence_peers === 2, 10000, 'its lease is over');
    isUnknown(await get(nodes[0], P + killed));
  });

  test('that leaves in the middle of an answer ends the client\'s connection', async () => {
    const fake = await FakeNode.open(redis, { serve: (c) => c.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => c.destroy()) });
    try {
      await found(fake);
      for (const n of nodes) await assert.rejects(get(n, P + fake.sid()), /connection ended/);
    } finally {
      await fake.close();
    }
  });
});

// ---- owners that are hostile ---------------------------------------------------

describe('a hostile owner', () => {
  let fake;
  before(async () => {
    fake = await FakeNode.open(redis, {});
    await found(fake);
  });
  after(() => fake?.close());

  const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n';
  const refused = {
    'no HTTP': 'hello\r\n\r\n',
    'HTTP 1.0': 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'no length': 'HTTP/1.1 200 OK\r\n\r\nok',
    'two lengths': `${HEAD}Content-Length: 2\r\n\r\nok`,
    'a negative length': 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok',
    chunks: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'both framings': `${HEAD}Transfer-Encoding: chunked\r\n\r\nok`,
    'a switch that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    'another interim answer': `HTTP/1.1 100 Continue\r\n\r\n${HEAD}\r\nok`,
    'a folded line': `${HEAD}X-A: b\r\n c\r\n\r\nok`,
    'a bare LF': 'HTTP/1.1 200 OK\nContent-Length: 2\n\n\r\n\r\nok',
    'a control character': `${HEAD}X-A: \x01\r\n\r\nok`,
    'a head without end': `${HEAD}${'X-A: b\r\n'.repeat(10000)}`,
    nothing: null,
  };
  for (const [what, answer] of Object.entries(refused)) {
    test(`that answers with ${what} ends the client's connection, and nothing of it gets through`, async () => {
      const before = await counted('relayed_total{result="failed"}');
      fake.serve = (c) => { if (answer) c.write(answer); else c.destroy(); };
      const c = new Connection(nodes[0]);
      c.write(requestText('GET', P + fake.sid()));
      await c.end();
      assert.equal(String(c.buffer), '');
      assert.equal(await counted('relayed_total{result="failed"}'), before + 1);
    });
  }

  test('that answers byte by byte is understood, and its connection headers stay behind', async () => {
    fake.serve = async (c) => {
      for (const b of `${HEAD}X-Own: 1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nok`) {
        c.write(b);
        await new Promise(setImmediate);
      }
    };
    const r = await get(nodes[0], P + fake.sid());
    assert.deepEqual([String(r.body), r.headers['x-own'], r.headers['keep-alive'], r.headers.connection], ['ok', '1', undefined, 'keep-alive']);
  });

  test('that says more than it announced is not asked again on that connection', async () => {
    fake.serve = (c) => c.write(`${HEAD}\r\nok and more`);
    const c = new Connection(nodes[0]);
    for (let i = 0; i < 3; i++) {
      c.write(requestText('GET', P + fake.sid()));
      assert.equal(String((await c.response()).body), 'ok');
    }
    assert.equal(c.buffer.length, 0);
    await until(() => [...fake.connections].every((f) => f.gone), 5000, 'its connections are closed');
  });

  test('gets the request whole, with the client\'s address, and without what was the client\'s own', async () => {
    fake.serve = (c) => c.write(`${HEAD}\r\nok`);
    fake.requests = [];
    const target = `${P + fake.sid()}&t=%20x`;
    const headers = { Connection: 'keep-alive, X-Hop', 'X-Hop': '1', 'X-Forwarded-For': ['6.6.6.6', '7.7.7.7'], Cookie: 'a=b',
      'Content-Type': 'text/plain', Expect: '100-continue' };
    const c = new Connection({ port: nodes[0].port, local: '127.0.0.9' });
    c.write(requestText('POST', target, headers, 'some body'));
    await c.upTo('HTTP/1.1 100 Continue\r\n\r\n');
    assert.equal((await c.response()).status, 200);
    const [{ head, body }] = fake.requests;
    const [line, ...lines] = head.split('\r\n');
    assert.equal(line, `POST ${target} HTTP/1.1`);
    assert.deepEqual(lines.map((l) => l.toLowerCase()).sort(), ['host: localhost', 'cookie: a=b', 'content-type: text/plain',
      'content-length: 9', 'x-forwarded-for: 6.6.6.6, 7.7.7.7, 127.0.0.9', 'x-forwarded-proto: http',
      `x-confab-relay: ${fake.token.toLowerCase()}`].sort());
    assert.equal(String(body), 'some body');
  });

  test('sees that the client has left', async () => {
    fake.serve = () => {};
    fake.requests = [];
    const c = new Connection(nodes[0]);
    c.write(requestText('GET', P + fake.sid()));
    await until(() => fake.requests.length === 1, 5000, 'the poll is there');
    assert.equal((await metricsOf(nodes[0])).relays, 1);
    c.destroy();
    await until(() => [...fake.connections].every((f) => f.gone), 5000, 'the owner sees it');
    await until(async () => (await metricsOf(nodes[0])).relays === 0, 5000, 'nothing is open');
  });

  // Writes until nobody takes more; how much was taken.
  async function flood(write) {
    const piece = Buffer.alloc(65536, 'x');
    let taken = 0;
    let pending = 0;
    let last = Date.now();
    while (taken < 200e6 && Date.now() - last < 500 * SLOW) {
      if (pending < 1e6) {
        pending += piece.length;
        write(piece, () => {
          pending -= piece.length;
          taken += piece.length;
          last = Date.now();
        });
      }
      await new Promise(setImmediate);
    }
    return taken;
  }

  const BUFFERS = 40e6; // of the kernel, in both connections, and of the node

  test('whose answer nobody reads is not read: the node keeps little of it', async () => {
    const rss = nodes[0].rss();
    let taken;
    fake.serve = (c) => {
      c.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
      taken = flood((d, done) => c.write(d, done));
    };
    const c = new Connection(nodes[0]);
    c.socket.pause();
    c.write(requestText('GET', P + fake.sid()));
    await until(() => taken, 5000, 'the answer begins');
    const n = await taken;
    assert.ok(n < BUFFERS, `${n} bytes were taken`);
    assert.ok(nodes[0].rss() - rss < 4000 * SLOW, `${nodes[0].rss() - rss} kB more`);
    c.destroy();
    await until(() => [...fake.connections].every((f) => f.gone), 5000, 'it is over');
  });

  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n';
  async function tunnel(serve) {
    let far;
    fake.serve = (c) => {
      far = c;
      c.heard = 0;
      c.text = '';
      c.tunnel = (d) => {
        c.heard += d.length;
        if (c.heard < 1000) c.text += d;
      };
      c.write(SWITCH);
      serve?.(c);
    };
    const near = await WebSocketConnection.open(nodes[0], W + fake.sid());
    await until(() => far, 5000, 'the owner has it');
    return { near, far };
  }

  for (const slow of ['client', 'owner']) {
    test(`and a WebSocket whose ${slow} does not read: the other is not read either`, async () => {
      const { near, far } = await tunnel();
      const [from, to] = slow === 'client' ? [far, near.socket] : [near.socket, far];
      const rss = nodes[0].rss();
      to.pause();
      const n = await flood((d, done) => from.write(d, done));
      assert.ok(n < BUFFERS, `${n} bytes were taken`);
      assert.ok(nodes[0].rss() - rss < 4000 * SLOW, `${nodes[0].rss() - rss} kB more`);
      // and goes on where it was
      let heard = 0;
      to.removeAllListeners('data');
      to.on('data', (d) => { heard += d.length; });
      to.resume();
      await until(() => heard >= n, 10000, () => `${heard} of ${n}`);
      near.destroy();
      await until(() => far.gone, 5000, 'the end gets through');
      far.destroy();
    });
  }

  test('and a WebSocket: what is said with the switch and behind it arrives in order, and the ends do', async () => {
    const { near, far } = await tunnel((c) => c.write('first'));
    far.write(' second');
    assert.equal(String(await near.bytes(12)), 'first second');
    near.write('one').write(' two');
    await until(() => far.text === 'one two', 5000, () => far.text);
    assert.equal((await metricsOf(nodes[0])).relays, 1);
    far.end('last words');
    assert.equal(String(await near.bytes(10)), 'last words');
    await near.end();
    near.destroy();
    const other = await tunnel();
    other.near.socket.end('farewell');
    await until(() => other.far.text === 'farewell' && other.far.gone, 5000, () => other.far.text);
    await until(async () => (await metricsOf(nodes[0])).relays === 0, 5000, 'nothing is open');
  });
});

// ---- settings ------------------------------------------------------------------

describe('a node', () => {
  let node;
  let fake;
  const serve = async (set) => {
    node = await start('set', set);
    await until(async () => (await metricsOf(node)).presence_peers >= nodes.length + 1, 5000, 'it knows the others');
  };
  before(async () => {
    fake = await FakeNode.open(redis, {});
    await found(fake);
  });
  afterEach(async () => {
    destroyAll();
    await node?.stop();
    node = null;
  });
  after(() => fake?.close());

  test('gives up an owner that says nothing for longer than a poll may last', async () => {
    await serve({ 'engine.ping_interval_ms': 200, 'engine.ping_timeout_ms': 300 });
    fake.serve = () => {};
    const began = Date.now();
    await assert.rejects(get(node, P + fake.sid()), /connection ended/);
    const ms = Date.now() - began;
    assert.ok(ms >= 2400, `${ms} ms`);
  });

  test('carries so many requests at once, half of them for one owner, and no more', async () => {
    await serve({ 'limits.relays': 4 });
    fake.serve = () => {};
    fake.requests = [];
    const open = [1, 2].map(() => new Connection(node).write(requestText('GET', P + fake.sid())));
    await until(() => fake.requests.length === 2, 5000, 'two are there');
    const r = await get(node, P + fake.sid());
    assert.equal(r.status, 503);
    assert.ok(Number(r.headers['retry-after']) > 0);
    // there is room for another owner
    const s = await PollingSession.open(nodes[0], { poll: false });
    assert.equal((await request(node, 'POST', P + s.handshake.sid, { body: '40' })).status, 200);
    assert.equal((await metricsOf(node))['relayed_total{result="busy"}'], 1);
    for (const c of open) c.destroy();
    s.destroy();
  });

  test('with cluster.relay off relays nothing, and nothing comes to it', async () => {
    await serve({ 'cluster.relay': false });
    const here = await PollingSession.open(node, { poll: false });
    const there = await PollingSession.open(nodes[0], { poll: false });
    isUnknown(await get(node, P + there.handshake.sid));
    isUnknown(await get(nodes[0], P + here.handshake.sid));
    assert.equal((await request(node, 'POST', P + here.handshake.sid, { body: '40' })).status, 200);
  });

  test('that listens on every address is found by the one from which it reaches Redis', async () => {
    await serve({ 'listen.host': '' });
    const s = await PollingSession.open(node, { poll: false });
    assert.equal((await request(nodes[0], 'POST', P + s.handshake.sid, { body: '40' })).status, 200);
    s.destroy();
  });

  for (const host of ['localhost', '127.0.0.1', '[::ffff:127.0.0.1]']) {
    test(`is found where cluster.relay_address says: at ${host}`, async () => {
      const port = await freePort();
      await serve({ 'listen.port': port, 'cluster.relay_address': `${host}:${port}` });
      const s = await PollingSession.open(node, { poll: false });
      assert.equal((await request(nodes[0], 'POST', P + s.handshake.sid, { body: '40' })).status, 200);
      s.destroy();
    });
  }

  test('does not start with a cluster.relay_address that is none', async () => {
    const r = await run(path.join(BUILD, 'confab'), ['--check-config', '--set', 'cluster.relay_address=10.0.0.1']);
    assert.equal(r.code, 2);
    assert.match(r.output, /cluster\.relay_address is not host:port/);
  });

  test('with TLS takes requests at cluster.relay_port, and says that it takes none without', async () => {
    const [cert, key] = ['crt', 'key'].map((end) => path.join(OUTPUT, `${process.pid}-relay.${end}`));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
      '-days', '2', '-subj', '/CN=relay', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    fs.chmodSync(key, 0o600);
    const secure = { 'tls.certificate_file': cert, 'tls.key_file': key };
    const options = { ca: fs.readFileSync(cert) };
    const port = await freePort();
    const closed = await start('closed', secure);
    node = await start('set', { ...secure, 'cluster.relay_port': port });
    try {
      await closed.says(/relay_off/);
      await until(async () => (await metricsOf(nodes[0])).presence_peers === nodes.length + 2, 5000, 'both are known');
      await node.says(/peer_found .*peers=5/);
      const there = await connect(closed.url, '/', MODES[0], options);
      isUnknown(await get(nodes[0], P + there.io.engine.id));
      const s = await connect(node.url, '/', MODES[0], options);
      assert.equal((await request(nodes[0], 'POST', P + s.io.engine.id, { body: '3' })).status, 200);
      // and relays itself: a client over TLS of a node without
      const plain = await PollingSession.open(nodes[1], { poll: false });
      const r = await new Promise((resolve, reject) => {
        https.request(`${node.url}${P}${plain.handshake.sid}`, { ...options, method: 'POST' }, resolve).on('error', reject).end('40');
      });
      assert.equal(r.statusCode, 200);
      r.resume();
      plain.destroy();
    } finally {
      closeAll();
      await closed.stop();
    }
  });

  test('serves nobody but nodes at cluster.relay_port', async () => {
    const port = await freePort();
    await serve({ 'cluster.relay_port': port });
    const s = await PollingSession.open(node, { poll: false });
    assert.equal((await request(nodes[0], 'POST', P + s.handshake.sid, { body: '40' })).status, 200);
    assert.equal((await metricsOf(node)).relayed_served_total, 1);
    isUnknown(await get({ port }, P + s.handshake.sid));
    isUnknown(await get({ port }, '/socket.io/?EIO=4&transport=polling', { 'X-Confab-Relay': 'AAAAAAAAAAAAAAAAAAAAAA' }));
    assert.equal((await get({ port }, '/metrics')).status, 404);
    s.destroy();
  });
});
