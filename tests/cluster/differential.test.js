'use strict';
// What confab publishes for a call is what the official server with the
// official adapter publishes for it: broadcasts byte for byte but for the uid;
// requests and responses, too, but for uid, request id and what a handshake
// says about its own connection.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('notepack.io');
const { startFixture, startReference, REFERENCE } = require('../lib/servers');
const { Side, CLASSIC } = require('../lib/spy');

const sides = {};
const compared = { calls: 0, messages: 0, differences: 0 };

before(async () => {
  sides.official = await Side.start('official', (o) => startReference({ app: 'ctl', ...o }));
  sides.confab = await Side.start('confab', (o) => startFixture({ profile: 'ctl', ...o }));
});

after(async () => {
  console.log(`differential: ${compared.calls} calls, ${compared.messages} messages compared, `
    + `${compared.differences} deliberate differences`);
  for (const side of Object.values(sides)) await side.stop();
});

// ---- masks -------------------------------------------------------------------

const text = (payload) => payload.toString('latin1');

// Of 6 characters, wherever they stand in MessagePack.
const maskBytes = (payload) => text(payload)
  .replace(/^\x93\xa6[\w-]{6}/, '\x93\xa6<uid->')
  .replace(/^(\x85\xa3uid\xa6)[\w-]{6}(\xa9requestId\xa6)[\w-]{6}/, '$1<uid->$2<rid->');

// Of JSON text, whose order of keys counts.
const maskJson = (payload) => String(payload)
  .replace(/"uid":"[\w-]{6}"/, '"uid":"<uid>"')
  .replace(/"requestId":"[\w-]{6}"/, '"requestId":"<rid>"');

const isJson = (payload) => payload[0] === 0x7b;

function masked({ channel, payload }, names = {}) {
  let m = isJson(payload) ? maskJson(payload) : maskBytes(payload);
  for (const [name, { id }] of Object.entries(names)) {
    m = m.replaceAll(id, `<${name}>`.padEnd(20, '-'));
    channel = channel.replaceAll(id, `<${name}>`.padEnd(20, '-'));
  }
  return { channel, payload: m };
}

const readable = ({ channel, payload }) => ({
  channel, payload: /^\{/.test(payload) ? payload : Buffer.from(payload, 'latin1').toString('hex'),
});

const classic = (messages) => messages.filter((m) => CLASSIC.test(m.channel));

// Both sides of one call; `n`: how many messages the official one must publish.
async function both(what, n, take) {
  const [official, confab] = await Promise.all([take(sides.official), take(sides.confab)].map(
    async (p, i) => classic(await p).map((m) => masked(m, Object.values(sides)[i].clients))));
  assert.equal(official.length, n, `${what}: the official server's messages`);
  compared.calls += 1;
  compared.messages += n;
  return { official: official.map(readable), confab: confab.map(readable) };
}

async function same(what, n, take) {
  const { official, confab } = await both(what, n, take);
  assert.deepEqual(confab, official, what);
}

const emits = (o) => (side) => side.record((s) => s.op(o));

// ---- broadcasts --------------------------------------------------------------

const long = (n) => JSON.stringify('x'.repeat(n));
const list = (n) => JSON.stringify([...Array(n).keys()]);
const map = (n) => JSON.stringify(Object.fromEntries([...Array(n).keys()].map((i) => [`k${i}`, i])));

// JSON text, as a client of /ctl sends it.
const VALUES = [
  'null', 'true', 'false', '""', '[]', '{}', '{"":""}', '{"":{"":{}}}', '[[],[[]],{}]',
  '0', '-0', '1', '127', '128', '255', '256', '32767', '32768', '65535', '65536', '2147483647', '2147483648',
  '4294967295', '4294967296', '9007199254740991', '9007199254740992',
  '-1', '-32', '-33', '-128', '-129', '-32768', '-32769', '-2147483648', '-2147483649', '-9007199254740991',
  '0.5', '-0.5', '5e-324', '1e-7', '3.141592653589793', '0.1', '1.0', '-1.0', '1e3', '1E+2', '100e-2',
  '9223372036854775808', '-9223372036854775808', '1e18',
  '0.1000000000000000055511151231257827', '1e-400', '-1e-400', '1e400', '-1e400',
  ...[31, 32, 255, 256, 65535, 65536].map(long),
  '"é"', '"日本"', '"👩‍👩‍👧"', '"\\u00e9\\ud83d\\ude00"', '"\\u0000\\u001f\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\u007f\u2028"',
  `"${'é'.repeat(16)}"`, `"${'日'.repeat(11)}"`, `"${'é'.repeat(128)}"`,
  ...[1, 15, 16, 255, 256, 1000].map(list), ...[1, 15, 16, 100].map(map),
  '[1,[2,[3,[4,[5,[6,[7,[8]]]]]]]]', '{"a":{"b":{"c":{"d":[{"e":null}]}}}}', '{"é":1,"b":[true,false,null,-1,0.5]}',
  '{"constructor":{},"length":3,"toJSON":1}', '{"\\u0061":1}', '{"_placeholder":true,"num":0}',
  '{"type":"Buffer","data":[1,2]}', '-0.0', '0e10', '1E400', '2.2250738585072014e-308', '4.9e-324',
  ' { "a" : [ 1 , 2 ] , "b" : "c" } ', `{${long(32)}:1}`, `{${long(300)}:{}}`,
];

const BINARY = [
  [Buffer.alloc(0)], [Buffer.from([1])], [Buffer.alloc(255, 1)], [Buffer.alloc(256, 2)], [Buffer.alloc(65535, 3)],
  [Buffer.alloc(65536, 4)], [{ a: Buffer.from([1]), b: [Buffer.from([2]), 'x'] }, Buffer.from([3])],
  ['before', Buffer.from('é'), 'after', null], [[[[Buffer.from([0])]]]],
];

describe('a broadcast of', () => {
  for (const value of VALUES) {
    const name = value.length > 40 ? `${value.slice(0, 30)}... (${value.length})` : value;
    test(name, () => same(name, 1, emits(`{"op":"emit","args":["value",${value}]}`)));
  }

  for (const [i, args] of BINARY.entries()) {
    test(`binary data (${i})`, () => same(i, 1, emits({ op: 'emit', args: ['binary', ...args] })));
  }

  for (const [name, args] of [
    ['no argument', '["alone"]'], ['an empty name', '["",1]'], ['a name of 32 bytes', `[${long(32)}]`],
    ['a name in several scripts', '["é 日本 👍",{"é":"日本"}]'],
    ['fifteen values in all', `["name",${list(15).slice(3)}`], ['sixteen values in all', `["name",${list(16).slice(3)}`],
    ['thirty arguments', `["many",${list(30).slice(1)}`],
    ['arguments of all kinds', '["all",null,true,false,0,-1,0.5,"é",[],{},[[1]],{"a":[null]}]'],
  ]) {
    test(name, () => same(name, 1, emits(`{"op":"emit","args":${args}}`)));
  }
});

const SELECTIONS = [
  ['a room', { rooms: ['r1'] }],
  ['two rooms', { rooms: ['r1', 'r2'] }],
  ['sixteen rooms', { rooms: [...Array(16).keys()].map((i) => `room ${i}`) }],
  ['the same room twice', { rooms: ['r1', 'r1'] }],
  ['everyone but a room', { except: ['r1'] }],
  ['everyone but two rooms', { except: ['r1', 'r2'] }],
  ['everyone but the same room twice', { except: ['r1', 'r1'] }],
  ['a room but another', { rooms: ['r1'], except: ['r2'] }],
  ['two rooms but two others', { rooms: ['r1', 'r2'], except: ['r3', 'r4'] }],
  ['a room but itself', { rooms: ['r1'], except: ['r1'] }],
  ['a room with a long name', { rooms: ['x'.repeat(200)] }],
  ['a room with an odd name', { rooms: ['a#b# é "\\\n'] }],
  ['a room without a name', { rooms: [''] }],
  ['a room of 20 characters', { rooms: ['abcdefghijABCDEFGH-_'] }],
  ['the room 7', { rooms: [7] }],
  ['the room "7"', { rooms: ['7'] }],
  ['rooms that are numbers', { rooms: [0, 7, 128, 65536, -1, 4294967295], except: [9, 'x', 4294967296] }],
  ['everyone, volatile', { flags: { volatile: true } }],
  ['a room, volatile', { rooms: ['r1'], flags: { volatile: true } }],
  ['a room but another, volatile', { rooms: ['r1'], except: ['r2'], flags: { volatile: true } }],
];

for (const nsp of ['/', '/custom']) {
  describe(`in ${nsp}, a broadcast to`, () => {
    for (const [name, selection] of SELECTIONS) {
      test(name, () => same(name, 1, emits({ op: 'emit', nsp, ...selection, args: ['x', 1, { a: 'é' }] })));
    }

    test('this server alone is not published', () =>
      same('local', 0, emits({ op: 'emit', nsp, rooms: ['r1'], flags: { local: true }, args: ['x'] })));
  });
}

// ---- what is published besides -------------------------------------------------

test('a uid is six characters of the official alphabet, one for each namespace', async () => {
  for (const side of Object.values(sides)) {
    const uids = [];
    for (const nsp of ['/', '/custom', '/']) {
      const [{ payload }] = classic(await side.record((s) => s.op({ op: 'emit', nsp, args: ['x'] })));
      uids.push(msgpack.decode(payload)[0]);
      assert.match(uids.at(-1), /^[\w-]{6}$/);
    }
    assert.equal(uids[0], uids[2]);
    assert.notEqual(uids[0], uids[1]);
  }
});

// ---- requests ------------------------------------------------------------------

const REQUESTS = [
  ['all join a room', { op: 'socketsJoin', target: 'r2' }],
  ['a room joins another', { op: 'socketsJoin', rooms: ['nobody'], target: 'r2' }],
  ['two rooms but two others join', { op: 'socketsJoin', rooms: ['x', 'y'], except: ['z', 'zz'], target: ['r2'] }],
  ['rooms that are numbers are joined', { op: 'socketsJoin', rooms: [7, '7'], except: [8], target: 9 }],
  ['a room with an odd name is joined', { op: 'socketsJoin', target: '\b\f\n\r\t\u0000\u001f\u007f\u2028é日👍"\\/' }],
  ['all leave a room', { op: 'socketsLeave', target: 'r2' }],
  ['a room but another leaves a third', { op: 'socketsLeave', rooms: ['x'], except: ['y'], target: 'r2' }],
  ['rooms that are numbers are left', { op: 'socketsLeave', rooms: [7], target: 9 }],
  ['all are disconnected', { op: 'disconnectSockets', close: false }],
  ['all connections are closed', { op: 'disconnectSockets', close: true }],
  ['a room but another is disconnected', { op: 'disconnectSockets', rooms: ['x'], except: ['y'], close: false }],
  ['all sockets are asked for', { op: 'fetchSockets' }],
  ['sockets of rooms but others', { op: 'fetchSockets', rooms: ['x', 'y'], except: ['z', 7] }],
  ['all rooms are asked for', { op: 'allRooms' }],
  ['an event to servers', { op: 'serverSideEmit', args: ['event'] }],
  ['an event to servers with values',
    { op: 'serverSideEmit', args: ['é "', 1, -0.5, null, true, 'x\n\u0001', [], {}, { b: [1], a: { c: 2 } }] }],
  ['an event to servers with binary data',
    { op: 'serverSideEmit', args: ['event', Buffer.from([1, 2, 255]), { a: [Buffer.alloc(0)] }] }],
  ['a question to servers', { op: 'serverSideEmit', ack: true, args: ['event', { a: 'é' }] }],
  ['a question to all', { op: 'emit', ack: true, args: ['ask', 1, 'é', { a: [null] }] }],
  ['a question with binary data', { op: 'emit', ack: true, args: ['ask', Buffer.from([1, 2]), { a: Buffer.alloc(300, 1) }] }],
  ['a question to a room', { op: 'emit', ack: true, rooms: ['x'], args: ['ask'] }],
  ['a question to two rooms but another', { op: 'emit', ack: true, rooms: ['x', 7], except: ['y'], args: ['ask', 'q'] }],
  ['a volatile question', { op: 'emit', ack: true, flags: { volatile: true }, args: ['ask'] }],
  ['a question with a deadline', { op: 'emit', ack: true, flags: { timeout: 700 }, args: ['ask'] }],
  ['a question with a long deadline', { op: 'emit', ack: true, flags: { timeout: 70000 }, args: ['ask'] }],
];

for (const nsp of ['/', '/custom']) {
  describe(`in ${nsp}, what asks other servers:`, () => {
    for (const [name, o] of REQUESTS) test(name, () => same(name, 1, emits({ nsp, ...o })));

    for (const op of ['socketsJoin', 'socketsLeave', 'disconnectSockets', 'fetchSockets', 'emit']) {
      test(`${op} on this server alone is not published`, () =>
        same(op, 0, emits({ op, nsp, flags: { local: true }, ack: true, target: 'r1', args: ['ask'] })));
    }
  });
}

// ---- responses -----------------------------------------------------------------

// What differs between two connections of one client.
const HANDSHAKE = /"(sec-websocket-key|host|time)":"[^"]*"|"issued":\d+/g;
const maskHandshakes = (m) => ({ ...m, payload: m.payload.replace(HANDSHAKE, (found) => `${found.split(':')[0]}:"-"`) });

// A list of names or sockets has no order.
const sortList = (key) => (m) => {
  const o = JSON.parse(m.payload);
  o[key] = o[key].map((x) => JSON.stringify(x)).sort();
  return { ...m, payload: JSON.stringify(o) };
};

describe('a server answers', () => {
  const members = { a: ['r1', 'seven'], b: ['r1', 'r2'], c: [] };

  before(async () => {
    for (const side of Object.values(sides)) {
      for (const [name, rooms] of Object.entries(members)) {
        const { id } = await side.client(name, '/', name === 'a' ? '{"user":"é","list":[1,{}]}' : '');
        for (const target of rooms) await side.op({ op: 'socket', id, what: 'join', target });
      }
      await side.op({ op: 'socket', id: side.clients.a.id, what: 'setData', value: { name: 'a', list: [1, 'é', null] } });
    }
  });

  async function sameAnswers(what, n, question, { nsp = '/', alike = (m) => m, during } = {}) {
    const { official, confab } = await both(what, n, (side) =>
      side.answers(nsp, typeof question === 'function' ? question(side) : question, n, { during }));
    assert.deepEqual(confab.map(alike), official.map(alike), what);
  }
  const question = (type, more) => ({ uid: 'other', requestId: 'abcdef', type, ...more });
  const opts = (rooms = [], except = []) => ({ opts: { rooms, except } });

  for (const [name, more, nsp] of [
    ['all', opts()], ['of a room', opts(['r1'])], ['of two rooms but another', opts(['r1', 'r2'], ['seven'])],
    ['of an empty room', opts(['empty'])], ['of an empty namespace', opts(), '/custom'],
  ]) {
    test(`which sockets it has, ${name}`, () => sameAnswers(name, 1, question(5, more),
      { nsp, alike: (m) => sortList('sockets')(maskHandshakes(m)) }));
  }

  test('which sockets it has, to servers of old', () =>
    sameAnswers('type 0', 1, question(0, { rooms: ['r1'] }), { alike: sortList('sockets') }));

  test('which rooms it has', () => sameAnswers('type 1', 1, question(1), { alike: sortList('rooms') }));
  test('that it has no rooms', () => sameAnswers('type 1', 1, question(1), { nsp: '/custom' }));

  for (const [name, type] of [['joins', 2], ['leaves', 3]]) {
    test(`that a socket ${name}, to servers of old`, () =>
      sameAnswers(name, 1, (s) => question(type, { sid: s.clients.c.id, room: 'old' })));
    test(`nothing when the socket that ${name} is not there`, () =>
      sameAnswers(name, 0, question(type, { sid: 'abcdefghijABCDEFGH-_', room: 'old' })));
  }

  for (const type of [2, 3, 4]) {
    test(`nothing to a request without an answer (${type})`, () =>
      sameAnswers(type, 0, question(type, { ...opts(['nobody']), rooms: ['x'], close: false })));
  }

  for (const value of [[], [null], ['é "'], [1.5], [{ b: [1], a: {} }], ['first', 'second'], [[]], [Buffer.from([1, 2])]]) {
    test(`an event that wants an answer: ${JSON.stringify(value)}`, async () => {
      for (const s of Object.values(sides)) {
        s.ctl.removeAllListeners('server-side');
        s.ctl.on('server-side', (nsp, event, args, ack) => ack?.(...value));
      }
      await sameAnswers('type 6', 1, question(6, { data: ['event', 1] }));
    });
  }

  test('nothing to an event that wants no answer', () =>
    sameAnswers('type 6', 0, { uid: 'other', type: 6, data: ['event', 1] }));

  const packed = (rooms, nsp = '/', flags = {}) => msgpack.encode(question(7, {
    packet: { type: 2, data: ['ask', 1], nsp }, opts: { rooms, except: [], flags: { timeout: 1000, ...flags } } }));

  test('how many clients it asks: none of a room', () => sameAnswers('none', 1, packed(['empty'])));
  test('how many clients it asks: none of a namespace', () =>
    sameAnswers('none', 1, packed([], '/custom'), { nsp: '/custom' }));

  for (const answer of ['[]', '[null]', '["é"]', '[4294967296]', '[-1.5]', '[{"b":[1,{}],"a":null}]', '["first",2]',
    Buffer.from([0xde, 0xad]), Buffer.alloc(300, 7)]) {
    test(`what two clients answer: ${answer.toString('latin1').slice(0, 30)}`, () =>
      sameAnswers('answers', 3, packed(['r1']), {
        during: async (side) => {
          // the count first, then one client after the other
          await side.hears(1);
          await side.acknowledge('a', answer);
          await side.hears(2);
          await side.acknowledge('b', '["b"]');
        },
      }));
  }

  test('what one client answers to a server that has fetched it', () =>
    sameAnswers('one', 2, (s) => packed([s.clients.c.id], '/', { expectSingleResponse: true }), {
      during: (side) => side.acknowledge('c', '[{"one":1}]'),
    }));

  test('nothing when a client does not answer, but how many were asked', () =>
    sameAnswers('silent', 1, (s) => packed([s.clients.c.id])));

  for (const [name, bytes] of [
    ['an unknown type', { type: 99 }], ['no type', {}], ['half of a request', Buffer.from('{"type":1,"requ')],
    ['a byte that is not MessagePack', Buffer.from([0xc1])], ['an answer on the wrong channel', { type: 8, clientCount: 1 }],
  ]) {
    test(`nothing to ${name}`, () => sameAnswers(name, 0,
      Buffer.isBuffer(bytes) ? bytes : { uid: 'other', requestId: 'abcdef', ...bytes }));
  }
});

// ---- deliberate differences ------------------------------------------------------

const dataOf = ([{ payload }]) => msgpack.decode(Buffer.from(payload, 'hex'))[1].data.slice(1);
const withValue = (hex) => new RegExp(`a576616c7565${hex}a36e7370`);

// A value, its bytes from confab and from the official adapter, whether Node.js
// reads the same, and why.
const DIFFERENCES = [
  ['9007199254740993', 'cf0020000000000001', 'cf0020000000000000', true, 'no digit is lost on the way to a confab node'],
  ['-9007199254740993', 'd3ffdfffffffffffff', 'd3ffe0000000000000', true, 'the same'],
  ['12345678901234567890', 'cfab54a98ceb1f0ad2', 'cfab54a98ceb1f0800', true, 'the same'],
  ['9223372036854775807', 'cf7fffffffffffffff', 'cf8000000000000000', true, 'the same'],
  ['18446744073709551615', 'cfffffffffffffffff', 'cf0000000000000000', false, 'whole numbers beyond 64 bits become others there'],
  ['123456789012345680000', 'cb441ac53a7e04bcda', 'cfb14e9f812f368000', false, 'the same'],
  ['1.5e300', 'cb7e41eb2d66005835', 'cf0000000000000000', false, 'the same'],
  ['{"__proto__":1,"a":2}', '81a16102', '82a95f5f70726f746f5f5f01a16102', true, 'JavaScript readers drop that key'],
  ['"a\\udc00b"', 'a561efbfbd62', 'a561f09081a2', false, 'half a character becomes U+FFFD; there, another one with the next'],
  ['{"b":1,"1":2}', '82a16201a13102', '82a13102a16201', true, 'keys keep their order; JavaScript moves numbers first'],
  ['{"a":1,"a":2}', '82a16101a16102', '81a16102', true, 'JSON is passed on as it was written; the last one counts'],
];

const parsed = (messages) => messages.map(({ channel, payload }) => ({ channel, ...JSON.parse(payload) }));
const flagsOf = ([{ payload }]) => msgpack.decode(Buffer.from(payload, 'hex'))[2].flags;

describe('published otherwise, deliberately:', () => {
  const differs = (name, body) => test(name, async () => {
    await body();
    compared.differences += 1;
  });

  for (const [value, confabs, officials, equal, reason] of DIFFERENCES) {
    differs(`${value}: ${reason}`, async () => {
      const { official, confab } = await both(value, 1, emits(`{"op":"emit","args":["value",${value}]}`));
      assert.match(official[0].payload, withValue(officials));
      assert.match(confab[0].payload, withValue(REFERENCE ? officials : confabs));
      if (equal) assert.deepEqual(dataOf(confab), dataOf(official));
    });
  }

  for (const [op, o] of [['socketsJoin', {}], ['socketsLeave', { rooms: ['x', 7], except: ['y'] }]]) {
    differs(`${op} with several rooms: sio.h takes one at a time`, async () => {
      const { official, confab } = await both(op, 1, emits({ op, ...o, target: ['r2', 'r3', 9] }));
      const [{ rooms, ...more }] = parsed(official);
      assert.deepEqual(rooms, ['r2', 'r3', 9]);
      assert.deepEqual(parsed(confab), REFERENCE ? parsed(official) : rooms.map((room) => ({ ...more, rooms: [room] })));
    });
  }

  differs('a server-side event: JSON is passed on as it was written', async () => {
    const { official, confab } = await both('numbers', 1,
      emits('{"op":"serverSideEmit","args":["event",1.0,1e2,"\\u00e9",{"b":1,"1":2}, [ ]]}'));
    assert.match(official[0].payload, /"data":\["event",1,100,"é",\{"1":2,"b":1\},\[\]\]\}$/);
    if (!REFERENCE) assert.match(confab[0].payload, /"data":\["event",1.0,1e2,"\\u00e9",\{"b":1,"1":2\},\[ ?\]\]\}$/);
    assert.deepEqual(parsed(confab), parsed(official));
  });

  differs('a timeout without a question: sio.h has none, and receivers ignore it', async () => {
    const { official, confab } = await both('timeout', 1, emits({ op: 'emit', flags: { timeout: 700 }, args: ['x'] }));
    assert.deepEqual(flagsOf(official), { timeout: 700 });
    assert.deepEqual(flagsOf(confab), REFERENCE ? { timeout: 700 } : {});
  });

  differs('a room that is no whole number: sio.h has integers and text', async () => {
    const { official, confab } = await both('room', 1, emits({ op: 'emit', rooms: [1.5], args: ['x'] }));
    const rooms = ([{ payload }]) => msgpack.decode(Buffer.from(payload, 'hex'))[2].rooms;
    assert.deepEqual([official[0].channel, confab[0].channel], ['socket.io#/#1.5#', 'socket.io#/#1.5#']);
    assert.deepEqual(rooms(official), [1.5]);
    assert.deepEqual(rooms(confab), REFERENCE ? [1.5] : ['1.5']);
  });

  differs('presence has a channel of its own', async () => {
    const others = ({ seen }) => [...new Set(seen.map((m) => m.channel).filter((c) => !CLASSIC.test(c)))];
    assert.deepEqual(others(sides.official), []);
    assert.deepEqual(others(sides.confab), REFERENCE ? [] : ['socket.io-presence#']);
  });
});
