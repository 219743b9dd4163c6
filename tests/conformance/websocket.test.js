'use strict';
// Checks 54 to 68: the WebSocket transport.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { WebSocketConnection, frame } = require('../lib/raw');
const { sleep, SLOW } = require('../lib/until');
const { W, reasonOf, opened, closed, stays, refusal } = require('../lib/conformance');

const MAX = 5000;
const server = serving(startFixture, { set: { 'engine.max_payload_bytes': MAX } });

const PLACEHOLDER = '{"_placeholder":true,"num":0}';

test('54 handshakes that are none', async () => {
  const cases = [
    [{ 'Sec-WebSocket-Key': 'short' }, 'Missing or invalid Sec-WebSocket-Key header'],
    [{ 'Sec-WebSocket-Version': '7' }, 'Missing or invalid Sec-WebSocket-Version header'],
    [{ Upgrade: 'foo' }, 'Invalid Upgrade header'],
  ];
  for (const [headers, text] of cases) {
    const r = await refusal(server, W, headers);
    assert.deepEqual([r.status, String(r.body)], [400, text]);
    assert.equal(r.headers.connection.toLowerCase(), 'close');
    assert.equal(r.headers['sec-websocket-version'], headers['Sec-WebSocket-Version'] && '13, 8');
  }
});

test('55 the first subprotocol is taken', async () => {
  const ws = await WebSocketConnection.open(server, W, { headers: { 'Sec-WebSocket-Protocol': 'foo, bar' } });
  assert.equal(ws.handshake.headers['sec-websocket-protocol'], 'foo');
});

test('56 permessage-deflate is not taken', async () => {
  const ws = await WebSocketConnection.open(server, W,
    { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' } });
  assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
  assert.equal((await ws.frame()).rsv, 0);
});

test('57 an unknown session: 400 in plain text, closed', async () => {
  const r = await refusal(server, `${W}&sid=nope`);
  assert.deepEqual([r.status, String(r.body)], [400, 'Session ID unknown']);
  assert.equal(r.headers['content-length'], '18');
  assert.equal(r.headers.connection.toLowerCase(), 'close');
});

const WRONG = { x: 'parse error', '': 'parse error', 4: 'forced close', 2: 'transport error', '2probe': 'transport error' };
for (const [packet, reason] of Object.entries(WRONG)) {
  test(`58 text frame "${packet}": closed, ${reason}`, async () => {
    const ws = await opened(server);
    ws.text(packet);
    await closed(ws);
    assert.equal(await reasonOf(server, ws.id), reason);
  });
}

test('59 a close packet is ignored', async () => {
  const ws = await opened(server);
  ws.text('1');
  await stays(ws);
});

test('60 packets 5, 6, 0 and 3 are ignored', async () => {
  const ws = await opened(server);
  for (const p of ['5', '6', '0', '3']) ws.text(p);
  await stays(ws);
});

test('61 binary data that nothing announced: closed', async () => {
  for (const data of [[1], []]) {
    const ws = await opened(server);
    ws.binary(Buffer.from(data));
    await closed(ws);
    assert.equal(await reasonOf(server, ws.id), 'forced close');
  }
});

test('62 base64 in a text frame is an attachment', async () => {
  const ws = await opened(server);
  ws.text(`451-["message",${PLACEHOLDER}]`);
  ws.text('bAQID');
  assert.equal(await ws.textFrame(), `451-["message-back",${PLACEHOLDER}]`);
  const f = await ws.frame();
  assert.deepEqual([f.opcode, f.payload.toString('hex')], [2, '010203']);
});

test('63 b64=1: attachments come as base64 in text frames', async () => {
  const ws = await opened(server, { query: '&b64=1' });
  for (const [data, text] of [['010203', 'bAQID'], ['07fc', 'bB/w=']]) {
    ws.text(`451-["message",${PLACEHOLDER}]`);
    ws.binary(Buffer.from(data, 'hex'));
    assert.equal(await ws.textFrame(), `451-["message-back",${PLACEHOLDER}]`);
    assert.equal(await ws.textFrame(), text);
  }
});

const BROKEN = {
  'an unmasked frame': [frame(1, '43', { mask: false }), '03ea'],
  'a reserved bit': [frame(1, '43', { rsv: 4 }), '03ea'],
  'text that is no UTF-8': [frame(1, Buffer.from([0x34, 0x32, 0xff])), '03ef'],
  'a message that is too large': [frame(1, `42["x","${'x'.repeat(MAX)}"]`), '03f1'],
};
for (const [name, [bytes, code]] of Object.entries(BROKEN)) {
  test(`64 ${name}: close frame ${code}, transport error`, async () => {
    const ws = await opened(server);
    ws.write(bytes);
    await closed(ws, code);
    await ws.end();
    assert.equal(await reasonOf(server, ws.id), 'transport error');
  });
}

test('65 fragments, with a ping between them', async () => {
  const ws = await opened(server, { connect: false });
  ws.write(frame(1, '4', { fin: false }));
  ws.write(frame(0, '0'));
  assert.match(await ws.textFrame(), /^40\{"sid":/);
  await ws.textFrame();
  ws.text(`451-["message",${PLACEHOLDER}]`);
  ws.binary(Buffer.from([1, 2]), { fin: false });
  ws.write(frame(9, 'between'));
  ws.write(frame(0, Buffer.from([3])));
  const pong = await ws.frame();
  assert.deepEqual([pong.opcode, String(pong.payload)], [10, 'between']);
  assert.equal(await ws.textFrame(), `451-["message-back",${PLACEHOLDER}]`);
  assert.equal((await ws.frame()).payload.toString('hex'), '010203');
});

test('66 the client closes: its code and reason come back, transport close', async () => {
  for (const code of ['03e8', '', '03e8627965']) {
    const ws = await opened(server);
    ws.write(frame(8, Buffer.from(code, 'hex')));
    await closed(ws, code);
    ws.socket.end();
    assert.equal(await reasonOf(server, ws.id), 'transport close');
  }
});

const INTERVAL = 300 * SLOW;
const TIMEOUT = 1000 * SLOW;

describe('the heartbeat', () => {
  const hasty = serving(startFixture, {
    set: { 'engine.ping_interval_ms': INTERVAL, 'engine.ping_timeout_ms': TIMEOUT },
  });
  const between = (ms, low, high) => assert.ok(ms >= low - 30 && ms <= high,
    `${ms} ms, expected ${low} to ${high}`);

  test('67 without a pong: closed after the timeout', async () => {
    const begin = Date.now();
    const ws = await opened(hasty);
    assert.equal(await ws.textFrame(), '2');
    const ping = Date.now();
    between(ping - begin, INTERVAL, INTERVAL + TIMEOUT);
    await closed(ws);
    between(Date.now() - ping, TIMEOUT, TIMEOUT * 1.5);
    assert.equal(await reasonOf(hasty, ws.id), 'ping timeout');
  });

  test('67 other packets extend the timeout, once', async () => {
    const ws = await opened(hasty);
    assert.equal(await ws.textFrame(), '2');
    const ping = Date.now();
    for (const at of [0.4, 0.8]) {
      await sleep(ping + at * TIMEOUT - Date.now());
      ws.text('42["unknown"]');
    }
    await closed(ws);
    between(Date.now() - ping, TIMEOUT * 1.4, TIMEOUT * 1.75);
  });

  test('68 the next ping comes an interval after the pong', async () => {
    const ws = await opened(hasty);
    assert.equal(await ws.textFrame(), '2');
    await sleep(TIMEOUT / 4);
    const pong = Date.now();
    ws.text('3');
    assert.equal(await ws.textFrame(), '2');
    between(Date.now() - pong, INTERVAL, INTERVAL + TIMEOUT / 2);
  });
});
