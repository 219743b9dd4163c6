'use strict';
// What is done to all sockets of a selection at once.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, CONFAB_ONLY } = require('../lib/suite');
const { ask, reasonOf } = require('../lib/clients');

const server = serving(startFixture, { set: { 'limits.rooms_per_socket': 3 } });

async function crowd(n, mode) {
  const all = [];
  for (let i = 0; i < n; i++) all.push(await join(server, '/custom', mode));
  return all;
}

const sorted = (sockets) => sockets.map((s) => s.id).sort();

onEachTransport((mode) => {
  test('the sockets of a selection', async () => {
    const all = await crowd(3, mode);
    await ask(all[1], 'join', 'red');
    assert.deepEqual((await ask(all[0], 'sockets', {})).sort(), sorted(all));
    assert.deepEqual(await ask(all[0], 'sockets', { rooms: ['red'] }), [all[1].id]);
    assert.deepEqual((await ask(all[0], 'sockets', { from: 'others', except: ['red'] })), [all[2].id]);
    assert.deepEqual(await ask(all[0], 'sockets', { rooms: ['nobody'] }), []);
  });

  test('all join and leave a room', async () => {
    const all = await crowd(3, mode);
    assert.equal(await ask(all[0], 'sockets-join', { from: 'others' }, 'blue'), 0);
    assert.equal(await ask(all[0], 'room-size', 'blue'), 2);
    assert.equal(await ask(all[0], 'sockets-join', { rooms: ['blue'] }, 'blue'), 0);
    // the room that is walked is the one that changes
    assert.equal(await ask(all[0], 'sockets-leave', { rooms: ['blue'] }, 'blue'), 0);
    assert.equal(await ask(all[0], 'room-size', 'blue'), 0);
  });

  test('all are disconnected, whoever asked too', async () => {
    const all = await crowd(3, mode);
    await ask(all[2], 'join', 'safe');
    all[0].emit('sockets-disconnect', { except: ['safe'] }, true);
    assert.deepEqual(await Promise.all([reasonOf(all[0]), reasonOf(all[1])]),
      ['io server disconnect', 'io server disconnect']);
    assert.equal(await ask(all[2], 'socket-count'), 1);
  });
});

test('a walk can be stopped, and ends when all sockets do', CONFAB_ONLY, async () => {
  const all = await crowd(3);
  const ids = sorted(all);
  assert.equal((await ask(all[0], 'sockets', { most: 2 })).length, 2);
  all[0].emit('sockets', { disconnect: true });
  await Promise.all(all.map((s) => reasonOf(s)));
  await server.process.says(new RegExp(`seen \\["(${ids.join('|')})"\\]\n`));
});

test('one that cannot join does not keep the others from it', CONFAB_ONLY, async () => {
  const all = await crowd(3);
  for (const room of ['a', 'b', 'c']) await ask(all[1], 'join', room);
  assert.equal(await ask(all[0], 'sockets-join', {}, 'd'), -2);
  assert.equal(await ask(all[0], 'room-size', 'd'), 2);
  assert.equal(await ask(all[0], 'sockets-join', { rooms: [...Array(17).keys()].map(String) }, 'e'), -6);
});

test('the namespaces', CONFAB_ONLY, async () => {
  const s = await join(server);
  assert.deepEqual(await ask(s, 'namespaces'), ['/', '/custom', '/private', '/slow', '/handlers', '/dyn-static']);
});
