'use strict';
// The official clients of other versions: 2.5 speaks Engine.IO 3, 3.1 and 4.0
// the early forms of today's protocol.

const { describe, test, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport } = require('../lib/suite');
const { until, within } = require('../lib/until');

const server = serving(startFixture, { set: { 'engine.allow_eio3': true } });
const open = new Set();

afterEach(() => {
  for (const socket of open) {
    socket.io.reconnection(false);
    socket.disconnect();
  }
  open.clear();
});

// Keeps all that arrives: { event, args }.
function client(version, mode, namespace = '/', options = {}) {
  const { io = require(version) } = require(version);
  const socket = io(server.url + (namespace === '/' ? '' : namespace), {
    forceNew: true, reconnection: false, autoConnect: false, ...mode.options, ...options,
  });
  socket.seen = [];
  const { onevent } = socket;
  socket.onevent = function onEvent(packet) {
    const [event, ...args] = packet.data;
    socket.seen.push({ event, args });
    onevent.call(this, packet);
  };
  open.add(socket);
  return socket;
}

async function connect(version, mode, namespace, options) {
  const socket = client(version, mode, namespace, options);
  await within(new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    for (const event of ['connect_error', 'error']) socket.once(event, reject);
    socket.open();
  }), 10000, 'client connects');
  if (mode.name === 'upgrade') {
    await until(() => socket.io.engine.transport.name === 'websocket', 10000, 'client upgrades');
  }
  [socket.auth] = await take(socket, 'auth');
  return socket;
}

async function take(socket, event) {
  const found = await until(() => socket.seen.find((e) => e.event === event), 5000,
    () => `"${event}"; there are ${JSON.stringify(socket.seen).slice(0, 300)}`);
  socket.seen.splice(socket.seen.indexOf(found), 1);
  return found.args;
}

const ask = (socket, event, ...args) => within(new Promise((resolve) => {
  socket.emit(event, ...args, (...answer) => resolve(answer));
}), 10000, `answer to ${event}`);

function everyClient(version, mode) {
  test('events and acknowledgements, also of text beyond ASCII', async () => {
    const socket = await connect(version, mode);
    const value = { text: 'é€\u{1f600}\u2028', list: [1, null, { a: true }] };
    socket.emit('message', 1, value);
    assert.deepEqual(await take(socket, 'message-back'), [1, value]);
    assert.deepEqual(await ask(socket, 'message-with-ack', value, 'x'), [value, 'x']);
  });

  test('binary there and back, mixed with text', async () => {
    const socket = await connect(version, mode);
    const data = Buffer.from([...Array(256).keys()]);
    socket.emit('message', data, 'é', { deep: [Buffer.from('b'), Buffer.alloc(0)] });
    socket.emit('message', 'behind');
    const [first, text, { deep }] = await take(socket, 'message-back');
    assert.deepEqual([Buffer.from(first), text, ...deep.map(String)], [data, 'é', 'b', '']);
    assert.deepEqual(await take(socket, 'message-back'), ['behind']);
    const [back] = await ask(socket, 'message-with-ack', data);
    assert.deepEqual(Buffer.from(back), data);
  });

  test('acknowledgements that the server asks for', async () => {
    const socket = await connect(version, mode);
    socket.on('question', (a, callback) => callback(a + 1, Buffer.from('yes')));
    socket.emit('ask', 5000, 'question', 41);
    const [answered, value, data] = await take(socket, 'asked');
    assert.deepEqual([answered, value, String(data)], [true, 42, 'yes']);
  });

  test('rooms and broadcasts, with binary, among clients of all versions', async () => {
    const socket = await connect(version, mode);
    const others = await Promise.all(['socket.io-client-2', 'socket.io-client']
      .map((v) => connect(v, mode)));
    const all = [socket, ...others];
    await Promise.all(all.map((s) => ask(s, 'join', 'everyone')));
    socket.emit('broadcast', { rooms: ['everyone'], event: 'news' }, 'é', Buffer.from([1, 2, 255]));
    for (const s of all) {
      const [text, data] = await take(s, 'news');
      assert.deepEqual([text, Buffer.from(data)], ['é', Buffer.from([1, 2, 255])]);
    }
  });

  test('disconnects of either side', async () => {
    const socket = await connect(version, mode);
    const other = await connect(version, mode);
    const gone = new Promise((resolve) => { socket.once('disconnect', resolve); });
    socket.emit('disconnect-me', false);
    assert.equal(await within(gone, 5000, 'disconnect'), 'io server disconnect');
    const { id } = other;
    other.disconnect();
    await server.process.says(new RegExp(`gone ${id} `));
  });

  test('comes back after the transport was lost', async () => {
    const socket = await connect(version, mode, '/', { reconnection: true, reconnectionDelay: 10 });
    const { id } = socket;
    socket.io.engine.close();
    await until(() => socket.connected && socket.id !== id, 10000, 'client reconnects');
    assert.deepEqual(await ask(socket, 'echo', 1), [1]);
  });
}

for (const version of ['socket.io-client-2', 'socket.io-client-3', 'socket.io-client-40']) {
  describe(version, () => {
    onEachTransport((mode) => everyClient(version, mode));
  });
}

describe('what only clients of 2.5 do', () => {
  const OLD = 'socket.io-client-2';

  onEachTransport((mode) => {
    test('the query of a namespace is its auth', async () => {
      const socket = await connect(OLD, mode, '/custom', { query: { token: 'a b&"é' } });
      assert.deepEqual(socket.auth, { token: 'a b&"é' });
      socket.emit('message', Buffer.from('x'));
      assert.equal(String((await take(socket, 'message-back'))[0]), 'x');
    });

    test('a namespace asks for a token in its query', async () => {
      const socket = await connect(OLD, mode, '/private', { query: { token: 'secret' } });
      assert.deepEqual(await ask(socket, 'echo', 1), [1]);
    });

    test('the refusal of a middleware is its data, or its message', async () => {
      for (const [query, heard] of [[{ token: 'no' }, { code: 42, seen: 'no' }], [undefined, 'no token']]) {
        const socket = client(OLD, mode, '/private', { query });
        const error = new Promise((resolve) => { socket.once('error', resolve); });
        socket.open();
        assert.deepEqual(await within(error, 5000, 'error'), heard);
      }
    });

    test('an unknown namespace', async () => {
      const socket = client(OLD, mode, '/nope');
      const error = new Promise((resolve) => { socket.once('error', resolve); });
      socket.open();
      assert.deepEqual(await within(error, 5000, 'error'), { message: 'Invalid namespace' });
    });

    test('ids are those of the session, behind the namespace', async () => {
      const socket = await connect(OLD, mode);
      assert.deepEqual(await ask(socket, 'id'), [socket.id]);
      const custom = await connect(OLD, mode, '/custom');
      assert.match(custom.id, /^\/custom#[\w-]{20}$/);
      assert.deepEqual(await ask(custom, 'id'), [custom.id]);
    });
  });
});

describe('the heartbeat of 2.5', () => {
  const hasty = serving(startFixture, {
    set: { 'engine.allow_eio3': true, 'engine.ping_interval_ms': 200, 'engine.ping_timeout_ms': 300 },
  });

  onEachTransport((mode) => {
    test('pings keep it alive', async () => {
      const { port } = hasty;
      const socket = require('socket.io-client-2')(`http://127.0.0.1:${port}`,
        { forceNew: true, reconnection: false, ...mode.options });
      open.add(socket);
      let pongs = 0;
      let gone = null;
      socket.on('pong', () => { pongs += 1; });
      socket.on('disconnect', (reason) => { gone = reason; });
      await until(() => pongs >= 5 || gone, 10000, () => `5 pongs, there are ${pongs}`);
      assert.equal(gone, null);
    });
  });
});
