'use strict';
// The test program's profile ctl: one operation of the server for each "op".

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('socket.io-msgpack-parser');
const { startFixture, startRedis } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { MODES, connect, ask, reasonOf } = require('../lib/clients');
const { until } = require('../lib/until');

for (const parser of ['text', 'msgpack']) {
  describe(`with the ${parser} parser`, CONFAB_ONLY, () => {
    const server = serving(startFixture, { profile: 'ctl', parser });
    const options = parser === 'msgpack' ? { parser: msgpack } : {};
    const open = (namespace = '/', more = {}) =>
      connect(server.url, namespace, MODES[1], { ...options, ...more });

    async function stage(n, namespace = '/') {
      const ctl = await open('/ctl');
      const op = (o) => ask(ctl, 'op', { nsp: namespace, ...o });
      const value = async (o) => {
        const answer = await op(o);
        assert.deepEqual(Object.keys(answer), ['value']);
        return answer.value;
      };
      // those of the test before
      await value({ op: 'reset' });
      const all = [];
      for (let i = 0; i < n; i++) all.push(await open(namespace));
      return { op, value, all };
    }
    const rooms = (value, s, nsp = '/') => value({ op: 'socket', nsp, id: s.id, what: 'rooms' });
    const ids = (sockets) => sockets.map((s) => s.id).sort();

    test('emit reaches rooms but those excepted, binary data and many arguments included', async () => {
      const { value, all } = await stage(3, '/custom');
      await value({ op: 'socketsJoin', rooms: [all[0].id, all[1].id], target: ['a', 7] });
      await value({ op: 'socketsJoin', rooms: [all[1].id], target: 'b' });
      const many = Array.from({ length: 30 }, (_, i) => i);
      await value({ op: 'emit', rooms: [7], except: ['b'], args: ['hi', { deep: [Buffer.from([1])] }, ...many] });
      await value({ op: 'emit', flags: { local: true, volatile: true }, args: ['fence'] });
      for (const s of all) await s.inbox.take('fence');
      assert.deepEqual(all.map((s) => s.inbox.all.map((e) => e.args)),
        [[[{ deep: [Buffer.from([1])] }, ...many]], [], []]);
    });

    test('emit with an acknowledgement brings the answers, and the error of those missing', async () => {
      const { value, all } = await stage(2);
      all[0].on('q', (x, ack) => ack(x));
      all[1].on('q', (x, ack) => (x === 'both' ? ack({ b: Buffer.from([2]) }) : null));
      const both = await value({ op: 'emit', ack: true, args: ['q', 'both'] });
      assert.equal(both.err, null);
      assert.equal(both.responses.length, 2);
      assert.ok(both.responses.some((r) => r === 'both') && both.responses.some((r) => r.b?.[0] === 2));
      const asked = value({ op: 'emit', ack: true, args: ['q', 'one'], flags: { timeout: 600 } });
      await until(async () => (await value({ op: 'stats' })).ackRequests === 1, 500, () => 'one pending');
      assert.deepEqual(await asked, { err: 'operation has timed out', responses: ['one'] });
      assert.deepEqual(await value({ op: 'stats' }), { requests: 0, ackRequests: 0 });
    });

    test('an acknowledged join or leave is effective', async () => {
      const { value, all: [a, b] } = await stage(2);
      await value({ op: 'socketsJoin', target: ['x', 1] });
      assert.deepEqual(await rooms(value, a), [a.id, 'x', '1']);
      await value({ op: 'socketsLeave', rooms: [a.id], target: 1 });
      assert.deepEqual(await rooms(value, a), [a.id, 'x']);
      assert.deepEqual(await rooms(value, b), [b.id, 'x', '1']);
      assert.deepEqual((await value({ op: 'allRooms' })).sort(), [a.id, b.id, 'x', '1'].sort());
    });

    test('an acknowledged disconnect is effective', async () => {
      const { value, all } = await stage(3);
      await value({ op: 'socketsJoin', rooms: [all[0].id], target: 'go' });
      await value({ op: 'disconnectSockets', rooms: ['go'] });
      assert.deepEqual((await value({ op: 'fetchSockets' })).map((s) => s.id).sort(), ids(all.slice(1)));
      assert.equal(await reasonOf(all[0]), 'io server disconnect');
      await value({ op: 'disconnectSockets', close: true });
      assert.deepEqual(await value({ op: 'fetchSockets' }), []);
      await reasonOf(all[1]);
      assert.equal(all[1].io.engine.readyState, 'closed');
    });

    test('sockets are fetched with handshake, rooms and data', async () => {
      const { value } = await stage(0);
      const s = await open('/', { auth: { user: 'ann' } });
      await value({ op: 'socket', id: s.id, what: 'setData', value: { n: [1, 'é'] } });
      await value({ op: 'socketsJoin', target: 'quoted "\\\n' });
      const [found, ...others] = await value({ op: 'fetchSockets' });
      assert.deepEqual(others, []);
      assert.deepEqual(Object.keys(found), ['id', 'handshake', 'rooms', 'data']);
      assert.deepEqual([found.id, found.rooms, found.data], [s.id, [s.id, 'quoted "\\\n'], { n: [1, 'é'] }]);
      assert.deepEqual(found.handshake.auth, { user: 'ann' });
      assert.deepEqual(found.handshake, await value({ op: 'socket', id: s.id, what: 'handshake' }));
    });

    test('one socket joins, leaves, carries data and is disconnected', async () => {
      const { value, op, all: [s] } = await stage(1, '/custom');
      const one = (what, more) => value({ op: 'socket', id: s.id, what, ...more });
      assert.deepEqual(await one('data'), {});
      await one('setData', { value: 'x' });
      assert.equal(await one('data'), 'x');
      await one('join', { target: [1.5, 'b'] });
      await one('leave', { target: 'b' });
      assert.deepEqual(await one('rooms'), [s.id, '1.5']);
      await one('disconnect');
      assert.deepEqual(await op({ op: 'socket', id: s.id, what: 'rooms' }), { error: 'there is no such socket' });
      assert.equal(await reasonOf(s), 'io server disconnect');
    });

    test('a server alone is all servers', async () => {
      const { value, all: [s] } = await stage(1);
      assert.equal(await value({ op: 'serverCount' }), 1);
      await value({ op: 'serverSideEmit', args: ['x', 1] });
      assert.deepEqual(await value({ op: 'serverSideEmit', args: ['x', 1], ack: true }), { err: null, responses: [] });
      assert.deepEqual(await value({ op: 'emit', rooms: ['nobody'], args: ['x'], ack: true }), { err: null, responses: [] });
      assert.deepEqual(await value({ op: 'fetchSockets', rooms: ['nobody'] }), []);
      assert.deepEqual(await value({ op: 'fetchSockets', except: [s.id] }), []);
    });

    test('of makes a namespace', async () => {
      const { value } = await stage(0);
      assert.equal(await value({ op: 'of', nsp: '/made' }), '/made');
      await open('/made');
    });

    test('reset ends the sockets of all namespaces but /ctl', async () => {
      const { value, all } = await stage(2);
      const other = await open('/custom');
      await value({ op: 'reset' });
      for (const s of [...all, other]) assert.equal(await reasonOf(s), 'io server disconnect');
      assert.deepEqual(await value({ op: 'allRooms' }), []);
    });

    test('what cannot be done is an error', async () => {
      const { op } = await stage(0);
      for (const o of [{ op: 'nonsense' }, {}, { op: 'emit' }, { op: 'emit', args: ['disconnect'] },
        { op: 'emit', args: ['x'], rooms: [...Array(17).keys()].map(String) }, { op: 'emit', args: ['disconnect'], ack: true },
        { op: 'emit', args: Array(33).fill('x') }, { op: 'serverSideEmit' },
        { op: 'serverSideEmit', args: ['connection'] }, { op: 'serverSideEmit', args: ['connect'], ack: true },
        { op: 'fetchSockets', rooms: [...Array(17).keys()].map(String) }, { op: 'socketsJoin', target: 'x'.repeat(129) },
        { op: 'socketsLeave', rooms: [...Array(17).keys()].map(String), target: 'x' }]) {
        assert.deepEqual(Object.keys(await op(o)), ['error'], JSON.stringify(o));
      }
    });

    test('broadcasts reach the other node', async (t) => {
      const redis = await startRedis();
      t.after(() => redis.stop());
      const nodes = [];
      for (const name of ['one', 'two']) {
        const node = await startFixture({ profile: 'ctl', redis, name, parser });
        t.after(() => node.stop());
        nodes.push(node);
      }
      const ctl = await connect(nodes[0].url, '/ctl', MODES[1], options);
      const s = await connect(nodes[1].url, '/custom', MODES[1], options);
      await until(async () => {
        await ask(ctl, 'op', { op: 'emit', nsp: '/custom', args: ['hi', 1] });
        return s.inbox.count('hi') > 0;
      }, 10000, () => 'the event');
      assert.deepEqual(await s.inbox.take('hi'), [1]);
    });
  });
}
