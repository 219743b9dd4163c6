'use strict';
// Namespaces that are made for the names that clients give.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, CONFAB_ONLY } = require('../lib/suite');
const { MODES, client, alsoConnect, ask, refused, reasonOf } = require('../lib/clients');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { until } = require('../lib/until');

const server = serving(startFixture);

const dynamicOf = async (s) => (await ask(s, 'namespaces')).filter((n) => /^\/(d|keyed)/.test(n) && n !== '/dyn-static');

onEachTransport((mode) => {
  test('a child has the handlers of its parent and its own sockets', async () => {
    const [a, b, other] = [await join(server, '/dyn-1', mode), await join(server, '/dyn-1', mode),
      await join(server, '/dyn-2', mode)];
    assert.equal(await ask(a, 'namespace'), '/dyn-1');
    assert.equal(await ask(a, 'parent'), '/dyn-');
    assert.equal(await ask(a, 'socket-count'), 2);
    assert.equal(await ask(other, 'socket-count'), 1);
    await ask(a, 'broadcast', { event: 'hello' }, 1);
    assert.deepEqual(await b.inbox.take('hello'), [1]);
    assert.equal(await ask(other, 'echo', 1), 1);
    assert.equal(other.inbox.count('hello'), 0);
  });

  test('the parent that was there first takes the name; an exact name wins', async () => {
    assert.equal(await ask(await join(server, '/dyn-x', mode), 'parent'), '/dyn-');
    assert.equal(await ask(await join(server, '/day', mode), 'parent'), '/d');
    const exact = await join(server, '/dyn-static', mode);
    let answered = false;
    exact.emit('parent', () => { answered = true; });
    assert.equal(await ask(exact, 'echo', 1), 1);
    assert.equal(answered, false);
  });

  test('names that nobody takes are invalid, and those of the wrong key', async () => {
    for (const [name, auth] of [['/nope', {}], ['/keyed-1', {}], ['/keyed-1', { key: false }]]) {
      assert.equal((await refused(client(server.url, name, mode, { auth }))).message, 'Invalid namespace');
    }
    const s = await join(server, '/keyed-1', mode, { auth: { key: true } });
    assert.deepEqual(s.seenAuth, { key: true });
  });

  test('the middlewares of the parent refuse', async () => {
    assert.equal((await refused(client(server.url, '/dyn-closed', mode))).message, 'closed');
  });

  test('a child goes with its last socket and comes again', CONFAB_ONLY, async () => {
    const s = await join(server, '/', mode);
    await until(async () => (await dynamicOf(s)).length === 0, 5000, 'others are gone');
    const [a, b] = [await join(server, '/dyn-gone', mode), await join(server, '/dyn-gone', mode)];
    await ask(a, 'join', 'room');
    a.disconnect();
    assert.equal(await ask(b, 'socket-count'), 1);
    assert.deepEqual(await dynamicOf(s), ['/dyn-gone']);
    b.disconnect();
    await until(async () => (await dynamicOf(s)).length === 0, 5000, 'it is gone');
    await refused(client(server.url, '/dyn-closed', mode));
    assert.deepEqual(await dynamicOf(s), []);
    const c = await join(server, '/dyn-gone', mode);
    assert.equal(await ask(c, 'room-size', 'room'), 0);
  });

  test('several over one connection, ended by the server', async () => {
    const a = await join(server, '/dyn-a', mode);
    const b = await alsoConnect(a, '/dyn-b');
    assert.equal(await ask(b, 'namespace'), '/dyn-b');
    a.emit('disconnect-me', true);
    assert.equal(await reasonOf(a), 'io server disconnect');
    assert.equal(await reasonOf(b), 'io server disconnect');
  });
});

// One request is handled in one turn of the loop.
test('leaving and entering in one go', CONFAB_ONLY, async () => {
  const s = await PollingSession.open(server);
  await s.connect('/dyn-quick');
  await s.message();
  await s.send(...Array(20).fill(['41/dyn-quick,', '40/dyn-quick,']).flat());
  for (let i = 0; i < 20; i++) {
    assert.match(await s.message(), /^40\/dyn-quick,\{"sid"/);
    assert.match(await s.message(), /^42\/dyn-quick,\["auth"/);
  }
  await s.send('42/dyn-quick,1["socket-count"]');
  assert.equal(await s.message(), '43/dyn-quick,1[1]');
});

for (const [question, answers] of [['"broadcast-ack",{"event":"q","rooms":["nobody"]}', 0], ['"fetch"', 1],
  ['"all-rooms"', 1], ['"server-ask",5000,"q"', 0]]) {
  test(`a question outlives the last socket: ${question}`, CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server);
    await s.connect('/dyn-q');
    await s.message();
    const told = server.process.output().length;
    await s.send(`42/dyn-q,[${question}]`, '41/dyn-q,', '40');
    assert.match(await s.message(), /^40\{/);
    await s.message();
    await until(() => server.process.output().slice(told).includes(`answers ${answers} missing 0`), 5000, 'answers');
    await s.send('420["namespaces"]');
    assert.doesNotMatch(await s.message(), /dyn-q/);
  });
}

test('a name that is too long or holds a NUL is invalid', CONFAB_ONLY, async () => {
  const s = await WebSocketSession.open(server);
  for (const name of [`/dyn-${'x'.repeat(300)}`, '/dyn-\0', '/dyn-\0x']) {
    assert.equal(await s.connect(name), `44${name},{"message":"Invalid namespace"}`);
  }
  assert.match(await s.connect(`/dyn-${'x'.repeat(250)}`), /^40/);
});

describe('with a limit', () => {
  const small = serving(startFixture, { set: { 'limits.dynamic_namespaces': 3, 'limits.namespaces_per_connection': 4 } });

  test('there are not more children than that', CONFAB_ONLY, async () => {
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await join(small, `/dyn-${i}`));
    const e = await refused(client(small.url, '/dyn-3', MODES[1]));
    assert.equal(e.message, 'Too many namespaces');
    await join(small, '/dyn-2');
    await join(small, '/dyn-static');
    clients[0].disconnect();
    await until(async () => (await dynamicOf(clients[1])).length === 2, 5000, 'one is gone');
    await join(small, '/dyn-3');
  });

  test('a connection has its own limit', CONFAB_ONLY, async () => {
    const s = await WebSocketSession.open(small);
    for (const name of ['/', '/custom', '/dyn-static', '/dyn-only']) {
      assert.match(await s.connect(name), /^40/);
      await s.message();
    }
    assert.equal(await s.connect('/dyn-more'), '44/dyn-more,{"message":"Too many namespaces"}');
  });
});
