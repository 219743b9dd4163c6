'use strict';
// The same bytes to confab and to the official server: the answers must be the
// same, but for ids and dates.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, startReference } = require('../lib/servers');
const { CONFAB_ONLY } = require('../lib/suite');
const { PollingSession } = require('../lib/session');
const { WebSocketConnection, request, frame, destroyAll } = require('../lib/raw');

const SET = { 'engine.max_payload_bytes': 5000, 'engine.cors_origins': 'http://a.example,http://b.example' };
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

// Answers and frames that were compared.
let compared = 0;

const mask = (text) => text.replace(/"sid":"[\w-]{20}"/g, '"sid":"*"');

// What Node.js' own HTTP server adds, and how it frames bodies.
const HTTP_LIBRARY = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'];

const written = (r) => ({
  status: r.status,
  headers: Object.fromEntries(Object.entries(r.headers)
    .filter(([name]) => !HTTP_LIBRARY.includes(name)).sort()),
  body: mask(String(r.body)),
});

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';

// ---- single requests ---------------------------------------------------------

const A = { Origin: 'http://a.example' };
const REQUESTS = [
  ['GET', P], ['GET', P, A], ['GET', P, { Origin: 'http://evil.example' }], ['GET', `${P}&sid=`],
  ['GET', `${P}&t=x&foo=b%20r&foo=+`], ['GET', '/socket.io/a/b?EIO=4&transport=polling'],
  ['GET', '/socket.io/?EIO=%34&transport=p%6flling'], ['GET', '/socket.io/?EIO=3&EIO=4&transport=polling'],
  ['GET', '/socket.io/'], ['GET', '/socket.io/?EIO=4'], ['GET', '/socket.io/?EIO=4&transport='],
  ['GET', '/socket.io/?EIO=4&transport=abc', A], ['GET', '/socket.io/?EIO=4&transport=webtransport'],
  ['GET', W], ['GET', W, A], ['GET', `${P}&sid=nope`, A], ['GET', `${P}&sid=%00`], ['GET', `${W}&sid=nope`],
  ['GET', '/socket.io/?transport=polling'], ['GET', '/socket.io/?EIO=3&transport=polling'],
  ['GET', '/socket.io/?EIO=04&transport=polling'], ['GET', '/socket.io/?EIO=4.0&transport=polling'],
  ['GET', '/socket.io/?EIO=3&transport=abc'], ['GET', '/socket.io/?EIO=3&transport=polling&sid=nope'],
  ['GET', '/socket.io/?&&=&EIO=4&&transport=polling&'], ['GET', '/socket.io/?eio=4&Transport=polling'],
  ['POST', P, A], ['PUT', P], ['DELETE', P], ['HEAD', P], ['HEAD', `${P}&sid=nope`], ['POST', `${P}&sid=nope`],
  ['OPTIONS', P, { ...A, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' }],
  ['OPTIONS', '/socket.io/', { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'POST' }],
  ['GET', P, { 'User-Agent': 'x; MSIE 9.0' }], ['GET', P, { 'User-Agent': 'Trident/7.0' }],
  ['GET', P, { 'User-Agent': 'x;MSIE 9.0' }],
  ['HEAD', '/socket.io/socket.io.js'], ['GET', '/socket.io/socket.io.min.js', { 'If-None-Match': '"4.8.4"' }],
  ['GET', '/socket.io/socket.io.min.js', { 'If-None-Match': 'W/"4.8.4"' }],
  ['GET', '/socket.io/socket.io.min.js', { 'If-None-Match': '"4.8.4", "x"' }],
  ['GET', '/socket.io/socket.io.min.js', { 'If-None-Match': '*' }],
  ['GET', '/socket.io/socket.io.min.js.map', A], ['GET', '/socket.io/socket.io.esm.js'],
];

// ---- a polling session: bodies to post, each with something to fetch after it -

const POSTS = [
  [['40']], [['40{}']], [['40/custom,']], [['40/custom']], [['40/nope,{"a":1}']],
  [['40'], ['42["message",1]', '42["message","é"]', '451-["message",{"_placeholder":true,"num":0}]', 'bAQID']],
  [['40'], ['42["message","\\u001e\\u0000\\ud800 \u2028"]']], [['40'], ['420["echo"]', '421["echo",null]']],
  [['40'], ['42007["echo",1]', '4212["echo",2] ']], [['40'], ['451-7["echo",{"_placeholder":true,"num":0}]', 'b_-8=']],
  [['40'], ['452-["message",{"_placeholder":true,"num":1},{"a":[{"num":0,"_placeholder":true}]}]', 'bAQ', 'bAg==']],
  [['40'], ['42["message",{"_placeholder":true,"num":0}]']], [['40'], ['42["twice"]']],
  [['40'], ['3', '0', '5', '6', '42["message","on"]']], [['40'], ['42["disconnect-me",false]'], ['40']],
  [['40'], ['42["disconnect-me",true]']], [['40', '40/custom'], ['42/custom,["disconnect-me",true]']],
  [['40/private,']], [['40/private,{"token":"x"}']], [['40/private,{"token":"secret"}']],
  [['40'], ['x']], [['40'], ['']], [['40'], ['1']], [['40'], ['2']], [['40'], ['42["a"']], [['42["a"]']],
  [['40'], ['40']], [['40'], ['44{}']], [['40'], ['47']], [['40'], ['4']], [['40'], ['41', '40/custom']],
  [['40'], ['42["message"]', 'xyz', '42["message",2]']], [['40'], ['x'.repeat(5001)]],
];

async function pollingTranscript(server, bodies) {
  const s = await PollingSession.open(server, { poll: false });
  const lines = [];
  for (const packets of bodies) {
    lines.push({ post: written(await s.post(packets.join('\x1e'))) });
    // by a method that sessions refuse: 500 when there is one, 400 when not
    const probe = await request(server, 'PUT', s.path);
    lines.push({ known: probe.status });
    if (probe.status === 500 && packets.some((p) => /^4/.test(p))) {
      lines.push({ get: written(await s.get()) });
    }
  }
  return lines;
}

// ---- a WebSocket: frames to send, and all that comes back --------------------

const t = (text) => frame(1, text);
const b = (...bytes) => frame(2, Buffer.from(bytes));
const FRAMES = {
  'connect and echo': [t('40'), t('42["message",1.5,"é",{"a":[null]}]'), t('420["echo",1]')],
  'binary': [t('40'), t('451-["message",{"_placeholder":true,"num":0}]'), b(1, 2)],
  'binary, ten': [t('40'), t(`4510-["message",${[...Array(10).keys()].map((i) => `{"_placeholder":true,"num":${i}}`)}]`),
    ...[...Array(10).keys()].map((i) => b(i))],
  'binary, empty': [t('40'), t('451-["message",{"_placeholder":true,"num":0}]'), b()],
  'binary answer': [t('40'), t('451-7["echo",{"_placeholder":true,"num":0}]'), b(9)],
  'base64 in text': [t('40'), t('451-["message",{"_placeholder":true,"num":0}]'), t('bAQID')],
  'namespaces': [t('40/custom,{"a":1}'), t('42/custom,["message",1]'), t('40/nope'), t('40'), t('42/custom,5["echo"]')],
  'verbatim namespace': [t('40/custom?a=b,')],
  'refused with data': [t('40/private,{"token":"no"}')],
  'refused without data': [t('40/private')],
  'middleware': [t('40/private,{"token":"secret"}'), t('42/private,1["in-room","members"]')],
  'server disconnects': [t('40'), t('42["disconnect-me",false]')],
  'server closes': [t('40/custom'), t('40'), t('42["disconnect-me",true]')],
  'ignored': [t('40'), t('1'), t('0'), t('3'), t('5'), t('6'), t('43'), t('439["x"]'), t('42')],
  'ping and pong': [t('40'), frame(9, 'abc'), frame(10, 'x'), frame(9, '')],
  'fragments': [t('40'), frame(1, '42["mess', { fin: false }), frame(9, 'in'), frame(0, 'age",1]')],
  'reserved names': [t('40'), t('42["disconnect"]')],
  'no array': [t('40'), t('42{}')],
  'eleven attachments': [t('40'), t('4511-["a"]')],
  'zero attachments': [t('40'), t('450-["a"]')],
  'text among attachments': [t('40'), t('451-["a",{"_placeholder":true,"num":0}]'), t('42["b"]')],
  'data out of nothing': [t('40'), b(1)],
  'event before CONNECT': [t('42["message",1]')],
  'CONNECT twice': [t('40'), t('40')],
  'ping of the client': [t('40'), t('2')],
  'probe': [t('2probe')],
  'unknown packet': [t('x')],
  'empty frame': [t('')],
  'unmasked': [frame(1, '40', { mask: false })],
  'reserved bit': [frame(1, '40', { rsv: 4 })],
  'no UTF-8': [frame(1, Buffer.from([0x34, 0x32, 0xff]))],
  'too large': [t(`42["message","${'x'.repeat(5000)}"]`)],
  'close 1000': [t('40'), frame(8, Buffer.from([3, 232]))],
  'close empty': [t('40'), frame(8, '')],
  'close 4000': [t('40'), frame(8, Buffer.from([0x0f, 0xa0]))],
};

const FENCE = `10 ${Buffer.from('fence').toString('hex')}`;

async function frameTranscript(server, frames) {
  const ws = await WebSocketConnection.open(server, W);
  const lines = [];
  const take = async () => {
    const f = await ws.frame();
    lines.push(`${f.opcode} ${f.opcode === 1 ? mask(String(f.payload)) : f.payload.toString('hex')}`);
    return f.opcode;
  };
  await take();
  // One after the other, each with all that it causes: two round trips mark the
  // end, as the reference puts some of its work off.
  for (const f of frames) {
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

async function both(transcript, input) {
  const all = [await transcript(servers.confab, input), await transcript(servers.reference, input)];
  compared += Array.isArray(all[1]) ? all[1].filter((l) => !l.known).length : 1;
  return all;
}

describe('requests', CONFAB_ONLY, () => {
  for (const [method, path, headers] of REQUESTS) {
    test(`${method} ${path} ${headers ? JSON.stringify(headers) : ''}`, async () => {
      const [ours, theirs] = await both(async (server) => written(await request(server, method, path,
        { headers, body: method === 'POST' ? '' : undefined })));
      assert.deepEqual(ours, theirs);
    });
  }
});

describe('polling sessions', CONFAB_ONLY, () => {
  for (const bodies of POSTS) {
    test(JSON.stringify(bodies).slice(0, 100), async () => {
      const [ours, theirs] = await both(pollingTranscript, bodies);
      assert.deepEqual(ours, theirs);
    });
  }
});

describe('frames', CONFAB_ONLY, () => {
  for (const [name, frames] of Object.entries(FRAMES)) {
    test(name, async () => {
      const [ours, theirs] = await both(frameTranscript, frames);
      assert.deepEqual(ours, theirs);
    });
  }
});

describe('handshakes', CONFAB_ONLY, () => {
  const upgrade = {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const cases = {
    'plain': [W, {}],
    'with an origin': [W, A],
    'with subprotocols and extensions': [W, { 'Sec-WebSocket-Protocol': 'a, b', 'Sec-WebSocket-Extensions': 'permessage-deflate' }],
    'unknown session': [`${W}&sid=nope`, {}],
    'unknown transport': ['/socket.io/?EIO=4&transport=x', {}],
    'bad key': [W, { 'Sec-WebSocket-Key': 'x' }],
    'old version': [W, { 'Sec-WebSocket-Version': '7' }],
  };
  for (const [name, [path, headers]] of Object.entries(cases)) {
    test(name, async () => {
      const [ours, theirs] = await both((server) =>
        request(server, 'GET', path, { headers: { ...upgrade, ...headers } }).then(written));
      assert.deepEqual(ours, theirs);
    });
  }
});

test('how much was compared', CONFAB_ONLY, (t) => {
  t.diagnostic(`${compared} answers and frames are the same, byte for byte, as the official server's`);
  if (!process.env.TEST_NAME) assert.ok(compared > 300, `only ${compared}`);
});
