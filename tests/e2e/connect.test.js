'use strict';
// Handshake, CONNECT, namespaces and admission.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle } = require('../lib/suite');
const { client, connected, alsoConnect, refused, ask, reasonOf } = require('../lib/clients');
const { until } = require('../lib/until');

const server = serving(startFixture);

onEachTransport((mode) => {
  test('the id has 20 characters, is the server\'s and not the session\'s', async () => {
    const s = await join(server, '/', mode);
    assert.match(s.id, /^[\w-]{20}$/);
    assert.equal(await ask(s, 'id'), s.id);
    assert.notEqual(s.id, s.io.engine.id);
    const t = await join(server, '/', mode);
    assert.notEqual(s.id, t.id);
  });

  test('the auth object arrives as it was given', async () => {
    const auth = { token: 'é\u0001"\\', n: [1, null, { deep: 1.5 }], '/': true };
    const s = await join(server, '/', mode, { auth });
    assert.deepEqual(s.seenAuth, auth);
    assert.deepEqual(await ask(s, 'get-auth'), auth);
  });

  test('no auth is an empty object', async () => {
    const s = await join(server, '/', mode);
    assert.deepEqual(s.seenAuth, {});
  });

  test('the first request can be looked at', async () => {
    const s = await join(server, '/', mode, {
      query: { room: 'a b&c=é', empty: '' }, extraHeaders: { 'X-Test': 'yes, it is' },
    });
    assert.equal(await ask(s, 'query', 'room'), 'a b&c=é');
    assert.equal(await ask(s, 'query', 'empty'), '');
    assert.equal(await ask(s, 'query', 'EIO'), '4');
    assert.equal(await ask(s, 'query', 'absent'), null);
    assert.equal(await ask(s, 'header', 'x-TEST'), 'yes, it is');
    assert.equal(await ask(s, 'header', 'x-absent'), null);
    assert.match(await ask(s, 'address'), /^(::ffff:)?127\.0\.0\.1$/);
    assert.equal(await ask(s, 'transport'),
      mode.name === 'upgrade' ? 'websocket' : mode.name);
    assert.equal(await ask(s, 'namespace'), '/');
  });

  test('namespaces share a connection and nothing else', async () => {
    const root = await join(server, '/', mode);
    const custom = await alsoConnect(root, '/custom', { auth: { at: 'custom' } });
    assert.deepEqual(await custom.inbox.take('auth'), [{ at: 'custom' }]);
    assert.equal(root.io, custom.io);
    assert.notEqual(root.id, custom.id);
    assert.equal(await ask(custom, 'namespace'), '/custom');
    await ask(root, 'join', 'r');
    await ask(custom, 'join', 'r');
    await ask(custom, 'broadcast', { rooms: ['r'], event: 'news' }, 1);
    await ask(custom, 'broadcast', { event: 'all' }, 2);
    await ask(custom, 'broadcast', { rooms: [root.id], event: 'private' }, 3);
    await settle(root, custom);
    assert.deepEqual(root.inbox.names(), []);
    assert.deepEqual(custom.inbox.names(), ['news', 'all']);
    assert.equal(await ask(root, 'room-size', 'r'), 1);
  });

  test('an unknown namespace is refused and the others go on', async () => {
    const s = await join(server, '/', mode);
    const nope = s.io.socket('/nope');
    const error = await refused(nope);
    assert.equal(error.message, 'Invalid namespace');
    assert.equal(error.data, undefined);
    assert.deepEqual(await ask(s, 'echo', 'still here'), 'still here');
    for (const name of ['/CUSTOM', '//custom', '/custom/']) {
      const e = await refused(s.io.socket(name));
      assert.equal(e.message, 'Invalid namespace', name);
    }
  });

  test('a client may join another namespace without "/"', async () => {
    const s = await join(server, '/custom', mode);
    assert.equal(await ask(s, 'namespace'), '/custom');
  });

  describe('middleware', () => {
    test('refuses with a message and data', async () => {
      const error = await refused(client(server.url, '/private', mode,
        { auth: { token: 'wrong "one"' } }));
      assert.equal(error.message, 'not authorized');
      assert.deepEqual(error.data, { code: 42, seen: 'wrong "one"' });
    });

    test('refuses without data', async () => {
      const error = await refused(client(server.url, '/private', mode));
      assert.equal(error.message, 'no token');
      assert.equal(error.data, undefined);
    });

    test('admits by auth', async () => {
      const s = await join(server, '/private', mode, { auth: { token: 'secret' } });
      assert.equal(await ask(s, 'namespace'), '/private');
    });

    test('admits by query', async () => {
      await join(server, '/private', mode, { query: { token: 'secret' } });
    });

    test('may emit and join before the client is admitted', async () => {
      const s = client(server.url, '/private', mode, { auth: { token: 'secret' } });
      const order = [];
      s.once('welcome', (word) => order.push(word));
      s.once('connect', () => order.push('connect'));
      s.connect();
      await connected(s);
      await s.inbox.take('welcome');
      assert.deepEqual(order, ['early', 'connect']);
      assert.equal(await ask(s, 'in-room', 'members'), true);
    });

    test('a refused client may try again over the same connection', async () => {
      const s = await join(server, '/', mode);
      const p = s.io.socket('/private', { auth: { token: 'x' } });
      assert.equal((await refused(p)).message, 'not authorized');
      p.auth = { token: 'secret' };
      p.disconnect().connect();
      await connected(p);
    });

    test('may settle later, in any order', async () => {
      const judge = await join(server, '/', mode);
      await ask(judge, 'observe');
      const a = client(server.url, '/slow', mode, { auth: { key: `a-${mode.name}` } });
      const b = client(server.url, '/slow', mode, { auth: { key: `b-${mode.name}` } });
      const refusal = refused(b);
      a.connect();
      await judge.inbox.takeAll('waiting', 2);
      assert.equal(a.connected, false);
      assert.equal(await ask(judge, 'release', `b-${mode.name}`, 'too late'), true);
      assert.equal((await refusal).message, 'too late');
      assert.equal(a.connected, false);
      assert.equal(await ask(judge, 'release', `a-${mode.name}`), true);
      await connected(a);
    });

    test('may settle when the client has gone', async () => {
      const judge = await join(server, '/', mode);
      await ask(judge, 'observe');
      const key = `gone-${mode.name}`;
      const s = client(server.url, '/slow', mode, { auth: { key } });
      s.connect();
      assert.deepEqual(await judge.inbox.take('waiting'), [key]);
      s.io.engine.close();
      await until(() => s.io.engine.readyState === 'closed', 5000, 'client is gone');
      // the server's view of it may be a moment behind: both are legal
      assert.equal(await ask(judge, 'release', key), true);
      assert.equal(await ask(judge, 'echo', 'alive'), 'alive');
    });
  });

  test('a namespace that was left can be joined again', async () => {
    const root = await join(server, '/', mode);
    const custom = await alsoConnect(root, '/custom');
    const id = custom.id;
    custom.disconnect();
    assert.equal(await reasonOf(custom), 'io client disconnect');
    await settle(root);
    custom.connect();
    await connected(custom);
    assert.notEqual(custom.id, id);
    assert.equal(await ask(custom, 'echo', 1), 1);
    assert.equal(await ask(root, 'echo', 2), 2);
  });
});
