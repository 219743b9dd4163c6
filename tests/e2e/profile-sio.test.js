'use strict';
// The profiles of the Socket.IO protocol suites.

const { test, describe } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('socket.io-msgpack-parser');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport } = require('../lib/suite');
const { ask, connect } = require('../lib/clients');
const { get } = require('../lib/raw');
const { WebSocketSession } = require('../lib/session');

const SKIP = { skip: REFERENCE && 'profiles of the test program' };
const ARGS = [1, '2', { 3: [true] }, Buffer.from([4, 5])];

async function times(server) {
  const r = await get(server, '/socket.io/?EIO=4&transport=polling', { Origin: 'http://a.com' });
  assert.equal(r.headers['access-control-allow-origin'], '*');
  const h = JSON.parse(r.body.toString().slice(1));
  return [h.pingInterval, h.pingTimeout, h.maxPayload];
}

function messages(server, options, namespace = '/') {
  onEachTransport((mode) => {
    test(`messages come back and are acknowledged in ${namespace}`, async () => {
      const s = await connect(server.url, namespace, mode, { ...options, auth: { token: 1 } });
      assert.deepEqual(await s.inbox.take('auth'), [{ token: 1 }]);
      s.emit('message', ...ARGS);
      assert.deepEqual(await s.inbox.take('message-back'), ARGS);
      let answer;
      await new Promise((resolve) => s.emit('message-with-ack', ...ARGS, (...a) => { answer = a; resolve(); }));
      assert.deepEqual(answer, ARGS);
    });
  });
}

describe('profile sio', SKIP, () => {
  const server = serving(startFixture, { profile: 'sio' });
  messages(server, {});

  test('the short times of the suites', async () => {
    assert.deepEqual(await times(server), [300, 200, 1000000]);
    const s = await WebSocketSession.open(server);
    await s.ends(); // it answers no heartbeat and sends no CONNECT
  });

  test('/custom tells the handshake\'s auth and nothing else', async () => {
    const s = await connect(server.url, '/custom', undefined, { auth: { a: 'b' } });
    assert.deepEqual(await s.inbox.take('auth'), [{ a: 'b' }]);
    await assert.rejects(s.timeout(50).emitWithAck('message-with-ack', 1));
  });
});

describe('profile sio-default', SKIP, () => {
  const server = serving(startFixture, { profile: 'sio-default' });
  messages(server, {});
  test('the default times', async () => assert.deepEqual(await times(server), [25000, 20000, 1000000]));
});

for (const [parser, options] of [['text', {}], ['msgpack', { parser: msgpack }]]) {
  describe(`profile sio-ack with the ${parser} parser`, SKIP, () => {
    const server = serving(startFixture, { profile: 'sio-ack', parser });
    messages(server, options);
    messages(server, options, '/custom');

    onEachTransport((mode) => {
      test('asks with what it is given and tells what was answered', async () => {
        const s = await connect(server.url, '/', mode, options);
        const asked = new Promise((resolve) => {
          s.once('emit-with-ack', (...args) => { args.pop()('a', Buffer.from([1])); resolve(args); });
        });
        s.emit('emit-with-ack', ...ARGS);
        assert.deepEqual(await asked, ARGS);
        await s.inbox.take('emit-with-ack');
        assert.deepEqual(await s.inbox.take('emit-with-ack'), ['a', Buffer.from([1])]);
      });
    });
  });
}

describe('profile ping', SKIP, () => {
  const server = serving(startFixture, { profile: 'ping' });
  onEachTransport((mode) => {
    test('ping is acknowledged with pong', async () => {
      assert.equal(await ask(await connect(server.url, '/', mode), 'ping'), 'pong');
    });
  });
});
