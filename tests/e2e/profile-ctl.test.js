'use strict';
// The profile ctl, on one node.

const { test, describe } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { ask, connect, reasonOf } = require('../lib/clients');

describe('profile ctl', { skip: REFERENCE && 'a profile of the test program' }, () => {
  const server = serving(startFixture, { profile: 'ctl' });

  // A socket of /ctl and two of a namespace.
  async function stage(nsp = '/') {
    const ctl = await connect(server.url, '/ctl');
    const [a, b] = [await connect(server.url, nsp), await connect(server.url, nsp)];
    const op = async (o) => {
      const r = await ask(ctl, 'op', { nsp, ...o });
      assert.ok('value' in r, r.error);
      return r.value;
    };
    const socket = (s, what, more = {}) => op({ op: 'socket', id: s.id, what, ...more });
    return { ctl, a, b, op, socket };
  }

  for (const nsp of ['/', '/custom']) {
    test(`emits to rooms but for those excepted, in ${nsp}`, async () => {
      const { a, b, op } = await stage(nsp);
      await op({ op: 'socketsJoin', rooms: [a.id], target: ['x', 42] });
      await op({ op: 'socketsJoin', rooms: [b.id], target: 'x' });
      await op({ op: 'emit', rooms: ['x'], except: [42], args: ['only-b', 1, { a: [2] }] });
      await op({ op: 'emit', rooms: [42], flags: { local: true, volatile: true }, args: ['only-a', Buffer.from([1])] });
      await op({ op: 'emit', args: ['both'] });
      assert.deepEqual(await b.inbox.take('only-b'), [1, { a: [2] }]);
      assert.deepEqual(await a.inbox.take('only-a'), [Buffer.from([1])]);
      await a.inbox.take('both');
      await b.inbox.take('both');
      assert.deepEqual([...a.inbox.names(), ...b.inbox.names()], []);
    });
  }

  test('the answers to an emit come with what went wrong', async () => {
    const { a, b, op } = await stage();
    a.on('ask', (x, ack) => ack(x + 1));
    b.once('ask', (x, ack) => ack(x + 2));
    const all = await op({ op: 'emit', ack: true, args: ['ask', 1] });
    assert.deepEqual([all.err, all.responses.sort()], [null, [2, 3]]);
    const one = await op({ op: 'emit', ack: true, flags: { timeout: 100 }, args: ['ask', 1] });
    assert.deepEqual([one.err, one.responses], ['operation has timed out', [2]]);
  });

  test('rooms, sockets, data and facts are told', async () => {
    const { a, b, op, socket } = await stage();
    await socket(a, 'join', { target: ['x', 7] });
    await socket(a, 'leave', { target: 'x' });
    await socket(a, 'setData', { value: { n: [1, null] } });
    assert.deepEqual((await socket(a, 'rooms')).sort(), [a.id, '7'].sort());
    assert.deepEqual(await socket(a, 'data'), { n: [1, null] });
    assert.deepEqual(await socket(b, 'data'), {});
    assert.equal((await socket(a, 'handshake')).query.EIO, '4');
    const [one] = await op({ op: 'fetchSockets', rooms: [7] });
    assert.deepEqual([one.id, one.rooms.sort(), one.data, one.handshake.query.EIO],
      [a.id, [a.id, '7'].sort(), { n: [1, null] }, '4']);
    assert.deepEqual((await op({ op: 'allRooms' })).sort(), [a.id, b.id, '7'].sort());
    assert.equal(await op({ op: 'serverCount' }), 1);
    assert.deepEqual(await op({ op: 'stats' }), { requests: 0, ackRequests: 0 });
    await op({ op: 'socketsLeave', target: 7 });
    assert.deepEqual(await op({ op: 'fetchSockets', rooms: [7] }), []);
  });

  test('a leave that is acknowledged is effective', async () => {
    const { a, op, socket } = await stage();
    for (let i = 0; i < 20; i += 1) {
      await socket(a, 'join', { target: 'x' });
      await socket(a, 'leave', { target: 'x' });
      assert.deepEqual(await op({ op: 'fetchSockets', rooms: ['x'] }), []);
    }
  });

  test('sockets are disconnected, one, some and all', async () => {
    const { ctl, a, b, op, socket } = await stage();
    await socket(a, 'disconnect');
    assert.equal(await reasonOf(a), 'io server disconnect');
    await op({ op: 'disconnectSockets', rooms: [b.id], close: true });
    assert.equal(await reasonOf(b), 'io server disconnect');
    const c = await connect(server.url, '/custom');
    await op({ op: 'reset' });
    assert.equal(await reasonOf(c), 'io server disconnect');
    assert.ok(ctl.connected);
  });

  test('what it cannot do it says', async () => {
    const { ctl, a } = await stage();
    for (const o of [{ op: 'nothing' }, { op: 'socket', id: 'nobody', what: 'rooms' }, { op: 'socket', id: a.id, what: 'x' },
      { op: 'serverSideEmit', args: ['x'] }, { op: 'emit', args: ['disconnect'] }]) {
      assert.equal(typeof (await ask(ctl, 'op', o)).error, 'string', JSON.stringify(o));
    }
    assert.deepEqual(await ask(ctl, 'op', { op: 'of', nsp: '/new' }), { value: null });
    await connect(server.url, '/new');
  });
});
