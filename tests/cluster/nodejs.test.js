'use strict';
// One cluster of confab and the official Node.js server with the official
// adapter, and the official emitter.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { createClient } = require('redis');
const { Emitter } = require('@socket.io/redis-emitter');
const { startFixture, startNodeJsPeer, startRedis } = require('../lib/servers');
const { join } = require('../lib/suite');
const { MODES, ask, reasonOf, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const servers = {};

before(async () => {
  servers.redis = await startRedis();
  servers.confab = await startFixture({ redis: servers.redis, name: 'confab' });
  servers.second = await startFixture({ redis: servers.redis, name: 'confab-2' });
  servers.nodejs = await startNodeJsPeer({ redis: servers.redis });
});

afterEach(closeAll);

after(async () => {
  for (const name of ['confab', 'second', 'nodejs', 'redis']) await servers[name]?.stop();
});

const VALUES = [
  'text é 日本 👩‍👩‍👧 "\\ \n \u0000', '', 0, -1, 1.5, -1e-7, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53) + 1,
  4294967295, 4294967296, true, false, null, [], {}, [[[]]], { a: [1, { b: null }], '': 'empty', é: 'é' },
  'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(255), 'x'.repeat(256), 'x'.repeat(70000),
  [...Array(20).keys()], Object.fromEntries([...Array(20).keys()].map((i) => [`key ${i}`, i])),
  [...Array(1000).keys()],
];
const DATA = [
  Buffer.from([0, 1, 255]), Buffer.alloc(0), { deep: [Buffer.from('é')], n: 1 }, Buffer.alloc(300, 7),
  Buffer.alloc(70000, 9),
];

// Three clients on each server; a is in r1, b in r1 and r2, c in neither. All
// see each other's messages before the test begins.
async function six(namespace, mode) {
  const s = {};
  for (const [letter, server] of [['A', 'confab'], ['B', 'second'], ['N', 'nodejs']]) {
    for (const name of 'abc') s[letter + name] = await join(servers[server], namespace, mode);
    await ask(s[`${letter}a`], 'join', 'r1');
    await ask(s[`${letter}b`], 'join', 'r1');
    await ask(s[`${letter}b`], 'join', 'r2');
  }
  const hello = async (from) => {
    const others = Object.values(s);
    for (const room of ['r1', 'r2', undefined]) {
      const members = others.filter((o) => !room || (room === 'r2' ? /b$/ : /[ab]$/).test(nameOf(s, o)));
      await until(async () => {
        for (const o of others) o.inbox.clear();
        await ask(from, 'broadcast', { event: 'hello', rooms: room ? [room] : [] });
        return until(() => members.every((o) => o.inbox.count('hello')), 200, 'hello').catch(() => false);
      }, 5000, `${room || 'all'} is heard`);
    }
  };
  for (const from of [s.Aa, s.Ba, s.Na]) await hello(from);
  await settle(s);
  for (const o of Object.values(s)) o.inbox.clear();
  return s;
}

const nameOf = (s, socket) => Object.keys(s).find((k) => s[k] === socket);

// Each server's messages come in order: after a last one from each, to all on
// the same channel as the others, nothing is on its way.
async function settle(s) {
  for (const letter of 'ABN') {
    for (const rooms of [[], ['r1'], ['r2']]) {
      await ask(s[`${letter}a`], 'broadcast', { event: `fence ${letter}${rooms}`, rooms });
    }
  }
  for (const [name, socket] of Object.entries(s)) {
    for (const letter of 'ABN') {
      await socket.inbox.take(`fence ${letter}`);
      if (/[ab]$/.test(name)) await socket.inbox.take(`fence ${letter}r1`);
      if (/b$/.test(name)) await socket.inbox.take(`fence ${letter}r2`);
    }
  }
}

const EVERYONE = ['Aa', 'Ab', 'Ac', 'Ba', 'Bb', 'Bc', 'Na', 'Nb', 'Nc'];
const CASES = (from) => [
  ['everyone', {}, EVERYONE],
  ['the others', { from: 'others' }, EVERYONE.filter((n) => n !== from)],
  ['a room', { rooms: ['r1'] }, EVERYONE.filter((n) => /[ab]$/.test(n))],
  ['the others in a room', { from: 'others', rooms: ['r1'] }, EVERYONE.filter((n) => /[ab]$/.test(n) && n !== from)],
  ['two rooms that overlap', { rooms: ['r1', 'r2'] }, EVERYONE.filter((n) => /[ab]$/.test(n))],
  ['everyone but a room', { except: ['r1'] }, EVERYONE.filter((n) => /c$/.test(n))],
  ['a room but another', { rooms: ['r1'], except: ['r2'] }, EVERYONE.filter((n) => /a$/.test(n))],
  ['everyone but two rooms', { except: ['r1', 'r2'] }, EVERYONE.filter((n) => /c$/.test(n))],
  ['a room that nobody is in', { rooms: ['empty'] }, []],
  ['only the sender\'s node', { local: true }, EVERYONE.filter((n) => n[0] === from[0])],
  ['volatile, a room', { rooms: ['r1'], volatile: true }, EVERYONE.filter((n) => /[ab]$/.test(n))],
  ['one socket, elsewhere', { rooms: ['@other'] }, null],
];

for (const namespace of ['/', '/custom']) {
  describe(`broadcasts in ${namespace}`, () => {
    for (const from of ['Aa', 'Na']) {
      const sender = from === 'Aa' ? 'confab' : 'Node.js';
      test(`from ${sender} reach whom they should, once`, async () => {
        const s = await six(namespace, MODES[1]);
        for (const [name, spec, expected] of CASES(from)) {
          for (const args of [['text', { n: 1 }], [Buffer.from([1, 2]), { deep: [Buffer.from([3])] }]]) {
            const other = from === 'Aa' ? 'Nc' : 'Bc';
            const rooms = spec.rooms?.map((r) => (r === '@other' ? s[other].id : r));
            await ask(s[from], 'broadcast', { ...spec, rooms, event: 'news' }, ...args);
            await settle(s);
            const got = [];
            for (const [n, socket] of Object.entries(s)) {
              for (const e of socket.inbox.all) {
                assert.deepEqual(e, { event: 'news', args }, name);
                got.push(n);
              }
              socket.inbox.clear();
            }
            assert.deepEqual(got.sort(), (expected || [other]).slice().sort(), name);
          }
        }
      });
    }
  });
}

for (const mode of MODES) {
  test(`values arrive equal in both directions, over ${mode.name}`, async () => {
    const s = await six('/', mode);
    for (const from of ['Aa', 'Na']) {
      for (const value of [...VALUES, ...DATA]) {
        await ask(s[from], 'broadcast', { rooms: ['r2'], event: 'value' }, value);
      }
      await ask(s[from], 'broadcast', { rooms: ['r2'], event: 'all' }, ...VALUES.slice(0, 8), DATA[0], DATA[2]);
      for (const to of ['Ab', 'Bb', 'Nb']) {
        const got = await s[to].inbox.takeAll('value', VALUES.length + DATA.length, 10000);
        for (const [i, value] of [...VALUES, ...DATA].entries()) {
          assert.deepEqual(got[i], [value], `${from} to ${to}, value ${i}`);
        }
        assert.deepEqual(await s[to].inbox.take('all'), [...VALUES.slice(0, 8), DATA[0], DATA[2]]);
      }
    }
  });
}

test('messages keep their order in both directions', async () => {
  const s = await six('/', MODES[1]);
  const N = 500;
  for (let i = 0; i < N; i++) {
    s.Aa.emit('broadcast', { rooms: ['r2'], event: 'fromA' }, i);
    s.Na.emit('broadcast', { rooms: ['r2'], event: 'fromN' }, i);
  }
  for (const to of ['Ab', 'Bb', 'Nb']) {
    for (const event of ['fromA', 'fromN']) {
      const got = await s[to].inbox.takeAll(event, N, 15000);
      assert.deepEqual(got.map(([i]) => i), [...Array(N).keys()], `${event} at ${to}`);
    }
  }
});

describe('the official emitter', () => {
  let redis;
  let emitter;
  before(async () => {
    redis = createClient({ url: servers.redis.url });
    await redis.connect();
    emitter = new Emitter(redis);
  });
  after(() => redis?.destroy?.() ?? redis?.quit());

  const cases = [
    ['everyone', (e) => e, EVERYONE],
    ['a room', (e) => e.to('r1'), EVERYONE.filter((n) => /[ab]$/.test(n))],
    ['two rooms', (e) => e.to('r1').to('r2'), EVERYONE.filter((n) => /[ab]$/.test(n))],
    ['two rooms in a list', (e) => e.in(['r1', 'r2']), EVERYONE.filter((n) => /[ab]$/.test(n))],
    ['all but a room', (e) => e.except('r1'), EVERYONE.filter((n) => /c$/.test(n))],
    ['a room but another', (e) => e.to('r1').except('r2'), EVERYONE.filter((n) => /a$/.test(n))],
    ['volatile', (e) => e.volatile.to('r2'), EVERYONE.filter((n) => /b$/.test(n))],
    ['uncompressed', (e) => e.compress(false).to('r2'), EVERYONE.filter((n) => /b$/.test(n))],
  ];
  for (const namespace of ['/', '/custom']) {
    test(`reaches clients in ${namespace}`, async () => {
      const s = await six(namespace, MODES[1]);
      const stranger = await join(servers.confab, namespace === '/' ? '/custom' : '/', MODES[1]);
      const target = namespace === '/' ? emitter : emitter.of(namespace);
      for (const [name, narrow, expected] of cases) {
        for (const args of [[1, 'é', { a: [null] }], [Buffer.from([1, 2]), { b: Buffer.from([3]) }]]) {
          narrow(target).emit('news', ...args);
          await until(() => expected.every((n) => s[n].inbox.count('news')), 5000,
            () => `${name}: ${expected.filter((n) => !s[n].inbox.count('news'))} get it`);
          await settle(s);
          const got = [];
          for (const [n, socket] of Object.entries(s)) {
            for (const e of socket.inbox.all) {
              assert.deepEqual(e, { event: 'news', args }, name);
              got.push(n);
            }
            socket.inbox.clear();
          }
          assert.deepEqual(got.sort(), expected, name);
        }
      }
      await ask(stranger, 'echo', 'fence');
      assert.deepEqual(stranger.inbox.all, []);
    });

    test(`moves and disconnects sockets of all servers in ${namespace}`, async () => {
      const s = await six(namespace, MODES[1]);
      const target = namespace === '/' ? emitter : emitter.of(namespace);
      const members = async (room, expected) => {
        let found;
        await until(async () => {
          found = [];
          for (const n of EVERYONE) if (await ask(s[n], 'in-room', room)) found.push(n);
          return found.join() === expected.join();
        }, 5000, () => `${expected} are in ${room}, not ${found}`);
      };
      target.in('r1').except('r2').socketsJoin(['moved', 'other']);
      await members('moved', EVERYONE.filter((n) => /a$/.test(n)));
      await members('other', EVERYONE.filter((n) => /a$/.test(n)));
      target.in(s.Ba.id).in(s.Na.id).socketsLeave('moved');
      await members('moved', ['Aa']);
      await members('other', EVERYONE.filter((n) => /a$/.test(n)));
      target.in('other').disconnectSockets();
      target.in([s.Bc.id, s.Nc.id]).disconnectSockets(true);
      const gone = EVERYONE.filter((n) => /a$|[BN]c$/.test(n));
      for (const n of gone) assert.equal(await reasonOf(s[n]), 'io server disconnect', n);
      for (const n of EVERYONE) assert.equal(s[n].connected, !gone.includes(n), n);
    });
  }
});

test('bytes on the channels that make no sense harm nobody', async () => {
  const redis = createClient({ url: servers.redis.url });
  await redis.connect();
  const s = [await join(servers.confab), await join(servers.second)];
  await ask(s[0], 'join', 'r1');
  const pack = (hex) => Buffer.from(hex, 'hex');
  const garbage = [
    Buffer.alloc(0), Buffer.from('{'), Buffer.from('{"type":'), Buffer.from('null'), Buffer.from('{"type":99}'),
    Buffer.from('{"type":2}'), Buffer.from('{"type":5,"opts":1}'), Buffer.from('[1,2,3]'),
    pack('c1'), pack('93'), pack('93a6'), pack('dd00ffffff'), pack('df7fffffff'), pack('dbffffffff41'),
    pack('9300'), pack('93c0c0c0'), pack('93a36162638080'), pack('93a361626380'),
    pack('93a361626383a47479706502a464617461c0a36e7370a12f80'),
    pack('91'.repeat(1000)), Buffer.alloc(100000, 0x91), Buffer.alloc(100000, 0xff),
    Buffer.from('{"type":7,"requestId":{"a":1}}'), Buffer.from(`{"requestId":${'['.repeat(5000)}`),
  ];
  for (const channel of ['socket.io-request#/#', 'socket.io-response#/#', 'socket.io#/#r1#', 'socket.io#/#']) {
    // the Node.js server's own connection does not survive this one
    if (channel === 'socket.io#/#') await servers.nodejs.kill9();
    for (const bytes of garbage) await redis.publish(channel, bytes);
  }
  await ask(s[0], 'broadcast', { event: 'after' }, 1);
  assert.deepEqual(await s[1].inbox.take('after'), [1]);
  assert.deepEqual(await s[0].inbox.take('after'), [1]);
  await redis.quit();
});
