'use strict';
// The profile adapter, on one node.

const { test, describe } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('socket.io-msgpack-parser');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { ask, connect, reasonOf } = require('../lib/clients');

for (const [parser, options] of [['text', {}], ['msgpack', { parser: msgpack }]]) {
  describe(`profile adapter with the ${parser} parser`, { skip: REFERENCE && 'a profile of the test program' }, () => {
    const server = serving(startFixture, { profile: 'adapter', parser });
    const three = () => Promise.all([1, 2, 3].map(() => connect(server.url, '/', undefined, options)));

    test('everyone hears a broadcast, a volatile one too', async () => {
      const all = await three();
      for (const event of ['broadcast', 'volatile_broadcast']) {
        all[1].emit(event);
        for (const s of all) assert.deepEqual(await s.inbox.take(event), [`hello from ${all[1].id}`]);
      }
    });

    test('the answers of everyone come as a list', async () => {
      const all = await three();
      for (const s of all) s.on('broadcast_with_ack', (data, ack) => ack(data === null && s.id));
      assert.deepEqual((await ask(all[0], 'broadcast_with_ack')).sort(), all.map((s) => s.id).sort());
    });

    test('sockets and rooms are listed', async () => {
      const all = await three();
      const ids = all.map((s) => s.id).sort();
      const sockets = await ask(all[0], 'fetch_sockets');
      assert.deepEqual(sockets.map((s) => s.id).sort(), ids);
      assert.ok(sockets.every((s) => s.ns === '/'));
      const rooms = ['room1', 'room2', 'room4', 'room5'];
      assert.deepEqual((await ask(all[0], 'rooms')).sort(), [...rooms, ...ids].sort());
      await ask(all[0], 'join_room');
      await ask(all[0], 'leave_room');
      assert.deepEqual((await ask(all[1], 'get_rooms_remote_sock', all[2].id)).sort(),
        ['room1', 'room2', 'room5', 'room7', all[2].id].sort());
    });

    test('another socket is reached by its id', async () => {
      const [a, b] = await three();
      await ask(a, 'emit_from_remote_sock', b.id);
      assert.deepEqual(await b.inbox.take('emit'), [`hello from ${a.id}`]);
      b.once('emit', (text, ack) => ack(`${text}!`));
      assert.equal(await ask(a, 'emit_with_ack_from_remote_sock', b.id), `hello from ${a.id}!`);
      await ask(a, 'join_room_from_remote_sock', b.id);
      await ask(a, 'leave_room_from_remote_sock', b.id);
      const rooms = await ask(a, 'get_rooms_remote_sock', b.id);
      assert.ok(rooms.includes(`hello from ${a.id}`) && !rooms.includes('room4'), rooms.join());
      await ask(a, 'disconnect_remote_sock', b.id);
      assert.equal(await reasonOf(b), 'io server disconnect');
    });

    test('all are disconnected', async () => {
      const all = await three();
      all[0].emit('disconnect_socket');
      for (const s of all) assert.equal(await reasonOf(s), 'io server disconnect');
    });
  });
}
