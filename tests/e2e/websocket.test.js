'use strict';
// The WebSocket transport, frame by frame.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { startFixture } = require('../lib/servers');
const { serving, join, CONFAB_ONLY } = require('../lib/suite');
const { WebSocketSession } = require('../lib/session');
const { Connection, WebSocketConnection, frame, requestText } = require('../lib/raw');
const { ask } = require('../lib/clients');
const { until } = require('../lib/until');

const server = serving(startFixture);

const W = '/socket.io/?EIO=4&transport=websocket';

async function opened() {
  const ws = await WebSocketConnection.open(server, W);
  ws.opening = await ws.textFrame();
  ws.text('40');
  ws.reply = await ws.textFrame();
  await ws.textFrame(); // the fixture's greeting
  return ws;
}

describe('handshake', () => {
  test('the answer and the first frame', async () => {
    const ws = await WebSocketConnection.open(server, W);
    const { headers, status, reason } = ws.handshake;
    assert.deepEqual([status, reason], [101, 'Switching Protocols']);
    assert.equal(headers.upgrade.toLowerCase(), 'websocket');
    assert.equal(headers.connection.toLowerCase(), 'upgrade');
    assert.equal(headers['sec-websocket-accept'], crypto.createHash('sha1')
      .update(`${ws.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64'));
    assert.equal(headers['sec-websocket-extensions'], undefined);
    assert.equal(headers['sec-websocket-protocol'], undefined);
    assert.match(await ws.textFrame(), new RegExp('^0\\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\\[\\],'
      + '"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\\}$'));
  });

  test('offered extensions are not taken, the first subprotocol is', async () => {
    const ws = await WebSocketConnection.open(server, W, {
      headers: {
        'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
        'Sec-WebSocket-Protocol': 'foo, bar',
      },
    });
    assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
    assert.equal(ws.handshake.headers['sec-websocket-protocol'], 'foo');
    assert.equal((await ws.frame()).rsv, 0);
  });

  test('headers in other cases and lists are understood', async () => {
    const c = new Connection(server);
    c.write(`GET ${W} HTTP/1.1\r\nhOST: x\r\nconnection: keep-alive, Upgrade\r\nUPGRADE: WebSocket\r\n`
      + 'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    const r = await c.response();
    assert.equal(r.status, 101);
    assert.equal(r.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  const refusals = {
    'an unknown session': [`${W}&sid=nope`, {}, 'Session ID unknown'],
    'an unknown transport': ['/socket.io/?EIO=4&transport=abc', {}, 'Transport unknown'],
    'a bad key': [W, { 'Sec-WebSocket-Key': 'short' }, 'Missing or invalid Sec-WebSocket-Key header'],
    'another version': [W, { 'Sec-WebSocket-Version': '7' },
      'Missing or invalid Sec-WebSocket-Version header'],
  };
  for (const [name, [path, headers, text]] of Object.entries(refusals)) {
    test(`${name} is refused`, async () => {
      let refusal;
      await assert.rejects(WebSocketConnection.open(server, path, { headers }), (e) => {
        refusal = e;
        return true;
      });
      assert.equal(refusal.response.status, 400);
      assert.equal(refusal.response.headers.connection.toLowerCase(), 'close');
      assert.equal(String(refusal.response.body), text);
      if (name === 'another version') {
        assert.match(refusal.response.headers['sec-websocket-version'], /^13/);
      }
      await refusal.connection.end();
    });
  }

  test('another method is refused', async () => {
    const c = new Connection(server);
    c.write(requestText('POST', W, {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }, ''));
    const r = await c.response();
    assert.deepEqual([r.status, String(r.body)], [400, 'Bad handshake method']);
  });

  test('revision 3 gets no session', async () => {
    const c = new Connection(server);
    c.write(requestText('GET', W.replace('EIO=4', 'EIO=3'), {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }));
    await c.end();
    assert.match(String(c.buffer), /Unsupported protocol version/);
    assert.doesNotMatch(String(c.buffer), /"sid"/);
  });

  test('an upgrade elsewhere is none', async () => {
    const c = new Connection(server);
    c.write(requestText('GET', '/elsewhere', {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }));
    await until(() => c.ended || c.buffer.length, 5000, 'an answer or the end');
    assert.match(String(c.buffer), /^$|^HTTP\/1\.1 404 /);
  });

  test('frames that come with the handshake are not lost', CONFAB_ONLY, async () => {
    const c = new WebSocketConnection(server);
    c.write(Buffer.concat([
      requestText('GET', W, {
        Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13,
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      }),
      frame(1, '40'), frame(1, '421["echo","early"]'),
    ]));
    assert.equal((await c.response()).status, 101);
    assert.match(await c.textFrame(), /^0\{/);
    assert.match(await c.textFrame(), /^40\{/);
    assert.match(await c.textFrame(), /^42\["auth"/);
    assert.equal(await c.textFrame(), '431["early"]');
  });
});

describe('messages', () => {
  test('fragments make one message, control frames come between', async () => {
    const ws = await opened();
    const text = Buffer.from('421["echo","fragmé"]');
    ws.write(frame(1, text.subarray(0, 17), { fin: false }));
    ws.write(frame(9, 'ping 1'));
    ws.write(frame(0, '', { fin: false }));
    for (const b of text.subarray(17, -1)) ws.write(frame(0, Buffer.from([b]), { fin: false }));
    ws.write(frame(9, ''));
    ws.write(frame(0, text.subarray(-1)));
    let f = await ws.frame();
    assert.deepEqual([f.opcode, String(f.payload)], [10, 'ping 1']);
    f = await ws.frame();
    assert.deepEqual([f.opcode, String(f.payload)], [10, '']);
    assert.equal(await ws.textFrame(), '431["fragmé"]');
  });

  test('frames that come byte by byte', async () => {
    const ws = await opened();
    for (const b of frame(1, '421["echo",1]')) ws.write(Buffer.from([b]));
    assert.equal(await ws.textFrame(), '431[1]');
  });

  test('many frames in one write are answered in order', async () => {
    const ws = await opened();
    const n = 500;
    ws.write(Buffer.concat([...Array(n).keys()].map((i) => frame(1, `42["message",${i}]`))));
    for (let i = 0; i < n; i++) assert.equal(await ws.textFrame(), `42["message-back",${i}]`);
  });

  for (const size of [124, 125, 126, 127, 65534, 65535, 65536, 70000]) {
    test(`a message of ${size} bytes`, async () => {
      const ws = await opened();
      const head = '42["message","';
      const text = 'y'.repeat(size - head.length - 2);
      ws.text(`${head}${text}"]`);
      assert.equal(await ws.textFrame(), `42["message-back","${text}"]`);
    });
  }

  test('binary data stands alone in its frame', async () => {
    const ws = await opened();
    ws.text('451-["message",{"_placeholder":true,"num":0}]');
    ws.binary(Buffer.from([1, 2]));
    assert.equal(await ws.textFrame(), '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.deepEqual((await ws.frame()), { fin: true, rsv: 0, opcode: 2, payload: Buffer.from([1, 2]) });
  });

  test('base64 text is taken as data, too', async () => {
    const ws = await opened();
    ws.text('451-["message",{"_placeholder":true,"num":0}]');
    ws.text('bAQID');
    await ws.textFrame();
    assert.deepEqual((await ws.frame()).payload, Buffer.from([1, 2, 3]));
  });

  test('a close packet in a frame is ignored', async () => {
    const ws = await opened();
    ws.text('1');
    ws.text('421["echo",1]');
    assert.equal(await ws.textFrame(), '431[1]');
  });
});

describe('what ends the connection', () => {
  const closes = {
    'an empty frame': [frame(1, ''), 1005],
    'a probe on a session of its own': [frame(1, '2probe'), 1005],
    'an unmasked frame': [frame(1, '3', { mask: false }), 1002],
    'a reserved bit': [frame(1, '3', { rsv: 4 }), 1002],
    'another reserved bit': [frame(1, '3', { rsv: 1 }), 1002],
    'an unknown opcode': [frame(3, 'x'), 1002],
    'an unknown control opcode': [frame(11, 'x'), 1002],
    'a control frame in fragments': [frame(9, 'x', { fin: false }), 1002],
    'a control frame of 126 bytes': [frame(9, 'x'.repeat(126)), 1002],
    'a continuation of nothing': [frame(0, 'x'), 1002],
    'a new message inside another': [Buffer.concat([frame(1, '4', { fin: false }), frame(1, '3')]), 1002],
    'text that is no UTF-8': [frame(1, Buffer.from([0x34, 0x32, 0xff, 0xfe])), 1007],
    'text that ends inside a character': [frame(1, Buffer.from([0x34, 0xc3])), 1007],
    'a close frame of one byte': [frame(8, 'x'), 1002],
    'a close frame with a reserved code': [frame(8, Buffer.from([0x03, 0xed])), 1002],
    'a close frame with text that is no UTF-8': [frame(8, Buffer.from([0x03, 0xe8, 0xff])), 1007],
  };
  for (const [name, [sent, code]] of Object.entries(closes)) {
    test(`${name}: ${code}`, async () => {
      const [other, ws] = [await join(server), await opened()];
      ws.write(sent);
      assert.equal(await ws.closeCode(), code);
      if (code === 1005) ws.write(frame(8, '')); // it waits for the answer
      await ws.end();
      assert.equal(await ask(other, 'echo', 1), 1);
    });
  }

  test('the client\'s own close frame comes back', async () => {
    let ws = await opened();
    ws.write(frame(8, Buffer.from([0x03, 0xe8])));
    assert.equal(await ws.closeCode(), 1000);
    await ws.end();
    ws = await opened();
    ws.write(frame(8, ''));
    assert.equal(await ws.closeCode(), 1005);
    await ws.end();
  });

  test('messages before the close frame are heard', async () => {
    const watcher = await join(server);
    await ask(watcher, 'join', 'last words');
    const ws = await opened();
    const spec = JSON.stringify({ rooms: ['last words'], event: 'last' });
    ws.write(Buffer.concat([frame(1, `42["broadcast",${spec},"word"]`), frame(8, '')]));
    assert.deepEqual(await watcher.inbox.take('last'), ['word']);
  });
});

test('a message that never ends bothers nobody', async () => {
  const [other, s] = [await join(server), await WebSocketSession.open(server)];
  s.ws.write(frame(1, '42["mess', { fin: false }));
  assert.equal(await ask(other, 'echo', 1), 1);
  s.ws.write(frame(0, 'age"]'));
  await s.ends(); // not joined
});
