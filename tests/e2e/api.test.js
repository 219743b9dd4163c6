'use strict';
// What the public API refuses and how it writes values.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle, CONFAB_ONLY } = require('../lib/suite');
const { ask } = require('../lib/clients');

const server = serving(startFixture, { set: { 'limits.pending_acks': 20 } });

onEachTransport((mode) => {
  test('a format writes every kind of value', async () => {
    const s = await join(server, '/', mode);
    await ask(s, 'formats');
    assert.deepEqual(await s.inbox.take('formats'), [
      'a "quoted" text', 'part', -7, 9007199254740991, 0.5, true, false, null,
      { raw: [1, { x: 'é' }] }, Buffer.from([0, 1, 255]),
      { list: ['x', { deep: Buffer.from([2]) }], n: 1 }, [],
    ]);
  });

  test('calls that make no sense fail and send nothing', CONFAB_ONLY, async () => {
    const s = await join(server, '/', mode);
    assert.deepEqual(await ask(s, 'errors'), {
      reserved: -6, unfinished: -6, letter: -6, json: -6, binaries: -2, size: -2,
      rooms: -6, long_room: -2, bad_room: -6,
    });
    await settle(s);
    assert.deepEqual(s.inbox.all, []);
  });

  test('reserved names cannot be broadcast', CONFAB_ONLY, async () => {
    const s = await join(server, '/', mode);
    for (const event of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']) {
      assert.equal(await ask(s, 'broadcast', { event }), -6, event);
    }
    assert.equal(await ask(s, 'echo', 1), 1);
  });
});

test('questions to one socket are bounded', CONFAB_ONLY, async () => {
  const s = await join(server);
  const codes = [];
  for (let i = 0; i < 25; i++) codes.push(await ask(s, 'ask', 300, 'question', i));
  assert.deepEqual(codes, [...Array(20).fill(0), ...Array(5).fill(-2)]);
  await s.inbox.takeAll('asked', 20);
  assert.equal(await ask(s, 'ask', 300, 'question', 'again'), 0);
});

test('a node has a name', CONFAB_ONLY, async () => {
  const s = await join(server);
  assert.match(await ask(s, 'node'), /^\S+$/);
});
