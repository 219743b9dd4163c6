'use strict';
// Binary data in both directions.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, CONFAB_ONLY, join, settle } = require('../lib/suite');
const { SESSIONS, PollingSession, WebSocketSession } = require('../lib/session');
const { ask, reasonOf } = require('../lib/clients');

const server = serving(startFixture);

const bytes = (...list) => Buffer.from(list);
const all256 = Buffer.from([...Array(256).keys()]);

onEachTransport((mode) => {
  const cases = {
    'one': [bytes(1, 2, 3)],
    'an empty one': [Buffer.alloc(0)],
    'every byte': [all256],
    'several, between other values': ['a', bytes(1), 2, bytes(3), null, bytes(4)],
    'ten': [...Array(10).keys()].map((i) => bytes(i)),
    'nested': [{ a: [bytes(1), { b: bytes(2) }], c: bytes() }, [[[bytes(3)]]]],
    'beside a placeholder that is none': [{ list: [{ placeholder: true }], data: bytes(5) }],
    'large': [crypto.randomBytes(300000)],
  };
  for (const [name, args] of Object.entries(cases)) {
    test(`${name} come back as they were sent`, async () => {
      const s = await join(server, '/', mode);
      s.emit('message', ...args);
      assert.deepEqual(await s.inbox.take('message-back'), args);
    });
  }

  test('typed arrays and array buffers arrive as bytes', async () => {
    const s = await join(server, '/', mode);
    const back = await ask(s, 'echo',
      [new Uint8Array([1, 2]), new Uint16Array([3]).buffer, new DataView(new ArrayBuffer(1))]);
    assert.deepEqual(back.map((b) => Buffer.from(b)), [bytes(1, 2), bytes(3, 0), bytes(0)]);
  });

  test('text and binary events keep their order', async () => {
    const s = await join(server, '/', mode);
    for (let i = 0; i < 200; i++) s.emit('message', i, i % 3 ? 'text' : [bytes(i), bytes(i, i)]);
    const back = await s.inbox.takeAll('message-back', 200);
    for (let i = 0; i < 200; i++) {
      assert.deepEqual(back[i], [i, i % 3 ? 'text' : [bytes(i), bytes(i, i)]]);
    }
  });

  test('a broadcast carries them to everybody', async () => {
    const [a, b, c] = [await join(server, '/', mode), await join(server), await join(server, '/', mode)];
    await ask(a, 'broadcast', { event: 'data' }, { x: all256 }, bytes(7));
    await settle(a, b, c);
    for (const s of [a, b, c]) {
      assert.deepEqual(await s.inbox.take('data'), [{ x: all256 }, bytes(7)]);
      assert.deepEqual(s.inbox.all, []);
    }
  });

  test('more than ten end the connection that sent them', async () => {
    const [s, other] = [await join(server, '/', mode), await join(server)];
    s.emit('message', ...[...Array(11).keys()].map((i) => bytes(i)));
    assert.match(await reasonOf(s), /transport (close|error)/);
    assert.equal(await ask(other, 'echo', 1), 1);
  });
});

for (const kind of SESSIONS) {
  describe(`byte by byte over ${kind.name}`, () => {
    const opened = async (options) => {
      const s = await kind.open(server, options);
      await s.connect();
      await s.message();
      return s;
    };
    const P0 = '{"_placeholder":true,"num":0}';

    test('data is numbered in the order of appearance', async () => {
      const s = await opened();
      await s.send('452-["message",{"_placeholder":true,"num":1},{"a":{"num":0,"_placeholder":true}}]',
        bytes(0xaa), bytes(0xbb));
      assert.equal(await s.message(),
        '452-["message-back",{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1}}]');
      assert.deepEqual(await s.message(), bytes(0xbb));
      assert.deepEqual(await s.message(), bytes(0xaa));
      s.destroy();
    });

    test('one attachment may be used twice', async () => {
      const s = await opened();
      await s.send(`451-["message",${P0},${P0}]`, bytes(5));
      const header = await s.message();
      assert.match(header, /^45[12]-\["message-back",/);
      assert.deepEqual(await s.message(), bytes(5));
      s.destroy();
    });

    test('heartbeats between header and attachment do no harm', async () => {
      const s = await opened();
      await s.send(`451-["message",${P0}]`);
      await s.send('3');
      await s.send(bytes(6));
      assert.equal(await s.message(), `451-["message-back",${P0}]`);
      assert.deepEqual(await s.message(), bytes(6));
      s.destroy();
    });

    test('a placeholder in a text event is plain data', async () => {
      const s = await opened();
      await s.send(`42["message",${P0},{"_placeholder":true,"num":"x"}]`);
      assert.equal(await s.message(), `42["message-back",${P0},{"_placeholder":true,"num":"x"}]`);
      s.destroy();
    });

    test('the namespace stands behind the count', async () => {
      const s = await kind.open(server);
      await s.connect('/custom');
      await s.message();
      await s.send(`451-/custom,3["echo",${P0}]`, bytes(1));
      assert.equal(await s.message(), `461-/custom,3[${P0}]`);
      assert.deepEqual(await s.message(), bytes(1));
      s.destroy();
    });
  });
}

test('base64 of polling bodies may lack padding or use the URL alphabet', async () => {
  const s = await PollingSession.open(server);
  await s.connect();
  await s.message();
  for (const [text, data] of [['bAQI', bytes(1, 2)], ['b_-8=', bytes(0xff, 0xef)], ['b', bytes()]]) {
    await s.send('451-["message",{"_placeholder":true,"num":0}]', text);
    await s.message();
    assert.deepEqual(await s.message(), data);
  }
  s.destroy();
});

test('header and attachments may come in posts of their own', async () => {
  const s = await PollingSession.open(server);
  await s.connect();
  await s.message();
  await s.post('452-1["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
  await s.post('bAQ==');
  await s.post('bAg==');
  assert.match(await s.message(), /^462-1\[/);
  assert.deepEqual([await s.message(), await s.message()], [bytes(1), bytes(2)]);
  s.destroy();
});

test('a WebSocket without binary frames gets base64', async () => {
  const s = await WebSocketSession.open(server, { query: '&b64=1' });
  await s.connect();
  await s.message();
  await s.send('451-["message",{"_placeholder":true,"num":0}]', 'bB//O');
  await s.message();
  assert.equal(await s.message(), 'bB//O');
  s.destroy();
});

// The official server sends it on, and the client drops its connection.
test('what looks like a placeholder is not sent beside binary that it does not name', CONFAB_ONLY, async () => {
  const s = await join(server);
  assert.equal(await ask(s, 'attach', { _placeholder: true, num: 1 }), -6);
  assert.equal(await ask(s, 'attach', [{ a: { _placeholder: true, num: '0' } }]), -6);
  assert.equal(await ask(s, 'attach', { _placeholder: 1, num: 1 }), 0);
  assert.deepEqual(await s.inbox.take('attached'), [{ _placeholder: 1, num: 1 }, bytes(1, 2)]);
  assert.equal(s.inbox.count('attached'), 0);
});
