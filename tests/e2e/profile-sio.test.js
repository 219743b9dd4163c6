'use strict';
// The test program's profiles sio, sio-default, sio-ack and ping.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('socket.io-msgpack-parser');
const { startFixture } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { MODES, connect, alsoConnect, ask, client, refused } = require('../lib/clients');
const { WebSocketSession } = require('../lib/session');

const WEBSOCKET = MODES[1];

const openPacket = async (server) => {
  const response = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`, { headers: { origin: 'http://elsewhere' } });
  return { cors: response.headers.get('access-control-allow-origin'), ...JSON.parse((await response.text()).slice(1)) };
};

function echoes(server, namespace, options = {}) {
  const open = (auth) => connect(server.url, namespace, WEBSOCKET, { ...options, auth });

  test('messages come back, binary data too', async () => {
    const s = await open();
    s.emit('message', 1, '2', { 3: [true, null] }, Buffer.from([4, 5]));
    assert.deepEqual(await s.inbox.take('message-back'), [1, '2', { 3: [true, null] }, Buffer.from([4, 5])]);
    const many = Array.from({ length: 32 }, (_, i) => i);
    s.emit('message', ...many);
    assert.deepEqual(await s.inbox.take('message-back'), many);
    s.emit('message');
    assert.deepEqual(await s.inbox.take('message-back'), []);
  });

  test('an acknowledgement brings the arguments', async () => {
    const s = await open();
    const answer = await new Promise((resolve) => {
      s.emit('message-with-ack', 1, { a: Buffer.from('b') }, 'c', (...args) => resolve(args));
    });
    assert.deepEqual(answer, [1, { a: Buffer.from('b') }, 'c']);
  });
}

function greets(server, options = {}) {
  for (const namespace of ['/', '/custom']) {
    test(`${namespace} greets with the auth`, async () => {
      const s = await connect(server.url, namespace, WEBSOCKET, { ...options, auth: { token: '123' } });
      assert.deepEqual(await s.inbox.take('auth'), [{ token: '123' }]);
      const none = await connect(server.url, namespace, WEBSOCKET, options);
      assert.deepEqual(await none.inbox.take('auth'), [{}]);
    });
  }
  test('other namespaces are unknown', async () => {
    assert.equal((await refused(client(server.url, '/other', WEBSOCKET, options))).message, 'Invalid namespace');
  });
}

describe('sio', CONFAB_ONLY, () => {
  const server = serving(startFixture, { profile: 'sio' });
  greets(server);
  echoes(server, '/');
  test('heartbeats are fast and every origin may read', async () => {
    const { pingInterval, pingTimeout, maxPayload, cors } = await openPacket(server);
    assert.deepEqual([pingInterval, pingTimeout, maxPayload, cors], [300, 200, 1000000, '*']);
  });
  test('who opens no namespace within a second is closed', async () => {
    const session = await WebSocketSession.open(server);
    const start = Date.now();
    await assert.rejects(session.message(), /session is over/); // it answers heartbeats
    assert.ok(Date.now() - start > 900 && Date.now() - start < 4000);
  });
  test('/custom only greets', async () => {
    const s = await connect(server.url, '/custom');
    s.emit('message', 1);
    s.emit('message-with-ack', 1, () => assert.fail('acknowledged'));
    const main = await alsoConnect(s, '/');
    await ask(main, 'message-with-ack', 1);
    assert.deepEqual(s.inbox.names(), ['auth']);
  });
});

describe('sio-default', CONFAB_ONLY, () => {
  const server = serving(startFixture, { profile: 'sio-default' });
  greets(server);
  echoes(server, '/');
  test('heartbeats are those of the official server', async () => {
    const { pingInterval, pingTimeout, maxPayload, cors } = await openPacket(server);
    assert.deepEqual([pingInterval, pingTimeout, maxPayload, cors], [25000, 20000, 1000000, '*']);
  });
});

for (const parser of ['text', 'msgpack']) {
  describe(`sio-ack with the ${parser} parser`, CONFAB_ONLY, () => {
    const server = serving(startFixture, { profile: 'sio-ack', parser });
    const options = parser === 'msgpack' ? { parser: msgpack } : {};
    greets(server, options);
    for (const namespace of ['/', '/custom']) {
      describe(`on ${namespace}`, () => {
        echoes(server, namespace, options);
        test('what an acknowledgement brought comes back', async () => {
          const s = await connect(server.url, namespace, WEBSOCKET, options);
          let asked;
          s.once('emit-with-ack', (...args) => {
            asked = args.slice(0, -1);
            args.at(-1)('answer', Buffer.from([1]), { n: [2] });
          });
          s.emit('emit-with-ack', 'question', Buffer.from([0]));
          await s.inbox.takeAll('emit-with-ack', 1);
          assert.deepEqual(await s.inbox.take('emit-with-ack'), ['answer', Buffer.from([1]), { n: [2] }]);
          assert.deepEqual(asked, ['question', Buffer.from([0])]);
        });
      });
    }
  });
}

describe('ping', CONFAB_ONLY, () => {
  const server = serving(startFixture, { profile: 'ping' });
  test('pong', async () => {
    assert.equal(await ask(await connect(server.url), 'ping'), 'pong');
  });
});
