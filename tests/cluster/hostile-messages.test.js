'use strict';
// Anybody who can publish to Redis may send anything to any channel that nodes
// subscribe: they drop it, count it, say little about it, and go on.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { createClient } = require('redis');
const notepack = require('notepack.io');
const { startFixture, startRedis } = require('../lib/servers');
const { bounded, metric } = require('../lib/hostile');
const { join } = require('../lib/suite');
const { ask, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const MESSAGE_MAX = 2 * 1000000 + 65536; // of engine.max_payload_bytes = 1 MB
const s = {};
let redis;
let spy;
let answers = []; // what nodes have published as responses
let connections;
let cases = 0;

before(async () => {
  s.redis = await startRedis();
  s.one = await startFixture({ redis: s.redis, name: 'one' });
  s.two = await startFixture({ redis: s.redis, name: 'two' });
  redis = createClient({ url: s.redis.url });
  await redis.connect();
  s.a = await join(s.one);
  s.b = await join(s.two);
  await ask(s.b, 'join', 'r');
  await until(async () => {
    await ask(s.a, 'broadcast', { event: 'hello', rooms: ['r'] });
    await ask(s.a, 'broadcast', { event: 'hello' });
    return until(() => s.b.inbox.count('hello') >= 2, 300, 'hello').catch(() => false);
  }, 10000, 'both hear each other');
  assert.equal(await ask(s.a, 'presence-set', 'g', 1), 0);
  await present(1);
  spy = redis.duplicate();
  await spy.connect();
  await spy.pSubscribe('socket.io-response#*', (bytes) => answers.push(bytes), true);
  connections = await connected();
  await goesOn();
});

after(async () => {
  closeAll();
  await spy?.quit();
  await redis?.quit();
  for (const name of ['one', 'two', 'redis']) await s[name]?.stop();
});

async function connected() {
  const list = String(await redis.sendCommand(['CLIENT', 'LIST']));
  return list.split('\n').map((l) => /^id=(\d+)/.exec(l)?.[1]).filter(Boolean).sort().join();
}

const present = (n) => until(async () => await ask(s.b, 'presence-count', 'g') === n, 10000, `${n} present`);

// What the client of the second node has heard since the last time, once all
// that was published before has been read.
async function goesOn() {
  assert.ok(s.a.connected && s.b.connected);
  await ask(s.a, 'broadcast', { event: 'fence' });
  await ask(s.a, 'broadcast', { event: 'fence', rooms: ['r'] });
  await s.b.inbox.takeAll('fence', 2);
  assert.equal(s.one.ended ?? s.two.ended, null);
  assert.ok(s.a.connected && s.b.connected);
  const heard = s.b.inbox.names();
  s.b.inbox.clear();
  return heard;
}

const ignored = (why) => metric(s.two, `confab_redis_ignored_total{why="${why}"}`);

// ---- what anybody may send anywhere -----------------------------------------

const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const pack = (...parts) => Buffer.concat(parts.map((p) => (typeof p === 'string' ? hex(p) : p)));
const json = (v) => Buffer.from(JSON.stringify(v));

const GARBAGE = {
  'nothing': Buffer.alloc(0),
  'a zero': Buffer.alloc(1),
  'zeros': Buffer.alloc(100000),
  'ones': Buffer.alloc(100000, 0xff),
  'the code that means nothing': hex('c1'),
  'text': Buffer.from('garbage'),
  'no UTF-8': hex('fffefdfc80'),
  'HTTP': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  'a brace': Buffer.from('{'),
  'null in JSON': Buffer.from('null'),
  'an empty object in JSON': Buffer.from('{}'),
  'a list in JSON': Buffer.from('[]'),
  'JSON that is cut short': Buffer.from('{"type":2,"opts":{"rooms":["r"'),
  'JSON with an end': Buffer.from('{"type":1,"requestId":"x"}}'),
  'JSON with NUL': Buffer.from('{"type":1,"requestId":"\u0000"}\u0000'),
  'JSON in UTF-16': Buffer.from('{"type":1}', 'utf16le'),
  'JSON with a mark before it': Buffer.from('\ufeff{"type":1}'),
  'deep JSON': Buffer.from(`{"type":1,"requestId":${'['.repeat(100000)}${']'.repeat(100000)}}`),
  'wide JSON': Buffer.from(`{"type":1,"x":[${'0,'.repeat(200000)}0]}`),
  'many keys': Buffer.from(`{"type":1${',"a":1'.repeat(100000)}}`),
  'long text in JSON': Buffer.from(`{"type":1,"requestId":"${'x'.repeat(1000000)}"}`),
  'nil': hex('c0'),
  'an integer': hex('07'),
  'an empty map': hex('80'),
  'an empty list': hex('90'),
  'deep lists': Buffer.alloc(100000, 0x91),
  'deep maps': Buffer.alloc(100000, 0x81),
  'an array of 2^32 - 1': hex('ddffffffff'),
  'an array of 2^24': hex('dd01000000'),
  'a map of 2^32 - 1': hex('dfffffffff'),
  'text of 4 GB': hex('dbffffffff41'),
  'bin of 4 GB': hex('c6ffffffff41'),
  'ext of 4 GB': hex('c9ffffffff0141'),
  'text that is cut short': hex('a6616263'),
  'a number that is cut short': hex('cf0000'),
  'a long list': pack('dd00030d40', Buffer.alloc(200000, 0xc0)),
  'a message as large as allowed': Buffer.alloc(MESSAGE_MAX, 0x90),
  'a message larger than allowed': Buffer.alloc(MESSAGE_MAX + 1, 0x90),
  'a much larger one': null, // made when it is sent
};

// ---- broadcasts --------------------------------------------------------------

const packed = (v) => notepack.encode(v);
const OPTS = { rooms: [], except: [], flags: {} };
const event = (over = {}, opts = OPTS, uid = 'xyz') => packed([uid, { type: 2, data: ['bad', 1], nsp: '/', ...over }, opts]);
// Where an encoder would not go: [uid, {type: 2, data: <here>, nsp: "/"}, opts].
const withData = (...parts) => pack('93a378797a83a47479706502a464617461', ...parts, 'a36e7370a12f', packed(OPTS));
const withOpts = (...parts) => pack('93a378797a83a47479706502a46461746192a3626164 01 a36e7370a12f', ...parts);
const names = (n) => Array(n).fill('x');

const BROADCASTS = {
  ...Object.fromEntries([0, 1, 3, 4, 5, 6, 7, -1, 2.5, '2', null, true, [2], NaN, 258, 2 ** 53].map((type) => [
    `type ${JSON.stringify(type)}`, event({ type })])),
  'no type': packed(['xyz', { data: ['bad'], nsp: '/' }, OPTS]),
  'no data': packed(['xyz', { type: 2, nsp: '/' }, OPTS]),
  ...Object.fromEntries([null, 1, 'bad', {}, [], [null], [true], [[]], [{}], [Buffer.from('bad')], [new Date()], [NaN], [Infinity]].map((data) => [
    `data ${JSON.stringify(data)}${Number.isNaN(data?.[0]) ? ' (NaN)' : ''}${data?.[0] === Infinity ? ' (Infinity)' : ''}`, event({ data })])),
  ...Object.fromEntries(['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map((name) => [
    `the event ${name}`, event({ data: [name, 1] })])),
  'a name of 5,000 bytes': event({ data: ['x'.repeat(5000)] }),
  '65,537 arguments': event({ data: ['bad', ...Array(65536).fill(1)] }),
  'eleven attachments': event({ data: ['bad', ...Array(11).fill(Buffer.from('x'))] }),
  'deep data': withData('91'.repeat(100), '90'),
  'deep data in an argument': withData('92a3626164', '91'.repeat(40), '90'),
  'a list as key': withData('92a3626164 81 90 01'),
  'a false placeholder beside binary': event({ data: ['bad', { _placeholder: true, num: 5 }, Buffer.from('x')] }),
  'a data list that is cut short': pack('93a378797a83a47479706502a46461746195a3626164'),
  'only a uid': packed(['xyz']),
  'no options': packed(['xyz', { type: 2, data: ['bad'], nsp: '/' }]),
  'nil for a packet': packed(['xyz', null, OPTS]),
  'a list for a packet': packed(['xyz', [2, ['bad'], '/'], OPTS]),
  'nil for options': withOpts('c0'),
  'a list for options': withOpts('90'),
  'text for rooms': event({}, { ...OPTS, rooms: 'r' }),
  'a map for rooms': event({}, { ...OPTS, rooms: { r: 1 } }),
  'a number for rooms': event({}, { ...OPTS, rooms: 1 }),
  'lists in rooms': event({}, { ...OPTS, rooms: [['r']] }),
  'nil in rooms': event({}, { ...OPTS, rooms: [null] }),
  'NaN in rooms': event({}, { ...OPTS, rooms: [NaN] }),
  'a text for exceptions': event({}, { ...OPTS, except: 'r' }),
  'a nil in exceptions': event({}, { ...OPTS, except: [null] }),
  '257 rooms': event({}, { ...OPTS, rooms: names(257) }),
  '257 exceptions': event({}, { ...OPTS, except: names(257) }),
  '100,000 rooms': event({}, { ...OPTS, rooms: names(100000) }),
  'something behind it': pack(event(), 'c0'),
  'it, twice': pack(event(), event()),
};

// Not bad, and not for us or without effect.
const OTHERS = {
  'another namespace': event({ nsp: '/custom' }),
  'an unknown namespace': event({ nsp: '/nowhere' }),
  'an empty namespace': event({ nsp: '' }),
  'a namespace that is a number': event({ nsp: 7 }),
  'a room that nobody is in': event({}, { ...OPTS, rooms: ['nobody'] }),
  'all but everybody': event({}, { ...OPTS, rooms: ['r'], except: ['r'] }),
};

// Odd and accepted, as official servers do.
const ODD = {
  'type 2.0': withData(hex('92a3626164 01')),
  'flags of all kinds': event({}, { ...OPTS, flags: { volatile: 'yes', compress: {}, timeout: -1, local: true, x: [[]] } }),
  'nil for flags': event({}, { ...OPTS, flags: null }),
  'a list for flags': event({}, { ...OPTS, flags: [1] }),
  'no uid': event({}, OPTS, null),
  'a number as uid': event({}, OPTS, 7),
  'a map as uid': event({}, OPTS, { a: 1 }),
  'a long uid': event({}, OPTS, 'u'.repeat(100000)),
  'more keys': event({ id: 5, attachments: 9, binary: true }),
  'more elements': packed(['xyz', { type: 2, data: ['bad', 1], nsp: '/' }, OPTS, 1, { a: [] }]),
  'no namespace': packed(['xyz', { type: 2, data: ['bad', 1] }, OPTS]),
};

const CHANNELS = ['socket.io#/#', 'socket.io#/#r#', 'socket.io#/#@b#', 'socket.io#/#unknown#', 'socket.io#/##', 'socket.io#/#r', 'socket.io#/#r##'];
const REQUESTS = ['socket.io-request#/#', 'socket.io-request#/custom#'];
const RESPONSES = ['socket.io-response#/#', 'socket.io-response#/#abcdef#'];
const PRESENCE = 'socket.io-presence#';
const ours = (channel) => channel.replace('@b', s.b.id);

function harmless(name, channels, payload, check = () => {}) {
  cases += channels.length;
  test(name, async () => {
    const [bad, unasked] = [await ignored('bad'), await ignored('answer')];
    await bounded(s.two, 32, async () => {
      for (const channel of channels) {
        await redis.publish(ours(channel), typeof payload === 'function' ? payload() : payload);
      }
      const heard = await goesOn();
      await check(await ignored('bad') - bad, heard, await ignored('answer') - unasked);
    });
    if (name !== 'a much larger one') assert.equal(await connected(), connections, 'the connections are kept');
  });
}

describe('garbage to broadcasts', () => {
  for (const [name, payload] of Object.entries(GARBAGE)) {
    if (payload) harmless(name, CHANNELS, payload, (bad) => assert.ok(bad >= 3, `${bad} counted`));
  }
});

describe('broadcasts that are none', () => {
  for (const [name, payload] of Object.entries(BROADCASTS)) {
    harmless(name, CHANNELS, payload, (bad, heard) => {
      assert.ok(bad >= 3, `${bad} counted`);
      assert.deepEqual(heard, []);
    });
  }
});

describe('broadcasts for others', () => {
  for (const [name, payload] of Object.entries(OTHERS)) {
    harmless(name, CHANNELS, payload, (bad, heard) => {
      assert.equal(bad, 0);
      assert.deepEqual(heard, []);
    });
  }
});

describe('broadcasts that are odd', () => {
  for (const [name, payload] of Object.entries(ODD)) {
    harmless(name, ['socket.io#/#'], payload, (bad, heard) => {
      assert.equal(bad, 0);
      assert.deepEqual(heard, ['bad']);
    });
  }
  test('the room of the channel is not that of the message', async () => {
    await redis.publish('socket.io#/#nobody#', event({}, { ...OPTS, rooms: ['r'] }));
    assert.deepEqual(await goesOn(), []);
    await redis.publish('socket.io#/#', event({}, { ...OPTS, rooms: ['r'] }));
    assert.deepEqual(await goesOn(), ['bad']);
  });
});

// ---- requests and responses --------------------------------------------------

const TYPES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1, 255, 2 ** 31, 2 ** 53, 1.5, '1', null, true, [], {}];
const QUESTION = { uid: 'xyz', requestId: 'abc' };
const FORGED = {
  ...Object.fromEntries(TYPES.flatMap((type) => [
    [`type ${JSON.stringify(type)} alone`, json({ type })],
    [`type ${JSON.stringify(type)} with ids`, json({ ...QUESTION, type })],
    [`type ${JSON.stringify(type)} in MessagePack`, packed({ ...QUESTION, type })],
    [`type ${JSON.stringify(type)} with options that are none`, json({ ...QUESTION, type, opts: 1, rooms: 1, data: 1, packet: 1, sockets: 1, clientCount: 'x' })],
    [`type ${JSON.stringify(type)} with options of null`, json({ ...QUESTION, type, opts: null, rooms: null, data: null, packet: null, sockets: null })],
    // of type 4 it would end everybody, which is what it is for
    [`type ${JSON.stringify(type)} with empty options`, json(type === 4 ? { type } : { ...QUESTION, type, opts: {}, rooms: [], data: [], packet: {}, sockets: [], clientCount: -1 })],
    [`type ${JSON.stringify(type)} with names of all kinds`, json({ ...QUESTION, type, opts: { rooms: ['nobody', 7, null, {}, ['x']], except: [null] }, rooms: [1, null, {}], data: [null, {}], close: 'x' })],
    [`type ${JSON.stringify(type)} with many names`, json({ ...QUESTION, type, opts: { rooms: ['nobody', ...names(100000)], except: names(100000) }, rooms: names(1000) })],
    [`type ${JSON.stringify(type)} with a prototype`, Buffer.from(`{"uid":"xyz","requestId":"abc","type":${JSON.stringify(type)},"__proto__":{"opts":{}},"constructor":1}`)],
  ])),
  ...Object.fromEntries([null, 7, true, [], {}, '', 'x'.repeat(100000), '\u0000', 'a"b\\', '__proto__'].flatMap((id) => [
    [`the request ${JSON.stringify(id).slice(0, 20)}`, json({ uid: id, requestId: id, type: 1 })],
    [`the request ${JSON.stringify(id).slice(0, 20)} for sockets`, json({ uid: id, requestId: id, type: 5, opts: { rooms: ['nobody'], except: [] } })],
    [`the request ${JSON.stringify(id).slice(0, 20)} in MessagePack`, packed({ uid: id, requestId: id, type: 1 })],
  ])),
  'an old request for sockets': json({ requestId: 'abc', type: 0, rooms: [] }),
  'an old join of nobody': json({ requestId: 'abc', type: 2, sid: 'nobody', room: 'r' }),
  'an old join without a room': json({ requestId: 'abc', type: 2, sid: 'nobody' }),
  'an old join of a number': json({ requestId: 'abc', type: 2, sid: 7, room: 7 }),
  'an old leave of nobody': json({ requestId: 'abc', type: 3, sid: 'nobody', room: 'r' }),
  'an old end of nobody': json({ requestId: 'abc', type: 4, sid: 'nobody', close: true }),
  'a join of a room without a name': json({ uid: 'xyz', type: 2, opts: { rooms: ['nobody'], except: [] }, rooms: [''] }),
  'a broadcast that is to be answered, of type 5': packed({ ...QUESTION, type: 7, packet: { type: 5, data: ['bad'], nsp: '/' }, opts: OPTS }),
  'a broadcast that is to be answered, reserved': packed({ ...QUESTION, type: 7, packet: { type: 2, data: ['disconnect'], nsp: '/' }, opts: OPTS }),
  'a broadcast that is to be answered, without data': packed({ ...QUESTION, type: 7, packet: { type: 2, nsp: '/' }, opts: OPTS }),
  'a broadcast that is to be answered, without options': packed({ ...QUESTION, type: 7, packet: { type: 2, data: ['bad'], nsp: '/' } }),
  'a broadcast that is to be answered, of another namespace': packed({ ...QUESTION, type: 7, packet: { type: 2, data: ['bad'], nsp: '/x' }, opts: { ...OPTS, rooms: ['nobody'] } }),
  'a broadcast that is to be answered, to many rooms': packed({ ...QUESTION, type: 7, packet: { type: 2, data: ['bad'], nsp: '/' }, opts: { ...OPTS, rooms: ['nobody', ...names(100000)] } }),
  'a broadcast that is to be answered, deep': pack('85a3756964a378797aa9726571756573744964a3616263a474797065 07a67061636b6574', '91'.repeat(100), '90', 'a46f70747380'),
  'an event between servers without a name': json({ ...QUESTION, type: 6, data: [] }),
  'an event between servers that is reserved': json({ uid: 'xyz', type: 6, data: ['connection'] }),
  'an event between servers with everything': json({ uid: 'xyz', type: 6, data: ['x', ...names(100000)] }),
  'an answer with sockets of all kinds': json({ requestId: 'abc', sockets: [null, 1, {}, { id: 7 }, { id: 'x', handshake: 1, rooms: 1 }] }),
  'an answer with many sockets': json({ requestId: 'abc', sockets: Array(20000).fill({ id: 'x', handshake: {}, rooms: ['x'], data: {} }) }),
  'an answer with many rooms': json({ requestId: 'abc', rooms: names(100000) }),
  'a count of 2^53': json({ type: 8, requestId: 'abc', clientCount: 2 ** 53 }),
  'a count of -1': json({ type: 8, requestId: 'abc', clientCount: -1 }),
  'an acknowledgement in MessagePack': packed({ type: 9, requestId: 'abc', packet: { a: [Buffer.from('x')] } }),
  'an acknowledgement without anything': packed({ type: 9 }),
};

// Some of it is for whoever is in no room at all, and moves or tells them.
const onlyBad = (heard) => assert.ok(heard.every((e) => e === 'bad'), `heard ${heard}`);

// What a Node.js server that asked would make of it.
function wellFormed(bytes) {
  const answer = bytes[0] === 0x7b ? JSON.parse(bytes) : notepack.decode(bytes);
  assert.equal(typeof answer.requestId, 'string', `${bytes}`.slice(0, 200));
  for (const list of [answer.sockets ?? [], answer.rooms ?? []]) assert.ok(Array.isArray(list));
  for (const one of answer.sockets ?? []) {
    if (typeof one === 'string') continue;
    assert.equal(typeof one.id, 'string');
    assert.ok(Array.isArray(one.rooms));
  }
}

describe('garbage to requests', () => {
  for (const [name, payload] of Object.entries(GARBAGE)) {
    if (payload) {
      harmless(name, REQUESTS, payload, (bad, heard) => {
        assert.ok(bad >= 1, `${bad} counted`);
        assert.deepEqual(heard, []);
      });
    }
  }
});

describe('forged requests', () => {
  before(() => { answers = []; });
  for (const [name, payload] of Object.entries(FORGED)) {
    harmless(name, REQUESTS, payload, (bad, heard) => {
      onlyBad(heard);
      answers.forEach(wellFormed);
      answers = [];
    });
  }
});

describe('garbage to responses', () => {
  for (const [name, payload] of Object.entries(GARBAGE)) {
    if (!payload) continue;
    harmless(name, RESPONSES, payload, (bad, heard, unasked) => {
      assert.ok(bad + unasked >= 1, `${bad} and ${unasked} counted`);
      assert.deepEqual(heard, []);
    });
  }
});

describe('forged responses', () => {
  for (const [name, payload] of Object.entries(FORGED)) {
    harmless(name, RESPONSES, payload, (bad, heard, unasked) => {
      assert.ok(bad + unasked >= 1, `${bad} and ${unasked} counted`);
      assert.deepEqual(heard, []);
    });
  }
});

// ---- answers to questions that were asked --------------------------------------

// Whoever can subscribe sees what is asked, and may answer in somebody's stead.
describe('forged answers to real questions', () => {
  const questions = {
    fetch: [() => ['fetch', {}], 5],
    'all rooms': [() => ['all-rooms'], 1],
    'an event between servers': [() => ['server-ask', 300, 'double', 4], 6],
    'a broadcast that is to be acknowledged': [() => ['broadcast-ack', { event: 'quiz', rooms: ['r'], timeout: 300 }], 7],
  };
  const many = (n, one) => Array(n).fill(one);
  const replies = {
    'of no shape': (id) => [json({ requestId: id }), json({ requestId: id, sockets: 1, rooms: 1, data: 1, clientCount: 'x' })],
    'of null': (id) => [json({ requestId: id, type: 8, sockets: null, rooms: null, data: null, clientCount: null, packet: null })],
    'of wrong elements': (id) => [json({ requestId: id, sockets: [null, 1, {}, { id: 7 }], rooms: [null, {}, []] })],
    'of every type': (id) => TYPES.map((type) => json({ requestId: id, type, clientCount: -1 })),
    'that is cut short': (id) => [Buffer.from(`{"requestId":"${id}","sockets":[{"id":`), hex('83a474797065')],
    'that is deep': (id) => [Buffer.from(`{"requestId":"${id}","data":${'['.repeat(10000)}${']'.repeat(10000)},"type":6}`)],
    'of many sockets': (id) => many(20, json({ requestId: id, sockets: many(5000, { id: 'x'.repeat(20), handshake: {}, rooms: ['x'], data: {} }) })),
    'of many rooms': (id) => [...Array(20).keys()].map((k) => json({ requestId: id, rooms: [...Array(20000).keys()].map((i) => `room ${k} ${i}`) })),
    'of a large value': (id) => many(20, json({ requestId: id, type: 6, data: 'x'.repeat(1000000) })),
    'of a huge number of clients': (id) => [json({ requestId: id, type: 8, clientCount: 2 ** 53 }), json({ requestId: id, type: 8, clientCount: 4294967295 })],
    'of acknowledgements of nobody': (id) => many(1000, packed({ type: 9, requestId: id, packet: 'x' })),
    'of clients and their acknowledgements': (id) => [json({ requestId: id, type: 8, clientCount: 1000 }),
      ...many(2000, packed({ type: 9, requestId: id, packet: { a: Buffer.alloc(1000), ['__proto__']: 1 } }))],
    'again and again': (id) => many(5000, json({ requestId: id, sockets: [], rooms: [], type: 6, data: 1 })),
  };
  for (const [question, [make, type]] of Object.entries(questions)) {
    for (const [kind, reply] of Object.entries(replies)) {
      cases += 1;
      test(`${question}: an answer ${kind}`, async () => {
        const ear = redis.duplicate();
        await ear.connect();
        let id;
        // whoever subscribes exactly is taken for a server
        await ear.pSubscribe(`${REQUESTS[0]}*`, (bytes) => {
          const request = bytes[0] === 0x7b ? JSON.parse(bytes) : notepack.decode(bytes);
          if (request.type === type) id = request.requestId;
        }, true);
        try {
          const said = () => (s.two.output().match(/^answers \d+ missing \d+$/gm) ?? []).length;
          const before = said();
          await bounded(s.two, 64, async () => {
            assert.equal(await ask(s.b, ...make()), 0);
            await until(() => id !== undefined, 5000, 'the question is seen');
            for (const answer of reply(id)) await redis.publish(RESPONSES[0], answer);
            // with more than a client may be sent, perhaps
            await until(() => said() > before, 10000, 'it ends, with an answer of some kind');
          });
          s.b.inbox.clear();
          await goesOn();
        } finally {
          await ear.quit();
        }
      });
    }
  }
});

// ---- presence ----------------------------------------------------------------

const NODE = '00000000000000aa';
const heard = (over) => ({ v: 1, type: 'beat', node: NODE, seq: 0, count: 0, ...over });
const entry = (...e) => heard({ type: 'set', seq: 1, entry: e });
const BAD_PRESENCE = {
  'no version': { ...heard(), v: undefined },
  'a version that is text': heard({ v: '1' }),
  'a node that is a number': heard({ node: 7 }),
  'a node that is short': heard({ node: 'aa' }),
  'a node in capitals': heard({ node: 'AAAAAAAAAAAAAAAA' }),
  'a beat without its count': heard({ count: undefined }),
  'a beat of -1': heard({ count: -1 }),
  'a beat of 1.5': heard({ seq: 1.5 }),
  'a beat of text': heard({ seq: '1' }),
  'a set without an entry': heard({ type: 'set' }),
  'a set of a text': heard({ type: 'set', entry: 'x' }),
  'a full list of an object': heard({ type: 'full', part: 0, last: true, entries: {} }),
  'a wish of nobody': heard({ type: 'want', of: 7 }),
};
const ODD_PRESENCE = {
  'a newer version': heard({ v: 2 }),
  'an unknown type': heard({ type: 'x' }),
  'a type that is a number': heard({ type: 7 }),
  'an empty entry': entry(),
  'an entry of numbers': entry(1, 2, 3, 4),
  'an entry without its value': entry('/', 'g', 'k'),
  'an entry of another namespace': entry('/nowhere', 'g', 'k', 1),
  'long names': entry('/'.repeat(1000), 'g'.repeat(1000), 'k'.repeat(1000), 1),
  'a long value': entry('/', 'x', 'k', 'x'.repeat(5000)),
  'a deep value': entry('/', 'x', 'k', JSON.parse(`${'['.repeat(60)}${']'.repeat(60)}`)),
  'a name with NUL': entry('/', '\u0000', '\u0000', 1),
  'a sequence of 2^53': heard({ seq: 2 ** 53 - 1, count: 2 ** 53 - 1 }),
  'a full list in its middle': heard({ type: 'full', part: 7, last: false, entries: [['/', 'x', 'k', 1]] }),
  'a full list of nothing': heard({ type: 'full', part: 0, last: true, entries: [null, 1, [], [[]]] }),
  'a wish of itself': heard({ type: 'want', of: NODE }),
  'a farewell': heard({ type: 'bye' }),
};

describe('presence', () => {
  for (const [name, payload] of Object.entries(GARBAGE)) if (payload) harmless(name, [PRESENCE], payload, (bad) => assert.equal(bad, 1));
  for (const [name, m] of Object.entries(BAD_PRESENCE)) harmless(name, [PRESENCE], json(m), (bad) => assert.equal(bad, 1));
  for (const [name, m] of Object.entries(ODD_PRESENCE)) {
    harmless(name, [PRESENCE], json(m));
    harmless(`${name}, after a hello`, [PRESENCE], json({ ...heard(), type: 'hello' }), () => redis.publish(PRESENCE, json(m)));
  }
  test('it is right after that', () => present(1));
  test('forged messages of a real node are repaired by its own', async () => {
    // hears who the others are
    const nodes = new Set();
    const spy = redis.duplicate();
    await spy.connect();
    await spy.subscribe(PRESENCE, (text) => { nodes.add(JSON.parse(text).node); });
    await until(() => nodes.size >= 2, 10000, 'beats of both');
    await spy.quit();
    for (const node of nodes) {
      await redis.publish(PRESENCE, json({ v: 1, type: 'bye', node }));
      await redis.publish(PRESENCE, json({ v: 1, type: 'full', node, seq: 2 ** 40, count: 0, part: 0, last: true, entries: [] }));
      await redis.publish(PRESENCE, json({ v: 1, type: 'set', node, seq: 2 ** 40, entry: ['/', 'g', 'ghost', 1] }));
      await redis.publish(PRESENCE, json({ v: 1, type: 'del', node, seq: 2 ** 40, entry: ['/', 'g', s.a.id] }));
    }
    await goesOn();
    await until(async () => JSON.stringify(await ask(s.b, 'presence-list', 'g')) === JSON.stringify([[s.a.id, 1]]), 20000,
      'only who is there is there');
  });
});

// ---- floods ------------------------------------------------------------------

describe('floods', () => {
  const flood = (name, n, megabytes, make) => test(name, async () => {
    cases += 1;
    const lines = () => s.two.output().split('\n').length;
    const said = lines();
    await bounded(s.two, megabytes, async () => {
      for (let i = 0; i < n; i += 500) {
        await Promise.all([...Array(Math.min(500, n - i)).keys()].map((k) => redis.publish(...make(i + k))));
      }
      await goesOn();
    });
    assert.ok(lines() - said < 40, `${lines() - said} lines`);
    assert.equal(await connected(), connections);
  });
  flood('of garbage on all channels', 30000, 32, (i) => [ours([...CHANNELS, ...REQUESTS, ...RESPONSES, PRESENCE][i % 12]), 'garbage']);
  flood('of messages for unknown rooms', 30000, 16, (i) => [`socket.io#/#room ${i}#`, event()]);
  flood('of questions', 20000, 64, (i) => [REQUESTS[0], json({ uid: 'xyz', requestId: `id ${i}`, type: 1 })]);
  flood('of questions for sockets', 10000, 64, (i) => [REQUESTS[0], json({ uid: 'xyz', requestId: `id ${i}`, type: 5, opts: { rooms: [], except: [] } })]);
  flood('of questions to clients', 3000, 64, (i) => [REQUESTS[0], packed({ uid: 'xyz', requestId: `id ${i}`, type: 7,
    packet: { type: 2, data: ['bad', i], nsp: '/' }, opts: { ...OPTS, rooms: ['r'] } })]);
  flood('of events between servers', 20000, 32, (i) => [REQUESTS[0], json({ uid: 'xyz', requestId: `id ${i}`, type: 6, data: ['bad', i] })]);
  flood('of answers that nobody asked for', 30000, 32, (i) => [RESPONSES[0], json({ requestId: `id ${i}`, sockets: names(20) })]);
  flood('of joins of nobody', 20000, 32, (i) => [REQUESTS[0], json({ uid: 'xyz', type: 2, opts: { rooms: ['nobody'], except: [] }, rooms: [`r ${i}`] })]);
  flood('of nodes', 5000, 64, (i) => [PRESENCE, json({ ...heard({ type: 'hello' }), node: i.toString(16).padStart(16, '0'), name: 'x'.repeat(64) })]);
  // an entry for each of them; there is a bound for the bytes of all
  flood('of entries', 30000, 96, (i) => [PRESENCE, json(heard({ type: 'set', seq: i + 1, entry: ['/', 'flood', `k ${i}`, 'x'.repeat(1000)] }))]);
  test('presence is right after that', () => present(1));
});

test('a message that is much too large costs a connection, which comes back', async () => {
  await bounded(s.two, 32, async () => {
    await redis.publish('socket.io#/#', Buffer.alloc(20 * MESSAGE_MAX, 0x90));
    await until(async () => {
      await ask(s.a, 'broadcast', { event: 'back' });
      return until(() => s.b.inbox.count('back'), 300, 'back').catch(() => false);
    }, 15000, 'both hear each other again');
  });
  assert.ok(s.a.connected && s.b.connected);
});

test('all of that was counted, and little was said', async (t) => {
  t.diagnostic(`${cases} messages or floods`);
  const lines = s.two.output().split('\n').filter((l) => /redis_bad_message/.test(l)).length;
  assert.ok(lines < 60, `${lines} lines`);
  assert.ok(await ignored('bad') > 1000);
});
