'use strict';
// What confab deliberately does otherwise (README.md says why): each difference
// with both behaviours, so that one that goes away is noticed.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { REFERENCE, startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { Connection, WebSocketConnection, request, requestText, get } = require('../lib/raw');
const { sleep } = require('../lib/until');
const { Talk } = require('../lib/talk');
const { P, W, polled, opened, isOk, isHandshake } = require('../lib/conformance');

const server = serving(startFixture, { set: { 'engine.max_payload_bytes': 5000 } });

const UPGRADE = {
  Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const pick = ({ confab, official }) => (REFERENCE ? official : confab);
const PLACEHOLDER = '{"_placeholder":true,"num":0}';
const CLOSED = 'closed';

describe('HTTP', () => {
  test('bodies of errors and files: a length, or chunks', async () => {
    for (const path of [`${P}&sid=nope`, '/socket.io/socket.io.min.js']) {
      const { headers } = await get(server, path);
      assert.equal('content-length' in headers, !REFERENCE);
      assert.equal('transfer-encoding' in headers, REFERENCE);
    }
  });

  test('idle connections are announced to be kept for 5 s, or not', async () =>
    assert.equal((await get(server, P)).headers['keep-alive'],
      pick({ confab: undefined, official: 'timeout=5' })));

  test('after a body that is too large the connection is closed, or kept', async () => {
    const r = await (await polled(server)).post('x'.repeat(5001));
    assert.equal(r.status, 413);
    assert.equal(r.headers.connection.toLowerCase(), pick({ confab: 'close', official: 'keep-alive' }));
  });

  test('another revision on a WebSocket: refused before the 101, or after it', async () => {
    const c = new Connection(server);
    c.write(requestText('GET', W.replace('EIO=4', 'EIO=3'), UPGRADE));
    await c.end();
    assert.match(String(c.buffer), /Unsupported protocol version$/);
    assert.match(String(c.buffer), pick({ confab: /^HTTP\/1\.1 400 /, official: /^HTTP\/1\.1 101 / }));
  });

  test('an upgrade on a foreign path: ended at once, or after a second', async () => {
    const c = new Connection(server);
    const begin = Date.now();
    c.write(requestText('GET', '/elsewhere', UPGRADE));
    await c.end();
    assert.equal(String(c.buffer), '');
    assert.equal(Date.now() - begin > 900, REFERENCE);
  });

  test('an upgrade on the path of the bundle: the file, or an error', async () => {
    const r = await request(server, 'GET', '/socket.io/socket.io.js', { headers: UPGRADE });
    assert.equal(r.status, pick({ confab: 200, official: 400 }));
  });

  test('a subprotocol offered twice: taken, or refused', async () => {
    const r = await request(server, 'GET', W, { headers: { ...UPGRADE, 'Sec-WebSocket-Protocol': 'a, a' } });
    assert.equal(r.status, pick({ confab: 101, official: 400 }));
  });

  test('a WebSocket handshake without Host: refused, or answered', async () => {
    const lines = Object.entries(UPGRADE).map(([k, v]) => `${k}: ${v}\r\n`);
    const c = new Connection(server);
    c.write(`GET ${W} HTTP/1.1\r\n${lines.join('')}\r\n`);
    assert.equal((await c.response()).status, pick({ confab: 400, official: 101 }));
  });

  test('a version of HTTP other than 1.x: refused, or answered', async () => {
    const c = new Connection(server);
    c.write(`GET ${P} HTTP/2.0\r\nHost: x\r\n\r\n`);
    assert.equal((await c.response()).status, pick({ confab: 400, official: 200 }));
  });

  test('a fragment in the request target: part of the query, or dropped', async () =>
    assert.equal((await get(server, `${P}#x`)).status, pick({ confab: 400, official: 200 })));

  test('an expectation other than 100-continue: ignored, or 417', async () => {
    const s = await polled(server);
    s.poster.write(requestText('POST', s.path, { Expect: 'miracles' }, '3'));
    assert.equal((await s.poster.response()).status, pick({ confab: 200, official: 417 }));
  });

  test('long headers: refused from 8 kB on, or from 16 kB on', async () => {
    const r = await get(server, P, { Cookie: 'x'.repeat(10000) });
    if (REFERENCE) isHandshake(r);
    else assert.equal(r.status, 431);
  });
});

describe('polling', () => {
  test('CONNECT and an event in one payload: works, or closed', async () => {
    const s = await polled(server, { connect: false });
    isOk(await s.post('40\x1e42["message",1]'));
    assert.match(String((await s.get()).body), pick({
      confab: /^40\{"sid":"[\w-]{20}"\}\x1e42\["auth",\{\}\]\x1e42\["message-back",1\]$/, official: /^6\x1e1$/,
    }));
  });

  test('DISCONNECT and CONNECT in one payload: works, or closed', async () => {
    const s = await polled(server);
    isOk(await s.post('41\x1e40'));
    assert.match(String((await s.get()).body), pick({
      confab: /^40\{"sid":"[\w-]{20}"\}\x1e42\["auth",\{\}\]$/, official: /^6\x1e1$/,
    }));
  });
});

// What is sent on a connection that joined "/", and what comes.
const PACKETS = {
  'numbers are passed on as they were written, or as JavaScript prints them': [
    '421["echo",1.0,1E3,-0,9007199254740993]',
    { confab: '431[1.0,1E3,-0,9007199254740993]', official: '431[1,1000,0,9007199254740992]' }],
  'numbers beyond a double are passed on, or become null': [
    '421["echo",1e400]', { confab: '431[1e400]', official: '431[null]' }],
  'escapes and white space are passed on, or normalized': [
    '421["echo",["\\u00e9\\/", 1]]', { confab: '431[["\\u00e9\\/", 1]]', official: '431[["é/",1]]' }],
  'keys that occur twice are passed on, or the last one is': [
    '421["echo",{"a":1,"a":2}]', { confab: '431[{"a":1,"a":2}]', official: '431[{"a":2}]' }],
  'ack ids that a double cannot hold: closed, or rounded': [
    '429007199254740993["echo"]', { confab: CLOSED, official: '439007199254740992[]' }],
  'white space of Unicode for an ack id: closed, or id 0': [
    '42\u00a0["echo"]', { confab: CLOSED, official: '430[]' }],
  'a placeholder number that is not whole: closed, or null': [
    ['451-1["echo",{"_placeholder":true,"num":0.5}]', Buffer.from([1])], { confab: CLOSED, official: '431[null]' }],
  'a number of attachments in another notation: closed, or taken': [
    [`451.0-1["echo",${PLACEHOLDER}]`, Buffer.from([1])], { confab: CLOSED, official: `461-1[${PLACEHOLDER}]` }],
  'a second CONNECT while the first is pending: closed, or a second socket': [
    ['40/slow,{"key":"a"}', '40/slow,{"key":"b"}', '421["echo"]'], { confab: CLOSED, official: '431[]' }],
  'JSON deeper than 24: closed, or taken': [
    `421["echo",${'['.repeat(30)}${']'.repeat(30)}]`,
    { confab: CLOSED, official: `431[${'['.repeat(30)}${']'.repeat(30)}]` }],
  'an event name of more than 256 bytes: closed, or taken': [
    [`42["${'x'.repeat(257)}"]`, '421["echo"]'], { confab: CLOSED, official: '431[]' }],
  'attachments beside a large text: closed, or taken': [
    [`451-1["echo",${PLACEHOLDER}${','.padEnd(3000, ' ')}1]`, Buffer.alloc(3000)],
    { confab: CLOSED, official: `461-1[${PLACEHOLDER},1]` }],
};

describe('packets', () => {
  for (const [name, [sent, expected]] of Object.entries(PACKETS)) {
    test(name, async () => {
      const ws = await opened(server);
      for (const p of [sent].flat()) {
        if (Buffer.isBuffer(p)) ws.binary(p);
        else ws.text(p);
      }
      const f = await ws.frame();
      assert.equal(f.opcode === 8 ? CLOSED : String(f.payload), pick(expected));
    });
  }
});

// ---- protocol 3 and JSONP ------------------------------------------------------

const P3 = P.replace('EIO=4', 'EIO=3');
const OLD = { 'engine.allow_eio3': true };

describe('protocol 3', () => {
  const old = serving(startFixture, { set: OLD });
  const ECHO = '421["echo",1]';
  const TAKEN = '431[1]';
  const OCTETS = { 'Content-Type': 'application/octet-stream' };

  // body, its headers, what stands in the next poll
  const PAYLOADS = {
    'a length in another notation: closed, or taken': [`0xd:${ECHO}`, {}, { confab: CLOSED, official: TAKEN }],
    'octets that end too early: closed, or taken': [
      Buffer.concat([Buffer.from([0, 9, 9, 255]), Buffer.from(ECHO)]), OCTETS, { confab: CLOSED, official: TAKEN }],
    'surrogates in octets: closed, or replaced': [
      Buffer.concat([Buffer.from([0, 1, 9, 255]), Buffer.from('421["echo",1,"'), Buffer.from('eda080', 'hex'),
        Buffer.from('"]')]), OCTETS, { confab: CLOSED, official: '431[1,"\ufffd"]' }],
  };
  for (const [name, [body, headers, expected]] of Object.entries(PAYLOADS)) {
    test(name, async () => {
      const path = `${P3}&sid=${/"sid":"([^"]+)"/.exec(String((await get(old, P3)).body))[1]}`;
      await get(old, path); // the CONNECT and the greeting
      isOk(await request(old, 'POST', path, { headers, body }));
      const r = await get(old, path);
      const seen = r.status === 400 ? CLOSED : /43.*/.exec(String(r.body))[0];
      assert.equal(seen, pick(expected));
    });
  }

  test('the path of a namespace is as it was sent, or as of a URL', async () => {
    const ws = await WebSocketConnection.open(old, W.replace('EIO=4', 'EIO=3'));
    for (let i = 0; i < 3; i++) await ws.textFrame(); // open, CONNECT, the greeting
    ws.text('40/x/../custom');
    assert.equal(await ws.textFrame(), pick({
      confab: '44/x/../custom,{"message":"Invalid namespace"}', official: '40/custom,' }));
  });
});

describe('a client of protocol 3 that falls silent after its upgrade', () => {
  const hasty = serving(startFixture, {
    set: { ...OLD, 'engine.ping_interval_ms': 100, 'engine.ping_timeout_ms': 100 } });

  test('is ended, or kept', async () => {
    const { sid } = JSON.parse(/\{.*\}/.exec(String((await get(hasty, P3)).body))[0]);
    const ws = await WebSocketConnection.open(hasty, `${P3.replace('polling', 'websocket')}&sid=${sid}`);
    ws.text('2probe');
    assert.equal(await ws.textFrame(), '3probe');
    ws.text('5');
    const begin = Date.now();
    while (!ws.ended && Date.now() - begin < 1000) await sleep(20);
    assert.equal(ws.ended || ws.buffer.includes(Buffer.from([0x88, 0])), !REFERENCE);
  });
});

describe('JSONP', () => {
  const old = serving(startFixture, { set: OLD });

  test('needs engine.allow_eio3, or nothing', async () =>
    assert.match(String((await get(server, `${P}&j=0`)).body),
      pick({ confab: /^0\{/, official: /^___eio\[0\]/ })));

  test('binary without b64: base64, or a description of a buffer', async () => {
    const script = `${P3}&j=0`;
    const path = `${script}&sid=${/"sid\\":\\"([^"\\]+)/.exec(String((await get(old, script)).body))[1]}`;
    await get(old, path);
    const packets = `451-1["echo",${PLACEHOLDER}]`;
    const body = `d=${encodeURIComponent(`${packets.length}:${packets}6:b4AQID`)}`;
    isOk(await request(old, 'POST', path, { body }));
    assert.match(String((await get(old, path)).body),
      pick({ confab: /6:b4AQID"\);$/, official: /\{"type":"Buffer"/ }));
  });
});

describe('recovery', () => {
  const SET = { 'recovery.enabled': true };
  const recovering = serving(startFixture, { set: SET });
  const asking = serving(startFixture, { set: { ...SET, 'recovery.skip_middlewares': false } });
  const begin = (auth, namespace, at = recovering) => Talk.begin(at, auth, namespace);
  const told = (packets) => packets.map((p) => JSON.parse(p.slice(p.indexOf('['))).slice(0, -1));

  test('who comes back before its end was noticed: recovered, or new', async () => {
    const t = await begin();
    const back = await begin(t.pidAnd());
    assert.equal(back.sid === t.sid, !REFERENCE);
    assert.equal(await back.ask('socket-count'), pick({ confab: 1, official: 2 }));
  });

  test('who comes back twice: the first one ends, or both live with one id', async () => {
    const t = await begin();
    await t.lose(recovering);
    const [first, second] = [await begin(t.pidAnd()), await begin(t.pidAnd())];
    assert.deepEqual([first.sid, second.sid], [t.sid, t.sid]);
    first.ws.text('429["echo",1]');
    assert.equal((await first.ws.frame()).opcode, pick({ confab: 8, official: 1 }));
  });

  test('events from before its session: not missed, or missed', async () => {
    const before = await begin();
    before.ws.text('41');
    const other = await begin();
    await other.ask('broadcast', { event: 'e' }, 'before');
    const t = await begin();
    await t.lose(recovering);
    const back = await begin(t.pidAnd(before.offset));
    assert.equal(back.sid, t.sid);
    assert.deepEqual(told(back.missed).filter(([event]) => event === 'e'),
      pick({ confab: [], official: [['e', 'before']] }));
  });

  test('an event that a middleware emits: sent, or lost', async () => {
    const t = await begin('{"token":"secret"}', '/private');
    assert.deepEqual(told(t.missed), pick({ confab: [['welcome', 'early']], official: [] }));
  });

  test('who comes back and is refused: told nothing, or all that it has missed', async () => {
    const t = await begin('{"token":"secret"}', '/private', asking);
    const other = await begin('{"token":"secret"}', '/private', asking);
    await t.lose(asking);
    await other.ask('broadcast', { event: 'e' });
    const ws = await opened(asking, { connect: false });
    ws.text(`40/private,${t.pidAnd()}`);
    const first = await ws.textFrame();
    assert.match(first, pick({ confab: /^44.*no token/, official: /^42.*"e"/ }));
  });
});
