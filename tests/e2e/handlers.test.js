'use strict';
// Handlers that come and go, catch-all handlers, events that a middleware
// refuses, and the moment before a socket leaves its rooms.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle, CONFAB_ONLY } = require('../lib/suite');
const { ask, reasonOf } = require('../lib/clients');
const { WebSocketSession } = require('../lib/session');
const { until } = require('../lib/until');

const server = serving(startFixture);

// A client of a namespace where nobody has handlers left from another test.
async function fresh(mode) {
  const s = await join(server, '/handlers', mode);
  await ask(s, 'change', [['off-all', 'x'], ['off-all', 'y'], ['off-any', '', '']]);
  return s;
}

async function called(s, event, ...args) {
  s.emit(event, ...args);
  await settle(s);
  const tags = s.inbox.all.filter((e) => e.event === 'called' && e.args[1] === event).map((e) => e.args[0]);
  s.inbox.clear();
  return tags.join('');
}

onEachTransport((mode) => {
  test('handlers are called in order, one in front is called first', CONFAB_ONLY, async () => {
    const s = await fresh(mode);
    await ask(s, 'change', [['on', 'x', 'a'], ['on', 'x', 'b'], ['prepend', 'x', 'c']]);
    assert.equal(await called(s, 'x'), 'cab');
    assert.equal(await called(s, 'y'), '');
  });

  test('a handler for one event is called once', CONFAB_ONLY, async () => {
    const s = await fresh(mode);
    await ask(s, 'change', [['once', 'x', 'a'], ['on', 'x', 'b']]);
    assert.equal(await called(s, 'x'), 'ab');
    assert.equal(await called(s, 'x'), 'b');
  });

  test('taking one away leaves the others; the latest of equals goes first', CONFAB_ONLY, async () => {
    const s = await fresh(mode);
    await ask(s, 'change', [['on', 'x', 'a'], ['on', 'x', 'b'], ['on', 'x', 'a'], ['off', 'x', 'a']]);
    assert.equal(await called(s, 'x'), 'ab');
    await ask(s, 'change', [['off', 'x', 'a'], ['off', 'x', 'd'], ['off', 'nobody', 'a']]);
    assert.equal(await called(s, 'x'), 'b');
    await ask(s, 'change', [['off-all', 'x']]);
    assert.equal(await called(s, 'x'), '');
  });

  test('catch-all handlers come first, for unknown events too', CONFAB_ONLY, async () => {
    const s = await fresh(mode);
    await ask(s, 'change', [['on', 'x', 'a'], ['on-any', '', 'b']]);
    assert.equal(await called(s, 'x'), 'ba');
    assert.equal(await called(s, 'nobody'), 'b');
    assert.equal(await called(s, 'forbidden'), 'b');
    await ask(s, 'change', [['off-any', '', 'b']]);
    assert.equal(await called(s, 'x'), 'a');
  });

  test('an event that is refused reaches the error handlers only', CONFAB_ONLY, async () => {
    const s = await fresh(mode);
    await ask(s, 'change', [['on', 'forbidden fruit', 'a']]);
    let answered = false;
    s.emit('forbidden fruit', 1, () => { answered = true; });
    s.emit('forbidden fruit');
    await settle(s);
    assert.deepEqual(s.inbox.all, [
      { event: 'error-seen', args: ['forbidden fruit', 'not allowed', true] },
      { event: 'error-seen', args: ['forbidden fruit', 'not allowed', false] },
    ]);
    assert.equal(answered, false);
    await ask(s, 'change', [['off-all', 'forbidden fruit']]);
  });

  test('a middleware may disconnect the socket', CONFAB_ONLY, async () => {
    const s = await fresh(mode);
    await ask(s, 'change', [['on', 'quit', 'a']]);
    s.emit('quit');
    assert.equal(await reasonOf(s), 'io server disconnect');
    assert.equal(s.inbox.count('called'), 0);
    const other = await join(server, '/handlers', mode);
    await ask(other, 'change', [['off-all', 'quit']]);
  });

  test('before it is gone, a socket is still in its rooms', CONFAB_ONLY, async () => {
    const observer = await join(server, '/', mode);
    await ask(observer, 'observe');
    const s = await join(server, '/handlers', mode);
    const { id } = s;
    await ask(s, 'join', 'one');
    await ask(s, 'join', 'two');
    s.disconnect();
    await until(() => observer.inbox.all.some((e) => e.args[0].id === id && e.event === 'gone'), 5000, 'gone');
    assert.deepEqual(observer.inbox.all.filter((e) => e.args[0].id === id).map((e) => [e.event, e.args[0]]), [
      ['going', { id, reason: 'client namespace disconnect', rooms: [id, 'one', 'two'], joined: -4 }],
      ['gone', { id, reason: 'client namespace disconnect', namespace: '/handlers' }],
    ]);
  });
});

test('handlers may change while they run', CONFAB_ONLY, async () => {
  const s = await fresh();
  const abc = [['off-all', 'x'], ['on', 'x', 'a'], ['on', 'x', 'b'], ['on', 'x', 'c']];
  const cases = {
    'off x a': ['abc', 'bc'], // itself
    'off x b': ['ac', 'ac'], // the next
    'off x c': ['ab', 'ab'], // the last
    'off-all x a': ['a', ''],
    'on x d': ['abc', 'abcddd'], // each of the three adds one, for the next event
    'prepend x d': ['abc', 'dddabc'],
  };
  for (const [change, [now, next]] of Object.entries(cases)) {
    await ask(s, 'change', abc);
    const then = [change.split(' ')];
    // a handler that is called more than once would take away more than one
    assert.equal(await called(s, 'x', { then }), now, change);
    assert.equal(await called(s, 'x'), next, change);
  }
});

test('a handler for one event may add itself again', CONFAB_ONLY, async () => {
  const s = await fresh();
  await ask(s, 'change', [['once', 'x', 'a']]);
  for (let i = 0; i < 3; i++) assert.equal(await called(s, 'x', { then: [['once', 'x', 'a']] }), 'a');
  assert.equal(await called(s, 'x'), 'a');
  assert.equal(await called(s, 'x'), '');
});

test('a handler for one event that was not reached stays', CONFAB_ONLY, async () => {
  const [s, other] = [await fresh(), await fresh()];
  await ask(s, 'change', [['on', 'x', 'a'], ['once', 'x', 'b']]);
  s.emit('x', { disconnect: true });
  await reasonOf(s);
  assert.equal(await called(other, 'x'), 'ab');
  assert.equal(await called(other, 'x'), 'a');
});

test('a catch-all handler may take itself away or disconnect', CONFAB_ONLY, async () => {
  const s = await fresh();
  await ask(s, 'change', [['on-any', '', 'a'], ['on', 'x', 'b']]);
  assert.equal(await called(s, 'x', { then: [['off-any', '', 'a']] }), 'ab');
  assert.equal(await called(s, 'x'), 'b');
  await ask(s, 'change', [['on-any', '', 'a']]);
  s.emit('x', { disconnect: true });
  assert.equal(await reasonOf(s), 'io server disconnect');
  assert.deepEqual(s.inbox.all.filter((e) => e.args[1] === 'x').map((e) => e.args[0]), ['a']);
});

test('a disconnecting handler that ends the connection ends all its namespaces once', CONFAB_ONLY, async () => {
  const observer = await join(server);
  await ask(observer, 'observe');
  const s = await WebSocketSession.open(server);
  const ids = [];
  for (const name of ['/custom', '/handlers']) {
    ids.push(JSON.parse((await s.connect(name)).replace(/^[^{]*/, '')).sid);
    await s.message();
  }
  await s.send('41/handlers,');
  assert.match(await s.ends(), /^close/);
  const gone = await observer.inbox.takeAll('gone', 2);
  assert.deepEqual(gone.map(([g]) => [g.id, g.reason]), [
    [ids[0], 'server namespace disconnect'],
    [ids[1], 'client namespace disconnect'],
  ]);
  assert.equal((await observer.inbox.takeAll('going', 1)).length, 1);
  await settle(observer);
  assert.equal(observer.inbox.count('gone') + observer.inbox.count('going'), 0);
});
