'use strict';
// The profile that the official client's own tests talk to.

const { test, describe } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport } = require('../lib/suite');
const { ask, client, connect, connected, refused } = require('../lib/clients');
const { until } = require('../lib/until');

const gotcha = () => ({ hello: 'lol', message: Buffer.from('hi'), goodbye: 'gotcha' });
// Recovery adds an offset to what is told.
const told = async (s, event) => {
  const args = await s.inbox.take(event);
  assert.equal(typeof args.at(-1), 'string');
  return args.slice(0, -1);
};
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('profile client', { skip: REFERENCE && 'a profile of the test program' }, () => {
  const server = serving(startFixture, { profile: 'client' });

  onEachTransport((mode) => {
    const root = () => connect(server.url, '/', mode);

    test('hi, false, the texts and dates come as the client expects them', async () => {
      const s = await root();
      s.emit('hi').emit('false').emit('getUtf8').emit('getDate').emit('getDateObj');
      assert.deepEqual(await told(s, 'hi'), []);
      assert.deepEqual(await told(s, 'false'), [false]);
      assert.deepEqual((await s.inbox.takeAll('takeUtf8', 5)).map(([text]) => text),
        ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß', 'utf8 — string', 'utf8 — string']);
      assert.match((await s.inbox.take('takeDate'))[0], ISO);
      assert.match((await s.inbox.take('takeDateObj'))[0].date, ISO);
      assert.match(await ask(s, 'getAckDate', { test: true }), ISO);
    });

    test('echo and ids are acknowledged, unknown events never', async () => {
      const s = await root();
      assert.deepEqual(await ask(s, 'echo', { a: [1, null] }), { a: [1, null] });
      assert.equal(await ask(s, 'getId'), s.id);
      await assert.rejects(s.timeout(100).emitWithAck('unknown'));
      const foo = await connect(server.url, '/foo', mode);
      assert.equal(await ask(foo, 'getId'), foo.id);
    });

    test('the right acknowledgement is answered with "got it"', async () => {
      const s = await root();
      s.once('ack', (answer) => answer(5, { test: false }));
      s.emit('ack');
      await s.inbox.take('ack');
      s.once('ack', (answer) => answer(5, { test: true }));
      s.emit('ack');
      assert.deepEqual(await told(s, 'got it'), []);
      assert.equal(s.inbox.count('got it'), 0);
    });

    test('binary data goes both ways, alone and within JSON', async () => {
      const s = await root();
      s.emit('doge').emit('getbin');
      assert.equal(String((await s.inbox.take('doge'))[0]), 'asdfasdf');
      assert.equal(String((await s.inbox.take('takebin'))[0]), 'asdfasdf');
      s.emit('buffa', Buffer.from('x')).emit('jsonbuff', gotcha()).emit('blob', Buffer.from('y'))
        .emit('jsonblob', gotcha());
      for (const event of ['buffack', 'jsonbuff-ack', 'back', 'jsonblob-ack']) await s.inbox.take(event);
      s.emit('buffa', 'text').emit('jsonbuff', { ...gotcha(), hello: 'other' });
      await ask(s, 'getId');
      assert.deepEqual(s.inbox.names(), []);
    });

    test('binary events in order are acknowledged, out of order not', async () => {
      const s = await root();
      s.emit('abuff2', Buffer.from('2')).emit('blob3', Buffer.from('3'));
      s.emit('blob1', Buffer.from('1')).emit('blob2', 'third').emit('blob3', Buffer.from('3'));
      await ask(s, 'getId');
      assert.deepEqual(s.inbox.names(), []);
      s.emit('abuff1', Buffer.from('1')).emit('abuff2', Buffer.from('2'));
      await s.inbox.take('abuff2-ack');
      s.emit('blob1', Buffer.from('1')).emit('blob2', 'second').emit('blob3', Buffer.from('3'));
      await s.inbox.take('blob3-ack');
    });

    test('the handshake is told whole, with auth and query', async () => {
      const s = await connect(server.url, '/abc', mode, { auth: { a: 'b' }, query: { c: 'd' } });
      const [h] = await s.inbox.take('handshake');
      assert.deepEqual(Object.keys(h),
        ['headers', 'time', 'address', 'xdomain', 'secure', 'issued', 'url', 'query', 'auth']);
      assert.deepEqual([h.auth, h.query.c], [{ a: 'b' }, 'd']);
      const r = await root();
      assert.equal((await ask(r, 'getHandshake')).address, h.address);
    });

    test('middlewares refuse with their words', async () => {
      const all = client(server.url, '/no', mode);
      assert.equal((await refused(all)).message, 'Auth failed (custom namespace)');
      const some = client(server.url, '/', mode, { query: { fail: true } });
      assert.equal((await refused(some)).message, 'Auth failed (main namespace)');
      for (const name of ['/timeout_socket', '/valid', '/asd']) await connect(server.url, name, mode);
    });

    test('a handshake takes at least ten milliseconds', async () => {
      const s = client(server.url, '/', mode);
      const begin = performance.now();
      s.connect();
      await connected(s);
      assert.ok(performance.now() - begin >= 9, `${performance.now() - begin} ms`);
    });

    test('a lost connection is recovered', async () => {
      const s = client(server.url, '/', mode, { reconnection: true, reconnectionDelay: 10 });
      s.connect();
      await connected(s);
      const { id } = s;
      s.emit('hi');
      await s.inbox.take('hi');
      s.io.engine.close();
      await until(() => !s.connected, 5000, 'the connection is lost');
      await until(() => s.connected, 5000, 'the client is back');
      assert.deepEqual([s.recovered, s.id], [true, id]);
      s.io.reconnection(false);
    });
  });
});
