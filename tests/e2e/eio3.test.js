'use strict';
// Clients of Engine.IO 3: the same bytes to confab and to the official server
// with allowEIO3. The answers must be the same, but for ids and dates.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, startReference } = require('../lib/servers');
const { CONFAB_ONLY } = require('../lib/suite');
const { sleep } = require('../lib/until');
const { Connection, WebSocketConnection, request, requestText, frame, destroyAll } = require('../lib/raw');

const SET = {
  'engine.max_payload_bytes': 5000, 'engine.allow_eio3': true,
  'engine.cors_origins': 'http://a.example',
};
const servers = {};

before(async () => {
  servers.reference = await startReference({ app: 'fixture', set: SET });
  servers.confab = await startFixture({ set: SET });
});
afterEach(destroyAll);
after(async () => {
  await servers.reference?.stop();
  await servers.confab?.stop();
});

const P = '/socket.io/?EIO=3&transport=polling';
const W = '/socket.io/?EIO=3&transport=websocket';

const both = async (transcript, ...input) =>
  [await transcript(servers.confab, ...input), await transcript(servers.reference, ...input)];

async function same(transcript, ...input) {
  const [ours, theirs] = await both(transcript, ...input);
  assert.deepEqual(ours, theirs);
}

// ---- polling -----------------------------------------------------------------

const HTTP_LIBRARY = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'];

function written(r, sid = /(?<="sid":")[\w-]{20}/) {
  const body = r.body.toString('latin1').replace(new RegExp(sid, 'g'), '*');
  return {
    status: r.status,
    headers: Object.fromEntries(Object.entries(r.headers)
      .filter(([name]) => !HTTP_LIBRARY.includes(name)).sort()),
    body,
  };
}

const size = (s) => `${s.length}:${s}`;
const text = (...packets) => packets.map(size).join('');
const octets = (...packets) => Buffer.concat(packets.map((p) => {
  const body = Buffer.from(p);
  return Buffer.concat([
    Buffer.from([typeof p === 'string' ? 0 : 1, ...String(body.length).split('').map(Number), 255]), body]);
}));

const TEXT = { 'Content-Type': 'text/plain;charset=UTF-8' };
const OCTETS = { 'Content-Type': 'application/octet-stream' };

async function pollingTranscript(server, bodies, query = '') {
  const getter = new Connection(server);
  const poster = new Connection(server);
  const ask = async (c, ...what) => {
    c.write(requestText(...what));
    return c.response();
  };
  const first = await ask(getter, 'GET', P + query, {});
  const { sid } = JSON.parse(/\{.*\}/.exec(String(first.body))[0]);
  const path = `${P}${query}&sid=${sid}`;
  const lines = [{ open: written(first) }, { get: written(await ask(getter, 'GET', path, {}), sid) }];
  for (const body of bodies) {
    const c = poster.ended ? new Connection(server) : poster;
    const post = await ask(c, 'POST', path, Buffer.isBuffer(body) ? OCTETS : TEXT, body);
    lines.push({ post: written(post) });
    if (post.status !== 200) continue;
    // by a method that sessions refuse: 500 when there is one, 400 when not
    const known = (await request(server, 'PUT', path)).status;
    lines.push({ known });
    if (known === 500 && /4|2/.test(Buffer.from(body).subarray(0, 6).toString('latin1'))) {
      lines.push({ get: written(await ask(getter, 'GET', path, {}), sid) });
    }
  }
  return lines;
}

const ATTACHED = '451-["message",{"_placeholder":true,"num":0}]';
const POLLING = {
  'an event': [[text('42["message",1]')]],
  'several packets': [[text('42["message",1]', '42["message",2]')]],
  'lengths in UTF-16 units': [[text('42["message","é€\u{1f600}"]', '42["message","\u2028"]')]],
  'an acknowledgement': [[text('427["echo",1,null]')]],
  'a ping': [[text('2')]],
  'a ping with data': [[text('2probe')]],
  'a pong of the client': [[text('3')]],
  'packets without meaning': [[text('0', '5', '6', '42["message"]')]],
  'binary as base64 in': [[text(ATTACHED, 'b4AQID')]],
  'binary as base64 in, unpadded': [[text(ATTACHED, 'b4_-8')]],
  'base64 of no known type': [[text('b9AQID', '42["message"]')]],
  'base64 of no type': [[text('b', '42["message"]')]],
  'base64, a ping': [[text('b2AQID')]],
  'binary as base64 out': [[text(ATTACHED, 'b4AQID')], '&b64=1'],
  'octets in': [[octets('42["message",1]', '42["message","é€\u{1f600}"]')]],
  'octets in with binary': [[octets(ATTACHED, Buffer.from([4, 1, 2, 255]))]],
  'octets in, empty binary': [[octets(ATTACHED, Buffer.from([4]))]],
  'octets in, base64 text': [[octets(ATTACHED, 'b4AQID')]],
  'octets in, not UTF-8': [[octets('42["message"]', Buffer.from([5]), Buffer.from([]))]],
  'octets out mixed with text': [[octets(ATTACHED, Buffer.from([4, 7]), '42["message","é\u{1f600}"]')]],
  'octets of nothing': [[octets()]],
  'octets of an unknown type': [[octets(Buffer.from([9, 1]), '42["message"]')]],
  'octets of an empty text': [[octets('')]],
  'octets that are cut off in the length': [[Buffer.from([0, 1, 2])]],
  'a bad packet in octets': [[octets('42["message"]', 'x')]],
  'bytes that are not UTF-8': [[Buffer.concat([Buffer.from([0, 2, 255, 0x34, 0xff])])]],
  'namespaces': [[text('40/custom'), text('42/custom,["message",1]')]],
  'a namespace with a query': [[text('40/custom?a=b&c=d%20e+f&%22=%0A%C3%A9,')]],
  'a namespace with an empty query': [[text('40/custom?,')]],
  'a query on an event': [[text('40/custom'), text('42/custom?a=b,["message",1]')]],
  'the payload of a CONNECT is not read': [[text('40/custom,{"a":1}')]],
  'an unknown namespace': [[text('40/nope')]],
  'refused by a middleware': [[text('40/private')]],
  'refused by a middleware, with data': [[text('40/private?token=no')]],
  'admitted by a middleware': [[text('40/private?token=secret'), text('42/private,1["id"]')]],
  'the id': [[text('421["id"]')]],
  'rooms': [[text('421["rooms"]')]],
  'CONNECT to "/" again': [[text('40')]],
  'disconnected by the server, and again': [[text('42["disconnect-me",false]'), text('40'), text('42["message",1]')]],
  'ended by the server': [[text('42["disconnect-me",true]')]],
  'DISCONNECT': [[text('41', '40/custom')]],
  'close': [[text('1')]],
  'an empty payload': [['']],
  'no length': [[':4']],
  'no number': [['x:42["message"]']],
  'a length without a packet': [['15']],
  'a length that is too long': [['99:42["message"]']],
  'a length that is far too long': [[`${'9'.repeat(400)}:42["message"]`]],
  'digits behind the last packet': [[`${text('42["message"]')}12`]],
  'leading zeros': [['000013:42["message"]']],
  'an empty packet': [[`0:${text('42["message"]')}`]],
  'only an empty packet': [['0:']],
  'an error behind an event': [[`${text('42["message",1]')}5:x`]],
  'an unknown packet': [[text('x')]],
  'another separator': [['42["message"]\x1e42["message"]']],
  'too large': [[text(`4${'x'.repeat(5001)}`)]],
};

describe('protocol 3 over polling', CONFAB_ONLY, () => {
  for (const [name, [bodies, query]] of Object.entries(POLLING)) {
    test(name, () => same(pollingTranscript, bodies, query));
  }
});

// ---- WebSocket ---------------------------------------------------------------

const t = (s) => frame(1, s);
const b = (...bytes) => frame(2, Buffer.from(bytes));

const FRAMES = {
  'an event': [t('42["message",1.5,"é"]')],
  'an acknowledgement': [t('427["echo",1]')],
  'binary': [t(ATTACHED), b(4, 1, 2)],
  'binary, empty': [t(ATTACHED), b(4)],
  'binary answer': [t('451-7["echo",{"_placeholder":true,"num":0}]'), b(4, 9)],
  'binary without a byte': [b(), t('421["echo"]')],
  'binary of another type': [b(9, 1), t('421["echo"]')],
  'a binary ping': [b(2)],
  'a binary pong': [b(3)],
  'base64 in text': [t(ATTACHED), t('b4AQID')],
  'data out of nothing': [b(4, 1)],
  'pings': [t('2'), t('2probe')],
  'a pong of the client': [t('3')],
  'without meaning': [t('0'), t('1'), t('5'), t('6')],
  'empty': [t('')],
  'an unknown packet': [t('x')],
  'namespaces': [t('40/custom?a=b'), t('42/custom,["message",1]'), t('40/nope'), t('41/custom,')],
  'refusals': [t('40/private'), t('40/private?token=no'), t('40/private?token=secret,')],
  'dynamic namespaces': [t('40/dyn-1?a=b'), t('42/dyn-1,1["echo"]'), t('40/keyed-1'), t('40/keyed-1?key=x')],
  'not connected': [t('42/custom,["message",1]')],
  'disconnected by the server': [t('42["disconnect-me",false]'), t('40')],
  'ended by the server': [t('42["disconnect-me",true]')],
};

const FENCE = `10 ${Buffer.from('fence').toString('hex')}`;

// Everything that each frame causes: two round trips mark its end.
async function frameTranscript(server, frames, query = '', ws = null) {
  let sid = /(?<="sid":")[\w-]{20}/;
  const lines = [];
  const take = async () => {
    const f = await ws.frame();
    const body = f.opcode === 1 ? String(f.payload).replace(new RegExp(sid, 'g'), '*') : f.payload.toString('hex');
    lines.push(`${f.opcode} ${body}`);
    return f.opcode;
  };
  if (!ws) {
    ws = await WebSocketConnection.open(server, W + query);
    await take();
  }
  for (const f of ['', ...frames]) {
    ws.write(f);
    for (let i = 0; i < 2; i++) {
      ws.write(frame(9, 'fence'));
      while (lines.at(-1) !== FENCE) {
        if (await take() === 8) return lines.filter((l) => l !== FENCE);
      }
      lines.pop();
    }
  }
  return lines;
}

describe('protocol 3 over WebSocket', CONFAB_ONLY, () => {
  for (const [name, frames] of Object.entries(FRAMES)) {
    test(name, () => same(frameTranscript, frames));
  }

  test('base64 for those who ask for it', () => same(frameTranscript, FRAMES.binary, '&b64=1'));
});

// ---- upgrade -----------------------------------------------------------------

async function upgradeTranscript(server, { query = '', frames }) {
  const first = await request(server, 'GET', P);
  const { sid } = JSON.parse(/\{.*\}/.exec(String(first.body))[0]);
  const ws = await WebSocketConnection.open(server, `${W}&sid=${sid}${query}`);
  ws.text('2probe');
  const probe = await ws.textFrame();
  const parked = await request(server, 'GET', `${P}&sid=${sid}`);
  const release = await request(server, 'GET', `${P}&sid=${sid}`);
  ws.text('5');
  return [probe, String(parked.body), String(release.body), await frameTranscript(server, frames, '', ws)];
}

describe('the upgrade of protocol 3', CONFAB_ONLY, () => {
  test('the bytes of both transports', () => same(upgradeTranscript, { frames: FRAMES.binary }));

  test('the WebSocket says by itself whether it takes binary', () =>
    same(upgradeTranscript, { query: '&b64=1', frames: FRAMES.binary }));
});

// Binary that is answered while no poll is there, until the WebSocket takes over.
async function queuedTranscript(server) {
  const first = await request(server, 'GET', P);
  const { sid } = JSON.parse(/\{.*\}/.exec(String(first.body))[0]);
  const path = `${P}&sid=${sid}`;
  await request(server, 'GET', path); // CONNECT and the greeting
  const ws = await WebSocketConnection.open(server, `${W}&sid=${sid}`);
  ws.text('2probe');
  const probe = await ws.textFrame();
  const post = await request(server, 'POST', path, { body: text(ATTACHED, 'b4AQID') });
  ws.text('5');
  const frames = [await ws.frame(), await ws.frame()];
  return [probe, written(post), frames];
}

test('what waited for a poll goes over the WebSocket', CONFAB_ONLY, () => same(queuedTranscript));

// ---- heartbeat ---------------------------------------------------------------

describe('the heartbeat of protocol 3', CONFAB_ONLY, () => {
  const INTERVAL = 150;
  const TIMEOUT = 150;
  const hasty = {};

  before(async () => {
    const set = { ...SET, 'engine.ping_interval_ms': INTERVAL, 'engine.ping_timeout_ms': TIMEOUT };
    hasty.reference = await startReference({ app: 'fixture', set });
    hasty.confab = await startFixture({ set });
  });
  after(async () => {
    await hasty.reference?.stop();
    await hasty.confab?.stop();
  });

  for (const which of ['confab', 'reference']) {
    test(`${which} waits for both times, and sends no ping`, async () => {
      const begin = Date.now();
      const ws = await WebSocketConnection.open(hasty[which], W);
      const seen = [];
      for (;;) {
        const f = await ws.frame();
        if (f.opcode === 8) break;
        seen.push(String(f.payload).slice(0, 2));
      }
      assert.deepEqual(seen, ['0{', '40', '42']);
      assert.ok(Date.now() - begin >= INTERVAL + TIMEOUT - 20);
    });

    test(`${which} waits for them again after a ping, not after other packets`, async () => {
      const ws = await WebSocketConnection.open(hasty[which], W);
      const begin = Date.now();
      let last = begin; // before it is sent: we may be late, the server not early
      while (Date.now() - begin < 2 * (INTERVAL + TIMEOUT)) {
        last = Date.now();
        ws.text('2');
        for (let f = ''; f !== '3';) f = await ws.textFrame();
        await sleep(20);
      }
      let over = false;
      ws.closeCode().then(() => { over = true; });
      while (!over && Date.now() - last < 3000) {
        ws.text('42["no-ack"]');
        await sleep(20);
      }
      assert.ok(over && Date.now() - last >= INTERVAL + TIMEOUT - 40, `ended after ${Date.now() - last} ms`);
    });
  }
});

// ---- requests ----------------------------------------------------------------

describe('requests of protocol 3', CONFAB_ONLY, () => {
  for (const path of [P, '/socket.io/?transport=polling', '/socket.io/?EIO=5&transport=polling', `${P}&sid=nope`, W]) {
    test(path, () => same(async (server) => written(await request(server, 'GET', path, { headers: { Origin: 'http://a.example' } }))));
  }

  test('the other revision with a session of this one: code 3', () => same(async (server) => {
    const sid = (r) => /"sid":"([\w-]{20})"/.exec(String(r.body))[1];
    const old = sid(await request(server, 'GET', P));
    const now = sid(await request(server, 'GET', P.replace('EIO=3', 'EIO=4')));
    return [
      written(await request(server, 'GET', `${P.replace('EIO=3', 'EIO=4')}&sid=${old}`)),
      written(await request(server, 'GET', `${P}&sid=${now}`)),
    ];
  }));
});
