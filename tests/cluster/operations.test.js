'use strict';
// Operations on the whole cluster: what one node asks of another and tells it.
// The nodes are the test program's, with the profile ctl.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const { createClient } = require('redis');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-adapter');
const { startFixture, startRedis } = require('../lib/servers');
const { join } = require('../lib/suite');
const { connect, alsoConnect, ask, reasonOf, closeAll } = require('../lib/clients');
const { metric } = require('../lib/metrics');
const { until, SLOW } = require('../lib/until');

// One node with a client that tells it what to do.
class Node {
  static async start(redis, name, set = {}) {
    const node = new Node();
    node.process = await startFixture({ profile: 'ctl', redis, name, set });
    return node;
  }

  async take() {
    this.ctl = await connect(this.process.url, '/ctl');
    // Server-side events, acknowledged with `this.answer` when that is wanted.
    this.answer = undefined;
    this.ctl.on('server-side', (nsp, event, args, ack) => {
      if (ack && this.answer !== undefined) ack(this.answer);
    });
  }

  // With time enough on a busy machine, unless the test has a say in it.
  op(o) {
    return ask(this.ctl, 'op', { ...o, flags: { timeout: 9000, ...o.flags } });
  }

  async value(o) {
    const answer = await this.op(o);
    assert.deepEqual(Object.keys(answer), ['value'], `${JSON.stringify(o)}: ${JSON.stringify(answer)}`);
    return answer.value;
  }

  open(namespace = '/', options = {}) {
    return connect(this.process.url, namespace, undefined, options);
  }

  rooms(s, nsp = '/') {
    return this.value({ op: 'socket', nsp, id: s.id, what: 'rooms' });
  }
}

// A pair on one Redis, which know each other.
async function pair(redis, set) {
  const nodes = [];
  for (const name of ['one', 'two']) nodes.push(await Node.start(redis, name, set));
  await meet(nodes);
  return nodes;
}

async function meet(nodes, n = nodes.length) {
  for (const node of nodes) {
    await node.take();
    for (const nsp of ['/', '/custom']) {
      await until(async () => (await node.op({ op: 'serverCount', nsp })).value === n, 10000, `${n} servers`);
    }
  }
}

const sorted = (list) => [...list].sort();
const ids = (sockets) => sorted(sockets.map((s) => s.id));

describe('two nodes', () => {
  let redis;
  let nodes;

  before(async () => {
    redis = await startRedis();
    nodes = await pair(redis, { 'limits.rooms_per_socket': 8, 'cluster.requests_timeout_ms': 9000 });
  });

  afterEach(closeAll);

  after(async () => {
    for (const n of nodes || []) await n.process.stop();
    await redis?.stop();
  });

  // The node that acts, the other one, and `n` sockets on each.
  async function stage(from, n = 1, namespace = '/') {
    const [here, there] = [nodes[from], nodes[1 - from]];
    for (const node of nodes) {
      await node.take();
      await node.value({ op: 'reset' });
    }
    const [mine, theirs] = [[], []];
    for (let i = 0; i < n; i++) {
      mine.push(await here.open(namespace));
      theirs.push(await there.open(namespace));
    }
    const value = (o) => here.value({ nsp: namespace, ...o });
    return { here, there, mine, theirs, value, op: (o) => here.op({ nsp: namespace, ...o }) };
  }

  for (const from of [0, 1]) {
    describe(`from ${from ? 'two to one' : 'one to two'}`, () => {
      test('events reach rooms of both, but those excepted, and with local none of the other', async () => {
        const { value, mine, theirs } = await stage(from, 2, '/custom');
        await value({ op: 'socketsJoin', rooms: [mine[0].id, theirs[0].id], target: 'a' });
        await value({ op: 'emit', rooms: ['a'], args: ['a', { deep: [Buffer.from([1])] }, 1.5] });
        await value({ op: 'emit', except: ['a'], args: ['b'] });
        await value({ op: 'emit', rooms: [theirs[0].id], args: ['c'] });
        await value({ op: 'emit', flags: { local: true }, args: ['d'] });
        await value({ op: 'emit', args: ['fence'] });
        for (const s of [...mine, ...theirs]) await s.inbox.take('fence');
        assert.deepEqual([mine, theirs].map((all) => all.map((s) => s.inbox.names())),
          [[['a', 'd'], ['b', 'd']], [['a', 'c'], ['b']]]);
        assert.deepEqual((await theirs[0].inbox.take('a')), [{ deep: [Buffer.from([1])] }, 1.5]);
      });

      test('everyone is asked, and answers', async () => {
        const { value, mine, theirs } = await stage(from, 2);
        for (const [i, s] of [...mine, ...theirs].entries()) {
          s.on('q', (x, ack) => ack({ i, x, own: Buffer.from([i]) }, 'more'));
        }
        const { err, responses } = await value({ op: 'emit', args: ['q', Buffer.from('é')], ack: true });
        assert.equal(err, null);
        assert.deepEqual(responses.sort((a, b) => a.i - b.i),
          [0, 1, 2, 3].map((i) => ({ i, x: Buffer.from('é'), own: Buffer.from([i]) })));
        assert.deepEqual(await value({ op: 'emit', rooms: ['nobody'], args: ['q', 1], ack: true }), { err: null, responses: [] });
        const one = await value({ op: 'emit', rooms: [theirs[1].id], args: ['q', 1], ack: true });
        assert.deepEqual(one.responses.map((r) => r.i), [3]);
        const local = await value({ op: 'emit', flags: { local: true }, args: ['q', 1], ack: true });
        assert.deepEqual(sorted(local.responses.map((r) => r.i)), [0, 1]);
      });

      test('an acknowledgement without a value is one, and counts', async () => {
        const { value, mine, theirs } = await stage(from);
        mine[0].on('q', (ack) => ack());
        theirs[0].on('q', (ack) => ack());
        assert.deepEqual(await value({ op: 'emit', args: ['q'], ack: true }), { err: null, responses: [null, null] });
      });

      test('what looks like an attachment and is none is not taken for one', async () => {
        const { value, mine, theirs } = await stage(from);
        mine[0].on('q', (ack) => ack(Buffer.from('secret')));
        theirs[0].on('q', (ack) => ack({ mine: { _placeholder: true, num: 0 } }));
        const { err, responses } = await value({ op: 'emit', args: ['q'], ack: true });
        assert.equal(err, null);
        assert.equal(responses.length, 2);
        assert.ok(responses.includes(null), JSON.stringify(responses));
        assert.deepEqual(responses.find((r) => r), Buffer.from('secret'));
      });

      test('who does not answer is missing in time, and the others are there', async () => {
        const { value, mine, theirs } = await stage(from, 2);
        for (const [i, s] of [mine[0], theirs[0]].entries()) s.on('q', (ack) => ack(i));
        const asked = value({ op: 'emit', args: ['q'], flags: { timeout: 1500 }, ack: true });
        await until(async () => (await value({ op: 'stats' })).ackRequests === 1, 1400, 'one pending');
        const start = Date.now();
        const { err, responses } = await asked;
        assert.equal(err, 'operation has timed out');
        assert.deepEqual(sorted(responses), [0, 1]);
        assert.ok(Date.now() - start < 5000 * SLOW);
        assert.deepEqual(await value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
      });

      test('an acknowledged join or leave is effective on both', async () => {
        const { value, here, there, mine: [a], theirs: [b] } = await stage(from, 1, '/custom');
        const both = async () => [await here.rooms(a, '/custom'), await there.rooms(b, '/custom')];
        await value({ op: 'socketsJoin', target: ['x', 7, 'z'] });
        assert.deepEqual(await both(), [[a.id, 'x', '7', 'z'], [b.id, 'x', '7', 'z']]);
        await value({ op: 'socketsLeave', target: [7, 'nowhere'] });
        await value({ op: 'socketsJoin', except: [a.id], target: 'only b' });
        await value({ op: 'socketsLeave', rooms: ['only b'], target: 'x' });
        await value({ op: 'socketsLeave', flags: { local: true }, target: 'z' });
        await value({ op: 'socketsJoin', flags: { local: true }, target: 'here' });
        assert.deepEqual(await both(), [[a.id, 'x', 'here'], [b.id, 'z', 'only b']]);
      });

      test('a bound of the other node holds there', async () => {
        const { value, there, theirs: [b] } = await stage(from);
        const count = () => metric(there.process, 'confab_limit_total{limit="rooms"}');
        const refused = await count();
        await value({ op: 'socketsJoin', rooms: [b.id], target: Array.from({ length: 10 }, (_, i) => `room ${i}`) });
        assert.equal((await there.rooms(b)).length, 9);
        assert.equal(await count() - refused, 2);
      });

      test('an acknowledged disconnect is effective on both', async () => {
        const { value, there, here, mine, theirs } = await stage(from, 3);
        const others = [await alsoConnect(theirs[0], '/custom'), await alsoConnect(theirs[1], '/custom')];
        await value({ op: 'disconnectSockets', rooms: [mine[0].id, theirs[0].id] });
        await value({ op: 'disconnectSockets', rooms: [theirs[1].id], close: true });
        for (const node of [here, there]) {
          assert.deepEqual(ids(await node.value({ op: 'fetchSockets' })), ids([mine[1], mine[2], theirs[2]]));
        }
        await value({ op: 'disconnectSockets', flags: { local: true } });
        assert.deepEqual(ids(await there.value({ op: 'fetchSockets' })), ids([theirs[2]]));
        for (const s of [...mine, theirs[0], theirs[1]]) assert.equal(await reasonOf(s), 'io server disconnect');
        assert.equal(await reasonOf(others[1]), 'io server disconnect');
        assert.deepEqual(ids(await value({ op: 'fetchSockets', nsp: '/custom' })), ids([others[0]]));
      });

      test('sockets of both are fetched with handshake, rooms and data', async () => {
        const { value, there, mine: [a] } = await stage(from, 1, '/custom');
        const b = await there.open('/custom', { auth: { user: 'ann "\\' } });
        const data = { n: [1, 'é', null], deep: { x: {} } };
        await there.value({ op: 'socket', nsp: '/custom', id: b.id, what: 'setData', value: data });
        await value({ op: 'socketsJoin', rooms: [b.id], target: 'quoted "\\\n\u0000' });
        const handshake = await there.value({ op: 'socket', nsp: '/custom', id: b.id, what: 'handshake' });
        assert.deepEqual(await value({ op: 'fetchSockets', rooms: ['quoted "\\\n\u0000'] }),
          [{ id: b.id, handshake, rooms: [b.id, 'quoted "\\\n\u0000'], data }]);
        assert.deepEqual(handshake.auth, { user: 'ann "\\' });
        assert.equal((await value({ op: 'fetchSockets' })).length, 3);
        assert.deepEqual(ids(await value({ op: 'fetchSockets', flags: { local: true } })), [a.id]);
        assert.deepEqual(await value({ op: 'fetchSockets', nsp: '/' }), []);
      });

      test('rooms of both are listed once', async () => {
        const { value, there, mine, theirs } = await stage(from, 2);
        await value({ op: 'socketsJoin', target: ['both', 5] });
        await there.value({ op: 'socket', id: theirs[0].id, what: 'join', target: 'there' });
        assert.deepEqual(sorted(await value({ op: 'allRooms' })),
          sorted(['both', '5', 'there', ...ids(mine), ...ids(theirs)]));
        assert.deepEqual(await value({ op: 'allRooms', nsp: '/custom' }), []);
      });

      test('a server-side event goes to the other server, in its namespace, and not to its own', async () => {
        const { value, here, there } = await stage(from);
        await value({ op: 'serverSideEmit', args: ['hello', 1, { a: [true, null] }, Buffer.from([0, 255])] });
        await value({ op: 'serverSideEmit', nsp: '/custom', args: ['world'] });
        const buffer = { type: 'Buffer', data: [0, 255] };
        assert.deepEqual(await there.ctl.inbox.takeAll('server-side', 2),
          [['/', 'hello', [1, { a: [true, null] }, buffer]], ['/custom', 'world', []]]);
        assert.equal(here.ctl.inbox.count('server-side'), 0);
      });

      test('a server-side event is answered', async () => {
        const { value, there } = await stage(from);
        for (const answer of ['text', 0, null, { deep: ['é'] }]) {
          there.answer = answer;
          assert.deepEqual(await value({ op: 'serverSideEmit', args: ['q', answer], ack: true }),
            { err: null, responses: [answer] });
        }
        there.answer = Buffer.from('ab');
        assert.deepEqual((await value({ op: 'serverSideEmit', args: ['q'], ack: true })).responses,
          [{ type: 'Buffer', data: [97, 98] }]);
      });

      test('a server-side event that is not answered times out', async () => {
        const { value } = await stage(from);
        assert.deepEqual(await value({ op: 'serverSideEmit', args: ['q'], flags: { timeout: 200 }, ack: true }),
          { err: 'timeout reached: only 0 responses received out of 1', responses: [] });
        assert.deepEqual(await value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
      });

      test('many questions at once get their own answers', async () => {
        const { value, there, mine, theirs } = await stage(from);
        there.answer = 'same';
        for (const s of [mine[0], theirs[0]]) s.on('q', (i, ack) => ack(i));
        const all = await Promise.all(Array.from({ length: 50 }, (_, i) => Promise.all([
          value({ op: 'emit', args: ['q', i], ack: true, flags: { timeout: 5000 } }),
          value({ op: 'fetchSockets', rooms: [i % 2 ? mine[0].id : theirs[0].id] }),
          value({ op: 'serverSideEmit', args: ['q', i], ack: true, flags: { timeout: 5000 } }),
          value({ op: 'serverCount' }),
        ])));
        for (const [i, [emit, found, server, n]] of all.entries()) {
          assert.deepEqual(emit, { err: null, responses: [i, i] });
          assert.deepEqual(ids(found), ids([i % 2 ? mine[0] : theirs[0]]));
          assert.deepEqual(server, { err: null, responses: ['same'] });
          assert.equal(n, 2);
        }
        assert.deepEqual(await value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
      });
    });
  }
});

describe('a pair of nodes', () => {
  // With Redis and nodes of the test's own.
  async function own(t, set) {
    const redis = await startRedis();
    const nodes = await pair(redis, set);
    t.after(async () => {
      closeAll();
      for (const n of nodes) {
        n.process.signal('SIGCONT');
        if (!n.process.ended) await n.process.stop();
      }
      await redis.stop();
    });
    return nodes;
  }

  test('of a server that stands still nothing comes, and of the others all', async (t) => {
    const [one, two] = await own(t);
    const [a] = [await one.open(), await two.open()];
    a.on('q', (ack) => ack('a'));
    two.process.signal('SIGSTOP');
    const flags = { timeout: undefined }; // the profile's own
    const [emit, server, ...errors] = await Promise.all([
      one.value({ op: 'emit', args: ['q'], ack: true, flags }),
      one.value({ op: 'serverSideEmit', args: ['q'], ack: true, flags }),
      one.op({ op: 'fetchSockets' }),
      one.op({ op: 'allRooms' }),
      one.value({ op: 'socketsJoin', target: 'x' }),
    ]);
    assert.deepEqual(emit, { err: 'operation has timed out', responses: ['a'] });
    assert.deepEqual(server, { err: 'timeout reached: only 0 responses received out of 1', responses: [] });
    assert.deepEqual(errors, [{ error: 'timeout reached while waiting for fetchSockets response' },
      { error: 'timeout reached while waiting for allRooms response' }, null]);
    assert.deepEqual(await one.rooms(a), [a.id, 'x']);
    assert.deepEqual(await one.value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
  });

  test('a server that dies is not waited for', async (t) => {
    const [one, two] = await own(t, { 'cluster.requests_timeout_ms': 60000 });
    const [a] = [await one.open(), await two.open()];
    a.on('q', (ack) => ack('a'));
    two.process.signal('SIGSTOP');
    const asked = Promise.all([
      one.value({ op: 'emit', args: ['q'], ack: true, flags: { timeout: 60000 } }),
      one.value({ op: 'serverSideEmit', args: ['q'], ack: true, flags: { timeout: 60000 } }),
      one.op({ op: 'fetchSockets' }),
    ]);
    await until(async () => {
      const open = await one.value({ op: 'stats' });
      return open.requests === 2 && open.ackRequests === 1;
    }, 5000, 'all are open');
    await two.process.kill9();
    const [emit] = await asked;
    assert.deepEqual(emit.responses, ['a']);
    assert.deepEqual(await one.value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
    assert.deepEqual(ids(await one.value({ op: 'fetchSockets' })), [a.id]);
  });

  test('while Redis is away answers are those of this server, and say that others may miss', async (t) => {
    const redis = await startRedis();
    const [one, two] = await pair(redis);
    t.after(async () => {
      closeAll();
      for (const n of [one, two]) await n.process.stop();
      await redis.stop();
    });
    const [a, b] = [await one.open(), await two.open()];
    for (const s of [a, b]) s.on('q', (ack) => ack(s.id));
    await redis.kill9();
    await until(async () => await one.value({ op: 'serverCount' }) === 1, 5000, 'it is alone');
    assert.deepEqual(await Promise.all([
      one.value({ op: 'emit', args: ['q'], ack: true, flags: { timeout: 1000 } }),
      one.value({ op: 'serverSideEmit', args: ['q'], ack: true, flags: { timeout: 1000 } }),
      one.op({ op: 'fetchSockets' }),
      one.value({ op: 'fetchSockets', flags: { local: true } }).then(ids),
    ]), [{ err: 'operation has timed out', responses: [a.id] },
      { err: 'timeout reached: only 0 responses received out of 1', responses: [] },
      { error: 'timeout reached while waiting for fetchSockets response' }, [a.id]]);
    await one.value({ op: 'socketsJoin', target: 'x' });
    assert.deepEqual([await one.rooms(a), await two.rooms(b)], [[a.id, 'x'], [b.id]]);
    await one.value({ op: 'disconnectSockets' });
    assert.equal(await reasonOf(a), 'io server disconnect');
    assert.deepEqual(await one.value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
  });

  test('a server that stops has told whoever asked it, and ends well', async (t) => {
    const [one, two] = await own(t, { 'cluster.requests_timeout_ms': 60000 });
    const b = await two.open();
    const asked = Promise.all([
      // how many clients it has asked it has told: they are waited for
      one.value({ op: 'emit', args: ['q'], ack: true, flags: { timeout: 2000 } }),
      one.value({ op: 'serverSideEmit', args: ['q'], ack: true, flags: { timeout: 60000 } }),
    ]);
    await b.inbox.take('q');
    await two.ctl.inbox.take('server-side');
    await two.process.stop();
    const [emit, server] = await asked;
    assert.deepEqual([emit.responses, server.responses], [[], []]);
    // with questions of its own
    const c = await one.open();
    one.ctl.emit('op', { op: 'emit', args: ['q'], ack: true, flags: { timeout: 60000 } }, () => {});
    await c.inbox.take('q');
    await one.process.stop();
  });
});

describe('two servers of which one stands still', () => {
  const servers = {};

  before(async () => {
    servers.redis = await startRedis();
    const set = { 'cluster.requests_timeout_ms': 700 };
    for (const name of ['one', 'two']) servers[name] = await startFixture({ redis: servers.redis, name, set });
  });

  after(async () => {
    closeAll();
    servers.two?.signal('SIGCONT');
    for (const name of ['one', 'two', 'redis']) await servers[name]?.stop();
  });

  test('an answer may come later, until its namespace goes', async () => {
    const [a, b] = [await join(servers.one, '/dyn-2'), await join(servers.two, '/dyn-2')];
    const question = async (...args) => {
      assert.equal(await ask(a, ...args), 0);
      return a.inbox.take('answers');
    };
    await until(async () => (await question('fetch'))[0].length === 2, 10000, 'both are there');
    assert.deepEqual(await question('server-ask', 5000, 'later', 50), [['late'], 0]);
    await servers.two.says(/later taken\nlate answer 0\n/);
    const asked = question('server-ask', 60000, 'later', 1000);
    await servers.two.says(/later taken\nlate answer 0\nlater taken/);
    b.disconnect();
    assert.deepEqual(await asked, [[], 1]);
    await servers.two.says(/later taken\nlate answer 0\nlater taken\n[^]*late answer -4\n/);
  });

  for (const namespace of ['/custom', '/dyn-1']) {
    test(`answers are partial, and say so: ${namespace}`, async () => {
      const [a, b] = [await join(servers.one, namespace), await join(servers.two, namespace)];
      const question = async (...args) => {
        assert.equal(await ask(a, ...args), 0);
        return a.inbox.take('answers');
      };
      await until(async () => (await question('fetch'))[0].length === 2, 10000, 'both are there');
      assert.deepEqual(sorted((await question('all-rooms'))[0]), ids([a, b]));
      assert.deepEqual(await question('server-ask', 5000, 'double', 21), [[42], 0]);
      for (const ms of [100, 0]) assert.deepEqual(await question('server-ask', ms, 'nobody hears it'), [[], 1]);
      for (const s of [a, b]) s.on('q', (ack) => ack(s.id));
      servers.two.signal('SIGSTOP');
      const [sockets, missing] = await question('fetch');
      assert.deepEqual([ids(sockets), missing], [[a.id], 1]);
      assert.deepEqual(await question('all-rooms'), [[a.id], 1]);
      assert.deepEqual(await question('server-ask', 300, 'double', 21), [[], 1]);
      assert.deepEqual(await question('broadcast-ack', { event: 'q', timeout: 300 }), [[a.id], 1]);
      servers.two.signal('SIGCONT');
      await until(async () => (await question('fetch'))[1] === 0, 10000, 'both answer again');
    });
  }
});

describe('with a Node.js server', () => {
  const node = {};
  let redis;
  let nodejs;

  before(async () => {
    redis = await startRedis();
    node.confab = await Node.start(redis, 'confab', { 'cluster.requests_timeout_ms': 9000 });
    const pub = createClient({ url: redis.url });
    const sub = pub.duplicate();
    await Promise.all([pub.connect(), sub.connect()]);
    const server = http.createServer();
    const io = new Server(server, { adapter: createAdapter(pub, sub) });
    io.of('/custom');
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    nodejs = {
      io,
      url: `http://127.0.0.1:${server.address().port}`,
      async stop() {
        await io.close();
        await Promise.all([pub.quit(), sub.quit()]);
      },
    };
    await meet([node.confab], 2);
  });

  // The confab node, with nobody on either.
  async function fresh() {
    closeAll();
    const { confab } = node;
    await confab.take();
    nodejs.io.removeAllListeners();
    await until(async () => (await confab.value({ op: 'fetchSockets' })).length === 0, 5000, 'all are gone');
    return { confab, io: nodejs.io, value: (o) => confab.value(o), a: await confab.open(), b: await connect(nodejs.url) };
  }
  const socketOf = (b) => nodejs.io.sockets.sockets.get(b.id);

  test('what confab asks of it and tells it', async () => {
    const { value, io, a, b } = await fresh();
    assert.equal(await value({ op: 'serverCount' }), 2);
    socketOf(b).data = { n: [1, 'é'] };
    await value({ op: 'socketsJoin', target: ['x', 'y'] });
    await value({ op: 'socketsLeave', rooms: ['x'], except: [a.id], target: 'y' });
    assert.deepEqual([...socketOf(b).rooms], [b.id, 'x']);
    const [found] = await value({ op: 'fetchSockets', rooms: ['x'], except: [a.id] });
    assert.deepEqual([found.id, found.rooms, found.data], [b.id, [b.id, 'x'], { n: [1, 'é'] }]);
    assert.equal(found.handshake.address, socketOf(b).handshake.address);
    assert.deepEqual(ids(await value({ op: 'fetchSockets' })), ids([a, b]));
    assert.deepEqual(sorted(await value({ op: 'allRooms' })), sorted([a.id, b.id, 'x', 'y']));
    for (const [s, own] of [[a, Buffer.from('a')], [b, { deep: [Buffer.from('b')] }]]) s.on('q', (x, ack) => ack(own));
    const { err, responses } = await value({ op: 'emit', args: ['q', Buffer.from('q')], ack: true });
    assert.deepEqual([err, new Set(responses.map((r) => JSON.stringify(r)))],
      [null, new Set([Buffer.from('a'), { deep: [Buffer.from('b')] }].map((r) => JSON.stringify(r)))]);
    const seen = [];
    io.on('hi', (...args) => seen.push(args));
    io.on('q', (x, ack) => ack({ twice: 2 * x }, 'not sent'));
    await value({ op: 'serverSideEmit', args: ['hi', 1, { a: null }, Buffer.from([7])] });
    assert.deepEqual(await value({ op: 'serverSideEmit', args: ['q', 21], ack: true }), { err: null, responses: [{ twice: 42 }] });
    assert.deepEqual(seen, [[1, { a: null }, { type: 'Buffer', data: [7] }]]);
    await value({ op: 'disconnectSockets', rooms: [b.id] });
    assert.equal(await reasonOf(b), 'io server disconnect');
    await value({ op: 'disconnectSockets', close: true });
    assert.equal(await reasonOf(a), 'io server disconnect');
  });

  test('what it asks of confab and tells it', async () => {
    const { confab, value, io, a, b } = await fresh();
    assert.equal(await io.of('/').adapter.serverCount(), 2);
    await value({ op: 'socket', id: a.id, what: 'setData', value: { n: [1, 'é'] } });
    io.socketsJoin(['x', 'y', 7]);
    io.in('x').except(b.id).socketsLeave('y');
    const [found] = await io.in('x').except(b.id).fetchSockets();
    assert.deepEqual([found.id, [...found.rooms], found.data], [a.id, [a.id, 'x', '7'], { n: [1, 'é'] }]);
    assert.deepEqual(found.handshake, await value({ op: 'socket', id: a.id, what: 'handshake' }));
    assert.deepEqual(new Set(await io.of('/').adapter.allRooms()), new Set([a.id, b.id, 'x', 'y', 7, '7']));
    for (const [s, own] of [[a, Buffer.from('a')], [b, Buffer.from('b')]]) s.on('q', (x, ack) => ack({ own, x }));
    const answers = await io.timeout(2000).emitWithAck('q', Buffer.from('q'));
    assert.deepEqual(sorted(answers.map((r) => `${r.own} ${r.x}`)), ['a q', 'b q']);
    assert.deepEqual(await found.timeout(2000).emitWithAck('q', 1), { own: Buffer.from('a'), x: 1 });
    confab.answer = { text: 'é' };
    assert.deepEqual(await io.serverSideEmitWithAck('q', 1, Buffer.from([7])), [{ text: 'é' }]);
    assert.deepEqual((await confab.ctl.inbox.take('server-side')).slice(0, 3), ['/', 'q', [1, { type: 'Buffer', data: [7] }]]);
    found.leave('x');
    found.emit('hi', 1);
    assert.deepEqual(await a.inbox.take('hi'), [1]);
    assert.deepEqual(await confab.rooms(a), [a.id, '7']);
    io.in(7).disconnectSockets(true);
    for (const s of [a, b]) assert.equal(await reasonOf(s), 'io server disconnect');
    assert.deepEqual(await value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
  });

  after(async () => {
    closeAll();
    await nodejs?.stop();
    await node.confab?.process.stop();
    await redis?.stop();
  });

  test('rooms that are numbers, which it keeps apart from text', async () => {
    const { confab } = await fresh();
    const sockets = {};
    for (const name of ['number', 'text', 'none']) {
      sockets[name] = await connect(nodejs.url);
      if (name !== 'none') nodejs.io.sockets.sockets.get(sockets[name].id).join(name === 'number' ? 7 : '7');
    }
    const own = await confab.open();
    await until(async () => (await confab.value({ op: 'fetchSockets' })).length === 6, 5000, 'all are there');
    await confab.value({ op: 'socket', id: own.id, what: 'join', target: 7 });
    await confab.value({ op: 'emit', rooms: [7], args: ['number'] });
    await confab.value({ op: 'emit', rooms: ['7'], args: ['text'] });
    await confab.value({ op: 'emit', rooms: [7, '7'], args: ['both'] });
    await confab.value({ op: 'emit', except: [7], args: ['but number'] });
    await confab.value({ op: 'emit', args: ['fence'] });
    for (const s of [own, ...Object.values(sockets)]) await s.inbox.take('fence');
    assert.deepEqual(Object.values(sockets).map((s) => s.inbox.names()),
      [['number', 'both'], ['text', 'both', 'but number'], ['but number']]);
    assert.deepEqual(own.inbox.names(), ['number', 'text', 'both']);
    await confab.value({ op: 'socketsJoin', rooms: [7], target: [8, 'eight'] });
    await confab.value({ op: 'socketsLeave', target: 7 });
    assert.deepEqual(['number', 'text'].map((name) => [...nodejs.io.sockets.sockets.get(sockets[name].id).rooms]),
      [[sockets.number.id, 8, 'eight'], [sockets.text.id, '7']]);
    assert.deepEqual(await confab.rooms(own), [own.id, '8', 'eight']);
  });
});
