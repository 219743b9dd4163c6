'use strict';
// The chat application: the tutorial's page and the official chat example.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startNode } = require('../lib/servers');
const { serving, onEachTransport, CONFAB_ONLY } = require('../lib/suite');
const { connect, ask } = require('../lib/clients');
const { until } = require('../lib/until');

const server = serving(startNode);

// Every event of the application is acknowledged, so nothing is on its way to
// these clients afterwards but what other clients cause. It is refused, which
// changes nothing.
const settle = (...sockets) => Promise.all(sockets.map((s) => ask(s, 'join room', '')));

const OK = (ack) => assert.equal(ack.ok, true, JSON.stringify(ack));
const REFUSED = (ack) => {
  assert.equal(typeof ack.error, 'string', JSON.stringify(ack));
  assert.ok(ack.error.length > 5);
  assert.equal(ack.ok, undefined);
};

for (const namespace of ['/', '/chat']) {
  describe(`in ${namespace}`, () => onEachTransport((mode) => {
    const person = () => connect(server.url, namespace, mode);

    test('a message reaches everyone, its sender included', async () => {
      const [a, b, c] = [await person(), await person(), await person()];
      OK(await ask(a, 'chat message', 'hello é'));
      b.emit('chat message', 'without ack');
      for (const s of [a, b, c]) {
        assert.deepEqual(await s.inbox.take('chat message'), ['hello é']);
        assert.deepEqual(await s.inbox.take('chat message'), ['without ack']);
      }
      await settle(a, b, c);
      for (const s of [a, b, c]) assert.equal(s.inbox.count('chat message'), 0);
    });

    test('a room message reaches the room, once', async () => {
      const [a, b, c] = [await person(), await person(), await person()];
      const room = `room ${mode.name}`;
      OK(await ask(a, 'join room', room));
      OK(await ask(b, 'join room', room));
      OK(await ask(a, 'chat message', { room, message: 'to the room' }));
      for (const s of [a, b]) {
        const [m] = await s.inbox.take('chat message');
        assert.equal(m.room, room);
        assert.equal(m.message, 'to the room');
      }
      await settle(a, b, c);
      for (const s of [a, b, c]) assert.equal(s.inbox.count('chat message'), 0);
      OK(await ask(b, 'leave room', room));
      OK(await ask(a, 'chat message', { room, message: 'again' }));
      await a.inbox.take('chat message');
      await settle(b);
      assert.equal(b.inbox.count('chat message'), 0);
    });

    test('people are announced, talk, type and leave', async () => {
      const [ann, bob, silent] = [await person(), await person(), await person()];
      ann.emit('add user', 'Ann');
      const [{ numUsers: first }] = await ann.inbox.take('login');
      assert.deepEqual(await bob.inbox.take('user joined'), [{ username: 'Ann', numUsers: first }]);
      bob.emit('add user', 'Bób');
      assert.deepEqual(await bob.inbox.take('login'), [{ numUsers: first + 1 }]);
      assert.deepEqual(await ann.inbox.take('user joined'), [{ username: 'Bób', numUsers: first + 1 }]);

      ann.emit('typing');
      assert.deepEqual(await bob.inbox.take('typing'), [{ username: 'Ann' }]);
      ann.emit('stop typing');
      assert.deepEqual(await bob.inbox.take('stop typing'), [{ username: 'Ann' }]);
      ann.emit('new message', 'hi');
      assert.deepEqual(await bob.inbox.take('new message'), [{ username: 'Ann', message: 'hi' }]);
      assert.deepEqual(await silent.inbox.take('new message'), [{ username: 'Ann', message: 'hi' }]);
      await settle(ann, bob);
      for (const event of ['new message', 'typing', 'stop typing', 'user left']) {
        assert.equal(ann.inbox.count(event), 0, `the sender hears no ${event}`);
      }

      silent.disconnect(); // never introduced: nobody is told
      bob.disconnect();
      assert.deepEqual(await ann.inbox.take('user left'), [{ username: 'Bób', numUsers: first }]);
      await settle(ann);
      assert.equal(ann.inbox.count('user left'), 0);
    });

    test('a second name counts nobody twice', async () => {
      const [a, b] = [await person(), await person()];
      const { numUsers } = await ask(a, 'add user', 'one');
      a.emit('add user', 'two');
      await settle(a);
      assert.equal(a.inbox.count('error message'), 0, 'the example page knows no such event');
      assert.equal(a.inbox.count('login'), 1);
      b.emit('add user', 'other');
      assert.deepEqual(await b.inbox.take('login'), [{ numUsers: numUsers + 1 }]);
    });
  }));
}

test('what is wrong is refused by the acknowledgement', async () => {
  const s = await connect(server.url);
  await ask(s, 'join room', 'mine');
  const bad = [
    ['chat message'], ['chat message', 1], ['chat message', null], ['chat message', ['x']],
    ['chat message', {}], ['chat message', { room: 'mine' }],
    ['chat message', { room: 'mine', message: 1 }], ['chat message', { room: 1, message: 'x' }],
    ['chat message', { room: 'not mine', message: 'x' }],
    ['chat message', Buffer.from('x')], ['chat message', 'x'.repeat(20000)],
    ['join room'], ['join room', ''], ['join room', 5], ['join room', 'x'.repeat(129)],
    ['join room', { room: 'x' }],
    ['leave room', 'not mine'],
    ['add user'], ['add user', ''], ['add user', 7], ['add user', 'x'.repeat(65)],
    ['new message'], ['new message', { a: 1 }],
  ];
  for (const [event, ...args] of bad) REFUSED(await ask(s, event, ...args));
  assert.equal(s.inbox.count('error message'), 0);
  OK(await ask(s, 'chat message', 'still here'));
});

test('what is wrong without an acknowledgement is said by an event', async () => {
  const [s, other] = [await connect(server.url), await connect(server.url)];
  s.emit('join room', '');
  const [{ event, error }] = await s.inbox.take('error message');
  assert.equal(event, 'join room');
  assert.equal(typeof error, 'string');
  s.emit('chat message', { room: 'nowhere', message: 'x' });
  assert.equal((await s.inbox.take('error message'))[0].event, 'chat message');
  await settle(other);
  assert.equal(other.inbox.count('error message'), 0);
});

test('the namespaces do not hear each other', async () => {
  const [root, chat] = [await connect(server.url, '/'), await connect(server.url, '/chat')];
  for (const s of [root, chat]) await ask(s, 'join room', 'same');
  await ask(chat, 'chat message', { room: 'same', message: 'x' });
  await ask(chat, 'chat message', 'y');
  await settle(root, chat);
  assert.equal(root.inbox.count('chat message'), 0);
  assert.equal(chat.inbox.count('chat message'), 2);
});

test('a room may not be named like a connection', CONFAB_ONLY, async () => {
  const [s, victim] = [await connect(server.url), await connect(server.url)];
  REFUSED(await ask(s, 'join room', victim.id));
});

test('rooms, people and the node can be asked for', CONFAB_ONLY, async () => {
  const [a, b] = [await connect(server.url), await connect(server.url)];
  OK(await ask(a, 'add user', 'Listed'));
  await ask(a, 'join room', 'listed room');
  await ask(b, 'join room', 'listed room');
  const rooms = await ask(b, 'rooms');
  OK(rooms);
  assert.deepEqual(rooms.rooms.find((r) => r.room === 'listed room' || r.name === 'listed room')?.count, 2);
  const who = await ask(b, 'who', 'listed room');
  assert.equal(who.count, 2);
  assert.deepEqual(who.people.map((p) => p.id).sort(), [a.id, b.id].sort());
  assert.equal(who.people.find((p) => p.id === a.id).username, 'Listed');
  const hello = await ask(a, 'hello');
  OK(hello);
  assert.equal(hello.id, a.id);
  assert.equal(hello.transport, 'websocket');
  a.disconnect();
  await until(async () => (await ask(b, 'who', 'listed room')).count === 1, 3000, 'who leaves');
});
