'use strict';
// What confab publishes for a call is what the official server with the
// official adapter publishes for it: broadcasts byte for byte but for the uid;
// requests and responses, too, but for uid, request id and what a handshake
// says about its own connection.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('notepack.io');
const { startFixture, startReference } = require('../lib/servers');
const { Side } = require('../lib/spy');
const { until } = require('../lib/until');

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

const CLASSIC = /^socket\.io(-request|-response)?#/;
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
  '4294967295', '4294967296', '9007199254740991', '9007199254740992', '9007199254740993',
  '-1', '-32', '-33', '-128', '-129', '-32768', '-32769', '-2147483648', '-2147483649', '-9007199254740991',
  '-9007199254740993',
  '0.5', '-0.5', '1.5e300', '5e-324', '1e-7', '3.141592653589793', '0.1', '1.0', '-1.0', '1e3', '1E+2', '100e-2',
  '12345678901234567890', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '1e18',
  '0.1000000000000000055511151231257827', '1e-400', '-1e-400', '1e400', '-1e400',
  ...[31, 32, 255, 256, 65535, 65536].map(long),
  '"é"', '"日本"', '"👩‍👩‍👧"', '"\\u00e9\\ud83d\\ude00"', '"\\u0000\\u001f\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\u007f\u2028"',
  `"${'é'.repeat(16)}"`, `"${'日'.repeat(11)}"`, `"${'é'.repeat(128)}"`,
  ...[1, 15, 16, 255, 256, 1000].map(list), ...[1, 15, 16, 100].map(map),
  '[1,[2,[3,[4,[5,[6,[7,[8]]]]]]]]', '{"a":{"b":{"c":{"d":[{"e":null}]}}}}', '{"é":1,"b":[true,false,null,-1,0.5]}',
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
    ['a name in several scripts', '["é 日本 👍",{"é":"日本"}]'], ['a number as name', '[7,"x"]'],
    ['fifteen values in all', list(15)], ['sixteen values in all', list(16)],
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
  ['rooms that are numbers', { rooms: [0, 7, 128, 65536, -1, 1.5], except: [9, 'x', 4294967296] }],
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

module.exports = { sides, both, same, until };
