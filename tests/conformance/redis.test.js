'use strict';
// Checks 129 to 148: the classic Redis adapter, seen from Redis.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const msgpack = require('notepack.io');
const { REFERENCE, startFixture, startRedis } = require('../lib/servers');
const { Connection, destroyAll } = require('../lib/raw');
const { Side, REQUESTS, RESPONSES, CLASSIC } = require('../lib/spy');
const { connect, ask, reasonOf, MODES } = require('../lib/clients');
const { until } = require('../lib/until');
const { CONFAB_ONLY } = require('../lib/suite');

const startCtl = (more = {}) => (o) => startFixture({ profile: 'ctl', ...o, ...more });
const pick = ({ confab, official }) => (REFERENCE ? official : confab);

let side;

const ALL = 'socket.io#/#';
const hex = (bytes) => bytes.toString('hex');
const packed = (value) => msgpack.encode(value);
const event = (data, nsp = '/') => ({ type: 2, data, nsp });
const opts = (rooms = [], except = [], flags = {}) => ({ rooms, except, flags });
const broadcast = (data, o = opts(), nsp = '/') => packed(['others', event(data, nsp), o]);

// Connected clients of the server, in these rooms.
async function clients(...roomsOfEach) {
  const all = [];
  for (const rooms of roomsOfEach) {
    const s = await connect(side.server.url, '/', MODES[1]);
    for (const target of rooms) await side.op({ op: 'socket', id: s.id, what: 'join', target });
    all.push(s);
  }
  return all;
}

// What each of them got until a last message, which comes after all others.
async function heard(...sockets) {
  await side.publish(ALL, broadcast(['last']));
  const got = [];
  for (const s of sockets) {
    await s.inbox.take('last');
    got.push(s.inbox.all.map((e) => [e.event, ...e.args]));
    s.inbox.clear();
  }
  return got;
}

const roomsOf = (s) => side.op({ op: 'socket', id: s.id, what: 'rooms' });
const isIn = (s, room) => until(async () => (await roomsOf(s)).includes(room), 2000, `it is in ${room}`);
const classic = (messages) => messages.filter(({ channel }) => CLASSIC.test(channel));
const published = async (o) => classic(await side.record(() => side.op(o)));
const publish = (channel, payload) => side.publish(channel, payload);
const request = (o, nsp = '/') => publish(`${REQUESTS}${nsp}#`, Buffer.isBuffer(o) ? o : JSON.stringify(o));
const answered = async (o, n = 1, nsp = '/') => classic(await side.answers(nsp, o, n)).map(({ channel, payload }) =>
  ({ channel, answer: payload[0] === 0x7b ? String(payload) : hex(payload) }));

async function uidOf(nsp = '/') {
  const [{ payload }] = await published({ op: 'emit', nsp, args: ['x'] });
  return msgpack.decode(payload)[0];
}

// ---- 129 -----------------------------------------------------------------------

// What MONITOR saw, one a line, as "subscribe CHANNEL".
function subscriptions(seen) {
  const found = [];
  for (const [, command, list] of seen.matchAll(/"(p?subscribe)" (.*)\r\n/gi)) {
    for (const [, name] of list.matchAll(/"([^"]*)"/g)) {
      found.push(`${command.toLowerCase()} ${name.replace(/(#\/\w*#)[\w-]{6}#$/, '$1<uid>#')}`);
    }
  }
  return found;
}

const START = '129 a namespace subscribes to a pattern and three channels, as the official server does';
for (const [title, prefix] of [[START, 'socket.io'], [`${START}: with another prefix`, 'app:1']]) {
  test(title, async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const monitor = new Connection(redis);
    const asking = new Connection(redis);
    t.after(destroyAll);
    monitor.write('MONITOR\r\n');
    await monitor.upTo('+OK\r\n');
    const set = { 'redis.prefix': prefix, ...(REFERENCE ? {} : { 'adapter.interest': 'false' }) };
    const server = await startFixture({ profile: 'ctl', redis, set });
    t.after(() => server.stop());
    const subscribers = async (nsp) => {
      asking.write(`PUBSUB NUMSUB ${prefix}-request#${nsp}#\r\n`);
      await asking.upTo(`#${nsp}#\r\n`);
      return String(await asking.upTo('\r\n'));
    };
    for (const nsp of ['/', '/custom', '/ctl']) {
      await until(async () => (await subscribers(nsp)) === ':1\r\n', 5000, `${nsp} counts one server`);
    }
    const expected = ['/', '/custom', '/ctl'].flatMap((nsp) => [
      `psubscribe ${prefix}#${nsp}#*`, `subscribe ${prefix}-request#${nsp}#`,
      `subscribe ${prefix}-response#${nsp}#`, `subscribe ${prefix}-response#${nsp}#<uid>#`]);
    // confab's nodes have one more, for presence
    if (!REFERENCE) expected.push(`subscribe ${prefix}-presence#`);
    const all = () => subscriptions(String(monitor.buffer));
    await until(() => all().length >= expected.length, 5000, () => `more than ${all()}`);
    assert.deepEqual(all().sort(), expected.sort());
  });
}

// ---- 130 to 148 ------------------------------------------------------------------

describe('one server on Redis:', () => {
  before(async () => {
    side = await Side.start('subject', startCtl());
  });
  afterEach(async () => {
    await side.op({ op: 'reset' });
  });
  after(() => side?.stop());

  test('130 a broadcast has the official bytes', async () => {
    const messages = [
      ['{"op":"emit","args":["hello",1,"2",{"a":[true,null]}]}',
        '83a47479706502a46461746194a568656c6c6f01a13281a16192c3c0a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380'],
      ['{"op":"emit","rooms":["room1"],"args":["x"]}',
        '83a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380'],
      ['{"op":"emit","rooms":["room1","room2"],"args":["x"]}',
        '83a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7392a5726f6f6d31a5726f6f6d32a665786365707490a5666c61677380'],
      ['{"op":"emit","except":["room1"],"args":["x"]}',
        '83a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7390a665786365707491a5726f6f6d31a5666c61677380'],
      [{ op: 'emit', args: ['bin', Buffer.from([1, 2, 3]), { n: Buffer.from([255, 254]) }, Buffer.from([7])] },
        '83a47479706502a46461746194a362696ec40301020381a16ec402fffec40107a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380'],
      ['{"op":"emit","flags":{"volatile":true},"args":["x"]}',
        '83a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677381a8766f6c6174696c65c3'],
    ];
    for (const [o, expected] of messages) {
      const [{ payload }, ...more] = await published(o);
      assert.deepEqual(more, []);
      assert.equal(hex(payload.subarray(0, 2)), '93a6');
      assert.match(String(payload.subarray(2, 8)), /^[\w-]{6}$/);
      assert.equal(hex(payload.subarray(8)), expected);
    }
  });

  test('131 one room has its channel; several, and all but some, are on the namespace\'s', async () => {
    for (const [o, channel] of [
      [{}, 'socket.io#/#'], [{ rooms: ['r1'] }, 'socket.io#/#r1#'], [{ rooms: ['a#b'] }, 'socket.io#/#a#b#'],
      [{ rooms: ['r1', 'r2'] }, 'socket.io#/#'], [{ except: ['r1'] }, 'socket.io#/#'],
      [{ rooms: ['r1'], except: ['r2'] }, 'socket.io#/#r1#'], [{ nsp: '/custom' }, 'socket.io#/custom#'],
      [{ nsp: '/custom', rooms: [7] }, 'socket.io#/custom#7#'],
    ]) {
      assert.deepEqual((await published({ op: 'emit', ...o, args: ['x'] })).map((m) => m.channel), [channel]);
    }
  });

  test('132 own messages and those of other namespaces are ignored; without one it is "/"', async () => {
    const uid = await uidOf();
    const [s] = await clients([]);
    await publish(ALL, packed([uid, event(['own']), opts()]));
    await publish(ALL, packed(['others', event(['other'], '/custom'), opts()]));
    await publish(ALL, packed(['others', { type: 2, data: ['none'] }, opts()]));
    assert.deepEqual(await heard(s), [[['none']]]);
  });

  test('133 what is for a room that nobody here is in is dropped, whatever it is', async () => {
    const [s] = await clients(['r1']);
    for (const bytes of ['', 'garbage', '{', '\xc1', '\x93']) await publish('socket.io#/#unknown#', Buffer.from(bytes, 'latin1'));
    await publish('socket.io#/#unknown#', broadcast(['for r1'], opts(['r1'])));
    assert.deepEqual(await heard(s), [[]]);
  });

  test('134 what official receivers tolerate is tolerated', async () => {
    const [s] = await clients(['r1']);
    const packet = (data) => `83a47479706502a464617461${data}a36e7370a12f`;
    const others = '93a66f7468657273';
    const empty = '83a5726f6f6d7390a665786365707490a5666c61677380';
    const forms = {
      'no flags': `${others}${packet('91a161')}82a5726f6f6d7390a665786365707490`,
      'flags nil': `${others}${packet('91a161')}83a5726f6f6d7390a665786365707490a5666c616773c0`,
      'except missing': `${others}${packet('91a161')}82a5726f6f6d7390a5666c61677380`,
      'rooms nil': `${others}${packet('91a161')}83a5726f6f6d73c0a665786365707490a5666c61677380`,
      'more keys': `${others}84a47479706502a464617461${'91a161'}a36e7370a12fa278780184${empty.slice(2)}a2797992c0c3`,
      'more elements': `94${others.slice(2)}${packet('91a161')}${empty}c3`,
      'wide forms': `dc0003d9066f7468657273df00000003da000474797065cc02db0000000464617461dd00000001d901${'61'}a36e7370a12f${empty}`,
      'a float as type': `${others}83a474797065ca40000000a464617461${'91a161'}a36e7370a12f${empty}`,
      'int64 as type': `${others}83a474797065d30000000000000002a464617461${'91a161'}a36e7370a12f${empty}`,
      'other order': `${others}83a36e7370a12fa46461746191a161a47479706502${'83a5666c61677380a665786365707490a5726f6f6d7390'}`,
    };
    for (const [name, bytes] of Object.entries(forms)) {
      await publish(ALL, Buffer.from(bytes, 'hex'));
      assert.deepEqual(await heard(s), [[['a']]], name);
    }
    await publish(ALL, broadcast(['float', 1], opts()));
    await publish(ALL, Buffer.from(`${others}${packet('92a161ca3fc00000')}${empty}`, 'hex'));
    assert.deepEqual(await heard(s), [[['float', 1], ['a', 1.5]]]);
  });

  test('134 on the channel of a room, a message to no room is for all, where the room is', async () => {
    const [s, t] = await clients(['r1'], []);
    await publish('socket.io#/#r1#', broadcast(['all']));
    await publish('socket.io#/#r2#', broadcast(['nobody']));
    await publish(ALL, broadcast(['r1 only'], opts(['r1'])));
    assert.deepEqual(await heard(s, t), [[['all'], ['r1 only']], [['all']]]);
  });

  test('136 an emitter makes sockets join, leave and go', async () => {
    const [s, t] = await clients(['r1'], []);
    await request({ type: 2, opts: { rooms: ['r1'], except: [] }, rooms: ['x', 'y'] });
    await isIn(s, 'y');
    assert.deepEqual(await roomsOf(s), [s.id, 'r1', 'x', 'y']);
    await request({ type: 3, opts: { rooms: [], except: [t.id] }, rooms: ['x'] });
    await request({ type: 2, opts: { rooms: [], except: [] }, rooms: ['z'] });
    await isIn(t, 'z');
    assert.deepEqual([await roomsOf(s), await roomsOf(t)], [[s.id, 'r1', 'y', 'z'], [t.id, 'z']]);
    await request({ type: 4, opts: { rooms: ['r1'], except: [] }, close: false });
    assert.equal(await reasonOf(s), 'io server disconnect');
    assert.deepEqual(await heard(t), [[]]);
    await request({ type: 4, opts: { rooms: [], except: [] }, close: true });
    assert.equal(await reasonOf(t), 'io server disconnect');
  });

  test('137 a server-side event of an emitter is handled, its own is not', async () => {
    const uid = await uidOf();
    side.ctl.inbox.clear();
    await request({ uid, type: 6, data: ['own', 1] });
    await request({ uid: 'emitter', type: 6, data: ['sse', 1, { a: '2' }] });
    assert.deepEqual(await side.ctl.inbox.take('server-side'), ['/', 'sse', [1, { a: '2' }]]);
    await request({ uid: 'emitter', type: 6, data: ['other', 1] }, '/custom');
    assert.deepEqual(await side.ctl.inbox.take('server-side'), ['/custom', 'other', [1]]);
    assert.deepEqual(side.ctl.inbox.all, []);
  });

  test('138 a question about sockets is answered without any', async () => {
    for (const nsp of ['/', '/custom']) {
      assert.deepEqual(await answered({ uid: 'other', requestId: 'abcdef', type: 5, opts: { rooms: [], except: [] } }, 1, nsp),
        [{ channel: `${RESPONSES}${nsp}#`, answer: '{"requestId":"abcdef","sockets":[]}' }]);
    }
  });

  const question = (rooms, requestId = 'abcdef') => packed({
    uid: 'other', requestId, type: 7, packet: event(['ask']), opts: opts(rooms, [], { timeout: 1000 }) });

  test('139 a broadcast that asks nobody is counted', async () => {
    await clients([]);
    assert.deepEqual(await answered(question(['empty'])),
      [{ channel: `${RESPONSES}/#`, answer: '{"type":8,"requestId":"abcdef","clientCount":0}' }]);
  });

  test('140 an acknowledgement without arguments is a map of two', async () => {
    const [s] = await clients([]);
    s.on('ask', (ack) => ack());
    assert.deepEqual((await answered(question([]), 2)).map((m) => m.answer),
      ['{"type":8,"requestId":"abcdef","clientCount":1}', '82a47479706509a9726571756573744964a6616263646566']);
  });

  test('142 requests and answers that make no sense are ignored', async () => {
    const [s] = await clients([]);
    const nonsense = ['', '{', '{"type":', 'null', '{}', '[]', '{"type":99,"uid":"other","requestId":"abcdef"}',
      '{"type":"1"}', '{"requestId":"abcdef"}', '\xc1', '\x93', '\xdf\xff\xff\xff\xff', '{"type":8,"requestId":7}'];
    for (const bytes of nonsense) {
      // an official server ends on these
      if (REFERENCE && bytes === 'null') continue;
      for (const channel of [`${REQUESTS}/#`, `${RESPONSES}/#`]) await publish(channel, Buffer.from(bytes, 'latin1'));
    }
    assert.deepEqual(await heard(s), [[]]);
    assert.deepEqual(await answered({ uid: 'other', requestId: 'abcdef', type: 1 }, 1, '/custom'),
      [{ channel: `${RESPONSES}/custom#`, answer: '{"requestId":"abcdef","rooms":[]}' }]);
    assert.equal(s.connected, true);
  });

  // the official server's connection to Redis does not survive it
  test('143 broadcasts that make no sense are ignored', CONFAB_ONLY, async () => {
    const [s] = await clients(['r1']);
    for (const bytes of ['', '{', 'null', '\xc1', '\x93', '\x90', '\x93\xc0\xc0\xc0', '\xdd\xff\xff\xff\xff', '\x91'.repeat(5000)]) {
      for (const channel of [ALL, 'socket.io#/#r1#']) await publish(channel, Buffer.from(bytes, 'latin1'));
    }
    assert.deepEqual(await heard(s), [[]]);
    assert.equal(s.connected, true);
  });

  test('144 times, undefined values and bytes arrive as clients know them', async () => {
    const [s] = await clients([]);
    const values = '94' + 'a174' + 'd7ff1d5353006553f100' + 'd40000' + 'c402dead';
    await publish(ALL, Buffer.from(
      `93a66f746865727383a47479706502a464617461${values}a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380`, 'hex'));
    assert.deepEqual(await heard(s), [[['t', '2023-11-14T22:13:20.123Z', null, Buffer.from('dead', 'hex')]]]);
  });

  test('146 join, leave and disconnect as servers of old ask for them', async () => {
    const [s] = await clients([]);
    const old = (more) => ({ requestId: 'abc', ...more });
    const done = [{ channel: `${RESPONSES}/#`, answer: '{"requestId":"abc"}' }];
    assert.deepEqual(await answered(old({ type: 2, sid: s.id, room: 'r' })), done);
    assert.deepEqual(await roomsOf(s), [s.id, 'r']);
    assert.deepEqual(await answered(old({ type: 3, sid: s.id, room: 'r' })), done);
    assert.deepEqual(await roomsOf(s), [s.id]);
    for (const type of [2, 3, 4]) {
      assert.deepEqual(await answered(old({ type, sid: 'abcdefghijABCDEFGH-_', room: 'r', close: false }), 0), []);
    }
    assert.deepEqual(await answered(old({ type: 4, sid: s.id, close: false })), done);
    assert.equal(await reasonOf(s), 'io server disconnect');
  });

  test('147 a room that is a number: the one of its digits, or another', async () => {
    const [number, text] = await clients([7], ['7']);
    await publish('socket.io#/#7#', broadcast(['number'], opts([7])));
    await publish('socket.io#/#7#', broadcast(['text'], opts(['7'])));
    const both = [['number'], ['text']];
    assert.deepEqual(await heard(number, text), pick({ confab: [both, both], official: [[['number']], [['text']]] }));
  });

  test('148 a packet with binary data is published as an event', async () => {
    const messages = await published({ op: 'emit', args: ['x', Buffer.from([1]), { a: [Buffer.from([2])] }] });
    const asked = await published({ op: 'emit', ack: true, args: ['x', Buffer.from([1])] });
    assert.equal(msgpack.decode(messages[0].payload)[1].type, 2);
    assert.equal(msgpack.decode(asked[0].payload).packet.type, 2);
  });
});

describe('with answers on the asking server\'s channel', () => {
  const set = { 'adapter.specific_responses': 'true' };

  before(async () => {
    side = await Side.start('specific', startCtl({ set }));
    side.specific = true;
  });
  after(() => side?.stop());

  test('141 questions are answered there, but for server-side events', async () => {
    const own = `${RESPONSES}/#other#`;
    const [s] = await clients([]);
    s.on('ask', (ack) => ack(1));
    side.ctl.on('server-side', (nsp, name, args, ack) => ack('answer'));
    const q = (type, more) => ({ uid: 'other', requestId: 'abcdef', type, ...more });
    const channels = async (o, n) => (await answered(o, n)).map((m) => m.channel);
    assert.deepEqual(await channels(q(0, { rooms: [] })), [own]);
    assert.deepEqual(await channels(q(1)), [own]);
    assert.deepEqual(await channels(q(5, { opts: { rooms: [], except: [] } })), [own]);
    assert.deepEqual(await channels(packed(q(7, { packet: event(['ask']), opts: opts() })), 2), [own, own]);
    assert.deepEqual(await channels(q(6, { data: ['sse'] })), [`${RESPONSES}/#`]);
  });
});

describe('when Redis goes', () => {
  let redis;

  before(async () => {
    side = await Side.start('bereft', startCtl());
    redis = side.redis;
  });
  after(() => side?.stop());

  test('135 own joins take effect at once, or when Redis brings them back', async () => {
    const [s] = await clients([]);
    await side.op({ op: 'socketsJoin', target: 'with' });
    assert.deepEqual(await roomsOf(s), [s.id, 'with']);
    redis.signal('SIGSTOP');
    const joined = ask(side.ctl, 'op', { op: 'socketsJoin', target: 'without' });
    await until(async () => (await ask(side.ctl, 'op', { op: 'of' })).value, 1000, 'a round trip');
    assert.deepEqual(await roomsOf(s), pick({ confab: [s.id, 'with', 'without'], official: [s.id, 'with'] }));
    redis.signal('SIGCONT');
    await joined;
    await isIn(s, 'without');
  });

  test('145 after a restart of Redis everything is subscribed again, once', async () => {
    const [s] = await clients(['r1']);
    const { port } = redis;
    await side.disconnect();
    await redis.stop();
    side.redis = await startRedis({ port });
    await side.reconnect();
    for (const nsp of ['/', '/custom']) {
      await until(async () => Object.values(await side.publisher.pubSubNumSub(`${REQUESTS}${nsp}#`))[0] === 2, 10000,
        `${nsp} counts both servers`);
    }
    await until(async () => {
      await publish('socket.io#/#r1#', broadcast(['again'], opts(['r1'])));
      return s.inbox.count('again');
    }, 10000, 'the room is heard');
    await heard(s);
    await publish('socket.io#/#r1#', broadcast(['once'], opts(['r1'])));
    await publish(ALL, broadcast(['once, too']));
    assert.deepEqual(await heard(s), [[['once'], ['once, too']]]);
    assert.equal((await answered({ uid: 'other', requestId: 'abcdef', type: 1 })).length, 1);
  });
});
