'use strict';
// Compression of WebSocket messages (RFC 7692) against a server that echoes:
// what is agreed on, what is compressed well, what is damaged.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const zlib = require('node:zlib');
const { startEcho } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { WebSocketConnection, frame } = require('../lib/raw');
const { SLOW } = require('../lib/until');
const {
  text, ping, more, close, OPEN, OPCODE, pieces, fragments,
  is, closed, expect, send, leaves, opened, play, cases,
} = require('../lib/echo');

const PMD = 'permessage-deflate';
const ANSWER = `${PMD}; server_no_context_takeover; client_no_context_takeover`;
const offer = (value) => ({ 'Sec-WebSocket-Extensions': value });
const OFFER = offer(`${PMD}; client_max_window_bits`);
const RSV1 = 4;
const FIRST = { rsv: RSV1 };

const TAIL = Buffer.from([0, 0, 255, 255]);
const SYNC = { finishFlush: zlib.constants.Z_SYNC_FLUSH };
// Ends in an empty stored block, whose last four bytes are not sent.
function pack(data, options = {}) {
  const out = zlib.deflateRawSync(data, { ...SYNC, ...options });
  return out.subarray(0, out.length - 4);
}

// A frame as sent without compression; each message must stand on its own.
function reading(windowBits = 15) {
  return (f) => {
    if (!(f.rsv & RSV1)) return f;
    assert.ok(f.opcode === 1 || f.opcode === 2, 'only messages are compressed');
    const payload = zlib.inflateRawSync(Buffer.concat([f.payload, TAIL]), { ...SYNC, windowBits });
    return { ...f, rsv: f.rsv & ~RSV1, payload };
  };
}
const WITH = { headers: OFFER, read: reading() };

const packed = (kind, data, options) => frame(OPCODE[kind], pack(data, options), FIRST);
const raw = (kind, bytes, options) => frame(OPCODE[kind], Buffer.from(bytes), { ...FIRST, ...options });

// Text like what applications send.
function json(n) {
  let s = '[';
  for (let i = 0; s.length < n; i++) s += `{"id":${i * 7919 % 10007},"name":"user ${i}","tags":["ä","€"]},`;
  let b = Buffer.from(s).subarray(0, n);
  while (Buffer.from(b.toString()).length !== b.length) b = b.subarray(0, -1);
  return Buffer.concat([b, Buffer.alloc(n - b.length, ' ')]);
}

// Neither plain nor random, the same each time.
function noise(n) {
  const out = Buffer.alloc(n);
  let x = 12345;
  for (let i = 0; i < n; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    out[i] = (x >>> 16) & 0x3f;
  }
  return out;
}

describe('RFC 7692', CONFAB_ONLY, () => {
  const server = serving(startEcho, { deflate: true });

  // ---- what is agreed on -----------------------------------------------------

  const accepted = {
    [PMD]: ANSWER,
    [`${PMD}; client_max_window_bits`]: ANSWER,
    [`${PMD}; server_no_context_takeover`]: ANSWER,
    [`${PMD}; client_no_context_takeover`]: ANSWER,
    [`${PMD}; server_no_context_takeover; client_no_context_takeover`]: ANSWER,
    [`${PMD}; client_no_context_takeover; client_max_window_bits; server_no_context_takeover`]: ANSWER,
    [`${PMD} ;client_max_window_bits`]: ANSWER,
    [`${PMD};client_max_window_bits="10"`]: ANSWER,
    [`x-webkit-deflate-frame, ${PMD}`]: ANSWER,
    [`${PMD}; unknown, ${PMD}`]: ANSWER,
    [`${PMD}; server_max_window_bits=16, ${PMD}; server_max_window_bits=12`]:
      `${ANSWER}; server_max_window_bits=12`,
    [`${PMD}; server_max_window_bits=9, ${PMD}`]: `${ANSWER}; server_max_window_bits=9`,
  };
  for (let bits = 8; bits <= 15; bits++) {
    accepted[`${PMD}; server_max_window_bits=${bits}`] = `${ANSWER}; server_max_window_bits=${bits}`;
    accepted[`${PMD}; client_max_window_bits=${bits}`] = ANSWER;
  }
  const declined = [
    'x-unknown', 'permessage-bzip2', 'PERMESSAGE-DEFLATE',
    `${PMD}; unknown`, `${PMD}; unknown=1`, `${PMD}; Server_No_Context_Takeover`,
    `${PMD}; server_no_context_takeover; server_no_context_takeover`,
    `${PMD}; client_no_context_takeover; client_no_context_takeover`,
    `${PMD}; client_max_window_bits; client_max_window_bits`,
    `${PMD}; server_max_window_bits=10; server_max_window_bits=10`,
    `${PMD}; server_no_context_takeover=1`, `${PMD}; client_no_context_takeover=true`,
    `${PMD}; server_max_window_bits`,
    ...['server', 'client'].flatMap((side) => ['0', '7', '16', '08', '015', '+9', '-9', '1e1', 'abc', '99999999999']
      .map((v) => `${PMD}; ${side}_max_window_bits=${v}`)),
  ];
  const malformed = [
    ';', ',', `${PMD};`, `${PMD}; =1`, `${PMD}; server_max_window_bits=`, `${PMD},`, `,${PMD}`,
    `${PMD}; client_max_window_bits="10`, `${PMD}; client_max_window_bits=""`, `${PMD} x`,
  ];

  describe('what is agreed on', () => {
    for (const [value, answer] of Object.entries(accepted)) {
      test(`accepted: ${value}`, async () => {
        const ws = await opened(server, offer(value));
        assert.equal(ws.handshake.headers['sec-websocket-extensions'], answer);
        await send(ws, packed('text', 'agreed '.repeat(30)));
        await expect(ws, is('text', 'agreed '.repeat(30)), reading());
        await leaves(ws);
      });
    }
    for (const value of declined) {
      test(`declined: ${value}`, async () => {
        const ws = await opened(server, offer(value));
        assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
        await send(ws, text('plain '.repeat(30)));
        await expect(ws, is('text', 'plain '.repeat(30))); // no reserved bit
        await send(ws, packed('text', 'x'));
        await expect(ws, closed(1002));
      });
    }
    for (const value of malformed) {
      test(`refused: ${value}`, async () => {
        await assert.rejects(
          WebSocketConnection.open(server, '/', { headers: offer(value) }), /answered 400/);
      });
    }
    test('two headers are one list', async () => {
      const ws = await opened(server, { 'Sec-WebSocket-Extensions': ['x-unknown', PMD] });
      assert.equal(ws.handshake.headers['sec-websocket-extensions'], ANSWER);
    });
    test('without an offer nothing is', async () => {
      const ws = await opened(server);
      assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
      await send(ws, packed('text', 'x'));
      await expect(ws, closed(1002));
    });
  });

  // ---- messages -----------------------------------------------------------------

  const messages = {};
  for (const n of [0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]) {
    for (const [kind, data] of [['text', json(n)], ['binary', noise(n)]]) {
      const back = is(kind, data);
      messages[`${kind} of ${n} bytes`] = [packed(kind, data), back];
      messages[`${kind} of ${n} bytes, twenty times`] = [
        Array(20).fill(packed(kind, data)), ...Array(20).fill(back)];
      messages[`${kind} of ${n} bytes, uncompressed`] = [frame(OPCODE[kind], data), back];
      for (const size of [1, 64, 256, 4096].filter((s) => s < n && n / s < 5000)) {
        messages[`${kind} of ${n} bytes in fragments of ${size}`] = [
          Buffer.concat(fragments(kind, pack(data), size, FIRST)), back];
      }
    }
  }
  cases(server, 'messages of many sizes', messages, WITH);

  for (const [kind, sizes] of [['text', [0, 100, 5000, 300, 65536]], ['binary', [0, 100, 5000, 300, 65536]]]) {
    test(`${kind}, compressed and not in turn`, () => play(server, sizes.flatMap((n, i) => {
      const data = kind === 'text' ? json(n) : noise(n);
      return [i % 2 ? frame(OPCODE[kind], data) : packed(kind, data), is(kind, data)];
    }), WITH));
  }

  const long = json(20000);
  const hard = crypto.randomBytes(20000);
  const forms = {
    'every level': [...Array(10).keys()].flatMap((level) => [packed('text', long, { level }), is('text', long)]),
    'every window of the client': [8, 9, 10, 11, 12, 13, 14, 15].flatMap((windowBits) => [
      packed('text', long, { windowBits }), is('text', long)]),
    'every strategy': [0, 1, 2, 3, 4].flatMap((strategy) => [
      packed('text', long, { strategy }), is('text', long)]),
    'stored blocks': [packed('binary', hard, { level: 0 }), is('binary', hard)],
    'what cannot be compressed': [packed('binary', hard), is('binary', hard)],
    'an empty message of one zero byte': [raw('text', [0]), is('text', '')],
    'an empty message as zlib writes it': [raw('text', pack('')), is('text', '')],
    'fixed codes': [raw('text', [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]), is('text', 'Hello')],
    'one stored block': [
      raw('text', [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]), is('text', 'Hello')],
    'a last block': [raw('text', [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]), is('text', 'Hello')],
    'two blocks': [
      raw('text', [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]),
      is('text', 'Hello')],
    'a whole stream of its own': [raw('text', zlib.deflateRawSync(long)), is('text', long)],
    'twice the same bytes, both afresh': [[packed('text', 'Hello'), packed('text', 'Hello')],
      is('text', 'Hello'), is('text', 'Hello')],
    'cut at every byte': pieces(pack('Hello, world, hello'), 1).slice(1).flatMap((_, i) => {
      const b = pack('Hello, world, hello');
      return [[raw('text', b.subarray(0, i + 1), OPEN), more(b.subarray(i + 1))],
        is('text', 'Hello, world, hello')];
    }),
    'written byte by byte': [pieces(packed('text', json(500)), 1), is('text', json(500))],
    'empty fragments around it': [
      [raw('text', '', OPEN), more(pack('Hello'), OPEN), more('')], is('text', 'Hello')],
    'pings between fragments are not compressed': [
      fragments('text', pack(json(600)), 50, FIRST).flatMap((x, i) => (i === 1 ? [ping('abc'), x] : [x])),
      is('pong', 'abc'), is('text', json(600))],
    'a character in two fragments': [
      fragments('text', pack('€€€€'), 2, FIRST), is('text', '€€€€')],
    'the close frame is not compressed': [packed('text', long), is('text', long), close(1000), closed(1000)],
  };
  cases(server, 'forms of compressed data', forms, WITH);

  describe('the server keeps to the window that was asked for', () => {
    for (let bits = 8; bits <= 15; bits++) {
      test(`${bits} bits`, async () => {
        const ws = await opened(server, offer(`${PMD}; server_max_window_bits=${bits}`));
        const read = reading(Math.max(bits, 8));
        for (const n of [16, 200, 256, 257, 512, 513, 1024, 4096, 32768, 32769, 131072]) {
          await send(ws, packed('text', json(n)));
          await expect(ws, is('text', json(n)), read);
        }
        await leaves(ws);
      });
    }
  });

  test('what is compressible comes back compressed', async () => {
    const ws = await opened(server, OFFER);
    await send(ws, text('z'.repeat(10000)));
    const f = await ws.frame();
    assert.equal(f.rsv, RSV1);
    assert.ok(f.payload.length < 100, `${f.payload.length} bytes`);
    assert.equal(String(reading()(f).payload), 'z'.repeat(10000));
    await leaves(ws);
  });

  // ---- what is wrong --------------------------------------------------------------

  // What a client may not do that was told to forget: the second refers back.
  function twoWithOneContext() {
    const first = Buffer.from('the very same words, no more and no less');
    return [packed('text', first), frame(1, pack(first, { dictionary: first }), FIRST)];
  }
  const cut = pack(json(1000));
  const wrong = {
    'a reserved kind of block': [raw('text', [0x06]), closed(1007)],
    'a stored block with a wrong length': [raw('text', [0, 5, 0, 0, 0, 1, 2, 3, 4, 5, 0]), closed(1007)],
    'a stored block that is cut off': [raw('binary', [0, 50, 0, 205, 255, 1, 2, 3]), closed(1007)],
    'a distance before the beginning': [raw('text', [0x4b, 0x04, 0x62, 0x00]), closed(1007)],
    'random bytes': [raw('binary', Buffer.alloc(100, 0xff)), closed(1007)],
    'data that is cut off': [raw('text', cut.subarray(0, cut.length / 2)), closed(1007)],
    'data that is cut off, in fragments': [
      fragments('text', cut.subarray(0, cut.length / 2), 20, FIRST), closed(1007)],
    'plain text that claims to be compressed': [raw('text', 'this is just text'), closed(1007)],
    'the context of the message before': [twoWithOneContext(),
      is('text', 'the very same words, no more and no less'), closed(1007)],
    'text that is not UTF-8': [packed('text', Buffer.from([0x61, 0xff])), closed(1007)],
    'text that ends inside a character': [packed('text', Buffer.from([0x61, 0xe2, 0x82])), closed(1007)],
    'a surrogate': [packed('text', Buffer.from([0xed, 0xa0, 0x80])), closed(1007)],
    'a compressed continuation': [
      [raw('text', pack('Hello'), OPEN), frame(0, '', { rsv: RSV1 })], closed(1002)],
    'a compressed continuation of plain text': [
      [text('Hello', OPEN), frame(0, pack('x'), { rsv: RSV1 })], closed(1002)],
    'a compressed continuation of nothing': [frame(0, pack('x'), { rsv: RSV1 }), closed(1002)],
    'a compressed ping': [frame(9, pack('x'), { rsv: RSV1 }), closed(1002)],
    'an empty compressed ping': [frame(9, '', { rsv: RSV1 }), closed(1002)],
    'a compressed pong': [frame(10, pack('x'), { rsv: RSV1 }), closed(1002)],
    'a compressed close': [frame(8, Buffer.from([3, 232]), { rsv: RSV1 }), closed(1002)],
  };
  for (const rsv of [1, 2, 3, 5, 6, 7]) {
    wrong[`reserved bits ${rsv}`] = [frame(1, pack('Hello'), { rsv }), closed(1002)];
  }
  cases(server, 'what is wrong', wrong, WITH);

  test('damage ends one connection, the next one is fine', async () => {
    for (const steps of Object.values(wrong)) {
      await play(server, steps, WITH);
      await play(server, [packed('text', long), is('text', long)], WITH);
    }
  });

  // ---- size -----------------------------------------------------------------------

  const MIB = 1 << 20;
  describe('large messages cost what they weigh', () => {
    for (const [name, size, write] of [['one frame', Infinity, 65536], ['fragments of 64 bytes', 64, 65536],
      ['fragments of 64 bytes, written 997 bytes at a time', 64, 997]]) {
      test(`16 MiB that cannot be compressed, in ${name}`, { timeout: 120000 }, async () => {
        const data = crypto.randomBytes(16 * MIB);
        const p = pack(data, { level: 1 });
        const sent = size === Infinity ? frame(2, p, FIRST)
          : Buffer.concat(fragments('binary', p, size, FIRST));
        const begin = server.process.cpu();
        await play(server, [pieces(sent, write), is('binary', data)], WITH);
        const ms = server.process.cpu() - begin;
        assert.ok(ms < 6000 * SLOW, `${ms} ms of processor time`);
      });
    }

    test('a small message that inflates beyond the largest', { timeout: 120000 }, async () => {
      const bomb = pack(Buffer.alloc(64 * MIB + 1));
      await play(server, [raw('binary', bomb), closed(1009)], WITH);
    });
  });
});
