'use strict';
// Hostile WebSocket frames. The numbers are those of README.md.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const zlib = require('node:zlib');
const { startFixture } = require('../../lib/servers');
const { serving, CONFAB_ONLY } = require('../../lib/suite');
const { PollingSession, WebSocketSession, openUpgraded } = require('../../lib/session');
const { WebSocketConnection, frame } = require('../../lib/raw');
const { ask } = require('../../lib/clients');
const { sleep, SLOW } = require('../../lib/until');
const { W, attacked, bounded, leavesNothing } = require('../../lib/hostile');

const server = attacked();

// As permessage-deflate has it: without the end of the block.
const deflated = (data) =>
  zlib.deflateRawSync(data, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);

describe('WebSocket', () => {
  async function joined() {
    const ws = await WebSocketConnection.open(server, W);
    await ws.textFrame();
    ws.text('40');
    await ws.textFrame();
    await ws.textFrame();
    return ws;
  }

  test('attack 16: a message of endless one-byte fragments: 1009', CONFAB_ONLY, async () => {
    await server.bounded(20, async () => {
      const ws = await joined();
      ws.write(frame(1, '4', { fin: false }));
      const many = Buffer.concat(Array(100).fill(frame(0, '2', { fin: false })));
      for (let i = 0; i < 50 && !ws.ended; i++) ws.write(many);
      assert.equal(await ws.closeCode(), 1009);
      await ws.end();
    });
  });

  test('attack 17: a message of empty fragments: 1009', CONFAB_ONLY, async () => {
    const ws = await joined();
    ws.write(frame(2, '', { fin: false }));
    const many = Buffer.concat(Array(1000).fill(frame(0, '', { fin: false })));
    for (let i = 0; i < 20 && !ws.ended; i++) ws.write(many);
    assert.equal(await ws.closeCode(), 1009);
  });

  test('attack 15: announced lengths cost nothing', async () => {
    await server.bounded(30, async () => {
      const all = [];
      for (let i = 0; i < 200; i++) {
        const ws = await WebSocketConnection.open(server, W);
        ws.write(frame(2, '', { length: 999999 }));
        all.push(ws);
      }
      assert.equal(await ask(server.bystander, 'echo', 1), 1);
    });
  });

  test('attack 18: pings from a client that does not read: bounded', async () => {
    await server.bounded(20, async () => {
      const ws = await joined();
      ws.socket.pause();
      const many = Buffer.concat(Array(500).fill(frame(9, 'p'.repeat(125))));
      const write = () => new Promise((resolve) => {
        const timer = setTimeout(resolve, 200); // the server stopped reading
        ws.socket.write(many, () => { clearTimeout(timer); resolve(); });
      });
      for (let i = 0; i < 200 && !ws.ended; i++) await write(); // 13 MB
      assert.equal(await ask(server.bystander, 'echo', 1), 1);
    });
  });

  test('random frames', async () => {
    await server.bounded(20, async () => {
      for (let i = 0; i < 200; i++) {
        const ws = await WebSocketConnection.open(server, W);
        ws.write(crypto.randomBytes(2 + i * 3));
        if (i % 2) ws.destroy();
      }
    });
  });

  test('connections that break off inside a frame', async () => {
    const bytes = Buffer.concat([frame(1, '40'), frame(1, '42["message",1]'), frame(9, 'x'), frame(8, '')]);
    for (let i = 1; i < bytes.length; i++) {
      const ws = await WebSocketConnection.open(server, W);
      ws.write(bytes.subarray(0, i));
      ws.destroy();
    }
  });

  const frames = {
    'attack 13: an unmasked frame': [frame(1, '3', { mask: false }), 1002],
    'attack 13: RSV1 without an extension': [frame(1, '3', { rsv: 4 }), 1002],
    'attack 13: RSV2': [frame(1, '3', { rsv: 2 }), 1002],
    'attack 13: RSV3': [frame(1, '3', { rsv: 1 }), 1002],
    'attack 13: opcode 3': [frame(3, 'x'), 1002],
    'attack 13: opcode 15': [frame(15, 'x'), 1002],
    'attack 13: a fragmented control frame': [frame(9, 'x', { fin: false }), 1002],
    'attack 13: a control frame of 126 bytes': [frame(9, 'x'.repeat(126)), 1002],
    'attack 14: text that is not UTF-8': [frame(1, Buffer.from('4292ff92', 'hex')), 1007],
    'attack 14: half a surrogate pair': [frame(1, Buffer.from('3432eda080', 'hex')), 1007],
    'attack 14: not UTF-8 across two fragments': [Buffer.concat([frame(1, Buffer.from('34c3', 'hex'), { fin: false }),
      frame(0, Buffer.from('28', 'hex'))]), 1007],
    'attack 15: a frame of 2^63 - 1 bytes': [frame(2, '', { length: 2n ** 63n - 1n }), 1009],
    'attack 15: a frame of 4 GB': [frame(1, '4', { length: 2n ** 32n }), 1009],
  };
  for (const [name, [bytes, code]] of Object.entries(frames)) {
    test(`${name}: ${code}`, async () => {
      await server.bounded(2, async () => {
        const ws = await joined();
        ws.write(bytes);
        assert.equal(await ws.closeCode(), code);
        await ws.end();
      });
    });
  }

  test('attack 15: a frame of 2^63 bytes: 1002 or 1009', async () => {
    await server.bounded(2, async () => {
      const ws = await joined();
      ws.write(frame(2, '', { length: 2n ** 63n }));
      assert.ok([1002, 1009].includes(await ws.closeCode()));
      await ws.end();
    });
  });

  test('attack 11: a second upgrade of the same session: refused', CONFAB_ONLY, async () => {
    const s = await openUpgraded(server);
    await s.connect();
    await s.message();
    const second = await WebSocketConnection.open(server, s.path).catch((e) => e.response);
    if (second.status) assert.equal(second.status, 400);
    else await second.end();
    await s.send('421["echo",1]');
    assert.equal(await s.message(), '431[1]');
  });

  test('attack 11: an upgrade from another address than the session\'s: taken', async () => {
    const s = await PollingSession.open(server, { poll: false });
    const ws = await WebSocketConnection.open({ ...server, local: '127.0.0.9' },
      s.path.replace('=polling', '=websocket'));
    assert.equal(ws.socket.localAddress, '127.0.0.9');
    ws.text('2probe');
    assert.equal(await ws.textFrame(), '3probe');
    ws.text('5');
    ws.text('40');
    assert.match(await ws.textFrame(), /^40\{"sid"/);
  });

  test('attack 19: 100,000 pongs that nobody asked for: no memory, no answer', async () => {
    await server.bounded(5, async () => {
      const ws = await joined();
      const many = Buffer.concat([...Array(500).fill(frame(1, '3')), ...Array(500).fill(frame(10, 'x'))]);
      for (let i = 0; i < 100; i++) ws.write(many);
      ws.text('421["echo",1]');
      assert.equal(await ws.textFrame(20000), '431[1]');
    });
  });

  test('attack 20: compression is off by default: a compressed frame: 1002', async () => {
    const ws = await WebSocketConnection.open(server, W, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
    assert.equal(ws.handshake.headers['sec-websocket-extensions'], undefined);
    ws.write(frame(1, deflated('3'), { rsv: 4 }));
    assert.equal(await ws.closeCode(), 1002);
  });
});

describe('a server that compresses', () => {
  const compressing = serving(startFixture, { set: { 'engine.per_message_deflate': true } });

  test('attack 20: 1 GB that was deflated to 1 MB: 1009', CONFAB_ONLY, async () => {
    const bomb = deflated(Buffer.alloc(900000000));
    assert.ok(bomb.length < 1000000);
    await bounded(compressing.process, 10, async () => {
      const ws = await WebSocketConnection.open(compressing, W, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
      ws.write(frame(2, bomb, { rsv: 4 }));
      assert.equal(await ws.closeCode(), 1009);
      await ws.end();
    });
  });

  test('attack 20: a bomb in a chain of fragments: 1009', CONFAB_ONLY, async () => {
    const bomb = deflated(Buffer.alloc(100000000));
    await bounded(compressing.process, 10, async () => {
      const ws = await WebSocketConnection.open(compressing, W, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } });
      ws.write(frame(2, bomb.subarray(0, 1000), { rsv: 4, fin: false }));
      for (let at = 1000; at < bomb.length && !ws.ended; at += 1000) {
        ws.write(frame(0, bomb.subarray(at, at + 1000), { fin: at + 1000 >= bomb.length }));
      }
      assert.equal(await ws.closeCode(), 1009);
    });
  });
});

describe('a server that expects CONNECT within 300 ms', () => {
  const strict = serving(startFixture, { set: { 'engine.connect_timeout_ms': 300 } });

  test('attack 12: a WebSocket without CONNECT: closed', async () => {
    const s = await WebSocketSession.open(strict);
    assert.equal(await s.ends(), 'close ');
  });

  test('attack 12: a polling session without CONNECT: closed', async () => {
    const s = await PollingSession.open(strict);
    assert.equal(await s.ends(), 'close packet');
  });

  test('attack 12: heartbeats and refused namespaces do not help', async () => {
    const s = await WebSocketSession.open(strict);
    const begin = Date.now();
    while (!s.over && Date.now() - begin < 5000 * SLOW) {
      await s.send('3', '40/nope');
      await sleep(50);
    }
    assert.ok(s.over, 'closed');
  });
});

leavesNothing(server);
