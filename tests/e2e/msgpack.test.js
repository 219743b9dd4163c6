'use strict';
// The MessagePack parser: engine.parser = msgpack, and the official client with
// socket.io-msgpack-parser.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { io } = require('socket.io-client');
const parser = require('socket.io-msgpack-parser');
const { startFixture, startRedis, startNodeJsPeer } = require('../lib/servers');
const { serving, onEachTransport, CONFAB_ONLY, join, settle } = require('../lib/suite');
const { SESSIONS, PollingSession, WebSocketSession } = require('../lib/session');
const {
  Inbox, client, connect, connected, alsoConnect, refused, reasonOf, ask,
} = require('../lib/clients');

const SET = { 'engine.parser': 'msgpack' };
const server = serving(startFixture, { set: SET });

const bytes = (...list) => Buffer.from(list);
const all256 = bytes(...Array(256).keys());
const hex = (text) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const joined = (namespace, mode, options) => join(server, namespace, mode, { parser, ...options });

// Binary data as this client hands it out, as Buffers.
const plain = (v) => {
  if (ArrayBuffer.isView(v) || v instanceof ArrayBuffer) return Buffer.from(v);
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === 'object') {
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  }
  return v;
};

onEachTransport((mode) => {
  test('auth arrives as it was given', async () => {
    const auth = { token: 'é\u0001"\\', n: [1, null, { deep: 1.5 }], '/': true };
    const s = await joined('/', mode, { auth });
    assert.deepEqual(s.seenAuth, auth);
    assert.deepEqual(await ask(s, 'get-auth'), auth);
    assert.match(s.id, /^[\w-]{20}$/);
  });

  test('no auth is an empty object', async () => {
    assert.deepEqual((await joined('/', mode)).seenAuth, {});
  });

  test('namespaces share a connection and nothing else', async () => {
    const root = await joined('/', mode);
    const custom = await alsoConnect(root, '/custom', { auth: { at: 'custom' } });
    assert.deepEqual(await custom.inbox.take('auth'), [{ at: 'custom' }]);
    assert.equal(await ask(custom, 'namespace'), '/custom');
    await ask(custom, 'broadcast', { event: 'all' }, 2);
    await settle(root, custom);
    assert.deepEqual(root.inbox.names(), []);
    assert.deepEqual(custom.inbox.names(), ['all']);
    custom.disconnect();
    assert.equal(await ask(root, 'namespace'), '/');
  });

  test('an unknown namespace is refused and the others go on', async () => {
    const s = await joined('/', mode);
    const error = await refused(s.io.socket('/nope'));
    assert.equal(error.message, 'Invalid namespace');
    assert.equal(await ask(s, 'echo', 'still here'), 'still here');
  });

  test('middleware refuses with a message and data', async () => {
    const error = await refused(client(server.url, '/private', mode, { parser, auth: { token: 'x' } }));
    assert.equal(error.message, 'not authorized');
    assert.deepEqual(error.data, { code: 42, seen: 'x' });
    const s = await joined('/private', mode, { auth: { token: 'secret' } });
    assert.equal(await ask(s, 'namespace'), '/private');
  });

  const values = {
    'null and booleans': [null, true, false],
    'integers of every width': [[0, 1, -1, 127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129,
      -32768, -32769, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER]],
    'numbers': [0.5, -1.5, 1.5e-300, 5e-324, 0.1, 1 / 3],
    'text': ['', 'x', 'é', '😀', '\u0000\u001f"\\\u2028', 'a'.repeat(31), 'a'.repeat(32),
      'a'.repeat(256), 'ü'.repeat(40000)],
    'arrays': [[], [[[]]], [1, [2, [3]]], [...Array(16).keys()], [...Array(70000).keys()]],
    'objects': [{}, { a: {} }, { '': 1, é: 2, 'a b': [{ c: null }] },
      Object.fromEntries([...Array(20).keys()].map((i) => [`k${i}`, i]))],
    'what only looks like an attachment': [{ _placeholder: true, num: 0 }, { _placeholder: true, num: 'x' }],
    'no arguments': [],
  };
  for (const [name, args] of Object.entries(values)) {
    test(`${name}: there and back`, async () => {
      const s = await joined('/', mode);
      s.emit('message', ...args);
      assert.deepEqual(await s.inbox.take('message-back'), args);
    });
  }

  const binary = {
    'one': [bytes(1, 2, 3)],
    'an empty one': [Buffer.alloc(0)],
    'every byte': [all256],
    'several, between other values': ['a', bytes(1), 2, bytes(3), null, bytes(4)],
    'ten': [...Array(10).keys()].map((i) => bytes(i)),
    'nested': [{ a: [bytes(1), { b: bytes(2) }], c: bytes() }, [[[bytes(3)]]]],
    'large': [crypto.randomBytes(300000)],
  };
  for (const [name, args] of Object.entries(binary)) {
    test(`binary data, ${name}: there and back`, async () => {
      const s = await joined('/', mode);
      s.emit('message', ...args);
      assert.deepEqual(plain(await s.inbox.take('message-back')), args);
      assert.deepEqual(plain([].concat(await ask(s, 'echo', args))), args);
    });
  }

  test('typed arrays and array buffers arrive as bytes', async () => {
    const s = await joined('/', mode);
    const back = await ask(s, 'echo', [new Uint8Array([1, 2]), new Uint8Array([3]).buffer]);
    assert.deepEqual(plain(back), [bytes(1, 2), bytes(3)]);
  });

  test('undefined and dates arrive as in JSON', CONFAB_ONLY, async () => {
    const s = await joined('/', mode);
    const date = new Date(1700000000123);
    assert.deepEqual(await ask(s, 'echo', [undefined, date, { u: undefined }]),
      [null, date.toJSON(), {}]);
  });

  test('every kind of value that a server can send', async () => {
    const s = await joined('/', mode);
    assert.equal(await ask(s, 'formats'), 0);
    assert.deepEqual(plain(await s.inbox.take('formats')), ['a "quoted" text', 'part', -7,
      9007199254740991, 0.5, true, false, null, { raw: [1, { x: 'é' }] }, bytes(0, 1, 255),
      { list: ['x', { deep: bytes(2) }], n: 1 }, []]);
  });

  test('the server is acknowledged', async () => {
    const s = await joined('/', mode);
    s.on('question', (x, ack) => ack('answer', { x }, bytes(9)));
    s.emit('ask', 5000, 'question', 7);
    assert.deepEqual(plain(await s.inbox.take('asked')), [true, 'answer', { x: 7 }, bytes(9)]);
    s.emit('ask', 100, 'silence');
    assert.deepEqual(await s.inbox.take('asked'), [false]);
  });

  test('an acknowledgement may come later', async () => {
    const s = await joined('/', mode);
    const late = ask(s, 'keep-ack');
    assert.equal(await ask(s, 'echo', 1), 1);
    s.emit('send-ack', bytes(1, 2));
    assert.deepEqual(plain(await late), bytes(1, 2));
  });

  test('rooms and broadcasts', async () => {
    const [a, b, c] = [await joined('/', mode), await joined('/'), await joined('/', mode)];
    await ask(a, 'join', 'r');
    await ask(b, 'join', 'r');
    await ask(c, 'broadcast', { rooms: ['r'], event: 'room' }, { x: all256 }, bytes(7));
    await ask(a, 'broadcast', { event: 'others', from: 'others' }, 1);
    await settle(a, b, c);
    for (const s of [a, b]) {
      assert.deepEqual(plain(await s.inbox.take('room')), [{ x: all256 }, bytes(7)]);
    }
    assert.deepEqual(await b.inbox.take('others'), [1]);
    assert.deepEqual(await c.inbox.take('others'), [1]);
    for (const s of [a, b, c]) assert.deepEqual(s.inbox.all, []);
  });

  test('order is kept', async () => {
    const s = await joined('/', mode);
    for (let i = 0; i < 200; i++) s.emit('message', i, i % 3 ? 'text' : bytes(i));
    const back = await s.inbox.takeAll('message-back', 200);
    back.forEach((args, i) => assert.deepEqual(plain(args), [i, i % 3 ? 'text' : bytes(i)]));
  });

  test('both sides can leave', async () => {
    const s = await joined('/', mode);
    s.emit('disconnect-me', false);
    assert.equal(await reasonOf(s), 'io server disconnect');
    const [t, watcher] = [await joined('/', mode), await joined('/')];
    await ask(watcher, 'observe');
    const { id } = t;
    t.disconnect();
    assert.deepEqual(await watcher.inbox.take('gone'),
      [{ namespace: '/', id, reason: 'client namespace disconnect' }]);
  });

  test('more than ten attachments end the connection that sent them', CONFAB_ONLY, async () => {
    const [s, other] = [await joined('/', mode), await joined('/')];
    s.emit('message', ...[...Array(11).keys()].map((i) => bytes(i)));
    assert.match(await reasonOf(s), /transport (close|error)/);
    assert.equal(await ask(other, 'echo', 1), 1);
  });

  test('a client with the text parser is not understood', async () => {
    const s = client(server.url, '/', mode);
    s.connect();
    await assert.rejects(Promise.race([
      new Promise((resolve) => s.once('connect', resolve)),
      new Promise((_, reject) => s.io.once('close', (reason) => reject(new Error(reason)))),
    ]));
  });
});

// ---- byte by byte ------------------------------------------------------------

const TYPE = 'a474797065';
const DATA = 'a464617461';
const ID = 'a26964';
const ROOT = 'a36e7370a12f';
const CONNECT = hex(`83 ${TYPE} 00 ${DATA} d40000 ${ROOT}`);
// ["message",1]
const EVENT = `${DATA} 92 a76d657373616765 01`;

const CLOSES = {
  'a text message': '42["message",1]',
  'an empty text message': '4',
  'an empty binary message': Buffer.alloc(0),
  'no map': hex('90'),
  'an empty map': hex('80'),
  'type 5': hex(`83 ${TYPE} 05 ${EVENT} ${ROOT}`),
  'type -1': hex(`83 ${TYPE} ff ${EVENT} ${ROOT}`),
  'a type that is text': hex(`83 ${TYPE} a132 ${EVENT} ${ROOT}`),
  'no type': hex(`82 ${EVENT} ${ROOT}`),
  'no namespace': hex(`82 ${TYPE} 02 ${EVENT}`),
  'a namespace that is a number': hex(`83 ${TYPE} 02 ${EVENT} a36e7370 01`),
  'id 1.5': hex(`84 ${TYPE} 02 ${EVENT} ${ID} cb3ff8000000000000 ${ROOT}`),
  'a nil id': hex(`84 ${TYPE} 02 ${EVENT} ${ID} c0 ${ROOT}`),
  'an event of a map': hex(`83 ${TYPE} 02 ${DATA} 80 ${ROOT}`),
  'an event without data': hex(`82 ${TYPE} 02 ${ROOT}`),
  'an acknowledgement of a map': hex(`84 ${TYPE} 03 ${DATA} 80 ${ID} 00 ${ROOT}`),
  'DISCONNECT with nil': hex(`83 ${TYPE} 01 ${DATA} c0 ${ROOT}`),
  'a byte behind it': hex(`83 ${TYPE} 02 ${EVENT} ${ROOT} 00`),
  'a byte less': hex(`83 ${TYPE} 02 ${EVENT} a36e7370a2 2f`),
  'a huge array': hex(`83 ${TYPE} 02 ${DATA} ddffffffff 01 ${ROOT}`),
};

for (const kind of SESSIONS) {
  describe(`byte by byte over ${kind.name}`, () => {
    let watcher;
    before(async () => {
      // not one of lib/clients.js: it lives longer than one test
      watcher = io(server.url, { forceNew: true, transports: ['websocket'], parser });
      watcher.inbox = new Inbox(watcher);
      await connected(watcher);
      await ask(watcher, 'observe');
    });
    after(() => watcher.disconnect());

    const opened = async () => {
      const s = await kind.open(server);
      await s.send(CONNECT);
      const reply = await s.message();
      s.id = reply.subarray(18, 38).toString();
      await s.message(); // "auth"
      return s;
    };

    test('the answers are those of the official server', async () => {
      const s = await kind.open(server);
      await s.send(CONNECT);
      const reply = (await s.message()).toString('hex');
      assert.match(reply,
        /^83a47479706500a46461746182a3736964b4[0-9a-f]{40}a3706964d40000a36e7370a12f$/);
      await s.message();
      await s.send(hex(`83 ${TYPE} 00 ${DATA} d40000 a36e7370a52f6e6f7065`));
      assert.equal((await s.message()).toString('hex'),
        '83a47479706504a36e7370a52f6e6f7065a46461746181a76d657373616765b1496e76616c6964206e616d657370616365');
      // ["echo",1,"é",<01 02>,null,true,1.5,{"a":-1}] with options
      await s.send(hex('84a47479706502a46461746198a46563686f01a2c3a9c4020102c0c3cb3ff800000000000081'
        + 'a161ffa76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f'));
      assert.equal((await s.message()).toString('hex'),
        '83a47479706502a46461746198a96563686f2d6261636b01a2c3a9c4020102c0c3cb3ff800000000000081a161ffa36e7370a12f');
      // ["echo",1] with an acknowledgement
      await s.send(hex('85a47479706502a46461746192a46563686f01a76f7074696f6e7381a8636f6d7072657373c3'
        + 'a2696400a36e7370a12f'));
      assert.equal((await s.message()).toString('hex'),
        '84a2696400a47479706503a4646174619101a36e7370a12f');
      // ["disconnect-me",false]
      await s.send(hex(`83 ${TYPE} 02 ${DATA} 92 ad646973636f6e6e6563742d6d65 c2 ${ROOT}`));
      assert.equal((await s.message()).toString('hex'),
        '83a47479706502a46461746191a3627965a36e7370a12f');
      assert.equal((await s.message()).toString('hex'), '82a47479706501a36e7370a12f');
      s.destroy();
    });

    for (const [name, packet] of Object.entries(CLOSES)) {
      test(`${name}: closed`, async () => {
        const s = await opened();
        await s.send(packet);
        await s.ends();
        let gone;
        do [gone] = await watcher.inbox.take('gone'); while (gone.id !== s.id);
        assert.equal(gone.reason, 'forced close');
        s.destroy();
      });
    }

    test('CONNECT with nil: closed', async () => {
      const s = await kind.open(server);
      await s.send(hex(`83 ${TYPE} 00 ${DATA} c0 ${ROOT}`));
      await s.ends();
      s.destroy();
    });

    test('events that nobody handles are ignored', async () => {
      const s = await opened();
      // [], [null], [{}], ["disconnect"], ["connect"]
      for (const args of ['90', '91c0', '9180', '91aa646973636f6e6e656374', '91a7636f6e6e656374']) {
        await s.send(hex(`83 ${TYPE} 02 ${DATA} ${args} ${ROOT}`));
      }
      await s.send(hex(`83 ${TYPE} 02 ${EVENT} ${ROOT}`));
      assert.match((await s.message()).toString('hex'), /6d6573736167652d6261636b/);
      s.destroy();
    });

    test('keys may come in any order, and more of them', async () => {
      const s = await opened();
      await s.send(hex(`84 ${ROOT} ${EVENT} a178 93010203 ${TYPE} cc02`));
      assert.match((await s.message()).toString('hex'), /6d6573736167652d6261636b/);
      s.destroy();
    });
  });
}

test('over polling a packet is base64', async () => {
  const s = await PollingSession.open(server);
  await s.post('bg6R0eXBlAKRkYXRh1AAAo25zcKEv');
  assert.match((await s.message()).toString('latin1'), /^\x83\xa4type\x00/);
  s.destroy();
  const t = await PollingSession.open(server);
  await t.post('bgqR0eXBlAKNuc3ChLw==');
  assert.match((await t.message()).toString('latin1'), /^\x83\xa4type\x00/);
  t.destroy();
});

test('a WebSocket without binary frames gets base64', CONFAB_ONLY, async () => {
  const s = await WebSocketSession.open(server, { query: '&b64=1' });
  await s.send(CONNECT);
  assert.match(await s.message(), /^bg6R0eXBlAKRkYXRhgqNzaWS0/);
  s.destroy();
});

describe('in a cluster', CONFAB_ONLY, () => {
  let redis;
  let nodes = [];
  before(async () => {
    redis = await startRedis();
    nodes = await Promise.all([
      startFixture({ redis, set: SET, name: 'msgpack' }),
      startFixture({ redis, name: 'text' }),
      startNodeJsPeer({ redis, set: SET }),
    ]);
  });
  after(async () => {
    for (const n of nodes) await n.stop();
    await redis?.stop();
  });

  test('nodes with different parsers and an official one understand each other', async () => {
    const [node, text, nodejs] = nodes;
    const all = [
      await connect(node.url, '/', undefined, { parser }),
      await connect(text.url),
      await connect(nodejs.url, '/', undefined, { parser }),
    ];
    for (const s of all) await ask(s, 'join', 'r');
    for (const from of all) {
      await ask(from, 'broadcast', { rooms: ['r'], event: 'news' }, { b: bytes(1, 2), n: 1.5 }, null);
      for (const s of all) {
        assert.deepEqual(plain(await s.inbox.take('news')), [{ b: bytes(1, 2), n: 1.5 }, null]);
      }
    }
  });
});
