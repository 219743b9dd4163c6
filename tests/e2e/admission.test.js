'use strict';
// Handshakes that wait for the application's word, and what it adds to the
// answer.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, CONFAB_ONLY } = require('../lib/suite');
const { MODES, ask, client, connected } = require('../lib/clients');
const { Connection, WebSocketConnection, requestText, get, frame } = require('../lib/raw');
const { until } = require('../lib/until');

const server = serving(startFixture);

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';
const UPGRADE = {
  Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const KINDS = { polling: [P, {}], websocket: [W, UPGRADE] };

// Someone who hears of those that wait, and lets them go.
async function judging(of = server) {
  const judge = await join(of, '/', MODES[1]);
  await ask(judge, 'observe');
  return judge;
}

// A handshake that has reached the application and waits there.
async function waits(judge, kind, key, of = server) {
  const [path, headers] = KINDS[kind];
  const c = new Connection(of);
  c.write(requestText('GET', `${path}&wait=${key}`, headers));
  assert.deepEqual(await judge.inbox.take('waiting'), [key]);
  return c;
}

onEachTransport((mode) => {
  const awaited = async (key) => {
    const judge = await judging();
    const s = client(server.url, '/', mode, { query: { wait: key }, reconnection: false });
    const refused = new Promise((resolve) => { s.once('connect_error', resolve); });
    s.connect();
    assert.deepEqual(await judge.inbox.take('waiting'), [key]);
    assert.equal(await ask(judge, 'echo', 'meanwhile'), 'meanwhile');
    assert.equal(s.connected, false);
    return { judge, s, refused };
  };

  test('a client that is let in later is connected then', async () => {
    const { judge, s } = await awaited(`in-${mode.name}`);
    assert.equal(await ask(judge, 'release', `in-${mode.name}`), true);
    await connected(s);
    assert.equal(await ask(s, 'echo', 'works'), 'works');
  });

  test('a client that is refused later gets an error', async () => {
    const { judge, s, refused } = await awaited(`out-${mode.name}`);
    assert.equal(await ask(judge, 'release', `out-${mode.name}`, 'not you'), true);
    assert.ok(await refused instanceof Error);
    assert.equal(s.connected, false);
  });
});

test('a late refusal over polling: 403 with the message; the connection goes on', async () => {
  const judge = await judging();
  const c = await waits(judge, 'polling', 'p');
  c.write(requestText('GET', P)); // what follows waits for its turn
  await ask(judge, 'release', 'p', 'no "é"');
  const r = await c.response();
  assert.deepEqual([r.status, String(r.body)], [403, '{"code":4,"message":"no \\"é\\""}']);
  assert.equal((await c.response()).status, 200);
});

test('a late refusal of a WebSocket: 400 with the message, and the end', async () => {
  const judge = await judging();
  const c = await waits(judge, 'websocket', 'w');
  await ask(judge, 'release', 'w', 'no "é"');
  const r = await c.response();
  assert.deepEqual([r.status, r.headers['content-type'], String(r.body)], [400, 'text/html', 'no "é"']);
  await c.end();
});

// The official server loses it: clients should wait for the 101.
test('what a WebSocket client sends while it waits is not lost', CONFAB_ONLY, async () => {
  const judge = await judging();
  const c = new WebSocketConnection(server);
  c.write(Buffer.concat([requestText('GET', `${W}&wait=early`, UPGRADE), frame(1, '40')]));
  assert.deepEqual(await judge.inbox.take('waiting'), ['early']);
  c.text('421["echo","early"]');
  await ask(judge, 'echo', 'a round trip');
  await ask(judge, 'release', 'early');
  assert.equal((await c.response()).status, 101);
  assert.match(await c.textFrame(), /^0\{"sid"/);
  assert.match(await c.textFrame(), /^40\{"sid"/);
  assert.match(await c.textFrame(), /^42\["auth"/);
  assert.equal(await c.textFrame(), '431["early"]');
});

for (const kind of Object.keys(KINDS)) {
  for (const message of ['', 'too late']) {
    test(`${kind}: the client leaves, then it is ${message ? 'refused' : 'let in'}: harmless`, async () => {
      const judge = await judging();
      const key = `gone-${kind}-${message.length}`;
      const c = await waits(judge, kind, key);
      c.destroy();
      await ask(judge, 'echo', 'a round trip');
      assert.equal(await ask(judge, 'release', key, message), true);
      assert.equal((await get(server, P)).status, 200);
    });
  }
}

describe('limits.sessions of 2', CONFAB_ONLY, () => {
  const small = serving(startFixture, { set: { 'limits.sessions': '2' } });

  test('those that wait count; those that left do not, settled or not', async () => {
    const judge = await judging(small);
    const c = await waits(judge, 'polling', 'one', small);
    const r = await get(small, P);
    assert.equal(r.status, 503);
    assert.match(r.headers['retry-after'], /^[1-5]$/);
    assert.deepEqual(JSON.parse(r.body), { code: 503, message: 'Too many sessions' });
    c.destroy();
    await until(async () => (await get(small, P)).status === 200, 5000, 'room for another');
    assert.equal(await ask(judge, 'release', 'one'), true);
    assert.equal((await get(small, P)).status, 503); // it has not made room twice
  });
});

test('a server that stops answers those that wait: 503', CONFAB_ONLY, async () => {
  const own = await startFixture();
  const judge = await judging(own);
  const all = [];
  for (const kind of Object.keys(KINDS)) all.push(await waits(judge, kind, kind, own));
  await own.stop();
  for (const c of all) assert.equal((await c.response()).status, 503);
});

describe('headers of the first response', () => {
  const ofAnswer = (r) => r.lines.filter((l) => /^x-/i.test(l));
  const handshake = async (kind, query) => {
    const [path, headers] = KINDS[kind];
    const c = new Connection(server);
    c.write(requestText('GET', `${path}${query}`, headers));
    return c.response();
  };

  for (const kind of Object.keys(KINDS)) {
    test(`${kind}: one, or none`, async () => {
      assert.deepEqual(ofAnswer(await handshake(kind, '&header=a%20b')), ['X-Fixture: a b']);
      assert.deepEqual(ofAnswer(await handshake(kind, '')), []);
    });

    test(`${kind}: the same name twice`, CONFAB_ONLY, async () => {
      const r = await handshake(kind, '&header=a&header-too=b');
      assert.deepEqual(ofAnswer(r), ['X-Fixture: a', 'X-Fixture: b']);
    });

    test(`${kind}: what could not stand in a header is refused`, CONFAB_ONLY, async () => {
      for (const value of ['a%0d%0aX-Evil:%201', 'a%0aX-Evil:%201', '%0d', 'a%01b', 'a%7fb']) {
        assert.deepEqual(ofAnswer(await handshake(kind, `&header=${value}`)), ['X-Refused: 1'], value);
      }
      for (const name of ['X%20Evil', 'X:', '', 'X%0d%0a', 'content-LENGTH', 'Transfer-Encoding', 'Connection',
        'Upgrade', 'Sec-WebSocket-Accept', 'X-%c3%a9']) {
        const r = await handshake(kind, `&header=1&header-name=${name}`);
        assert.deepEqual(ofAnswer(r), ['X-Refused: 1'], name);
      }
    });
  }

  test('later responses do not have it', async () => {
    const sid = JSON.parse(String((await get(server, `${P}&header=a`)).body).slice(1)).sid;
    const ws = await WebSocketConnection.open(server, `${W}&sid=${sid}&header=a`);
    assert.deepEqual(ofAnswer(ws.handshake), []);
    const c = new Connection(server);
    c.write(requestText('POST', `${P}&sid=${sid}&header=a`, {}, '3'));
    assert.deepEqual(ofAnswer(await c.response()), []);
  });
});

describe('what can be read of the request', () => {
  const seen = async (of, headers) => JSON.parse(String((await get(of, `${P}&a=b`, headers)).body)).message;

  test('header, target, address', async () => {
    assert.equal(await seen(server, { 'X-Seen': 'this' }), `this ${P}&a=b 127.0.0.1`);
  });

  test('a proxy that is not trusted changes nothing', async () =>
    assert.match(await seen(server, { 'X-Seen': 'x', 'X-Forwarded-For': '1.2.3.4' }), / 127\.0\.0\.1$/));

  describe('behind a trusted proxy', CONFAB_ONLY, () => {
    const behind = serving(startFixture, { set: { 'engine.trusted_proxies': '127.0.0.1' } });

    test('the address is the one that it names', async () => {
      assert.match(await seen(behind, { 'X-Seen': 'x', 'X-Forwarded-For': ['6.6.6.6', '1.2.3.4'] }), / 1\.2\.3\.4$/);
      assert.match(await seen(behind, { 'X-Seen': 'x' }), / 127\.0\.0\.1$/);
    });
  });
});

describe('the attributes of the cookie', CONFAB_ONLY, () => {
  const own = serving(startFixture, {
    set: { 'engine.cookie': 'sticky', 'engine.cookie_attributes': 'Path=/x; Secure' },
  });
  const bare = serving(startFixture, {
    set: { 'engine.cookie': 'sticky', 'engine.cookie_attributes': '' },
  });

  test('are as configured', async () => {
    assert.match((await get(own, P)).headers['set-cookie'], /^sticky=[\w-]{20}; Path=\/x; Secure$/);
    assert.match((await get(bare, P)).headers['set-cookie'], /^sticky=[\w-]{20}$/);
  });
});
