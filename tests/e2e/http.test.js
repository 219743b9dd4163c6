'use strict';
// The HTTP side of Engine.IO, request by request.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const { startFixture } = require('../lib/servers');
const { serving, join } = require('../lib/suite');
const { PollingSession } = require('../lib/session');
const { Connection, request, requestText, get, WebSocketConnection } = require('../lib/raw');
const { ask } = require('../lib/clients');

const server = serving(startFixture);

const P = 'EIO=4&transport=polling';

const MESSAGES = ['Transport unknown', 'Session ID unknown', 'Bad handshake method',
  'Bad request', 'Forbidden', 'Unsupported protocol version'];

function isError(r, code) {
  assert.equal(r.status, 400);
  assert.equal(r.headers['content-type'], 'application/json');
  assert.equal(String(r.body), JSON.stringify({ code, message: MESSAGES[code] }));
}

function isHandshake(r) {
  assert.equal(r.status, 200);
  assert.match(String(r.body), /^0\{"sid":"[\w-]{20}(\.\w+)?","upgrades":/);
}

async function opened() {
  const s = await PollingSession.open(server, { poll: false });
  await s.post('40');
  await s.get();
  return s;
}

describe('handshake', () => {
  test('the answer, byte by byte', async () => {
    const r = await get(server, `/socket.io/?${P}`);
    assert.equal(r.status, 200);
    assert.equal(r.reason, 'OK');
    assert.equal(r.headers['content-type'], 'text/plain; charset=UTF-8');
    assert.equal(r.headers['content-length'], String(r.body.length));
    assert.equal(r.headers['cache-control'], 'no-store');
    assert.match(String(r.body), new RegExp('^0\\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\\["websocket"\\],'
      + '"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\\}$'));
    for (const name of Object.keys(r.headers)) {
      assert.ok(!name.startsWith('access-control') && name !== 'set-cookie', name);
    }
  });

  const good = {
    'a longer path': `/socket.io/foo/bar?${P}`,
    'an empty sid': `/socket.io/?${P}&sid=`,
    'encoded parameters': '/socket.io/?EIO=%34&transport=p%6flling',
    'the last of repeated parameters': '/socket.io/?EIO=3&EIO=4&transport=x&transport=polling',
    'parameters of the application': `/socket.io/?a=b&${P}&t=abc&empty=&=x&novalue`,
  };
  for (const [name, path] of Object.entries(good)) {
    test(`${name}: opens`, async () => isHandshake(await get(server, path)));
  }

  const bad = [
    ['no transport', '/socket.io/?EIO=4', 0],
    ['no parameters', '/socket.io/', 0],
    ['an unknown transport', '/socket.io/?EIO=4&transport=abc', 0],
    ['a property of objects as transport', '/socket.io/?EIO=4&transport=constructor', 0],
    ['webtransport', '/socket.io/?EIO=4&transport=webtransport', 0],
    ['an unknown sid', `/socket.io/?${P}&sid=nope`, 1],
    ['a property of objects as sid', `/socket.io/?${P}&sid=__proto__`, 1],
    ['a sid with a NUL', `/socket.io/?${P}&sid=%00abc`, 1],
    ['a long sid', `/socket.io/?${P}&sid=${'x'.repeat(2000)}`, 1],
    ['websocket without an upgrade', '/socket.io/?EIO=4&transport=websocket', 3],
    ['revision 3', '/socket.io/?EIO=3&transport=polling', 5],
    ['no revision', '/socket.io/?transport=polling', 5],
    ['a revision in words', '/socket.io/?EIO=abc&transport=polling', 5],
    ['a revision with a zero in front', '/socket.io/?EIO=04&transport=polling', 5],
    ['revision 5', '/socket.io/?EIO=5&transport=polling', 5],
    ['two errors: the transport comes first', '/socket.io/?EIO=3&transport=abc', 0],
    ['two errors: the sid comes before the revision', '/socket.io/?EIO=3&transport=polling&sid=x', 1],
  ];
  for (const [name, path, code] of bad) {
    test(`${name}: error ${code}`, async () => isError(await get(server, path), code));
  }

  for (const method of ['POST', 'PUT', 'OPTIONS', 'DELETE', 'PATCH']) {
    test(`${method}: error 2`, async () =>
      isError(await request(server, method, `/socket.io/?${P}`, { body: '' }), 2));
  }

  test('HEAD: status 400 and no body', async () => {
    const c = new Connection(server);
    c.write(requestText('HEAD', `/socket.io/?${P}`));
    assert.equal((await c.response({ head: true })).status, 400);
    c.write(requestText('GET', `/socket.io/?${P}`, { Connection: 'close' }));
    isHandshake(await c.response());
  });

  for (const path of [`/socket.io?${P}`, `/Socket.io/?${P}`, `/socket%2eio/?${P}`, `//socket.io/?${P}`,
    `/x/../socket.io/?${P}`, '/nothing/here']) {
    test(`${path} is not ours`, async () => {
      const r = await get(server, path);
      assert.equal(r.status, 404);
      assert.doesNotMatch(String(r.body), /sid/);
    });
  }

  test('two handshakes over one connection are two sessions', async () => {
    const c = new Connection(server);
    const sids = [];
    for (let i = 0; i < 2; i++) {
      c.write(requestText('GET', `/socket.io/?${P}`));
      sids.push(JSON.parse(String((await c.response()).body).slice(1)).sid);
    }
    assert.notEqual(sids[0], sids[1]);
  });

  test('requests sent at once are answered in order', async () => {
    const c = new Connection(server);
    c.write(Buffer.concat([
      requestText('GET', `/socket.io/?${P}`), requestText('GET', '/nothing'),
      requestText('GET', `/socket.io/?${P}&sid=nope`)]));
    isHandshake(await c.response());
    assert.equal((await c.response()).status, 404);
    isError(await c.response(), 1);
  });

  test('HTTP/1.0 is answered and closed', async () => {
    const c = new Connection(server);
    c.write(`GET /socket.io/?${P} HTTP/1.0\r\n\r\n`);
    const r = await c.response();
    isHandshake(r);
    assert.equal(r.headers['content-length'], String(r.body.length));
    await c.end();
  });

  test('HTTP/1.1 without Host: 400 and the end', async () => {
    for (const method of ['GET', 'POST']) {
      const c = new Connection(server);
      c.write(`${method} /socket.io/?${P} HTTP/1.1\r\n\r\n`);
      const r = await c.response();
      assert.deepEqual([r.status, r.headers.connection, String(r.body)], [400, 'close', '']);
      await c.end();
    }
  });

  test('"Connection: close" is honoured', async () => {
    const c = new Connection(server);
    c.write(requestText('GET', `/socket.io/?${P}`, { Connection: 'close' }));
    const r = await c.response();
    isHandshake(r);
    assert.equal(r.headers.connection.toLowerCase(), 'close');
    await c.end();
  });
});

describe('sending', () => {
  test('the answer to a post, byte by byte', async () => {
    const s = await opened();
    const r = await s.post('42["unknown"]');
    assert.equal(r.status, 200);
    assert.equal(r.headers['content-type'], 'text/html');
    assert.equal(r.headers['content-length'], '2');
    assert.equal(r.headers['cache-control'], 'no-store');
    assert.equal(String(r.body), 'ok');
  });

  test('a payload of several packets is answered in one', async () => {
    const s = await opened();
    await s.post('42["message",1]\x1e42["message","é"]\x1e451-["message",{"_placeholder":true,"num":0}]\x1ebAQID');
    const r = await s.get();
    assert.equal(String(r.body),
      '42["message-back",1]\x1e42["message-back","é"]\x1e451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQID');
    assert.equal(r.headers['content-length'], String(r.body.length));
  });

  test('500 packets in one payload', async () => {
    const s = await opened();
    await s.post([...Array(500).keys()].map((i) => `42["message",${i}]`).join('\x1e'));
    const body = String((await s.get()).body);
    assert.equal(body, [...Array(500).keys()].map((i) => `42["message-back",${i}]`).join('\x1e'));
  });

  test('a chunked body, split inside a character', async () => {
    const s = await opened();
    const body = Buffer.from('421["echo","é"]');
    s.poster.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (const b of body) s.poster.write(Buffer.from([0x31, 13, 10, b, 13, 10]));
    s.poster.write('0\r\n\r\n');
    assert.equal(String((await s.poster.response()).body), 'ok');
    assert.equal(String((await s.get()).body), '431["é"]');
  });

  test('a body that comes byte by byte', async () => {
    const s = await opened();
    const text = requestText('POST', s.path, {}, '421["echo","é"]');
    for (const b of text) s.poster.write(Buffer.from([b]));
    assert.equal(String((await s.poster.response()).body), 'ok');
    assert.equal(String((await s.get()).body), '431["é"]');
  });

  test('bytes that are no UTF-8 become replacement characters', async () => {
    const s = await opened();
    await s.post(Buffer.concat([Buffer.from('42["message","'), Buffer.from([0xff, 0xfe]), Buffer.from('"]')]));
    assert.equal(String((await s.get()).body), '42["message-back","\ufffd\ufffd"]');
  });

  test('"Expect: 100-continue" is honoured', async () => {
    const s = await opened();
    s.poster.write(requestText('POST', s.path, { Expect: '100-continue', 'Content-Length': 1 }));
    const first = String(await s.poster.upTo('\r\n\r\n'));
    assert.match(first, /^HTTP\/1\.1 100 Continue\r\n/);
    s.poster.write('3');
    assert.equal(String((await s.poster.response()).body), 'ok');
  });

  for (const method of ['PUT', 'DELETE', 'OPTIONS']) {
    test(`${method} on a session: 500, and the session stays`, async () => {
      const s = await opened();
      const r = await request(server, method, s.path);
      assert.deepEqual([r.status, String(r.body)], [500, '']);
      assert.equal((await s.post('3')).status, 200);
    });
  }

  test('EIO=3 on a session of revision 4: error 3', async () => {
    const s = await opened();
    isError(await get(server, s.path.replace('EIO=4', 'EIO=3')), 3);
    isError(await get(server, s.path.replace('EIO=4&', '')), 3);
    assert.equal((await s.post('3')).status, 200);
  });

  test('a plain request for the session over "websocket": error 3', async () => {
    const s = await opened();
    isError(await get(server, s.path.replace('polling', 'websocket')), 3);
    assert.equal((await s.post('3')).status, 200);
  });
});

describe('one request of each kind at a time', () => {
  test('a second GET ends the session', async () => {
    const s = await opened();
    const parked = s.get();
    const [watcher] = [await join(server)];
    await ask(watcher, 'echo', 'a round trip, so that the first is parked');
    const second = await get(server, s.path);
    assert.deepEqual([second.status, String(second.body)], [400, '']);
    const first = await parked;
    assert.deepEqual([first.status, String(first.body)], [200, '1']);
    isError(await get(server, s.path), 1);
  });

  test('a second POST ends the session', async () => {
    const s = await opened();
    const half = new Connection(server);
    half.write(requestText('POST', s.path, { 'Content-Length': 100 }, '42["half'));
    await ask(await join(server), 'echo', 'a round trip');
    const second = await s.post('3');
    assert.deepEqual([second.status, String(second.body)], [400, '']);
    await half.end();
    assert.equal(half.buffer.length, 0);
    isError(await get(server, s.path), 1);
  });

  test('a POST that breaks off ends the session', async () => {
    const s = await opened();
    s.poster.write(requestText('POST', s.path, { 'Content-Length': 100 }, '42["half'));
    await ask(await join(server), 'echo', 'a round trip');
    s.poster.destroy();
    const { until } = require('../lib/until');
    await until(async () => (await request(server, 'PUT', s.path)).status === 400, 5000, 'session is gone');
  });
});

describe('answers to old browsers and compression', () => {
  test('Trident gets its header', async () => {
    const agent = { 'User-Agent': 'Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0)' };
    const r = await get(server, `/socket.io/?${P}`, agent);
    assert.equal(r.headers['x-xss-protection'], '0');
    assert.equal((await get(server, `/socket.io/?${P}`)).headers['x-xss-protection'], undefined);
  });

  const payload = async (bytes, encoding) => {
    const s = await opened();
    const overhead = '42["message-back",""]'.length;
    await s.post(`42["message","${'x'.repeat(bytes - overhead)}"]`);
    s.getter.write(requestText('GET', s.path, encoding ? { 'Accept-Encoding': encoding } : {}));
    const r = await s.getter.response();
    const plain = {
      gzip: zlib.gunzipSync, deflate: zlib.inflateSync,
    }[r.headers['content-encoding']]?.(r.body) || r.body;
    assert.equal(plain.length, bytes);
    assert.match(String(plain), /^42\["message-back","x+"\]$/);
    return r;
  };

  test('small answers are never compressed', async () => {
    assert.equal((await payload(1023, 'gzip')).headers['content-encoding'], undefined);
  });

  test('large answers are readable whatever the client accepts', async () => {
    for (const encoding of [null, 'br', 'identity', 'gzip', 'deflate', 'gzip, deflate', 'gzip;q=0']) {
      const r = await payload(50000, encoding);
      if (!encoding || !/gzip|deflate/.test(encoding) || /q=0/.test(encoding)) {
        assert.equal(r.headers['content-encoding'], undefined, encoding);
      }
    }
  });
});

test('a session is not found by another\'s prefix or suffix', async () => {
  const s = await opened();
  const { sid } = s.handshake;
  for (const wrong of [sid.slice(0, 19), `${sid}x`, `x${sid}`, sid.toLowerCase() === sid ? sid.toUpperCase() : sid.toLowerCase()]) {
    isError(await get(server, s.path.replace(sid, wrong)), 1);
  }
  assert.equal((await s.post('3')).status, 200);
  await assert.rejects(WebSocketConnection.open(server, '/socket.io/?EIO=4&transport=websocket&sid=nope'),
    (e) => e.response.status === 400 && String(e.response.body) === 'Session ID unknown');
});
