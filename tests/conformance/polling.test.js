'use strict';
// Checks 25 to 53: the polling transport.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const { startFixture, startNode } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { Connection, request, requestText, get } = require('../lib/raw');
const { SLOW } = require('../lib/until');
const {
  P, isError, isEmpty, isOk, reasonOf, polled, parked, isKnown, forgotten, works,
  postAs, sidOf,
} = require('../lib/conformance');

const MAX = 5000;
const server = serving(startFixture, { set: { 'engine.max_payload_bytes': MAX } });

describe('a node whose application does not greet', () => {
  const quiet = serving(startNode);

  test('25 POST 40: ok, byte by byte', async () => {
    const s = await polled(quiet, { connect: false });
    const r = await s.post('40');
    isOk(r);
    assert.equal(r.headers['content-type'], 'text/html');
    assert.equal(r.headers['content-length'], '2');
    assert.equal(r.headers['cache-control'], 'no-store');
  });

  test('26 the GET after it brings the id', async () => {
    const s = await polled(quiet, { connect: false });
    await s.post('40');
    const { body } = await s.get();
    assert.match(String(body), /^40\{"sid":"[\w-]{20}"\}$/);
    assert.equal(body.length, 32);
  });
});

const ATTACHED = '451-["message",{"_placeholder":true,"num":0}]';
const ATTACHED_BACK = '451-["message-back",{"_placeholder":true,"num":0}]';

test('27 one GET returns the answers to a payload, joined', async () => {
  const s = await polled(server);
  isOk(await s.post(`42["message",1]\x1e42["message","é"]\x1e${ATTACHED}\x1ebAQID`));
  const r = await s.get();
  assert.equal(String(r.body), `42["message-back",1]\x1e42["message-back","é"]\x1e${ATTACHED_BACK}\x1ebAQID`);
  assert.equal(r.headers['content-length'], String(r.body.length));
});

test('28 text and attachment in two POSTs', async () => {
  const s = await polled(server);
  isOk(await s.post(ATTACHED));
  isOk(await s.post('bAQID'));
  assert.equal(String((await s.get()).body), `${ATTACHED_BACK}\x1ebAQID`);
});

test('29 an empty POST: ok, and the session is gone', async () => {
  const s = await polled(server);
  isOk(await s.post(''));
  await forgotten(s);
});

test('30 a separator at the end: ok, and the session is gone', async () => {
  const s = await polled(server);
  isOk(await s.post('42["message",1]\x1e'));
  await forgotten(s);
});

test('31 an unknown packet with a parked GET: ok, and the GET gets 1', async () => {
  const s = await polled(server);
  const { answer } = await parked(s);
  isOk(await s.post('xyz'));
  assert.equal(String((await answer).body), '1');
  assert.equal(await reasonOf(server, s.id), 'parse error');
});

test('32 a ping from the client: ok, transport error', async () => {
  const s = await polled(server);
  isOk(await s.post('2'));
  assert.equal(await reasonOf(server, s.id), 'transport error');
  await forgotten(s);
});

test('33 a pong that nobody asked for is ignored', async () => {
  const s = await polled(server);
  isOk(await s.post('3'));
  await works(s);
});

test('34 packets 0, 5 and 6 are ignored', async () => {
  const s = await polled(server);
  for (const p of ['0', '5', '6']) isOk(await s.post(p));
  await works(s);
});

test('35 POST 1 with a parked GET: ok, and the GET gets 6', async () => {
  const s = await polled(server);
  const { answer } = await parked(s);
  isOk(await s.post('1'));
  assert.equal(String((await answer).body), '6');
  assert.equal(await reasonOf(server, s.id), 'transport close');
  isError(await s.get(), 1);
});

test('36 what follows a close packet is ignored', async () => {
  const s = await polled(server, { connect: false });
  isOk(await s.post('1\x1e40'));
  await forgotten(s);
});

test('37 a second GET while one is parked: 400, the first gets 1', async () => {
  const s = await polled(server);
  const { answer } = await parked(s);
  isEmpty(await get(server, s.path), 400);
  const first = await answer;
  assert.deepEqual([first.status, String(first.body)], [200, '1']);
  assert.equal(await reasonOf(server, s.id), 'transport error');
  await forgotten(s);
});

// A POST of which a part has arrived.
async function unfinished(s) {
  const c = new Connection(server);
  c.write(requestText('POST', s.path, { 'Content-Length': 100 }, '42["half'));
  for (let i = 0; i < 3; i++) await isKnown(s); // round trips
  return c;
}

test('38 a second POST during the first: 400, the first is cut off', async () => {
  const s = await polled(server);
  const half = await unfinished(s);
  isEmpty(await s.post('3'), 400);
  await half.end();
  assert.equal(half.buffer.length, 0);
  assert.equal(await reasonOf(server, s.id), 'transport error');
  await forgotten(s);
});

test('39 a parked GET is dropped: transport error', async () => {
  const s = await polled(server);
  await parked(s);
  s.getter.destroy();
  assert.equal(await reasonOf(server, s.id), 'transport error');
  await forgotten(s);
});

test('40 a POST breaks off: transport error', async () => {
  const s = await polled(server);
  (await unfinished(s)).destroy();
  assert.equal(await reasonOf(server, s.id), 'transport error');
  await forgotten(s);
});

test('41 the largest POST: 200; one byte more: 413, and the session stays', async () => {
  const s = await polled(server);
  const frame = '421["echo",""]';
  const body = `421["echo","${'x'.repeat(MAX - frame.length)}"]`;
  assert.equal(body.length, MAX);
  isOk(await s.post(body));
  assert.match(String((await s.get()).body), /^431\["x+"\]$/);
  isEmpty(await s.post(`${body} `), 413);
  await works(s);
});

test('42 octet-stream: 400, and the session is gone; other spellings are text', async () => {
  const s = await polled(server);
  for (const type of ['Application/Octet-Stream', 'application/octet-stream; charset=x']) {
    isOk(await postAs(s, { 'Content-Type': type }));
  }
  const { answer } = await parked(s);
  isEmpty(await postAs(s, { 'Content-Type': 'application/octet-stream' }), 400);
  assert.equal(String((await answer).body), '1');
  await forgotten(s);
});

test('43 a chunked POST, split inside a character', async () => {
  const s = await polled(server);
  s.poster.write(`POST ${s.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
  for (const b of Buffer.from('421["echo","é"]')) s.poster.write(Buffer.from([0x31, 13, 10, b, 13, 10]));
  s.poster.write('0\r\n\r\n');
  isOk(await s.poster.response());
  assert.equal(String((await s.get()).body), '431["é"]');
});

test('44 bytes that are no UTF-8 become replacement characters', async () => {
  const s = await polled(server);
  isOk(await s.post(Buffer.concat([Buffer.from('42["message","'), Buffer.from([0xff, 0xfe]), Buffer.from('"]')])));
  const { body } = await s.get();
  assert.ok(body.includes(Buffer.from('efbfbdefbfbd', 'hex')));
  assert.equal(String(body), '42["message-back","\ufffd\ufffd"]');
});

test('45 another method on a session: 500, and the session stays', async () => {
  const s = await polled(server);
  for (const method of ['PUT', 'DELETE', 'OPTIONS']) isEmpty(await request(server, method, s.path), 500);
  await works(s);
});

// The answer to a GET that finds a payload of that many bytes.
async function payload(bytes, encoding) {
  const s = await polled(server);
  const frame = '42["message-back",""]';
  isOk(await s.post(`42["message","${'x'.repeat(bytes - frame.length)}"]`));
  s.getter.write(requestText('GET', s.path, { 'Accept-Encoding': encoding }));
  return s.getter.response();
}

test('46 small payloads are plain, and large ones for those who cannot read gzip', async () => {
  for (const [bytes, encoding] of [[1023, 'gzip'], [1024, 'br'], [1024, 'identity']]) {
    const r = await payload(bytes, encoding);
    assert.equal(r.headers['content-encoding'], undefined);
    assert.equal(r.body.length, bytes);
  }
});

test('46 a payload of 1024 bytes is compressed for those who can read it', async () => {
  const r = await payload(1024, 'gzip');
  assert.equal(r.headers['content-encoding'], 'gzip');
  assert.equal(zlib.gunzipSync(r.body).length, 1024);
});

describe('with short intervals', () => {
  const INTERVAL = 300 * SLOW;
  const TIMEOUT = 300 * SLOW;
  const hasty = serving(startFixture, {
    set: { 'engine.ping_interval_ms': INTERVAL, 'engine.ping_timeout_ms': TIMEOUT },
  });

  test('47 a parked GET gets a ping after the interval', async () => {
    const begin = Date.now();
    const s = await polled(hasty, { connect: false });
    assert.equal(String((await s.get()).body), '2');
    assert.ok(Date.now() - begin >= INTERVAL - 30);
  });

  test('48 without any poll the session ends after interval and timeout', async () => {
    const begin = Date.now();
    const s = await polled(hasty, { connect: false });
    assert.equal(await isKnown(s), true);
    await forgotten(s);
    assert.ok(Date.now() - begin >= INTERVAL + TIMEOUT - 60);
  });

  test('49 without a pong a parked GET gets 1', async () => {
    const s = await polled(hasty);
    assert.equal(String((await s.get()).body), '2');
    const begin = Date.now();
    assert.equal(String((await s.get()).body), '1');
    assert.ok(Date.now() - begin >= TIMEOUT - 60);
    assert.equal(await reasonOf(hasty, s.id), 'ping timeout');
  });
});

test('50 old browsers get X-XSS-Protection', async () => {
  const old = { 'User-Agent': 'Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0)' };
  assert.equal((await get(server, P, old)).headers['x-xss-protection'], '0');
  assert.equal((await get(server, P)).headers['x-xss-protection'], undefined);
  const s = await polled(server);
  assert.equal((await postAs(s, old)).headers['x-xss-protection'], '0');
});

describe('JSONP', () => {
  const old = serving(startFixture, { set: { 'engine.allow_eio3': true } });
  const J = `${P}&j=3&b64=1`;
  const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const script = (r) => {
    assert.equal(r.status, 200);
    assert.equal(r.headers['content-type'], 'text/plain; charset=UTF-8');
    const m = /^___eio\[(\d*)\]\((".*")\);$/.exec(String(r.body));
    assert.ok(m, String(r.body));
    return { index: m[1], source: m[2], payload: JSON.parse(m[2]) };
  };
  // what the client writes into its form
  const form = (payload) => `d=${encodeURIComponent(payload.replace(/\\n/g, '\\\\n').replace(/\n/g, '\\n'))}`;
  const submit = (path, body) => request(old, 'POST', path, { headers: FORM, body });

  async function begun() {
    const { payload } = script(await get(old, J));
    const path = `${J}&sid=${sidOf(payload)}`;
    isOk(await submit(path, form('40')));
    let seen = '';
    while (!seen.includes('42["auth"')) seen += script(await get(old, path)).payload;
    return path;
  }

  test('51 JSONP: the handshake calls the function of that index', async () => {
    const { index, payload } = script(await get(old, J));
    assert.equal(index, '3');
    assert.match(payload, /^0\{"sid":"/);
    assert.equal(script(await get(old, `${P}&j=a1b2(`)).index, '12');
    assert.equal(script(await get(old, `${P}&j=`)).index, '');
  });

  test('51 JSONP: packets up in a form, down in a script', async () => {
    const path = await begun();
    const text = ['\n', '\\n', '\\\n', '\\', '+ &=%', '\u2028\u2029', 'é\u{1f600}', '<"\''];
    isOk(await submit(path, form(`42${JSON.stringify(['message', ...text])}`)));
    const { source, payload } = script(await get(old, path));
    assert.deepEqual(JSON.parse(payload.slice(2)), ['message-back', ...text]);
    assert.match(source, /\\u2028\\u2029/);
    assert.doesNotMatch(source, /[\u2028\u2029]/);
  });

  test('51 JSONP: binary is base64', async () => {
    const path = await begun();
    isOk(await submit(path, form(`${ATTACHED}\x1ebAQID`)));
    assert.equal(script(await get(old, path)).payload, `${ATTACHED_BACK}\x1ebAQID`);
  });

  test('51 JSONP: a form without one d is no payload', async () => {
    const path = await begun();
    for (const body of ['', 'x=42["message"]', 'd=x&d=x']) isOk(await submit(path, body));
    isOk(await submit(path, form('42["message"]')));
    assert.equal(script(await get(old, path)).payload, '42["message-back"]');
  });
});

test('52 base64 without padding, or of the alphabet for URLs', async () => {
  for (const [sent, back] of [['bAQI', 'bAQI='], ['b_-8=', 'b/+8=']]) {
    const s = await polled(server);
    isOk(await s.post(`${ATTACHED}\x1e${sent}`));
    assert.equal(String((await s.get()).body), `${ATTACHED_BACK}\x1e${back}`);
  }
});

test('53 another revision with a session of this one: code 3', async () => {
  const s = await polled(server);
  isError(await get(server, s.path.replace('EIO=4', 'EIO=3')), 3);
  isError(await get(server, s.path.replace('EIO=4&', '')), 3);
  await works(s);
});
