'use strict';
// One script of behaviours with clients of several kinds and ages, over each
// transport. Ends with a table of what became of each.

const net = require('node:net');
const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, join } = require('../lib/suite');
const { MODES, ask, closeAll } = require('../lib/clients');
const { PEERS } = require('../lib/peers');
const { until } = require('../lib/until');

// Clients of socket.io 2 must be let in.
const server = serving(startFixture, { set: { 'engine.allow_eio3': true } });

// Between client and server, to cut them off from each other.
const cable = { sockets: new Set() };
before(async () => {
  cable.listener = net.createServer((from) => {
    if (cable.down) {
      from.destroy();
      return;
    }
    const to = net.connect(server.port, '127.0.0.1');
    for (const [s, other] of [[from, to], [to, from]]) {
      s.on('error', () => {});
      s.on('close', () => { cable.sockets.delete(s); other.destroy(); });
      cable.sockets.add(s);
      s.pipe(other);
    }
  });
  await new Promise((resolve) => { cable.listener.listen(0, '127.0.0.1', resolve); });
  cable.url = `http://127.0.0.1:${cable.listener.address().port}`;
  cable.cut = () => { for (const s of cable.sockets) s.destroy(); };
});
after(async () => {
  for (const peer of PEERS) await peer.end?.();
  cable.cut();
  cable.listener.close();
});

const VALUES = ['text \u2028 \u{1f600} "', 1.5, -7, true, null, { a: [{ b: [] }] }];

async function opened(peer, mode, options = {}) {
  const c = await peer.open({ url: cable.url, mode, namespaces: ['/'], auth: {}, reconnection: false, ...options });
  try {
    for (const n of options.namespaces || ['/']) await c.take(n, 'connect', 10000);
  } catch (e) {
    await c.close();
    throw e;
  }
  return c;
}

const using = async (peer, mode, options, fn) => {
  const c = await opened(peer, mode, options);
  try {
    await fn(c);
  } finally {
    await c.close();
    cable.down = false;
    closeAll();
  }
};

const reaches = (c, mode) => until(async () =>
  await c.ask('/', 'transport') === (mode.name === 'polling' ? 'polling' : 'websocket'), 10000, 'the transport');

const STEPS = {
  'connect': (peer, mode) => using(peer, mode, { auth: { token: 'mine' } }, async (c) => {
    const [auth] = await c.take('/', 'auth');
    if (!peer.protocol3) assert.deepEqual(auth, { token: 'mine' });
    await reaches(c, mode);
  }),
  'events': (peer, mode) => using(peer, mode, {}, async (c) => {
    await c.emit('/', 'message', ...VALUES);
    assert.deepEqual(await c.take('/', 'message-back'), VALUES);
    // python-engineio does not read more than 16 packets of one response
    for (let i = 0; i < 10; i++) await c.emit('/', 'message', i);
    const back = [];
    for (let i = 0; i < 10; i++) back.push((await c.take('/', 'message-back'))[0]);
    // python-socketio has a thread for each
    if (!peer.ordered) back.sort((a, b) => a - b);
    assert.deepEqual(back, [...Array(10).keys()]);
  }),
  'binary': (peer, mode) => using(peer, mode, {}, async (c) => {
    const data = [Buffer.from([0, 1, 255]), { deep: [Buffer.alloc(0), Buffer.alloc(20000, 7)] }];
    await c.emit('/', 'message', ...data);
    assert.deepEqual(await c.take('/', 'message-back'), data);
  }),
  'ack': (peer, mode) => using(peer, mode, {}, async (c) => {
    assert.deepEqual(await c.ask('/', 'echo', VALUES), VALUES);
    assert.deepEqual(await c.ask('/', 'echo', Buffer.from('data')), Buffer.from('data'));
    assert.deepEqual(await c.ask('/', 'echo', 1, 'two'), [1, 'two']);
  }),
  'asked': (peer, mode) => using(peer, mode, {}, async (c) => {
    await c.emit('/', 'ask', 5000, 'question', 'a', 'b');
    assert.deepEqual(await c.take('/', 'asked'), [true, 'b', 'a']);
  }),
  'namespaces': (peer, mode) => using(peer, mode, { namespaces: ['/', '/custom'] }, async (c) => {
    assert.equal(await c.ask('/custom', 'namespace'), '/custom');
    assert.equal(await c.ask('/', 'namespace'), '/');
    await c.emit('/custom', 'message', 1);
    assert.deepEqual(await c.take('/custom', 'message-back'), [1]);
    assert.equal(c.count('/', 'message-back'), 0);
  }),
  'refused': async (peer, mode) => {
    const options = { namespaces: ['/private'], auth: { token: 'no' } };
    const c = await peer.open({ url: cable.url, mode, reconnection: false, ...options });
    try {
      const [error] = await c.take('/private', 'connect_error', 10000);
      assert.deepEqual(error, { message: 'not authorized', data: { code: 42, seen: 'no' } });
    } finally {
      await c.close();
    }
    await using(peer, mode, { ...options, auth: { token: 'secret' } }, async (ok) => {
      assert.equal(await ok.ask('/private', 'in-room', 'members'), true);
    });
  },
  'rooms': (peer, mode) => using(peer, mode, {}, async (c) => {
    const watcher = await join(server);
    assert.equal(await c.ask('/', 'join', 'room'), 0);
    await ask(watcher, 'broadcast', { rooms: ['elsewhere'], event: 'to-room' }, 'not here');
    await ask(watcher, 'broadcast', { rooms: ['room'], event: 'to-room' }, 'here', Buffer.from([1]));
    assert.deepEqual(await c.take('/', 'to-room'), ['here', Buffer.from([1])]);
    await c.ask('/', 'leave', 'room');
    await ask(watcher, 'broadcast', { rooms: ['room'], event: 'to-room' }, 'too late');
    assert.equal(await c.ask('/', 'echo', 1), 1);
    assert.equal(c.count('/', 'to-room'), 0);
  }),
  'volatile': (peer, mode) => using(peer, mode, {}, async (c) => {
    await reaches(c, mode);
    await until(async () => {
      await c.ask('/', 'volatile', 1, 'vol');
      return c.count('/', 'vol') > 0;
    }, 5000, 'a volatile event');
  }),
  'dismissed': (peer, mode) => using(peer, mode, { reconnection: true }, async (c) => {
    await c.emit('/', 'disconnect-me', false);
    await c.take('/', 'bye');
    const [reason] = await c.take('/', 'disconnect');
    if (peer.reasons) assert.equal(reason, 'io server disconnect');
  }),
  'cut off': (peer, mode) => using(peer, mode, { reconnection: true }, async (c) => {
    await reaches(c, mode);
    await c.take('/', 'auth');
    // until it has noticed: clients repeat a poll that broke off once
    cable.down = true;
    cable.cut();
    const [reason] = await c.take('/', 'disconnect', 10000);
    cable.down = false;
    if (peer.reasons) assert.match(reason, /^transport (close|error)$/);
    await c.take('/', 'connect', 10000);
    await c.take('/', 'auth');
    assert.equal(await c.ask('/', 'echo', 'again'), 'again');
  }),
};

const results = []; // [client, transport, what became of each step]

for (const peer of PEERS) {
  for (const mode of MODES) {
    const row = {};
    results.push([peer.name, mode.name, row]);
    describe(`${peer.name} over ${mode.name}`, () => {
      for (const [name, step] of Object.entries(STEPS)) {
        test(name, async () => {
          row[name] = 'FAILS';
          await step(peer, mode);
          row[name] = 'ok';
        });
      }
    });
  }
}

test('the table', (t) => {
  const names = Object.keys(STEPS);
  const line = (cells) => cells.map((c, i) => c.padEnd(i === 0 ? 22 : Math.max(9, names[i - 2]?.length ?? 0))).join(' ').trimEnd();
  t.diagnostic(line(['client', 'transport', ...names]));
  for (const [peer, mode, row] of results) t.diagnostic(line([peer, mode, ...names.map((n) => row[n] || '-')]));
});
