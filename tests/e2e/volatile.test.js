'use strict';
// Volatile messages: at once or never.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle } = require('../lib/suite');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { ask } = require('../lib/clients');

const server = serving(startFixture);

onEachTransport((mode) => {
  test('a client that listens gets them', async () => {
    const s = await join(server, '/', mode);
    // over polling a request must be parked at the server for that
    for (let tries = 0; s.inbox.count('v') === 0 && tries < 50; tries++) {
      await ask(s, 'volatile', 1, 'v', 'now');
    }
    assert.deepEqual(await s.inbox.take('v'), [0, 'now']);
  });

  test('those that arrive are in order, and what is not volatile is complete', async () => {
    const s = await join(server, '/', mode);
    for (let i = 0; i < 50; i++) {
      s.emit('volatile', 3, 'v', i);
      s.emit('message', i);
    }
    const back = await s.inbox.takeAll('message-back', 50);
    assert.deepEqual(back.map(([i]) => i), [...Array(50).keys()]);
    const got = s.inbox.all.filter((e) => e.event === 'v').map(({ args: [n, i] }) => i * 3 + n);
    assert.ok(got.length > 0, 'some arrive');
    assert.deepEqual(got, [...got].sort((a, b) => a - b));
    assert.equal(new Set(got).size, got.length);
  });

  test('a volatile broadcast reaches those who listen', async () => {
    const [a, b] = [await join(server, '/custom', mode), await join(server, '/custom')];
    for (let tries = 0; b.inbox.count('v') === 0 && tries < 50; tries++) {
      await ask(a, 'broadcast', { event: 'v', volatile: true }, tries);
      await settle(b);
    }
    assert.ok(b.inbox.count('v') > 0);
  });
});

test('over polling, without a parked request they are dropped', async () => {
  const s = await PollingSession.open(server, { poll: false });
  await s.post('40');
  assert.match(String((await s.get()).body), /^40/);
  await s.post('42["volatile",3,"v"]\x1e42["message","kept"]');
  assert.equal(String((await s.get()).body), '42["message-back","kept"]');
});

test('over polling, a parked request takes them', async () => {
  const s = await PollingSession.open(server, { poll: false });
  await s.post('40');
  await s.get();
  const parked = s.get();
  // the parked request travels on another connection than the post
  await join(server).then((other) => settle(other));
  await s.post('42["volatile",1,"v"]');
  assert.equal(String((await parked).body), '42["v",0]');
});

test('over WebSocket, a reader that stops misses them', async () => {
  const sender = await join(server);
  const s = await WebSocketSession.open(server);
  await s.connect();
  await s.message();
  await s.send('421["join","slow"]');
  await s.message();
  s.ws.socket.pause();
  const text = 'x'.repeat(10000);
  const n = 3000; // 30 MB, more than any buffer between
  for (let sent = 0; sent < n; sent += 100) {
    await ask(sender, 'broadcast',
      { rooms: ['slow'], event: 'v', volatile: true, times: 100 }, text);
  }
  s.ws.socket.resume();
  await s.send('422["echo","end"]');
  let got = 0;
  for (;;) {
    const p = await s.message(20000);
    if (p === '432["end"]') break;
    assert.ok(p.startsWith('42["v",'));
    got += 1;
  }
  assert.ok(got > 0 && got < n, `${got} of ${n} arrived`);
  s.destroy();
});
