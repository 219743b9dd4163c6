'use strict';
// The size of what clients may send.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join } = require('../lib/suite');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { Connection, WebSocketConnection, requestText, frame } = require('../lib/raw');
const { ask, reasonOf } = require('../lib/clients');

const MAX = 10000;
const server = serving(startFixture, { set: { 'engine.max_payload_bytes': MAX } });

// An event of n bytes, counted with the Engine.IO digit or without.
const event = (n) => `42["unknown","${'x'.repeat(n - '42["unknown",""]'.length)}"]`;

async function stays(s) {
  await s.send('421["echo","small"]');
  assert.equal(await s.message(), '431["small"]');
}

async function joined(kind) {
  const s = await kind.open(server);
  await s.connect();
  await s.message();
  return s;
}

test('the limit is announced', async () => {
  assert.equal((await PollingSession.open(server)).handshake.maxPayload, MAX);
  assert.equal((await WebSocketSession.open(server)).handshake.maxPayload, MAX);
});

describe('polling', () => {
  test('a body of exactly the limit passes', async () => {
    const s = await joined(PollingSession);
    assert.equal((await s.post(event(MAX))).status, 200);
    await stays(s);
  });

  test('one byte more is answered 413, and the session stays', async () => {
    const s = await joined(PollingSession);
    const r = await s.post(event(MAX + 1));
    assert.deepEqual([r.status, String(r.body)], [413, '']);
    await stays(s);
  });

  test('a length that is announced too large is answered before the body comes', async () => {
    const s = await joined(PollingSession);
    const c = new Connection(server);
    c.write(requestText('POST', s.path, { 'Content-Length': MAX * 10 }, event(MAX + 1)));
    assert.equal((await c.response()).status, 413);
    await stays(s);
  });

  test('a chunked body is stopped at the limit', async () => {
    const s = await joined(PollingSession);
    const c = new Connection(server);
    c.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const part = 'x'.repeat(1000);
    for (let i = 0; i < 11; i++) c.write(`3e8\r\n${part}\r\n`);
    assert.equal((await c.response()).status, 413);
    await stays(s);
  });

  test('several packets share the limit', async () => {
    const s = await joined(PollingSession);
    const half = event(MAX / 2);
    assert.equal((await s.post([half, half].join('\x1e'))).status, 413);
    await stays(s);
  });
});

describe('WebSocket', () => {
  test('a message of exactly the limit passes', async () => {
    const s = await joined(WebSocketSession);
    s.ws.text(event(MAX));
    await stays(s);
  });

  const large = {
    'one byte more': (ws) => ws.text(event(MAX + 1)),
    'one byte more of data': (ws) => ws.binary(Buffer.alloc(MAX + 1)),
    'one byte more in fragments': (ws) => {
      ws.write(frame(1, event(MAX), { fin: false }));
      ws.write(frame(0, 'x'));
    },
    'a header that announces too much': (ws) => ws.write(frame(1, '4', { length: MAX + 1 })),
    'a header that announces 2^32 bytes': (ws) => ws.write(frame(2, '', { length: 2n ** 32n })),
    'a header that announces 2^63 - 1 bytes': (ws) => ws.write(frame(1, '', { length: 2n ** 63n - 1n })),
  };
  for (const [name, send] of Object.entries(large)) {
    test(`${name}: 1009`, async () => {
      const [other, ws] = [await join(server), await WebSocketConnection.open(server,
        '/socket.io/?EIO=4&transport=websocket')];
      send(ws);
      assert.equal(await ws.closeCode(), 1009);
      await ws.end();
      assert.equal(await ask(other, 'echo', 1), 1);
    });
  }

  test('a length with the highest bit ends the connection', async () => {
    const ws = await WebSocketConnection.open(server, '/socket.io/?EIO=4&transport=websocket');
    ws.write(frame(1, '', { length: 2n ** 63n }));
    const code = await ws.closeCode();
    assert.ok(code === 1009 || code === 1002, `close code ${code}`);
    await ws.end();
  });
});

onEachTransport((mode) => {
  test('a client that sends too much is disconnected, others are not', async () => {
    const [s, other] = [await join(server, '/', mode), await join(server)];
    s.emit('message', 'x'.repeat(MAX + 100));
    assert.match(await reasonOf(s), /^transport (error|close)$/);
    assert.equal(await ask(other, 'echo', 1), 1);
  });

  test('attachments that are each small enough pass', async () => {
    const s = await join(server, '/', mode);
    const parts = [...Array(4).keys()].map((i) => Buffer.alloc(2000, i));
    assert.deepEqual(await ask(s, 'echo', parts), parts);
  });
});

describe('the default', () => {
  const usual = serving(startFixture);

  test('a million bytes pass, one more does not', async () => {
    const s = await PollingSession.open(usual);
    assert.equal((await s.post(`3${'x'.repeat(999999)}`)).status, 200);
    assert.equal((await s.post(`3${'x'.repeat(1000000)}`)).status, 413);
    const ws = await WebSocketConnection.open(usual, '/socket.io/?EIO=4&transport=websocket');
    await ws.textFrame();
    ws.text(`3${'x'.repeat(999999)}`);
    ws.write(frame(9, 'alive'));
    const f = await ws.frame();
    assert.deepEqual([f.opcode, String(f.payload)], [10, 'alive']);
    ws.text(`3${'x'.repeat(1000000)}`);
    assert.equal(await ws.closeCode(), 1009);
  });

  test('large events travel in both directions', async () => {
    for (const mode of require('../lib/clients').MODES) {
      const s = await join(usual, '/', mode);
      const text = 'z'.repeat(900000);
      assert.equal((await ask(s, 'echo', text)).length, text.length);
    }
  });
});

describe('without CONNECT', () => {
  const strict = serving(startFixture, { set: { 'engine.connect_timeout_ms': 300 } });

  test('a WebSocket is closed', async () => {
    const begin = Date.now();
    const s = await WebSocketSession.open(strict);
    assert.equal(await s.ends(), 'close ');
    assert.ok(Date.now() - begin >= 250);
  });

  test('a parked request gets the close packet', async () => {
    const s = await PollingSession.open(strict);
    assert.equal(await s.ends(), 'close packet');
  });

  test('a polling session without one is told with the next request', async () => {
    const s = await PollingSession.open(strict, { poll: false });
    const watcher = await join(strict);
    // as long as the timeout and then some, measured by another's timeout
    const other = await WebSocketSession.open(strict);
    await other.ends();
    await ask(watcher, 'echo', 1);
    const r = await s.get();
    assert.equal(String(r.body), '6\x1e1');
  });

  test('a refused CONNECT does not count', async () => {
    const s = await WebSocketSession.open(strict);
    assert.match(await s.connect('/nope'), /^44/);
    assert.equal(await s.ends(), 'close ');
  });

  test('a client that joined stays', async () => {
    const s = await WebSocketSession.open(strict);
    await s.connect('/custom');
    await s.message();
    const other = await WebSocketSession.open(strict);
    await other.ends();
    await s.send('42/custom,1["echo",1]');
    assert.equal(await s.message(), '43/custom,1[1]');
  });
});
