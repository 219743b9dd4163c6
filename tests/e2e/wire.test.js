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

const mask = (text) => text.replace(/"[\w-]{20}"/g, '"*"');

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
  ['GET', '/socket.io/socket.io.esm.min.js'], ['GET', '/socket.io/socket.io.msgpack.min.js', A],
  ['GET', '/socket.io/socket.io.js.map'], ['GET', '/socket.io/socket.io.js?x=y'],
  ['GET', '/socket.io/?EIO=4&transport=constructor'], ['GET', '/socket.io/?EIO=4&transport=__proto__'],
  ['GET', '/socket.io/?EIO=5&transport=polling'], ['GET', '/socket.io/?EIO=&transport=polling'],
  ['GET', '/socket.io/?EIO=4&transport=Polling'], ['GET', '/socket.io/?EIO=4&transport=polling%00'],
  ['GET', `${P}&sid=__proto__`], ['GET', `${P}&sid=constructor`], ['GET', `${P}&sid=${'x'.repeat(3000)}`],
  ['GET', `${P}&sid=nope&sid=`], ['GET', `${P}&sid=%0d%0a`, A], ['GET', `${P}&b64=1`],
  ['PATCH', P], ['PUT', `${P}&sid=nope`], ['DELETE', `${P}&sid=nope`], ['PUT', W], ['POST', W], ['HEAD', W],
  ['POST', `${W}&sid=nope`], ['POST', '/socket.io/?EIO=3&transport=polling'], ['POST', '/socket.io/'],
  ['OPTIONS', `${P}&sid=nope`, { ...A, 'Access-Control-Request-Method': 'POST' }], ['OPTIONS', P],
  ['GET', P, { Origin: 'null' }], ['GET', P, { Origin: 'http://a.example.evil' }], ['GET', P, { Origin: 'HTTP://A.EXAMPLE' }],
  ['GET', P, { Origin: 'http://b.example' }], ['GET', P, { Origin: '' }], ['GET', P, { Cookie: 'io=x; a=b' }],
  ['GET', P, { 'Accept-Encoding': 'gzip' }], ['GET', P, { Accept: 'text/html' }],
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
  [['40'], ['42["message",[[],{},"",0,null,true,false]]']], [['40'], ['42["message","A\\n"]']],
  [['40'], ['42["message","\u{1f600}\u00df\u4e2d"]', '421["echo","\u{1f600}"]']],
  [['40'], ['421["join","r"]', '422["in-room","r"]', '423["leave","r"]', '424["in-room","r"]']],
  [['40'], ['421["join","r"]'], ['42["broadcast",{"rooms":["r"],"event":"e"},1]'], ['422["rooms"]']],
  [['40'], ['42["burst",5,"b","x"]']], [['40'], ['42["bye"]', '429["no-ack"]', '421["double-ack"]']],
  [['40/custom,'], ['42/custom,1["namespace"]', '42/custom,["message",1]']], [['40/dyn-1,'], ['42/dyn-1,1["namespace"]']],
  [['40/dyn-closed,']], [['40/custom?x=y,']], [['40/,{"token":1}']], [['40{"a":{"b":["c",null]}}'], ['421["get-auth"]']],
  [['40'], ['452-1["echo",[{"_placeholder":true,"num":0}],{"_placeholder":true,"num":1}]', 'b', 'bAAAA']],
  [['40'], ['451-["message",{"_placeholder":true,"num":-1}]', 'bAQ==']],
  [['40'], ['451-["message",{"_placeholder":true,"num":0}]', '42["x"]']], [['40'], ['4511-["x"]']], [['40'], ['450-["x"]']],
  [['40'], ['42["connect"]']], [['40'], ['42["connect_error"]']], [['40'], ['42["newListener"]']], [['40'], ['42[5]', '42["message",1]']],
  [['40'], ['42[{}]']], [['40'], ['42[]']], [['40'], ['42', '42["message",1]']], [['40'], ['43', '42["message",1]']], [['40'], ['431', '42["message",1]']], [['40'], ['439["x"]', '42["message",1]']],
  [['40/custom,', '40'], ['41/custom,', '42["message",1]']],
  [['40/nope,'], ['40']], [['40[]']], [['40null']], [['40"x"']], [['43["x"]']], [['45']], [['46']], [['40'], ['2x']], [['40'], ['bAQ==']],
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
  'unicode': [t('40'), t('42["message","\u{1f600}\u00df\u4e2d\u2028"]'), t('421["echo",{"\u{1f600}":1}]')],
  'rooms': [t('40'), t('421["join","r"]'), t('422["in-room","r"]'), t('42["broadcast",{"rooms":["r"],"event":"e"},1]'),
    t('423["leave","r"]'), t('42["broadcast",{"rooms":["r"],"event":"e"},2]')],
  'broadcast of data': [t('40'), t('421["join","r"]'),
    t('451-["broadcast",{"rooms":["r"],"event":"e"},{"_placeholder":true,"num":0}]'), b(1, 2, 3)],
  'two namespaces in a broadcast': [t('40'), t('40/custom'), t('42/custom,["broadcast",{"event":"e"},1]')],
  'many events': [t('40'), t('42["burst",20,"b","x"]')],
  'volatile': [t('40'), t('42["volatile",1,"v","x"]')],
  'dynamic namespace': [t('40/dyn-1'), t('42/dyn-1,1["namespace"]'), t('40/dyn-closed'), t('40/keyed-1'), t('40/keyed-1,{"key":true}')],
  'leaves a namespace': [t('40'), t('40/custom'), t('41/custom,'), t('42["message",1]'), t('40/custom')],
  'leaves all': [t('40'), t('41'), t('40'), t('42["message",1]')],
  'event for a namespace that was left': [t('40'), t('40/custom'), t('41/custom,'), t('42/custom,["message",1]')],
  'three attachments in fragments': [t('40'),
    t(`453-1["echo",${[2, 1, 0].map((i) => `{"_placeholder":true,"num":${i}}`)}]`), b(1), frame(2, 'a', { fin: false }), frame(0, 'b'), b(3)],
  'fragments of one byte': [t('40'), ...[...'42["message",1]'].map((c, i, all) =>
    frame(i ? 0 : 1, c, { fin: i === all.length - 1 }))],
  'data in pings': [t('40'), frame(9, 'x'.repeat(125)), frame(9, Buffer.from([0, 255]))],
  'pong packet with data': [t('40'), t('3probe'), t('42["message",1]')],
  'upgrade packet': [t('40'), t('5'), t('42["message",1]')],
  'placeholder past the end': [t('40'), t('451-["a",{"_placeholder":true,"num":1}]'), b(1)],
  'placeholder of text': [t('40'), t('451-["a",{"_placeholder":true,"num":"0"}]'), b(1)],
  'placeholder twice': [t('40'), t('451-1["echo",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":0}]]'), b(1)],
  'answer that nobody asked for': [t('40'), t('437["x"]'), t('42["message",1]')],
  'answer that is none': [t('40'), t('431{}')],
  'ack id negative': [t('40'), t('42-1["echo"]')],
  'event name null': [t('40'), t('42[null]')],
  'event name number': [t('40'), t('42[5,"x"]'), t('42["message",1]')],
  'event name empty': [t('40'), t('42[""]'), t('42["message",1]')],
  'CONNECT with a list': [t('40[]')],
  'CONNECT with null': [t('40null')],
  'CONNECT_ERROR': [t('40'), t('44{"message":"x"}')],
  'binary opcode with nothing to come': [b()],
  'reserved opcode': [t('40'), frame(3, 'x')],
  'control frame in fragments': [t('40'), frame(9, 'x', { fin: false })],
  'continuation of nothing': [t('40'), frame(0, 'x')],
  'message within a message': [t('40'), frame(1, '42', { fin: false }), t('3')],
  'close with a bad code': [t('40'), frame(8, Buffer.from([0x03, 0xed]))],
  'close with one byte': [t('40'), frame(8, 'x')],
  'close with a reason': [t('40'), frame(8, Buffer.concat([Buffer.from([3, 232]), Buffer.from('bye')]))],
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
  if (!process.env.TEST_NAME) assert.ok(compared > 600, `only ${compared}`);
});
