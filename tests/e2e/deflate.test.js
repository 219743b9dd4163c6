'use strict';
// Compression: of polling responses and, when switched on, of WebSocket
// messages.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const { WebSocket } = require('ws');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, CONFAB_ONLY } = require('../lib/suite');
const { PollingSession, openUpgraded } = require('../lib/session');
const { WebSocketConnection, frame, get, requestText } = require('../lib/raw');
const { MODES, ask } = require('../lib/clients');
const { until, within } = require('../lib/until');

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';
const RSV1 = 4;
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

const TAIL = Buffer.from([0, 0, 255, 255]);
const FLUSH = { finishFlush: zlib.constants.Z_SYNC_FLUSH };
const pack = (data) => zlib.deflateRawSync(data, FLUSH).subarray(0, -4);
const unpack = (data) => zlib.inflateRawSync(Buffer.concat([data, TAIL]), FLUSH);

const OVERHEAD = '42["message-back",""]'.length;
// What the fixture answers with exactly that many bytes.
const question = (bytes) => `42["message","${'x'.repeat(bytes - OVERHEAD)}"]`;
const echo = (text) => `421["echo","${text}"]`;

describe('polling responses', () => {
  const server = serving(startFixture);

  async function answer(bytes, encoding, where = server) {
    const s = await PollingSession.open(where, { poll: false });
    await s.send('40');
    await s.get();
    await s.post(question(bytes));
    s.getter.write(requestText('GET', s.path, encoding ? { 'Accept-Encoding': encoding } : {}));
    return s.getter.response();
  }

  const plain = (r) => ({
    gzip: zlib.gunzipSync, deflate: zlib.inflateSync,
  }[r.headers['content-encoding']]?.(r.body) || r.body);

  const chosen = {
    gzip: 'gzip', deflate: 'deflate', 'gzip, deflate, br': 'gzip',
    'deflate, gzip': 'deflate', 'gzip;q=0.5, deflate': 'deflate', '*': 'gzip',
    br: undefined, identity: undefined, 'gzip;q=0': undefined, 'gzip;q=0, deflate;q=0': undefined,
  };
  for (const [accepted, encoding] of Object.entries(chosen)) {
    test(`${accepted} gets ${encoding}`, async () => {
      const r = await answer(1024, accepted);
      assert.equal(r.headers['content-encoding'], encoding);
      assert.equal(r.headers['content-type'], 'text/plain; charset=UTF-8');
      assert.equal(r.headers['cache-control'], 'no-store');
      assert.equal(plain(r).length, 1024);
      assert.match(String(plain(r)), /^42\["message-back","x+"\]$/);
      if (encoding) assert.ok(r.body.length < 200);
      if (encoding === 'deflate') assert.equal(r.body.subarray(0, 2).toString('hex'), '789c');
    });
  }

  test('below 1024 bytes nothing is compressed, nor without being asked to', async () => {
    assert.equal((await answer(1023, 'gzip')).headers['content-encoding'], undefined);
    assert.equal((await answer(5000)).headers['content-encoding'], undefined);
  });

  test('a large one comes back whole', async () => {
    const r = await answer(900000, 'gzip');
    assert.equal(r.headers['content-encoding'], 'gzip');
    assert.equal(plain(r).length, 900000);
  });

  test('neither errors nor the handshake are compressed', async () => {
    for (const path of [`${P}&sid=nope`, P]) {
      const r = await get(server, path, { 'Accept-Encoding': 'gzip' });
      assert.equal(r.headers['content-encoding'], undefined);
    }
  });

  describe('by the settings', CONFAB_ONLY, () => {
    const off = serving(startFixture, { set: { 'engine.http_compression': false } });
    const all = serving(startFixture,
      { set: { 'engine.http_compression_threshold_bytes': 0 } });

    test('not at all', async () => {
      assert.equal((await answer(5000, 'gzip', off)).headers['content-encoding'], undefined);
    });

    test('from the first byte on, but for what the engine says itself', async () => {
      assert.equal((await answer(25, 'gzip', all)).headers['content-encoding'], 'gzip');
      const s = await PollingSession.open(all, { poll: false });
      s.getter.write(requestText('GET', s.path, { 'Accept-Encoding': 'gzip' }));
      await s.post('1');
      const r = await s.getter.response();
      assert.deepEqual([r.headers['content-encoding'], String(r.body)], [undefined, '6']);
    });
  });
});

describe('WebSocket messages', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: { 'engine.per_message_deflate': true } });
  const plain = serving(startFixture);

  async function opened(headers = OFFER, where = server) {
    const ws = await WebSocketConnection.open(where, W, { headers });
    assert.equal((await ws.frame()).rsv, 0);
    ws.text('40');
    await ws.textFrame();
    await ws.textFrame(); // the fixture's greeting
    return ws;
  }

  describe('negotiation', () => {
    const offers = {
      'permessage-deflate': ANSWER,
      'permessage-deflate; client_max_window_bits': ANSWER,
      'permessage-deflate; client_max_window_bits=9; client_no_context_takeover': ANSWER,
      'permessage-deflate; server_max_window_bits=10': `${ANSWER}; server_max_window_bits=10`,
      'permessage-deflate; unknown, permessage-deflate': ANSWER,
      'x-webkit-deflate-frame, permessage-deflate': ANSWER,
      'permessage-deflate; server_max_window_bits=16': undefined,
      'permessage-deflate; client_max_window_bits; client_max_window_bits': undefined,
      'x-webkit-deflate-frame': undefined,
    };
    for (const [offer, want] of Object.entries(offers)) {
      test(offer, async () => {
        const ws = await opened({ 'Sec-WebSocket-Extensions': offer });
        assert.equal(ws.handshake.headers['sec-websocket-extensions'], want);
        ws.text(echo('y'.repeat(1000)));
        assert.equal((await ws.frame()).rsv, 0);
      });
    }

    test('without an offer, none', async () => {
      const ws = await opened({});
      assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
    });

    test('a malformed header is refused', async () => {
      for (const header of ['', ',', 'permessage-deflate; =', 'permessage-deflate; a="']) {
        let refusal;
        await assert.rejects(WebSocketConnection.open(server, W,
          { headers: { 'Sec-WebSocket-Extensions': header } }), (e) => {
          refusal = e.response;
          return true;
        });
        assert.equal(refusal.status, 400);
        assert.equal(String(refusal.body), 'Invalid or unacceptable Sec-WebSocket-Extensions header');
      }
    });

    test('switched off, it is ignored whatever it says', async () => {
      for (const header of ['permessage-deflate', ',']) {
        const ws = await opened({ 'Sec-WebSocket-Extensions': header }, plain);
        assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
      }
    });

    test('an upgrade from polling may carry it, too', async () => {
      const s = await openUpgraded(server, { headers: OFFER });
      assert.equal(s.ws.handshake.headers['sec-websocket-extensions'], ANSWER);
      await s.connect();
      assert.match(await s.message(), /^42\["auth"/);
      s.ws.text(pack(echo('é')), { rsv: RSV1 });
      assert.equal(await s.message(), '431["é"]');
    });
  });

  describe('sending', () => {
    test('from 1024 bytes on', async () => {
      const ws = await opened();
      for (const [bytes, rsv] of [[1023, 0], [1024, RSV1], [500000, RSV1], [1024, RSV1]]) {
        ws.text(question(bytes));
        const f = await ws.frame();
        assert.deepEqual([f.opcode, f.rsv], [1, rsv], `${bytes} bytes`);
        const text = String(rsv ? unpack(f.payload) : f.payload);
        assert.equal(text.length, bytes);
        assert.match(text, /^42\["message-back","x+"\]$/);
      }
    });

    test('a broadcast is the same bytes for all who negotiated, plain for the others', async () => {
      const sockets = await Promise.all([opened(), opened(), opened({})]);
      sockets[0].text(`42["broadcast",{"event":"big"},"${'z'.repeat(3000)}"]`);
      const frames = await Promise.all(sockets.map((s) => s.frame()));
      assert.deepEqual(frames.map((f) => f.rsv), [RSV1, RSV1, 0]);
      assert.deepEqual(frames[0].payload, frames[1].payload);
      assert.deepEqual(unpack(frames[0].payload), frames[2].payload);
    });

    test('what does not shrink goes as it is', async () => {
      const ws = await opened();
      const noise = require('node:crypto').randomBytes(5000);
      ws.text('451-2["echo",{"_placeholder":true,"num":0}]');
      ws.binary(noise);
      assert.equal(await ws.textFrame(), '461-2[{"_placeholder":true,"num":0}]');
      const f = await ws.frame();
      assert.deepEqual([f.opcode, f.rsv], [2, 0]);
      assert.deepEqual(f.payload, noise);
    });

    test('to a small window, only what fits into it', async () => {
      const ws = await opened({ 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=11' });
      for (const [bytes, rsv] of [[2048, RSV1], [2049, 0]]) {
        ws.text(question(bytes));
        assert.equal((await ws.frame()).rsv, rsv, `${bytes} bytes`);
      }
    });
  });

  describe('receiving', () => {
    test('a compressed and a plain message', async () => {
      const ws = await opened();
      ws.text(pack(echo('one')), { rsv: RSV1 }).text(echo('two')).text(pack(echo('three')), { rsv: RSV1 });
      for (const word of ['one', 'two', 'three']) {
        assert.equal(await ws.textFrame(), `431["${word}"]`);
      }
    });

    test('in fragments, with control frames between', async () => {
      const ws = await opened();
      const data = pack(echo('frägmented'));
      ws.write(frame(1, data.subarray(0, 3), { fin: false, rsv: RSV1 }));
      ws.write(frame(9, 'ping 1'));
      for (const b of data.subarray(3)) ws.write(frame(0, Buffer.from([b]), { fin: false }));
      ws.write(frame(9, ''));
      ws.write(frame(0, ''));
      let f = await ws.frame();
      assert.deepEqual([f.opcode, f.rsv, String(f.payload)], [10, 0, 'ping 1']);
      f = await ws.frame();
      assert.deepEqual([f.opcode, String(f.payload)], [10, '']);
      assert.equal(await ws.textFrame(), '431["frägmented"]');
    });

    test('a binary message', async () => {
      const ws = await opened();
      const data = Buffer.alloc(5000, 'ab');
      ws.text('451-7["echo",{"_placeholder":true,"num":0}]');
      ws.binary(pack(data), { rsv: RSV1 });
      assert.equal(await ws.textFrame(), '461-7[{"_placeholder":true,"num":0}]');
      const f = await ws.frame();
      assert.deepEqual([f.opcode, f.rsv], [2, RSV1]);
      assert.deepEqual(unpack(f.payload), data);
    });

    test('exactly as much as allowed', async () => {
      const ws = await opened();
      const text = 'x'.repeat(1000000 - echo('').length);
      ws.text(pack(echo(text)), { rsv: RSV1 });
      assert.equal(String(unpack((await ws.frame()).payload)), `431["${text}"]`);
    });

    const wrong = {
      'without negotiation': [1002, frame(1, pack(echo('x')), { rsv: RSV1 }), () => opened({})],
      'on a server that has it off': [1002, frame(1, pack(echo('x')), { rsv: RSV1 }), () => opened(OFFER, plain)],
      'the other reserved bits': [1002, frame(1, pack(echo('x')), { rsv: RSV1 | 2 })],
      'a compressed control frame': [1002, frame(9, '', { rsv: RSV1 })],
      'the bit on a continuation': [1002, Buffer.concat([
        frame(1, 'a', { fin: false, rsv: RSV1 }), frame(0, 'b', { rsv: RSV1 })])],
      'one byte too much': [1009, frame(1, pack(echo('x'.repeat(1000001 - echo('').length))), { rsv: RSV1 })],
      'a bomb': [1009, frame(2, pack(Buffer.alloc(30000000)), { rsv: RSV1 })],
      'damaged data': [1007, frame(1, Buffer.from('ffffffff', 'hex'), { rsv: RSV1 })],
      'data that is cut off': [1007, frame(2, pack(echo('cut off')).subarray(0, -3), { rsv: RSV1 })],
      'a text that is not UTF-8': [1007, frame(1, pack(Buffer.from('42["\xff"]', 'latin1')), { rsv: RSV1 })],
      'a text that ends within a character': [1007, frame(1, pack(Buffer.from([0x34, 0xc3])), { rsv: RSV1 })],
    };
    for (const [name, [code, bytes, open]] of Object.entries(wrong)) {
      test(`${name}: ${code}`, async () => {
        const ws = await (open || opened)();
        ws.write(bytes);
        assert.equal(await ws.closeCode(), code);
        await ws.end();
      });
    }

    test('one client\'s damage is not another\'s', async () => {
      const [good, bad] = await Promise.all([opened(), opened()]);
      bad.text(pack(echo('half')).subarray(0, 9), { rsv: RSV1 });
      assert.equal(await bad.closeCode(), 1007);
      good.text(pack(echo('whole')), { rsv: RSV1 });
      assert.equal(await good.textFrame(), '431["whole"]');
    });
  });

  describe('with the ws package', () => {
    for (const [name, options] of Object.entries({
      'as it is': true,
      'with small windows': { serverMaxWindowBits: 11, clientMaxWindowBits: 9, threshold: 0 },
      'without context takeover': { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
    })) {
      test(name, async () => {
        const ws = new WebSocket(`ws://127.0.0.1:${server.port}${W}`, { perMessageDeflate: options });
        const got = [];
        ws.on('message', (data) => got.push(String(data)));
        await within(new Promise((resolve) => ws.once('open', resolve)), 5000, 'ws opens');
        assert.match(ws.extensions, /permessage-deflate/);
        ws.send('40');
        for (const bytes of [100, 1500, 2048, 60000]) ws.send(question(bytes));
        await until(() => got.length === 7, 5000, () => `answers: ${got.length}`);
        assert.deepEqual(got.slice(3).map((m) => m.length), [100, 1500, 2048, 60000]);
        ws.terminate();
      });
    }
  });

  describe('with the official client', () => {
    onEachTransport((mode) => {
      test('events and attachments', async () => {
        const s = await join(server, '/', mode);
        for (const size of [10, 1024, 70000]) {
          const text = 'é'.repeat(size);
          assert.equal(await ask(s, 'echo', text), text);
          const data = Buffer.alloc(size, 'data ');
          assert.deepEqual(Buffer.from(await ask(s, 'echo', data)), data);
        }
      });
    });

    test('beside one that does not compress', async () => {
      const a = await join(server, '/', MODES[1]);
      const b = await join(server, '/', MODES[1], { perMessageDeflate: false });
      const text = 'to all '.repeat(1000);
      a.emit('broadcast', { event: 'all' }, text);
      assert.deepEqual(await a.inbox.take('all'), [text]);
      assert.deepEqual(await b.inbox.take('all'), [text]);
    });
  });
});
