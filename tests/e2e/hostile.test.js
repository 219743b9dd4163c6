'use strict';
// Clients that mean harm. Whatever they send costs them their own connection at
// most: after each of these another client still talks, and the server has not
// grown.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { io } = require('socket.io-client');
const { startFixture, REFERENCE } = require('../lib/servers');
const { join, CONFAB_ONLY } = require('../lib/suite');
const { PollingSession, WebSocketSession, SESSIONS } = require('../lib/session');
const { Connection, WebSocketConnection, request, requestText, get, frame, destroyAll } = require('../lib/raw');
const { ask, closeAll } = require('../lib/clients');
const { until, sleep, SLOW } = require('../lib/until');

const HEADER_MS = 400 * SLOW;
const BODY_MS = 600 * SLOW;
const SLOW_MS = 500 * SLOW;
const QUEUE = 200000;

const server = {};
let bystander;
let descriptors; // that the server has with the bystander alone

before(async () => {
  server.process = await startFixture({
    set: {
      'limits.header_timeout_ms': HEADER_MS, 'limits.body_timeout_ms': BODY_MS,
      'limits.slow_consumer_ms': SLOW_MS, 'limits.output_queue_bytes': QUEUE,
    },
  });
  server.url = server.process.url;
  server.port = server.process.port;
  bystander = io(server.url, { forceNew: true, transports: ['websocket'], reconnection: false });
  await until(() => bystander.connected, 5000, 'bystander connects');
  descriptors = server.process.descriptors();
});

afterEach(async () => {
  closeAll();
  destroyAll();
  assert.equal(bystander.connected, true, 'the other client is still connected');
  assert.equal(await ask(bystander, 'echo', 'still talking'), 'still talking');
});

after(async () => {
  bystander?.disconnect();
  await server.process?.stop();
});

const W = '/socket.io/?EIO=4&transport=websocket';
const P = '/socket.io/?EIO=4&transport=polling';

// Runs it and fails when the server has grown by more than some megabytes.
async function bounded(megabytes, fn) {
  const begin = server.process.rss();
  let most = begin;
  const timer = setInterval(() => { most = Math.max(most, server.process.rss()); }, 20);
  try {
    await fn();
  } finally {
    clearInterval(timer);
  }
  most = Math.max(most, server.process.rss());
  // sanitizers keep freed memory, the reference has a heap of its own
  if (SLOW === 1 && !REFERENCE) {
    assert.ok(most - begin < megabytes * 1024, `grew by ${Math.round((most - begin) / 1024)} MB`);
  }
}

const bytesOf = (text) => [...Buffer.from(text, 'latin1')].map((b) => Buffer.from([b]));

async function refuses(text, statuses) {
  const c = new Connection(server);
  c.write(Buffer.from(text, 'latin1'));
  const r = await c.response();
  assert.ok([statuses].flat().includes(r.status), `${r.status} ${r.reason}, expected ${statuses}`);
  await c.end();
  assert.equal(c.buffer.length, 0, 'nothing behind the refusal');
}

describe('HTTP', () => {
  test('a header that trickles in', CONFAB_ONLY, async () => {
    const c = new Connection(server);
    const begin = Date.now();
    for (const b of bytesOf(`GET ${P} HTTP/1.1\r\nHost: x\r\nX-Slow: ${'x'.repeat(2000)}`)) {
      if (c.ended) break;
      c.write(b);
      await sleep(20);
    }
    await c.end(HEADER_MS * 5);
    const took = Date.now() - begin;
    assert.ok(took >= HEADER_MS - 50 && took < HEADER_MS * 4, `closed after ${took} ms`);
    if (c.buffer.length) assert.match(String(c.buffer), /^HTTP\/1\.1 408 /);
  });

  test('100 headers that trickle in at once', CONFAB_ONLY, async () => {
    const all = [...Array(100).keys()].map(() => new Connection(server).write('GET / HTTP/1.1\r\nX: '));
    assert.equal(await ask(bystander, 'echo', 1), 1);
    for (const c of all) await c.end(HEADER_MS * 5);
  });

  test('a body that trickles in', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    const begin = Date.now();
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10000 }, '42["x'));
    while (!s.poster.ended && Date.now() - begin < BODY_MS * 5) {
      s.poster.write('y');
      await sleep(20);
    }
    const took = Date.now() - begin;
    assert.ok(s.poster.ended, 'closed');
    assert.ok(took >= BODY_MS - 50 && took < BODY_MS * 4, `closed after ${took} ms`);
  });

  test('a body that never comes', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10000 }));
    await s.poster.end(BODY_MS * 5);
  });

  const large = {
    'too many headers': [`GET ${P} HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(200)}\r\n`, 431],
    'a header of 20 KB': [`GET ${P} HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20000)}\r\n\r\n`, 431],
    'a header name of 20 KB': [`GET ${P} HTTP/1.1\r\nHost: x\r\n${'y'.repeat(20000)}: 1\r\n\r\n`, 431],
    'a header without an end': [`GET ${P} HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20000)}`, 431],
    'a target of 20 KB': [`GET ${P}&x=${'y'.repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [414, 431]],
    'a sid of 64 KB': [`GET ${P}&sid=${'y'.repeat(65536)} HTTP/1.1\r\nHost: x\r\n\r\n`, [414, 431]],
  };
  for (const [name, [text, status]] of Object.entries(large)) {
    test(name, CONFAB_ONLY, async () => refuses(text, status));
  }

  const post = (headers, body = '') => `POST ${P} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;
  const second = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  const smuggling = {
    'both lengths': post('Content-Length: 4\r\nTransfer-Encoding: chunked', `0\r\n\r\n${second}`),
    'both lengths, the other way round': post('Transfer-Encoding: chunked\r\nContent-Length: 4', `0\r\n\r\n${second}`),
    'two lengths that differ': post('Content-Length: 0\r\nContent-Length: 5', second),
    'two lengths in one header': post('Content-Length: 0, 5', second),
    'a negative length': post('Content-Length: -1', second),
    'a length with a sign': post('Content-Length: +1', `x${second}`),
    'a length in hexadecimal': post('Content-Length: 0x1', `x${second}`),
    'a length of no digits': post('Content-Length: ', second),
    'a length past 2^64': post('Content-Length: 18446744073709551617', second),
    'a chunk size that is none': post('Transfer-Encoding: chunked', `xyz\r\n${second}`),
    'a chunk size past 2^64': post('Transfer-Encoding: chunked', `fffffffffffffffff\r\n${second}`),
    'a negative chunk size': post('Transfer-Encoding: chunked', `-1\r\n${second}`),
    'a space before the colon': post('Content-Length : 0', second),
    'a folded header': post('X: a\r\n Content-Length: 5', second),
    'a header without a colon': post('Content-Length', second),
    'a NUL in a header': post('X: a\0b', second),
    'a NUL in the target': `GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n${second}`,
    'a control character in a name': post('X\x01: 1', second),
    'no version': `GET ${P}\r\n\r\n${second}`,
    'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/9.9': `GET ${P} HTTP/9.9\r\nHost: x\r\n\r\n`,
    'an unknown method': `BREW ${P} HTTP/1.1\r\nHost: x\r\n\r\n`,
    'no request at all': 'hello there\r\n\r\n',
    'an upgrade with a body': `GET ${W} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 5\r\n\r\nhello',
    'an upgrade with a chunked body': `GET ${W} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  };
  for (const [name, text] of Object.entries(smuggling)) {
    test(`${name}: refused and closed`, CONFAB_ONLY, async () =>
      refuses(text, [400, 405, 413, 414, 431, 501, 505]));
  }

  test('a folded header is refused wherever it is cut', CONFAB_ONLY, async () => {
    const all = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n \t b\r\n\r\n');
    const from = all.indexOf('X: a');
    for (let at = from; at < from + 12; at++) {
      const c = new Connection(server);
      await new Promise((resolve) => { c.socket.write(all.subarray(0, at), resolve); });
      await request(server, 'GET', '/healthz'); // meanwhile the first part is read
      c.write(all.subarray(at));
      assert.equal((await c.response()).status, 400, `cut at ${at - from}`);
      c.destroy();
    }
  });

  test('a request in pieces behind an upgrade that was not taken', CONFAB_ONLY, async () => {
    const c = new Connection(server);
    c.write(requestText('GET', '/healthz', { Connection: 'Upgrade', Upgrade: 'x' }));
    assert.equal((await c.response()).status, 200);
    for (const part of ['GET /hea', 'lthz HTT', 'P/1.1\r\nHo', 'st: x\r\n', '\r\n']) {
      assert.equal(c.buffer.length, 0, 'no answer before the request is whole');
      await new Promise((resolve) => { c.socket.write(part, resolve); });
      await request(server, 'GET', '/healthz'); // meanwhile this part is read
    }
    assert.equal((await c.response()).status, 200);
    c.destroy();
  });

  test('a chunked body with an extension of 100 KB', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(100000)}`);
    await s.poster.end(BODY_MS * 5);
  });

  test('trailers of 100 KB', CONFAB_ONLY, async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n`);
    for (let i = 0; i < 1000 && !s.poster.ended; i++) s.poster.write(`X-${i}: ${'y'.repeat(100)}\r\n`);
    await s.poster.end(BODY_MS * 5);
  });

  test('10 GB are refused before they come', async () => {
    const s = await PollingSession.open(server, { poll: false });
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 10 ** 10 }, 'x'.repeat(2000000)));
    assert.equal((await s.poster.response()).status, 413);
  });

  test('a target in absolute form and other strange ones', async () => {
    for (const target of ['http://localhost/x', '*', 'localhost:80', '/%', '/%zz', '/?', '/?%00', '/../../etc/passwd']) {
      const c = new Connection(server);
      c.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
      const r = await c.response();
      assert.ok([200, 400, 404].includes(r.status), `${target}: ${r.status}`);
      assert.doesNotMatch(String(r.body), /root:/);
      c.destroy();
    }
  });

  test('random bytes', async () => {
    await bounded(20, async () => {
      for (let i = 0; i < 200; i++) {
        const c = new Connection(server);
        c.write(crypto.randomBytes(1 + i * 10));
        if (i % 3 === 0) c.write('\r\n\r\n');
        if (i % 20 === 0) await ask(bystander, 'echo', i);
        if (i % 2) c.socket.end();
      }
      assert.equal(await ask(bystander, 'echo', 1), 1);
    });
  });

  test('connections that break off anywhere', async () => {
    const text = requestText('POST', `${P}&sid=nope`, { 'X-A': 'b' }, '42["x"]');
    for (let i = 1; i < text.length; i++) {
      const c = new Connection(server);
      c.write(text.subarray(0, i));
      await until(() => c.socket.bytesWritten >= i, 5000, 'bytes are written');
      if (i % 2) c.socket.resetAndDestroy();
      else c.destroy();
    }
  });

  test('a thousand requests whose answers are not read', CONFAB_ONLY, async () => {
    await bounded(30, async () => {
      const c = new Connection(server);
      c.socket.pause();
      const one = requestText('GET', '/socket.io/socket.io.js.map');
      for (let i = 0; i < 1000; i++) c.write(one);
      await until(async () => {
        await ask(bystander, 'echo', 1);
        await sleep(20);
        return c.socket.bytesWritten > one.length || c.ended;
      }, 5000, 'requests are written');
      for (let i = 0; i < 20; i++) await ask(bystander, 'echo', i);
    });
  });

  test('5,000 guesses at a session', async () => {
    await bounded(20, async () => {
      const c = new Connection(server);
      for (let i = 0; i < 5000; i += 100) {
        for (let n = 0; n < 100; n++) c.write(requestText('GET', `${P}&sid=${crypto.randomBytes(15).toString('base64url')}`));
        for (let n = 0; n < 100; n++) assert.equal(JSON.parse((await c.response()).body).code, 1);
      }
    });
  });
});

describe('WebSocket', () => {
  async function joined() {
    const ws = await WebSocketConnection.open(server, W);
    await ws.textFrame();
    ws.text('40');
    await ws.textFrame();
    await ws.textFrame();
    return ws;
  }

  test('a message of endless fragments', CONFAB_ONLY, async () => {
    await bounded(20, async () => {
      const ws = await joined();
      ws.write(frame(1, '4', { fin: false }));
      const many = Buffer.concat(Array(100).fill(frame(0, '2', { fin: false })));
      for (let i = 0; i < 50 && !ws.ended; i++) ws.write(many);
      assert.equal(await ws.closeCode(), 1009);
      await ws.end();
    });
  });

  test('a message of empty fragments', CONFAB_ONLY, async () => {
    const ws = await joined();
    ws.write(frame(2, '', { fin: false }));
    const many = Buffer.concat(Array(1000).fill(frame(0, '', { fin: false })));
    for (let i = 0; i < 20 && !ws.ended; i++) ws.write(many);
    assert.equal(await ws.closeCode(), 1009);
  });

  test('announced lengths cost nothing', async () => {
    await bounded(30, async () => {
      const all = [];
      for (let i = 0; i < 200; i++) {
        const ws = await WebSocketConnection.open(server, W);
        ws.write(frame(2, '', { length: 999999 }));
        all.push(ws);
      }
      assert.equal(await ask(bystander, 'echo', 1), 1);
    });
  });

  test('pings from a client that does not read', async () => {
    await bounded(20, async () => {
      const ws = await joined();
      ws.socket.pause();
      const many = Buffer.concat(Array(500).fill(frame(9, 'p'.repeat(125))));
      const write = () => new Promise((resolve) => {
        const timer = setTimeout(resolve, 200); // the server stopped reading
        ws.socket.write(many, () => { clearTimeout(timer); resolve(); });
      });
      for (let i = 0; i < 200 && !ws.ended; i++) await write(); // 13 MB
      assert.equal(await ask(bystander, 'echo', 1), 1);
    });
  });

  test('a client that asks and does not read is closed', CONFAB_ONLY, async () => {
    await bounded(40, async () => {
      await ask(bystander, 'observe');
      const s = await WebSocketSession.open(server);
      const { sid } = JSON.parse((await s.connect()).slice(2));
      const gone = new Promise((resolve) => {
        bystander.on('gone', (g) => { if (g.id === sid) resolve(g.reason); });
      });
      await s.message();
      s.ws.socket.pause();
      const text = 'x'.repeat(50000);
      let over = false;
      gone.then(() => { over = true; });
      for (let i = 0; i < 2000 && !over; i++) {
        s.ws.socket.write(frame(1, `42["message",${i},"${text}"]`), () => {});
        await sleep(1);
      }
      const reason = await gone;
      assert.equal(typeof reason, 'string');
    });
  });

  test('a reader that stops is closed, and does not hold the room up', CONFAB_ONLY, async () => {
    await bounded(40, async () => {
      await ask(bystander, 'observe');
      const stopped = await WebSocketSession.open(server);
      const { sid } = JSON.parse((await stopped.connect()).slice(2));
      await stopped.message();
      await stopped.send('421["join","stopped"]');
      await stopped.message();
      let reason;
      bystander.on('gone', (g) => { if (g.id === sid) reason = g.reason; });
      const other = await join(server);
      other.offAny();
      await ask(other, 'join', 'stopped');
      let got = 0;
      other.on('flood', () => { got += 1; });
      stopped.ws.socket.pause();
      const text = 'x'.repeat(10000);
      let sent = 0;
      const begin = Date.now();
      while (!reason && Date.now() - begin < 30000) {
        await ask(bystander, 'broadcast', { rooms: ['stopped'], event: 'flood', times: 20 }, text);
        sent += 20;
      }
      assert.ok(reason, 'the reader that stopped is closed');
      await until(() => got >= sent, 10000, () => `${got} of ${sent}`);
      assert.equal(got, sent);
      stopped.ws.socket.resume();
      await stopped.ws.end(10000);
    });
  });

  test('a polling client that does not fetch is bounded', CONFAB_ONLY, async () => {
    await bounded(40, async () => {
      const s = await PollingSession.open(server, { poll: false });
      await s.post('40');
      await s.get();
      await s.post('421["join","unfetched"]');
      await s.get();
      const text = 'x'.repeat(10000);
      for (let i = 0; i < 100; i++) {
        await ask(bystander, 'broadcast', { rooms: ['unfetched'], event: 'flood', times: 100 }, text);
      }
    });
  });

  test('random frames', async () => {
    await bounded(20, async () => {
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
});

for (const kind of SESSIONS) {
  describe(`packets over ${kind.name}`, () => {
    const joined = async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      return s;
    };

    const survives = async (packets, megabytes = 40) => {
      await bounded(megabytes, async () => {
        const s = await joined();
        for (const p of [packets].flat()) {
          if (s.over) break;
          await s.send(p).catch(() => {});
        }
        assert.equal(await ask(bystander, 'echo', 1), 1);
      });
    };

    test('nesting without end', CONFAB_ONLY, async () => {
      const s = await joined();
      await s.send(`42["message",${'['.repeat(400000)}${']'.repeat(400000)}]`);
      await s.ends();
    });

    test('nesting past the limit closes, up to it passes', CONFAB_ONLY, async () => {
      const deep = (n) => `${'['.repeat(n)}${']'.repeat(n)}`;
      let s = await joined();
      await s.send(`42["message",${deep(22)}]`);
      assert.equal(await s.message(), `42["message-back",${deep(22)}]`);
      await s.send(`42["message",${deep(30)}]`);
      await s.ends();
      s = await joined();
      await s.send(`42["message",${'{"a":'.repeat(30)}1${'}'.repeat(30)}]`);
      await s.ends();
    });

    test('400,000 arguments', CONFAB_ONLY, () => survives(`42["message",${'1,'.repeat(400000)}1]`));
    test('400,000 keys', () => survives(`42["message",{${[...Array(80000).keys()].map((i) => `"${i}":1`)}}]`));
    test('the same key 100,000 times', () => survives(`42["message",{${'"a":1,'.repeat(100000)}"a":2}]`, 60));
    test('an event name of 500 KB', () => survives(`42["${'n'.repeat(500000)}"]`));
    test('numbers that fit nowhere', () => survives([
      '42["message",1e999,-1e999,1e-999]', `42["message",${'9'.repeat(100000)}]`,
      `42["message",0.${'9'.repeat(100000)}]`, '4299999999999999999999999999999["message"]']));
    test('names that mean something to JavaScript', () => survives([
      '42["message",{"__proto__":{"a":1},"constructor":{"prototype":1}}]', '42["__proto__","x"]',
      '42["constructor"]', '40/__proto__', '40/constructor,']));

    test('10,000 unknown namespaces', async () => {
      await bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 10000 && !s.over; i += 100) {
          await s.send(...[...Array(100).keys()].map((n) => `40/nope${i + n},{"a":1}`));
          if (s.over) break;
          for (let n = 0; n < 100; n++) {
            const p = await s.message().catch(() => null);
            if (p === null) break;
            assert.match(p, /^44\/nope\d+,\{"message":"Invalid namespace"\}$/);
          }
        }
      });
    });

    test('a namespace name of 500 KB', async () => {
      await bounded(20, async () => {
        const s = await joined();
        await s.send(`40/${'n'.repeat(500000)}`);
        await until(() => s.over || s.packets.length, 5000, 'an answer or the end');
      });
    });

    test('a hundred pending admissions', CONFAB_ONLY, async () => {
      await bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 100; i++) await s.send(`40/slow,{"key":"flood ${i}"}`).catch(() => {});
        s.destroy();
        for (let i = 0; i < 100; i++) await ask(bystander, 'release', `flood ${i}`);
      });
    });

    test('10,000 rooms', CONFAB_ONLY, async () => {
      await bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 10000; i += 100) {
          await s.send(...[...Array(100).keys()].map((n) => `42${i + n}["join","room ${i + n}"]`));
          for (let n = 0; n < 100; n++) await s.message();
        }
        await s.send('421["in-room","room 1"]');
        assert.equal(await s.message(), '431[true]');
        await s.send('421["in-room","room 9999"]');
        assert.equal(await s.message(), '431[false]');
      });
    });

    test('10,000 pongs', async () => {
      await bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 100; i++) await s.send(...Array(100).fill('3'));
        await s.send('421["echo",1]');
        assert.equal(await s.message(), '431[1]');
      });
    });

    test('10,000 answers that nobody asked for', async () => {
      await bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 100; i++) await s.send(...[...Array(100).keys()].map((n) => `43${i * 100 + n}["x"]`));
        await s.send('421["echo",1]');
        assert.equal(await s.message(), '431[1]');
      });
    });

    test('attachments together larger than a message may be', CONFAB_ONLY, async () => {
      const s = await joined();
      const places = [...Array(10).keys()].map((i) => `{"_placeholder":true,"num":${i}}`);
      await s.send(`4510-["message",${places}]`);
      for (let i = 0; i < 10 && !s.over; i++) await s.send(Buffer.alloc(250000)).catch(() => {});
      await s.ends();
    });

    test('100 connections that wait for attachments', async () => {
      await bounded(40, async () => {
        for (let i = 0; i < 100; i++) {
          const s = await joined();
          await s.send('4510-["message",{"_placeholder":true,"num":9}]');
          await s.send(Buffer.alloc(10000));
        }
      });
    });
  });
}

test('line breaks and escapes of clients do not reach the log', CONFAB_ONLY, async () => {
  const evil = '\u001b[31m\r\ninjected line';
  const s = await WebSocketSession.open(server);
  await s.send(`40/${evil}`);
  await s.message();
  await s.send('40');
  await s.message();
  await s.send(`42["${evil}"]`);
  await get(server, '/%0d%0ainjected%20line', { 'User-Agent': 'injected\tline\x7f' });
  await request(server, 'GET', `${P}&sid=%0d%0ainjected%20line`);
  const log = server.process.output();
  assert.doesNotMatch(log, /^injected/m);
  assert.ok(!log.includes('\u001b'), 'no escape sequences');
});

test('all of that has left nothing behind', CONFAB_ONLY, async () => {
  await until(async () => {
    const text = String((await get(server, '/metrics')).body);
    const m = /^confab_\w*(sockets|sessions)\w*(\{[^}]*\})? (\d+)$/m.exec(text);
    return m && Number(m[3]) === 1;
  }, 50000, 'only the bystander is left');
  await until(() => server.process.descriptors() <= descriptors, 10000,
    () => `${server.process.descriptors()} descriptors, ${descriptors} at the start`);
  const begin = server.process.cpu();
  await sleep(1000);
  const used = server.process.cpu() - begin;
  assert.ok(used <= 50 * SLOW, `${used} ms of processor time in an idle second`);
});
