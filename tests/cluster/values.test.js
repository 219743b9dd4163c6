'use strict';
// Values of every kind through a cluster of confab and Node.js servers: what a
// client gets is what it gets in a cluster of Node.js servers alone. Where that
// is worse than it need be, or harmful, the difference is written down here.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { createClient } = require('redis');
const { Emitter } = require('@socket.io/redis-emitter');
const notepack = require('notepack.io');
const { startFixture, startNodeJsPeer, startRedis } = require('../lib/servers');
const { WebSocketSession } = require('../lib/session');
const { join } = require('../lib/suite');
const { ask, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const ROOM = 'values';
const servers = {};
const receivers = {}; // a client on each server, in the room
const senders = {}; // sessions spoken by hand, on the first server of each kind
let redis;

before(async () => {
  servers.redis = await startRedis();
  servers.confab = await startFixture({ redis: servers.redis, name: 'confab' });
  servers.confab2 = await startFixture({ redis: servers.redis, name: 'confab-2' });
  servers.node = await startNodeJsPeer({ redis: servers.redis });
  servers.node2 = await startNodeJsPeer({ redis: servers.redis, name: 'nodejs-2' });
  redis = createClient({ url: servers.redis.url });
  await redis.connect();
  for (const name of ['confab', 'confab2', 'node', 'node2']) {
    receivers[name] = await join(servers[name]);
    await ask(receivers[name], 'join', ROOM);
  }
  for (const name of ['confab', 'node']) {
    senders[name] = await WebSocketSession.open(servers[name]);
    await senders[name].connect();
    await until(async () => {
      clear();
      await say(senders[name], 'hello', '0');
      return until(() => Object.values(receivers).every((r) => r.inbox.count('hello')), 300, 'hello')
        .catch(() => false);
    }, 10000, 'all servers hear each other');
  }
  clear();
});

after(async () => {
  for (const s of Object.values(senders)) s.destroy();
  closeAll();
  await redis?.quit();
  for (const name of ['confab', 'confab2', 'node', 'node2', 'redis']) await servers[name]?.stop();
});

const clear = () => { for (const r of Object.values(receivers)) r.inbox.clear(); };

// The event to the room with arguments as JSON text and attachments.
const say = (session, event, args, bins = []) => session.send(
  `4${bins.length ? `5${bins.length}-` : '2'}["broadcast",{"rooms":["${ROOM}"],"event":"${event}"},${args}]`, ...bins);

// Tells apart what deepEqual does not, and undefined from absent.
function show(v) {
  if (typeof v === 'number') return Object.is(v, -0) ? '-0' : String(v);
  if (typeof v === 'string') return JSON.stringify(v);
  if (v === null || typeof v !== 'object') return String(v);
  if (ArrayBuffer.isView(v) || v instanceof ArrayBuffer) return `<${Buffer.from(v).toString('hex')}>`;
  if (Array.isArray(v)) return `[${v.map(show).join()}]`;
  return `{${Object.keys(v).map((k) => `${JSON.stringify(k)}:${show(v[k])}`).join()}}`;
}

const short = (s) => (s.length > 200 ? `${s.slice(0, 100)} ... ${s.slice(-80)} (${s.length})` : s);

// All differences at once, and how many places were compared.
class Comparison {
  count = 0;
  differences = [];

  same(got, want, what) {
    this.count += 1;
    if (got !== want) this.differences.push(`${what}: ${short(got)}, not ${short(want)}`);
  }

  end() {
    assert.equal(this.differences.join('\n'), '');
  }
}

// What each receiver got as event "v", whose first argument numbers it.
async function collected(n, names = Object.keys(receivers)) {
  const got = {};
  for (const name of names) {
    const { inbox } = receivers[name];
    const missing = () => [...Array(n).keys()].filter((i) => !inbox.all.some((e) => e.event === 'v' && e.args[0] === i));
    await until(() => inbox.count('v') >= n, 20000, () => `${name} gets all values; missing: ${missing()}`);
    assert.deepEqual(inbox.all.map((e) => e.args[0]), [...Array(n).keys()], `${name}: each once, in order`);
    got[name] = inbox.all.map((e) => show(e.args.slice(1)));
  }
  clear();
  return got;
}

// ---- what clients send -----------------------------------------------------

const repeat = (what, n) => Array(n).fill(what).join();
const nested = (n, open, inside, close) => open.repeat(n) + inside + close.repeat(n);

// JSON text, or [text, attachments], or { json, bins, node2, confab2, why }: what
// a receiver behind confab gets instead.
const JSON_VALUES = [
  // numbers
  ...['0', '-0', '-0.0', '1', '1.0', '1e3', '1E+3', '-1', '127', '128', '255', '256', '65535', '65536', '-32', '-33',
    '-128', '-129', '-32768', '-32769', '2147483647', '2147483648', '-2147483648', '-2147483649', '4294967295',
    '4294967296', '9007199254740991', '-9007199254740991', '9007199254740992', '9007199254740993',
    '-9007199254740993', '9223372036854775807', '9223372036854775808', '-9223372036854775807',
    '-9223372036854775808', '1e18', '9.5e15', '1.5', '-1.5', '0.1',
    '0.1000000000000000055511151231257827021181', '3.141592653589793238462643383279502884197169399375',
    '1e-7', '1e-400', '-1e-400', '5e-324', '2.2250738585072011e-308',
    '1e400', '-1e400', '1e999999', '0.30000000000000004', '1.0000000000000002', '123456789.125', '1e15',
  ],
  // whole numbers that the official encoder destroys
  ...['18446744073709551615', '18446744073709551616', '123456789012345678901234567890', '1e20', '-1e20', '1e300', '1.7976931348623157e308', '-9223372036854775809e3']
    .map((json) => ({ json, instead: show([JSON.parse(json)]), why: 'beyond 64 bits' })),
  // other scalars
  'null', 'true', 'false', '""', '"a"',
  ...[31, 32, 33, 255, 256, 65535, 65536].map((n) => `"${'x'.repeat(n)}"`),
  ...[10, 16, 100].map((n) => `"${'é'.repeat(n)}"`), `"${'日'.repeat(90)}"`,
  '"\\u0000\\u0001\\u001f\\u007f\\u0080"', '"\\b\\f\\n\\r\\t\\"\\\\\\/"', '"\\u2028\\u2029\\ufeff\\uffff"', '"\u2028 \u{1f600}"',
  '"\\ud83d\\ude00"', '"👩‍👩‍👧"', '"_placeholder"', '"__proto__"',
  // halves of pairs: the official encoder swallows what follows them
  { json: '"\\ud800"', instead: '["\ufffd"]', why: 'half of a pair' },
  { json: '"a\\udc00b"', instead: '["a\ufffdb"]', why: 'half of a pair' },
  { json: '"\\ud800x"', instead: '["\ufffdx"]', why: 'half of a pair' },
  { json: '{"\\ud800":1}', instead: '[{"\ufffd":1}]', why: 'half of a pair' },
  // containers
  '[]', '{}', '[[]]', '[{}]', '{"a":{}}', '[null,[null,{"a":null}]]',
  ...[15, 16, 65535, 65536].map((n) => `[${repeat('1', n)}]`),
  ...[15, 16, 17, 1000].map((n) => `{${[...Array(n).keys()].map((i) => `"k${i}":${i}`)}}`),
  nested(15, '[', '1', ']'), nested(15, '{"a":', '1', '}'),
  '{"":""}', '{"":{"":[]}}', '{"é":1,"日":2}', `{"${'k'.repeat(40)}":1}`, `{"${'k'.repeat(300)}":1}`,
  '{"1":1,"0":2,"-1":3,"1.5":4,"true":5,"null":6}', '{"b":1,"a":2}', '{"a":1,"a":2}', '{"a":1,"b":2,"a":[3]}',
  '{"constructor":1,"hasOwnProperty":2,"toString":3,"valueOf":4,"length":5}', '{"toJSON":1}', '{"then":1}',
  '{"type":"Buffer","data":[1,2]}', '{"type":5,"nsp":"/x","data":[]}',
  '{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":99}', '{"_placeholder":true}', '{"_placeholder":false,"num":0}',
  // names a property nowhere in a cluster of Node.js servers either
  '{"__proto__":1}', '{"__proto__":{"a":1},"b":2}', '{"\\u005f_proto__":null,"b":2}', '[{"a":{"__proto__":[]}}]',
  // several arguments
  '1,2,3', 'null,null', repeat('"x"', 20), '[],{},"",0',
];

const P = (n) => `{"_placeholder":true,"num":${n}}`;
const BINARY_VALUES = [
  [P(0), [Buffer.from([0, 1, 255])]],
  [P(0), [Buffer.alloc(0)]],
  ...[255, 256, 65535, 65536].map((n) => [P(0), [Buffer.alloc(n, 7)]]),
  [`{"a":[${P(0)},{"b":${P(1)}}]},1`, [Buffer.from('a'), Buffer.from('b')]],
  [`[${P(1)},${P(0)}]`, [Buffer.from('first'), Buffer.from('second')]],
  [`[${P(0)},${P(0)}]`, [Buffer.from('twice')]],
  [`${[...Array(10).keys()].map(P)}`, [...Array(10).keys()].map((i) => Buffer.from([i]))],
  [`{"_placeholder":true,"num":0,"more":1}`, [Buffer.from('more')]],
  [`{"num":0,"_placeholder":true}`, [Buffer.from('order')]],
  [`{"type":"Buffer","data":[1]},${P(0)}`, [Buffer.from([9])]],
];

const asCase = (v) => {
  if (typeof v === 'string') return { json: v, bins: [] };
  return Array.isArray(v) ? { json: v[0], bins: v[1] } : { bins: [], ...v };
};
const CLIENT_CASES = [...JSON_VALUES, ...BINARY_VALUES].map(asCase);

test('what clients send arrives as in a cluster of Node.js servers alone', async (t) => {
  const got = {};
  for (const from of ['node', 'confab']) {
    for (const [i, c] of CLIENT_CASES.entries()) await say(senders[from], 'v', `${i},${c.json}`, c.bins);
    got[from] = await collected(CLIENT_CASES.length);
    assert.equal(senders[from].over, null);
  }
  const compared = new Comparison();
  for (const [i, c] of CLIENT_CASES.entries()) {
    const want = got.node.node2[i];
    for (const [from, to] of [['confab', 'node2'], ['confab', 'confab2']]) {
      compared.same(got[from][to][i], c.instead ?? want, `${short(c.json)}, ${from} to ${to}`);
    }
    // on the same node it is what was spelled, -0 and 1e400 included
    if (!c.bins.length) compared.same(got.confab.confab[i], show(JSON.parse(`[${c.json}]`)), `${short(c.json)}, same node`);
    // what left a Node.js server destroyed, stays so
    for (const to of ['confab', 'confab2']) {
      compared.same(got.node[to][i], want, `${short(c.json)}, node to ${to}`);
    }
  }
  t.diagnostic(`${CLIENT_CASES.length} values, ${compared.count} comparisons, ${
    CLIENT_CASES.filter((c) => c.instead !== undefined).length} of them better than the official encoder's`);
  compared.end();
  assert.ok(CLIENT_CASES.length >= 80);
});

// ---- what emitters send ------------------------------------------------------

class WithJson {
  toJSON() { return { from: 'toJSON' }; }
}

const EMITTED = [
  undefined, null, NaN, Infinity, -Infinity, -0, 0.1, 2 ** 53 + 2, 2 ** 63, -(2 ** 63), 1e-320,
  new Date(0), new Date(1), new Date(-1), new Date(999), new Date(1000), new Date(1700000000123), new Date(-1700000000123),
  new Date(2 ** 32 * 1000 - 1), new Date(2 ** 32 * 1000), new Date(2 ** 34 * 1000 - 1000), new Date(2 ** 34 * 1000),
  new Date('0000-01-01T00:00:00Z'), new Date('-000001-12-31T23:59:59.999Z'), new Date('9999-12-31T23:59:59.999Z'),
  new Date('+010000-01-01T00:00:00Z'), new Date(8.64e15), new Date(-8.64e15), new Date(NaN),
  [new Date(5)], { d: new Date(5) }, [undefined, 1], { a: undefined, b: 1, f: () => {} },
  new WithJson(), [new WithJson()], new Map([[1, 2]]), new Set([1]), /x/, new Error('e'), Object.create(null),
  Object.create({ inherited: 1 }), new (class A { b = 1; })(), [,, 1], // eslint-disable-line no-sparse-arrays
  Buffer.from('b'), new Uint8Array([1, 2]), new Uint8Array(Buffer.from('0123456789').buffer.slice(0, 4)),
  new Uint16Array([1, 2]), new ArrayBuffer(3), new Float64Array([0]), { deep: [Buffer.alloc(300, 1)] },
  new Number(3), new String('s'), new Boolean(false), // eslint-disable-line no-new-wrappers
  'x'.repeat(40), { [`${'k'.repeat(50)}`]: 1 }, { a: { b: { c: [] } } },
];

test('what the official emitter sends arrives the same behind confab and Node.js', async (t) => {
  const emitter = new Emitter(redis);
  for (const [i, v] of EMITTED.entries()) emitter.to(ROOM).emit('v', i, v);
  const got = await collected(EMITTED.length);
  const compared = new Comparison();
  for (const [i, v] of EMITTED.entries()) {
    for (const to of ['node2', 'confab', 'confab2']) {
      compared.same(got[to][i], got.node[i], `value ${i} (${Object.prototype.toString.call(v)}) at ${to}`);
    }
  }
  t.diagnostic(`${EMITTED.length} values, ${compared.count} comparisons`);
  compared.end();
});

// ---- what others may send ----------------------------------------------------

const DATE = '000000006553f100';
// One argument in hexadecimal, and what it is.
const PACKED = [
  ['7f', 'fixint'], ['cc02', 'wide uint8'], ['cd0002', 'wide uint16'], ['ce00000002', 'wide uint32'],
  ['cf0000000000000007', 'wide uint64'], ['cf0020000000000001', 'uint64 of 2^53 + 1'], ['cfffffffffffffffff', 'largest uint64'],
  ['cf8000000000000000', 'uint64 of 2^63'], ['d0ff', 'wide int8'], ['d1ffff', 'wide int16'], ['d2ffffffff', 'wide int32'],
  ['d3ffffffffffffffff', 'wide int64'], ['d37fffffffffffffff', 'largest int64'], ['d38000000000000000', 'smallest int64'],
  ['d3ffdfffffffffffff', 'int64 of -2^53 - 1'], ['e0', 'negative fixint'],
  ['ca3fc00000', 'float32'], ['ca3dcccccd', 'float32 of 0.1'], ['ca7fc00000', 'float32 NaN'], ['caff800000', 'float32 -Infinity'],
  ['ca80000000', 'float32 -0'], ['ca00000001', 'smallest float32'], ['cb8000000000000000', 'float64 -0'],
  ['cb7ff8000000000000', 'NaN'], ['cb7ff0000000000001', 'signalling NaN'], ['cb7ff0000000000000', 'Infinity'],
  ['cb4024000000000000', 'float64 of 10'], ['cb4415af1d78b58c40', 'float64 of 1e20'], ['cb0000000000000001', 'smallest float64'],
  ['d90161', 'wide str8'], ['da000161', 'wide str16'], ['db0000000161', 'wide str32'], ['d900', 'empty str8'],
  ['a3ff41fe', 'text that is no UTF-8'], ['a4eda08041', 'a surrogate in UTF-8'], ['a2c080', 'overlong UTF-8'],
  ['a3efbbbf', 'a byte order mark'], ['a4f09f9880', 'four bytes'], ['a3f09f98', 'a cut character'], ['a100', 'NUL'],
  ['c40101', 'bin8'], ['c5000101', 'wide bin16'], ['c60000000101', 'wide bin32'], ['c400', 'empty bin8'],
  ['dc000101', 'wide array16'], ['dd0000000101', 'wide array32'], ['de0001a16101', 'wide map16'], ['df00000001a16101', 'wide map32'],
  ['810102', 'a number as key'], ['81ff02', 'a negative key'], ['81cb3ff800000000000001', 'a fraction as key'],
  ['81cb800000000000000001', '-0 as key'], ['81cb444b1ae4d6e2ef5001', '1e21 as key'],
  ['81cb7ff800000000000001', 'NaN as key'], ['81c001', 'nil as key'], ['82c201c302', 'false and true as keys'],
  ['81c4016101', 'bin as key'], ['82a16101a16102', 'a key twice'], ['82a131010102', 'a key as text and as number'],
  ['81a001', 'an empty key'], [`82a9${Buffer.from('__proto__').toString('hex')}80a16101`, 'the prototype as key'],
  [`81c409${Buffer.from('__proto__').toString('hex')}c0`, 'the prototype as key in bin'],
  ['d40000', 'undefined'], ['81a161d40000', 'undefined as member'], ['91d40000', 'undefined as element'],
  ['d7000000018bcfe5687b', 'an old date'], ['d700ffffffffffffffff', 'an old date before 1970'],
  ['d7007fffffffffffffff', 'an old date beyond all dates'], ['c70200aabb', 'an old ArrayBuffer'], ['c8000200aabb', 'an old ArrayBuffer, wide'],
  ['c90000000200aabb', 'an old ArrayBuffer, wider'], ['c70000', 'an old ArrayBuffer, empty'],
  ['d50001ff', 'fixext2 of type 0'], ['d600deadbeef', 'fixext4 of type 0'],
  ['d40105', 'fixext1'], ['d5010506', 'fixext2'], ['d60105060708', 'fixext4'], ['d7010506070805060708', 'fixext8'],
  [`d87f${'ab'.repeat(16)}`, 'fixext16'], ['d480ff', 'type -128'], ['c70305010203', 'ext8'], ['c8000305010203', 'ext16'],
  ['c90000000305010203', 'ext32'], ['c70005', 'an empty ext8'], ['81a161d60501020304', 'ext as member'],
  ['d6ff6553f100', 'timestamp of 4 bytes'], ['d6ffffffffff', 'largest timestamp of 4 bytes'],
  ['d7ff1d5353006553f100', 'timestamp of 8 bytes'], ['d7ffee6b27ffffffffff', 'largest timestamp of 8 bytes'],
  ['d7ffee6b27fc6553f100', 'nanoseconds that round up'], ['d7ffffffffff6553f100', 'more nanoseconds than a second has'],
  [`c70cff075bcd00${DATE}`, 'timestamp of 12 bytes'], ['c70cff00000000ffffffffffffffff', 'a second before 1970'],
  ['c70cff3b9ac9ffffffffffffffffff', 'a nanosecond before 1970'], ['c70cff00000001ffffffffffffffff', 'less than a second before 1970'],
  ['c70cffffffffff0000000000000000', 'four billion nanoseconds'], ['c70cff00000000000007dba8218000', 'the last date'],
  ['c70cff000f4240000007dba8218000', 'after the last date'], ['c70cff00000000fffff82457de8000', 'the first date'],
  ['c70cff00000000fffff82457de7fff', 'before the first date'], ['c70cff000000007fffffffffffffff', 'the largest second'],
  ['c70cff000000008000000000000000', 'the smallest second'], ['c70cff00000000fffffff1868b8400', 'the year 0'],
];

// [uid, packet, opts] as others would write it.
function message(i, hex) {
  const start = Buffer.from('93a378797a83a47479706502a46461746193a176', 'hex');
  const end = Buffer.concat([Buffer.from('a36e7370a12f', 'hex'), notepack.encode({ rooms: [ROOM], except: [], flags: {} })]);
  return Buffer.concat([start, notepack.encode(i), Buffer.from(hex, 'hex'), end]);
}

test('MessagePack in every form is read as the official decoder reads it', async (t) => {
  for (const [i, [hex]] of PACKED.entries()) await redis.publish(`socket.io#/#${ROOM}#`, message(i, hex));
  const got = await collected(PACKED.length);
  const compared = new Comparison();
  for (const [i, [hex, name]] of PACKED.entries()) {
    for (const to of ['confab', 'confab2']) compared.same(got[to][i], got.node[i], `${name} (${hex}) at ${to}`);
  }
  t.diagnostic(`${PACKED.length} values, ${compared.count} comparisons`);
  compared.end();
});

describe('what is left', () => {
  test('no server has complained', () => {
    for (const name of ['node', 'node2']) assert.doesNotMatch(servers[name].output(), /redis: |Error/);
    for (const name of ['confab', 'confab2']) assert.doesNotMatch(servers[name].output(), /redis_bad_message|redis_lost/);
  });
});
