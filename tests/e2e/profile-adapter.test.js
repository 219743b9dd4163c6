'use strict';
// The test program's profile adapter: what suites of adapters ask of a node.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('socket.io-msgpack-parser');
const { startFixture, startRedis } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { MODES, connect, ask, reasonOf, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const ROOMS = ['room1', 'room2', 'room4', 'room5'];

for (const parser of ['text', 'msgpack']) {
  describe(`with the ${parser} parser`, CONFAB_ONLY, () => {
    const server = serving(startFixture, { profile: 'adapter', parser });
    const options = parser === 'msgpack' ? { parser: msgpack } : {};

    async function crowd(n) {
      const all = [];
      for (let i = 0; i < n; i++) all.push(await connect(server.url, '/', MODES[1], options));
      await until(async () => (await ask(all[0], 'fetch_sockets')).length === n, 5000, () => 'others to go');
      return all;
    }

    for (const event of ['broadcast', 'volatile_broadcast']) {
      test(`${event} greets everyone`, async () => {
        const all = await crowd(3);
        all[0].emit(event);
        for (const s of all) assert.deepEqual(await s.inbox.take(event), [`hello from ${all[0].id}`]);
      });
    }

    test('everyone answers a broadcast', async () => {
      const all = await crowd(3);
      for (const s of all) s.on('broadcast_with_ack', (x, ack) => ack([x, s.id]));
      const answers = await ask(all[1], 'broadcast_with_ack');
      assert.deepEqual(answers.sort(), all.map((s) => [null, s.id]).sort());
    });

    test('all sockets are listed', async () => {
      const all = await crowd(3);
      const byId = (a, b) => (a.id < b.id ? -1 : 1);
      assert.deepEqual((await ask(all[0], 'fetch_sockets')).sort(byId),
        all.map((s) => ({ id: s.id, ns: '/' })).sort(byId));
    });

    test('all are disconnected', async () => {
      const all = await crowd(3);
      all[0].emit('disconnect_socket');
      for (const s of all) assert.equal(await reasonOf(s), 'io server disconnect');
    });

    test('all join and leave rooms, and the acknowledgement waits', async () => {
      const all = await crowd(2);
      const own = (s) => ask(all[0], 'get_rooms_remote_sock', s.id);
      for (const [event, rooms] of [['join_room', [...ROOMS, 'room7']],
        ['leave_room', ['room1', 'room2', 'room5', 'room7']]]) {
        const start = Date.now();
        await ask(all[0], event);
        assert.ok(Date.now() - start >= 49);
        for (const s of all) assert.deepEqual(await own(s), [s.id, ...rooms]);
      }
    });

    test('all rooms are listed once', async () => {
      const all = await crowd(2);
      assert.deepEqual((await ask(all[0], 'rooms')).sort(), [...ROOMS, ...all.map((s) => s.id)].sort());
    });

    test('another socket is told and asked', async () => {
      const [a, b] = await crowd(2);
      a.emit('emit_from_remote_sock', b.id);
      assert.deepEqual(await b.inbox.take('emit'), [`hello from ${a.id}`]);
      b.on('emit', (text, ack) => ack(`${text}!`));
      assert.equal(await ask(a, 'emit_with_ack_from_remote_sock', b.id), `hello from ${a.id}!`);
    });

    test('another socket joins, leaves and is disconnected', async () => {
      const [a, b] = await crowd(2);
      await ask(a, 'join_room_from_remote_sock', b.id);
      await ask(a, 'leave_room_from_remote_sock', b.id);
      assert.deepEqual(await ask(a, 'get_rooms_remote_sock', b.id),
        [b.id, 'room1', 'room2', 'room5', `hello from ${a.id}`]);
      await ask(a, 'disconnect_remote_sock', b.id);
      assert.equal(await reasonOf(b), 'io server disconnect');
    });

    describe('on two nodes', () => {
      let redis;
      const nodes = [];

      before(async () => {
        redis = await startRedis();
        for (const name of ['one', 'two']) nodes.push(await startFixture({ profile: 'adapter', redis, name, parser }));
      });

      after(async () => {
        closeAll();
        for (const node of nodes) await node.stop();
        await redis?.stop();
      });

      // One socket on each, which know each other.
      async function pair() {
        const [a, b] = [await connect(nodes[0].url, '/', MODES[1], options), await connect(nodes[1].url, '/', MODES[1], options)];
        for (const s of [a, b]) {
          await until(async () => (await ask(s, 'fetch_sockets')).length === 2, 10000, 'both are there');
        }
        return [a, b];
      }

      test('everyone is greeted, answers and is listed', async () => {
        const [a, b] = await pair();
        for (const event of ['broadcast', 'volatile_broadcast']) {
          a.emit(event);
          for (const s of [a, b]) assert.deepEqual(await s.inbox.take(event), [`hello from ${a.id}`]);
        }
        for (const s of [a, b]) s.on('broadcast_with_ack', (x, ack) => ack([x, s.id]));
        assert.deepEqual((await ask(a, 'broadcast_with_ack')).sort(), [[null, a.id], [null, b.id]].sort());
        assert.deepEqual((await ask(a, 'rooms')).sort(), [...ROOMS, a.id, b.id].sort());
      });

      test('all join and leave rooms', async () => {
        const [a, b] = await pair();
        await ask(a, 'join_room');
        await ask(a, 'leave_room');
        for (const s of [a, b]) {
          assert.deepEqual(await ask(a, 'get_rooms_remote_sock', s.id), [s.id, 'room1', 'room2', 'room5', 'room7']);
        }
      });

      test('another socket is told and asked, joins, leaves and is disconnected', async () => {
        const [a, b] = await pair();
        a.emit('emit_from_remote_sock', b.id);
        assert.deepEqual(await b.inbox.take('emit'), [`hello from ${a.id}`]);
        b.on('emit', (text, ack) => ack(`${text}!`));
        assert.equal(await ask(a, 'emit_with_ack_from_remote_sock', b.id), `hello from ${a.id}!`);
        await ask(a, 'join_room_from_remote_sock', b.id);
        await ask(a, 'leave_room_from_remote_sock', b.id);
        assert.deepEqual(await ask(a, 'get_rooms_remote_sock', b.id),
          [b.id, 'room1', 'room2', 'room5', `hello from ${a.id}`]);
        assert.deepEqual(await ask(a, 'get_rooms_remote_sock', a.id), [a.id, ...ROOMS]);
        await ask(a, 'disconnect_remote_sock', b.id);
        assert.equal(await reasonOf(b), 'io server disconnect');
        assert.deepEqual(await ask(a, 'fetch_sockets'), [{ id: a.id, ns: '/' }]);
      });

      test('all are disconnected', async () => {
        const [a, b] = await pair();
        a.emit('disconnect_socket');
        for (const s of [a, b]) assert.equal(await reasonOf(s), 'io server disconnect');
      });
    });
  });
}
