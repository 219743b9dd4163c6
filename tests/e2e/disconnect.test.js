'use strict';
// How connections end, and what each side is told.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle } = require('../lib/suite');
const { SESSIONS, PollingSession, WebSocketSession } = require('../lib/session');
const { MODES, alsoConnect, ask, reasonOf } = require('../lib/clients');
const { frame } = require('../lib/raw');
const { until } = require('../lib/until');

const server = serving(startFixture);

async function observer() {
  const s = await join(server);
  await ask(s, 'observe');
  return s;
}

// What the server's handler was told about the socket of that id.
async function reasonSeen(watcher, id) {
  for (;;) {
    const [gone] = await watcher.inbox.take('gone');
    if (gone.id === id) return gone.reason;
  }
}

const idOf = (connectReply) => JSON.parse(connectReply.replace(/^40(\/\w+,)?/, '')).sid;

onEachTransport((mode) => {
  test('the client leaves', async () => {
    const [watcher, s] = [await observer(), await join(server, '/', mode)];
    const { id } = s;
    s.disconnect();
    assert.equal(await reasonOf(s), 'io client disconnect');
    assert.equal(await reasonSeen(watcher, id), 'client namespace disconnect');
  });

  test('the client leaves one namespace of two', async () => {
    const [watcher, root] = [await observer(), await join(server, '/', mode)];
    const custom = await alsoConnect(root, '/custom');
    const { id } = custom;
    custom.disconnect();
    assert.deepEqual(await watcher.inbox.take('gone'),
      [{ namespace: '/custom', id, reason: 'client namespace disconnect' }]);
    assert.equal(await ask(root, 'echo', 1), 1);
  });

  test('the client\'s connection closes', async () => {
    const [watcher, root] = [await observer(), await join(server, '/', mode)];
    const custom = await alsoConnect(root, '/custom');
    const ids = [root.id, custom.id].sort();
    root.io.engine.close();
    const gone = (await watcher.inbox.takeAll('gone', 2)).map(([g]) => g);
    assert.deepEqual(gone.map((g) => g.id).sort(), ids);
    for (const g of gone) assert.equal(g.reason, 'transport close');
  });

  test('the server disconnects one namespace, after what it said before', async () => {
    const [watcher, root] = [await observer(), await join(server, '/', mode)];
    const custom = await alsoConnect(root, '/custom');
    const { id } = custom;
    custom.emit('disconnect-me', false);
    assert.equal(await reasonOf(custom), 'io server disconnect');
    assert.equal(custom.inbox.count('bye'), 1);
    assert.equal(await reasonSeen(watcher, id), 'server namespace disconnect');
    assert.equal(await ask(root, 'echo', 1), 1);
    assert.equal(root.io.engine.readyState, 'open');
  });

  test('the server closes the connection with all its namespaces', async () => {
    const [watcher, root] = [await observer(), await join(server, '/', mode)];
    const custom = await alsoConnect(root, '/custom');
    const ids = [root.id, custom.id].sort();
    root.emit('disconnect-me', true);
    assert.equal(await reasonOf(root), 'io server disconnect');
    assert.equal(await reasonOf(custom), 'io server disconnect');
    assert.equal(root.inbox.count('bye'), 1);
    const gone = (await watcher.inbox.takeAll('gone', 2)).map(([g]) => g);
    assert.deepEqual(gone.map((g) => g.id).sort(), ids);
    for (const g of gone) assert.equal(g.reason, 'server namespace disconnect');
    await until(() => root.io.engine.readyState === 'closed', 5000, 'connection closes');
  });

  test('a socket disconnects another', async () => {
    const [a, b] = [await join(server, '/', mode), await join(server, '/', mode)];
    const { id } = b;
    assert.equal(await ask(a, 'disconnect-other', id, true), true);
    assert.equal(await reasonOf(b), 'io server disconnect');
    assert.equal(await ask(a, 'disconnect-other', id, true), false);
  });

  test('the rooms and the socket are gone', async () => {
    const [a, b] = [await join(server, '/custom', mode), await join(server, '/custom', mode)];
    const room = `gone-${mode.name}`;
    await ask(a, 'join', room);
    await ask(b, 'join', room);
    assert.equal(await ask(a, 'room-size', room), 2);
    const before = await ask(a, 'socket-count');
    const { id } = b;
    b.disconnect();
    await until(async () => (await ask(a, 'room-size', room)) === 1, 5000, 'room is left');
    assert.equal(await ask(a, 'socket-count'), before - 1);
    assert.equal(await ask(a, 'send-to', id, 'x'), false);
    assert.equal(await ask(a, 'room-size', id), 0);
  });

  test('the application\'s data is given back', async () => {
    const [watcher, s] = [await join(server), await join(server, '/', mode)];
    const count = async () => (await ask(watcher, 'counters')).released;
    const before = await count();
    await ask(s, 'set-data', { a: 1 });
    assert.deepEqual(await ask(s, 'get-data'), { a: 1 });
    assert.equal(await count(), before);
    await ask(s, 'set-data', 'two');
    assert.equal(await count(), before + 1);
    assert.equal(await ask(s, 'get-data'), 'two');
    s.disconnect();
    await until(async () => (await count()) === before + 2, 5000, 'data is released');
  });
});

for (const kind of SESSIONS) {
  describe(`byte by byte over ${kind.name}`, () => {
    test('a namespace is left and joined again with a new id', async () => {
      const s = await kind.open(server);
      const first = idOf(await s.connect());
      await s.message();
      await s.send('41');
      await s.connect('/custom'); // a round trip
      await s.message();
      const second = idOf(await s.connect());
      assert.notEqual(first, second);
      s.destroy();
    });

    test('a server\'s disconnect leaves the connection for another try', async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      await s.send('42["disconnect-me",false]');
      assert.equal(await s.message(), '42["bye"]');
      assert.equal(await s.message(), '41');
      assert.match(await s.connect(), /^40\{"sid":"[\w-]{20}"\}$/);
      s.destroy();
    });

    test('a server\'s close names each namespace, in the order they came', async () => {
      const s = await kind.open(server);
      await s.connect('/custom');
      await s.message();
      await s.connect('/');
      await s.message();
      await s.send('42["disconnect-me",true]');
      assert.equal(await s.message(), '42["bye"]');
      assert.equal(await s.message(), '41/custom,');
      assert.equal(await s.message(), '41');
      assert.match(await s.ends(), kind.name === 'polling' ? /close packet|GET 400/ : /^close $/);
      s.destroy();
    });
  });
}

describe('the reasons seen by the server', () => {
  const opened = async (kind, ...rest) => {
    const s = await kind.open(server, ...rest);
    const id = idOf(await s.connect());
    return { s, id };
  };

  test('WebSocket: the connection breaks', async () => {
    const watcher = await observer();
    const { s, id } = await opened(WebSocketSession);
    s.ws.socket.resetAndDestroy();
    assert.match(await reasonSeen(watcher, id), /^transport (close|error)$/);
  });

  test('WebSocket: the connection ends without a close frame', async () => {
    const watcher = await observer();
    const { s, id } = await opened(WebSocketSession);
    s.destroy();
    assert.equal(await reasonSeen(watcher, id), 'transport close');
  });

  test('WebSocket: a close frame', async () => {
    const watcher = await observer();
    const { s, id } = await opened(WebSocketSession);
    s.ws.write(frame(8, Buffer.from([0x03, 0xe8])));
    assert.equal(await s.ends(), 'close 03e8');
    s.ws.socket.end();
    assert.equal(await reasonSeen(watcher, id), 'transport close');
  });

  test('polling: the parked request is given up', async () => {
    const watcher = await observer();
    const { s, id } = await opened(PollingSession);
    await s.message();
    s.getter.destroy();
    assert.equal(await reasonSeen(watcher, id), 'transport error');
  });

  test('polling: a close packet', async () => {
    const watcher = await observer();
    const { s, id } = await opened(PollingSession);
    await s.message();
    const r = await s.post('1');
    assert.equal(String(r.body), 'ok');
    assert.equal(await reasonSeen(watcher, id), 'transport close');
    assert.equal(await s.packet(), '6');
    assert.match(await s.ends(), /^GET 400/);
  });
});

describe('the server stops', () => {
  const own = serving(startFixture);

  test('clients are told, sockets hear why, the process ends well', async () => {
    const watcher = await join(own);
    const clients = [];
    for (const mode of MODES) clients.push(await join(own, '/', mode));
    await settle(watcher, ...clients);
    watcher.emit('stop');
    for (const s of clients) assert.match(await reasonOf(s), /^transport (close|error)$/);
    assert.deepEqual(await own.process.exits(10000), { code: 0, signal: null });
  });
});
