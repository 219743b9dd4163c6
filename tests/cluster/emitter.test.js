'use strict';
// Publishing from outside: the emitter of the C API and confabctl, beside the
// official emitter and in a cluster of both kinds of servers.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { createClient } = require('redis');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-adapter');
const { Emitter } = require('@socket.io/redis-emitter');
const { Process, run, BUILD, OUTPUT, SLOW } = require('../lib/process');
const { startFixture, startRedis, freePort } = require('../lib/servers');
const { join } = require('../lib/suite');
const { MODES, connect, ask, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const CTL = path.join(BUILD, 'confabctl');
let redis;

before(async () => { redis = await startRedis(); });
after(async () => { await redis?.stop(); });
afterEach(closeAll);

const ctl = (args, options) => run(CTL, args, { env: { CONFAB_REDIS_URL: redis.url }, name: 'confabctl', ...options });

// With each of the lines, or this text, on its standard input.
let files = 0;
async function ctlLines(lines, { url = redis.url, ms } = {}) {
  files += 1;
  const file = path.join(OUTPUT, `${process.pid}-${files}.lines`);
  fs.mkdirSync(OUTPUT, { recursive: true });
  fs.writeFileSync(file, Array.isArray(lines) ? lines.map((l) => `${l}\n`).join('') : lines);
  return run('sh', ['-c', 'exec "$1" --redis "$2" emit --lines <"$3"', 'sh', CTL, url, file],
    { name: 'confabctl-lines', ms });
}

async function published(args) {
  const { code, output } = await ctl(args);
  assert.equal(code, 0, `${args}: ${output}`);
}

// Everything that is published, in order.
async function startSpy(t) {
  const client = createClient({ url: redis.url });
  await client.connect();
  const spy = { seen: [] };
  await client.pSubscribe('*', (payload, channel) => {
    spy.seen.push({ channel: channel.toString(), payload: payload.toString('hex') });
  }, true);
  const publisher = createClient({ url: redis.url });
  await publisher.connect();
  let fences = 0;
  // What came since the last call. All others have their answers from Redis.
  spy.take = async () => {
    fences += 1;
    await publisher.publish('fence', `${fences}`);
    await until(() => spy.seen.some((m) => m.channel === 'fence'), 5000, 'the fence');
    assert.equal(spy.seen.at(-1).channel, 'fence');
    return spy.seen.splice(0).slice(0, -1);
  };
  spy.publisher = publisher;
  spy.stop = async () => {
    await client.disconnect();
    await publisher.disconnect();
  };
  t?.after(spy.stop);
  return spy;
}

// ---- the same bytes ------------------------------------------------------------

const MAX = Number.MAX_SAFE_INTEGER;
const EVEN_ROOMS = [...Array(64).keys()].map((i) => (i % 2 ? i : `room ${i}`));
const J = JSON.stringify;

// The name, the official call, and confabctl's, where it has one. The C API's is
// in tests/fixture/emitter.c under the same name.
const CALLS = [
  ['all', (e) => e.emit('hello', 1), ['emit', 'hello', '1']],
  ['nothing', (e) => e.emit('x'), ['emit', 'x']],
  ['room', (e) => e.to('room1').emit('x'), ['emit', '--to', 'room1', 'x']],
  ['two rooms', (e) => e.to(['room1', 'room2']).emit('x'), ['emit', '--to', 'room1', '--to=room2', 'x']],
  ['same room twice', (e) => e.in('room1').to('room1').emit('x'), ['emit', '--to', 'room1', '--to', 'room1', 'x']],
  ['everything at once', (e) => e.to('a').to('b').except('c').volatile.compress(false).emit('x', 'y'),
    ['emit', '--no-compress', '--volatile', '--to', 'a', '--except', 'c', '--to', 'b', '--text', 'x', 'y']],
  ['except', (e) => e.except('c').emit('x'), ['emit', '--except', 'c', 'x']],
  ['except two', (e) => e.except(['c', 'd']).in('a').emit('x'),
    ['emit', '--except', 'c', '--except', 'd', '--to', 'a', 'x']],
  ['volatile', (e) => e.volatile.emit('x', 1), ['emit', '--volatile', 'x', '1']],
  ['compress', (e) => e.compress(true).emit('x'), null],
  ['no compress', (e) => e.compress(false).emit('x'), ['emit', '--no-compress', 'x']],
  ['namespace', (e) => e.of('chat').emit('x'), ['emit', '-n', 'chat', 'x']],
  ['namespace with slash', (e) => e.of('/chat').to('r').emit('x'), ['emit', '--namespace', '/chat', '--to', 'r', 'x']],
  ['empty namespace', (e) => e.of('').emit('x'), ['emit', '-n', '', 'x']],
  ['odd namespace', (e) => e.of('é #*[').emit('x'), ['emit', '-n', 'é #*[', 'x']],
  ['number room', (e) => e.to(7).emit('x'), ['emit', '--numbers', '--to', '7', 'x']],
  ['digit room', (e) => e.to('7').emit('x'), ['emit', '--to', '7', 'x']],
  ['both sevens', (e) => e.to(7).to(['7', 7]).emit('x'), null],
  ['negative room', (e) => e.to(-129).emit('x'), ['emit', '--numbers', '--to', '-129', 'x']],
  ['largest room', (e) => e.to([MAX, -MAX]).emit('x'), ['emit', '--numbers', '--to', `${MAX}`, '--to', `-${MAX}`, 'x']],
  ['except number', (e) => e.to('a').except([300, 'b']).emit('x'), null],
  ['odd room', (e) => e.to('a#b é"\\ *').emit('x'), ['emit', '--to', 'a#b é"\\ *', 'x']],
  ['empty room', (e) => e.to('').emit('x'), ['emit', '--to', '', 'x']],
  ['room with nul', (e) => e.to('a\0b').emit('x'), null],
  ['many rooms', (e) => e.to(EVEN_ROOMS).emit('x'), null],
  ['numbers', (e) => e.emit('v', -1, -33, 2 ** 31, MAX, 1.5, -1e-7, 3, 128, 65536),
    ['emit', 'v', '-1', '-33', '2147483648', `${MAX}`, '1.5', '-1e-7', '3.0', '128', '6.5536e4']],
  ['strings', (e) => e.emit('v', '', 'é 日本 👩‍👩‍👧 "\\ \n\t\x01', 'a\0b'),
    ['emit', 'v', '""', J('é 日本 👩‍👩‍👧 "\\ \n\t\x01'), '"a\\u0000b"']],
  ['constants', (e) => e.emit('v', true, false, null), ['emit', 'v', 'true', 'false', 'null']],
  ['structure', (e) => e.emit('v', { a: [1, { b: null }], é: {} }, [[[]]]),
    ['emit', 'v', '{"a": [1, {"b": null}], "\\u00e9": {}}', ' [[[ ]]] ']],
  ['json', (e) => e.emit('v', { a: [1, 2, { b: 'c' }] }, 1000), ['emit', 'v', '{"a":[1,2,{"b":"c"}]}', '1e3']],
  ['long string', (e) => e.emit('v', 'x'.repeat(70000)), ['emit', '--text', 'v', 'x'.repeat(70000)]],
  ['long array', (e) => e.emit('v', [...Array(1000).keys()]), ['emit', 'v', J([...Array(1000).keys()])]],
  ['binary', (e) => e.to('r').emit('v', Buffer.from([0, 1, 255]), { deep: [Buffer.from('é')], n: 1 }, Buffer.alloc(0)), null],
  ['odd event', (e) => e.emit('chat "message" é'), ['emit', 'chat "message" é']],
  ['empty event', (e) => e.emit('', 1), ['emit', '', '1']],
  ['join one', (e) => e.socketsJoin('r9'), ['join', 'r9']],
  ['join odd', (e) => e.in('é"\\\n').except(8).socketsJoin([7, '7', -1, 'é"\\']), null],
  ['join none', (e) => e.socketsJoin([]), null],
  ['join in namespace', (e) => e.of('chat').socketsJoin('r9'), ['join', '-n', 'chat', 'r9']],
  ['leave two', (e) => e.in('room1').except('x').socketsLeave(['r9', 'r8']),
    ['leave', '--to', 'room1', '--except', 'x', 'r9', 'r8']],
  ['disconnect one room', (e) => e.in('nobody').disconnectSockets(), ['disconnect', '--to', 'nobody']],
  ['disconnect and close', (e) => e.disconnectSockets(true), ['disconnect', '--close']],
  ['server emit', (e) => e.serverSideEmit('sse', 1, '2'), ['server-emit', 'sse', '1', '"2"']],
  ['server emit nothing', (e) => e.of('chat').serverSideEmit('sse "é"'), ['server-emit', '-n', 'chat', 'sse "é"']],
  ['server emit binary', (e) => e.serverSideEmit('sse', Buffer.from([1, 2, 255]), { a: [Buffer.alloc(0)] }, 'end'), null],
];
const REFUSED = [
  ['reserved', /keeps for itself/], ["servers' own", /servers keep for themselves/], ['server rooms', /some rooms/],
  ['format', /format/], ['json', /format/], ['room that is none', /neither a string nor/], ['rooms to join', /more than 64 rooms/],
  ['room not utf8', /UTF-8/], ['room too large', /too large/],
  ['rooms', /more than 64 rooms/], ['binaries', /ten binaries/], ['values', /65,536 values/],
];

describe('what is published is, to the byte, what the official emitter publishes', () => {
  let spy;
  let official;
  before(async () => {
    spy = await startSpy();
    const emitter = new Emitter(spy.publisher);
    for (const [, call] of CALLS) call(emitter);
    official = await spy.take();
    assert.equal(official.length, CALLS.length);
    assert.ok(official.length >= 40);
  });
  after(() => spy?.stop());

  test('by the C API', async () => {
    const { code, output } = await run(path.join(BUILD, 'tests/fixture'),
      ['--profile', 'emitter', '--redis', redis.url], { name: 'emitter' });
    assert.equal(code, 0, output);
    const results = output.trim().split('\n').map((line) => /^(.*?): (.*)$/.exec(line).slice(1));
    const mine = await spy.take();
    for (const [i, [name]] of CALLS.entries()) {
      assert.deepEqual(results[i], [name, 'published']);
      assert.deepEqual(mine[i], official[i], name);
    }
    for (const [i, [name, pattern]] of REFUSED.entries()) {
      const [said, why] = results[CALLS.length + i];
      assert.equal(said, `refuse ${name}`);
      assert.match(why, pattern);
    }
    assert.equal(results.length, CALLS.length + REFUSED.length);
    assert.equal(mine.length, CALLS.length, 'and nothing else');
  });

  test('by confabctl with arguments', async () => {
    let n = 0;
    for (const [i, [name, , args]] of CALLS.entries()) {
      if (!args) continue;
      await published(args);
      assert.deepEqual(await spy.take(), [official[i]], name);
      n += 1;
    }
    assert.ok(n >= 30, `${n} calls`);
  });

  test('by confabctl with lines', async () => {
    const lines = [
      { event: 'hello', args: [1] }, { event: 'x' }, { event: 'x', to: 'room1' }, { event: 'x', to: ['room1', 'room2'] },
      { event: 'x', to: ['room1', 'room1'], args: [] },
      { event: 'x', args: ['y'], to: ['a', 'b'], except: ['c'], volatile: true, compress: false },
      { event: 'x', except: 'c' }, { event: 'x', except: ['c', 'd'], to: 'a' }, { event: 'x', args: [1], volatile: true },
      { event: 'x', compress: true, volatile: false }, { event: 'x', compress: false },
      { event: 'x', namespace: 'chat' }, { event: 'x', namespace: '/chat', to: 'r' }, { event: 'x', namespace: '' },
      { event: 'x', namespace: 'é #*[' }, { event: 'x', to: 7 }, { event: 'x', to: '7' }, { event: 'x', to: [7, '7', 7] },
      { event: 'x', to: -129 }, { event: 'x', to: [MAX, -MAX] }, { event: 'x', to: 'a', except: [300, 'b'] },
      { event: 'x', to: 'a#b é"\\ *' }, { event: 'x', to: '' }, { event: 'x', to: 'a\0b' }, { event: 'x', to: EVEN_ROOMS },
      { event: 'v', args: [-1, -33, 2 ** 31, MAX, 1.5, -1e-7, 3, 128, 65536] },
      { event: 'v', args: ['', 'é 日本 👩‍👩‍👧 "\\ \n\t\x01', 'a\0b'] }, { event: 'v', args: [true, false, null] },
      { event: 'v', args: [{ a: [1, { b: null }], é: {} }, [[[]]]] }, { event: 'v', args: [{ a: [1, 2, { b: 'c' }] }, 1000] },
      { event: 'v', args: ['x'.repeat(70000)] }, { event: 'v', args: [[...Array(1000).keys()]] },
      null, { event: 'chat "message" é' }, { event: '', args: [1] },
    ];
    const sent = lines.map((line, i) => [line, i]).filter(([line]) => line);
    const { code, output } = await ctlLines(sent.map(([line]) => J(line)));
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`published ${sent.length}, received ${sent.length} times, bad lines: 0`));
    const mine = await spy.take();
    assert.equal(mine.length, sent.length);
    for (const [n, [, i]] of sent.entries()) assert.deepEqual(mine[n], official[i], CALLS[i][0]);
  });

  test('with another prefix', async () => {
    const other = new Emitter(spy.publisher, { key: 'other' });
    other.to('r').emit('x');
    other.socketsJoin('r');
    const [event, request] = await spy.take();
    await published(['--prefix', 'other', 'emit', '--to', 'r', 'x']);
    await published(['join', '--prefix', 'other', 'r']);
    assert.deepEqual(await spy.take(), [event, request]);
  });
});

// ---- in a cluster --------------------------------------------------------------

describe('servers and their clients receive', () => {
  let confab;
  let nodejs;

  async function startOfficial() {
    const [pub, sub] = [createClient({ url: redis.url }), createClient({ url: redis.url })];
    await Promise.all([pub.connect(), sub.connect()]);
    const server = http.createServer();
    const io = new Server(server, { adapter: createAdapter(pub, sub) });
    const told = [];
    for (const nsp of ['/', '/custom']) {
      io.of(nsp).on('sse', (...args) => told.push([nsp, ...args]));
      io.of(nsp).on('connection', (socket) => {
        socket.emit('auth', {});
        socket.on('join', (room, ack) => { socket.join(room); ack(0); });
        socket.on('rooms', (ack) => ack([...socket.rooms]));
      });
    }
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    return {
      url: `http://127.0.0.1:${server.address().port}`,
      told,
      stop: async () => {
        await io.close();
        await pub.quit();
        await sub.quit();
      },
    };
  }

  before(async () => {
    confab = await startFixture({ redis, name: 'confab' });
    nodejs = await startOfficial();
  });
  after(async () => {
    await confab?.stop();
    await nodejs?.stop();
  });

  // One client in the room and one outside, on each kind of server.
  async function four(namespace = '/') {
    const s = {};
    for (const [letter, server] of [['A', confab], ['N', nodejs]]) {
      s[`${letter}in`] = await join(server, namespace, MODES[1]);
      s[`${letter}out`] = await join(server, namespace, MODES[1]);
      await ask(s[`${letter}in`], 'join', 'r1');
    }
    // Both servers listen by now, or will soon.
    for (const to of [[], ['--to', 'r1']]) {
      await until(async () => {
        await published(['emit', '-n', namespace, ...to, 'hello']);
        return until(() => ['Ain', 'Nin'].every((n) => s[n].inbox.count('hello')), 300, 'hello').catch(() => false);
      }, 5000, 'both servers listen');
    }
    await fence(s, namespace);
    for (const o of Object.values(s)) o.inbox.clear();
    return s;
  }

  async function fence(s, namespace) {
    await published(['emit', '-n', namespace, 'fence']);
    await published(['emit', '-n', namespace, '--to', 'r1', 'fence r1']);
    for (const [name, o] of Object.entries(s)) {
      await o.inbox.take('fence');
      if (/in$/.test(name)) await o.inbox.take('fence r1');
    }
  }

  for (const namespace of ['/', '/custom']) {
    test(`events in ${namespace}`, async () => {
      const s = await four(namespace);
      const cases = [
        [[], ['Ain', 'Aout', 'Nin', 'Nout']],
        [['--to', 'r1'], ['Ain', 'Nin']],
        [['--except', 'r1'], ['Aout', 'Nout']],
        [['--to', 'r1', '--to', 'r2', '--volatile', '--no-compress'], ['Ain', 'Nin']],
        [['--to', s.Ain.id], ['Ain']],
        [['--to', s.Nout.id], ['Nout']],
        [['--to', 'r1', '--except', s.Nin.id], ['Ain']],
      ];
      for (const [narrow, expected] of cases) {
        await published(['emit', '-n', namespace, ...narrow, 'news', '{"a":[1,null]}', '"é"', '-1.5']);
        await fence(s, namespace);
        const got = Object.keys(s).filter((n) => s[n].inbox.count('news'));
        assert.deepEqual(got.sort(), expected, `${narrow}`);
        for (const name of got) {
          assert.deepEqual(s[name].inbox.all, [{ event: 'news', args: [{ a: [1, null] }, 'é', -1.5] }]);
          s[name].inbox.clear();
        }
      }
    });
  }

  test('join, leave and disconnect', async () => {
    const s = await four();
    const inside = [s.Ain, s.Nin];
    const outside = [s.Aout, s.Nout];
    // To confab all rooms are text.
    const become = (sockets, expected) => Promise.all(sockets.map((o) => until(async () => {
      const rooms = (await ask(o, 'rooms')).slice(1);
      return J(rooms.map(String)) === J(expected);
    }, 5000, `${o === s.Ain || o === s.Aout ? 'confab' : 'nodejs'} has ${expected}`)));
    await published(['join', '--to', 'r1', 'x', 'y']);
    await become(inside, ['r1', 'x', 'y']);
    await published(['join', '--numbers', '7']);
    await become(outside, ['7']);
    await published(['leave', '--except', 'none', 'r1', 'x']);
    await become(inside, ['y', '7']);
    await published(['leave', '--numbers', '--to', '7', '7']);
    await become(inside, ['y']);
    await become(outside, []);
    await published(['disconnect', '--to', 'y']);
    for (const o of inside) assert.equal((await o.gone).reason, 'io server disconnect');
    for (const o of outside) assert.ok(o.connected);
    await published(['disconnect', '--close']);
    for (const o of outside) assert.match((await o.gone).reason, /io server disconnect|transport close/);
  });

  test('what is for the servers themselves', async () => {
    await four();
    await published(['server-emit', 'sse', '1', '{"a":2}']);
    await published(['server-emit', '-n', 'custom', '--text', 'sse', '1']);
    await until(() => nodejs.told.length === 2, 5000, 'the server is told');
    assert.deepEqual(nodejs.told, [['/', 1, { a: 2 }], ['/custom', '1']]);
  });

  test('100,000 lines, all of them and in order', async () => {
    const N = 100000;
    const s = await four();
    const got = { Ain: 0, Nin: 0 };
    const wrong = [];
    for (const name of Object.keys(got)) {
      s[name].offAny();
      s[name].on('n', (n) => {
        if (n !== got[name]) wrong.push([name, n, got[name]]);
        got[name] += 1;
      });
    }
    const began = Date.now();
    const { code, output } = await ctlLines([...Array(N).keys()].map((n) => J({ event: 'n', args: [n], to: 'r1' })), { ms: 60000 });
    const took = Date.now() - began;
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`published ${N}, received ${2 * N} times, bad lines: 0`));
    await until(() => got.Ain === N && got.Nin === N, 60000, () => `all arrive: ${J(got)}`);
    assert.deepEqual(wrong.slice(0, 3), []);
    console.log(`# ${N} lines published in ${took} ms`);
  });
});

// ---- confabctl -----------------------------------------------------------------

describe('confabctl', () => {
  const wrong = {
    'no command': [[], /no command/],
    'an unknown command': [['publish'], /no command publish/],
    'an unknown option': [['emit', '--rooms', 'x'], /--rooms/],
    'an option without its value': [['emit', '--to'], /--to/],
    'an option of another command': [['join', '--volatile', 'x'], /join does not take --volatile/],
    'options of emit with lines': [['emit', '--lines', '--to', 'x'], /--lines does not take --to/],
    'an event with lines': [['emit', '--lines', 'x'], /no more arguments/],
    'no event': [['emit'], /an event's name/],
    'no room': [['leave', '--to', 'x'], /rooms/],
    'an argument too many': [['disconnect', 'x'], /no more arguments/],
    'an argument that is no JSON': [['emit', 'x', '1', 'hello'], /argument 2 is no JSON: hello[^]*--text/],
    'two values in one argument': [['emit', 'x', '1,2'], /argument 1 is no JSON/],
    'a room that is no number': [['emit', '--numbers', '--to', '7a', 'x'], /no number: 7a/],
    'a room beyond all numbers': [['join', '--numbers', '99999999999999999999'], /no number/],
    'a number that JavaScript does not have': [['join', '--numbers', '9007199254740993'], /too large for JavaScript/],
    'too many rooms': [['join', ...Array(65).fill('x')], /64 rooms/],
    'too many selected rooms': [['emit', ...Array(65).fill('--to=x'), 'x'], /64 rooms/],
    'a reserved name': [['emit', 'disconnect'], /keeps for itself/],
    'a name of the servers': [['server-emit', 'connection'], /keep for themselves/],
    'a URL that is none': [['emit', '--redis', 'localhost', 'x'], /must start with redis:/],
    'a URL of something else': [['--redis', 'rediss://localhost', 'emit', 'x'], /TLS/],
    'settings that a node would refuse': [['--prefix', '', 'emit', 'x'], /redis\.prefix/],
    'a file that is not there': [['-c', '/nonexistent.yaml', 'emit', 'x'], /nonexistent/],
  };
  for (const [name, [args, pattern]] of Object.entries(wrong)) {
    test(`refuses ${name}: exit 2`, async () => {
      const { code, output } = await ctl(args);
      assert.match(output, pattern);
      assert.equal(code, 2, output);
      assert.ok(output.trim().split('\n').length <= 3, output);
    });
  }

  test('asks for a Redis when none is named', async () => {
    const { code, output } = await run(CTL, ['emit', 'x']);
    assert.equal(code, 2);
    assert.match(output, /--redis.*CONFAB_REDIS_URL/);
  });

  test('prints its help and version', async () => {
    const help = await run(CTL, ['--help']);
    assert.equal(help.code, 0);
    for (const word of ['emit', 'join', 'leave', 'disconnect', 'server-emit', '--lines', 'CONFAB_REDIS_URL']) {
      assert.ok(help.output.includes(word), word);
    }
    const version = await run(CTL, ['emit', '--version']);
    assert.equal(version.code, 0);
    assert.match(version.output, /^confabctl \d+\.\d+\.\d+\n$/);
  });

  test('finds Redis in the file, the environment and the arguments, later ones win', async (t) => {
    const spy = await startSpy(t);
    const file = path.join(OUTPUT, `${process.pid}-ctl.yaml`);
    fs.writeFileSync(file, `redis:\n  url: ${redis.url}\n  prefix: from-file\nengine:\n  path: /x/\n`);
    const channelOf = async (args, env = {}) => {
      const { code, output } = await run(CTL, args, { env });
      assert.equal(code, 0, output);
      assert.match(output, /published, received 1 times/);
      return (await spy.take())[0].channel;
    };
    assert.equal(await channelOf(['-c', file, 'emit', 'x']), 'from-file#/#');
    const env = { CONFAB_REDIS_PREFIX: 'from-env' };
    assert.equal(await channelOf(['-c', file, 'emit', 'x'], env), 'from-env#/#');
    assert.equal(await channelOf(['-c', file, '--prefix', 'from-args', 'emit', 'x'], env), 'from-args#/#');
    const bad = { CONFAB_REDIS_URL: 'redis://127.0.0.1:1' };
    assert.equal(await channelOf(['--redis', redis.url, 'emit', 'x'], bad), 'socket.io#/#');
  });

  test('reports bad lines with their numbers and publishes the others', async (t) => {
    const spy = await startSpy(t);
    const bad = {
      'not json': /no JSON, from byte 1/,
      '{"event":"x"': /no JSON/,
      '{"event":"x"} 1': /no JSON/,
      '["x"]': /no object/,
      '{}': /no event/,
      '{"args":[1]}': /no event/,
      '{"event":1}': /event is no string/,
      '{"event":"a\\u0000b"}': /NUL/,
      '{"event":"x","args":{}}': /args is no array/,
      '{"event":"x","to":[1.5]}': /to names a room/,
      '{"event":"x","to":[["a"]]}': /to names a room/,
      '{"event":"x","except":null}': /except names a room/,
      '{"event":"x","to":9007199254740993}': /too large for JavaScript/,
      '{"event":"x","volatile":1}': /volatile is neither/,
      '{"event":"x","compress":"no"}': /compress is neither/,
      '{"event":"x","namespace":7}': /namespace is no string/,
      '{"event":"x","room":"a"}': /unknown key "room"; there are event, /,
      '{"event":"x","event":"y"}': /event comes twice/,
      '{"event":"connect"}': /keeps for itself/,
    };
    bad[`{"event":"x","to":${J([...Array(65).keys()])}}`] = /to names more than 64 rooms/;
    bad[`{"event":"x","args":${'['.repeat(100)}${']'.repeat(100)}}`] = /no JSON/;
    bad[`{"event":"x","args":[${'1,'.repeat(65536)}1]}`] = /65,536 values/;
    bad[`"${'x'.repeat(16 * 1024 * 1024)}"`] = /longer than 16 MiB/;
    bad['{"event":"\xff"}'] = /no JSON/;
    const text = Object.keys(bad).flatMap((line, i) => [J({ event: 'good', args: [i] }), line, '', ' \t']);
    text.push(J({ event: 'last' }));
    // the last line has no end
    const { code, output } = await ctlLines(Buffer.from(text.join('\n'), 'latin1'));
    assert.equal(code, 1);
    for (const [i, pattern] of Object.values(bad).entries()) {
      const said = new RegExp(`^confabctl: line ${4 * i + 2}: (.*)$`, 'm').exec(output);
      assert.ok(said, `line ${4 * i + 2}, ${pattern}: ${output.slice(0, 5000)}`);
      assert.match(said[1], pattern);
    }
    const n = Object.keys(bad).length;
    assert.match(output, new RegExp(`published ${n + 1}, received ${n + 1} times, bad lines: ${n}`));
    assert.equal((await spy.take()).length, n + 1);
  });

  test('does not flood the terminal with bad lines', async () => {
    const { code, output } = await ctlLines(Array(5000).fill('x'));
    assert.equal(code, 1);
    assert.ok(output.split('\n').length < 110);
    assert.match(output, /bad lines: 5000/);
  });

  test('publishes what it has while it waits for more', async (t) => {
    const spy = await startSpy(t);
    const fifo = path.join(OUTPUT, `${process.pid}.fifo`);
    fs.rmSync(fifo, { force: true });
    await run('mkfifo', [fifo]);
    const p = new Process('follow', 'sh', ['-c', 'exec "$1" --redis "$2" emit --lines <"$3"', 'sh', CTL, redis.url, fifo]);
    const out = fs.openSync(fifo, 'w');
    try {
      for (const [i, event] of ['one', 'two', 'three'].entries()) {
        // and the beginning of the next line
        fs.writeSync(out, `${i ? '' : '{'}"event":"${event}"}\n{`);
        await until(() => spy.seen.length === i + 1, 5000, `${event} is published`);
      }
      fs.writeSync(out, '"event":"four"}');
    } finally {
      fs.closeSync(out);
    }
    assert.equal((await p.exits(5000)).code, 0, p.output());
    assert.match(p.output(), /published 4, received 4 times/);
  });
});

describe('without a Redis that answers, confabctl exits with 1 and says so', () => {
  const bounded = async (args, pattern) => {
    const began = Date.now();
    const { code, output } = await run(CTL, args, { ms: 20000 });
    assert.equal(code, 1, output);
    assert.match(output, pattern);
    assert.ok(Date.now() - began < 8000 * SLOW, 'in time');
  };

  test('nobody listens there', async () => {
    const port = await freePort();
    await bounded(['--redis', `redis://127.0.0.1:${port}`, 'emit', 'x'],
      new RegExp(`cannot connect to Redis at 127.0.0.1:${port}: Connection refused`));
    const { code, output } = await ctlLines(['{"event":"x"}', '{"event":"y"}'], { url: `redis://127.0.0.1:${port}` });
    assert.equal(code, 1);
    assert.match(output, /stopped at line 1: cannot connect/);
  });

  test('the host does not exist', () => bounded(['--redis', 'redis://no.such.host.invalid', 'emit', 'x'],
    /cannot connect to Redis at no\.such\.host\.invalid:6379/));

  test('something else answers', async () => {
    const other = net.createServer((c) => {
      c.on('error', () => {});
      c.once('data', () => c.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    await new Promise((resolve) => { other.listen(0, '127.0.0.1', resolve); });
    await bounded(['--redis', `redis://127.0.0.1:${other.address().port}`, 'emit', 'x'],
      /lost the connection to Redis at 127\.0\.0\.1:\d+: Protocol error/);
    await bounded(['--redis', `redis://a:b@127.0.0.1:${other.address().port}`, 'emit', 'x'], /Protocol error/);
    other.close();
  });

  test('it accepts and is silent', async () => {
    const mute = await startRedis();
    mute.signal('SIGSTOP');
    try {
      await bounded(['--redis', mute.url, 'emit', 'x'], /does not answer within 5000 ms/);
    } finally {
      mute.signal('SIGCONT');
      await mute.stop();
    }
  });

  test('the password is wrong, and is not repeated', async () => {
    await bounded(['--redis', `redis://:hunter2@127.0.0.1:${redis.port}`, 'emit', 'x'], /refuses AUTH: (?!.*hunter2)/);
    await bounded(['--redis', `${redis.url}/9999`, 'emit', 'x'], /refuses SELECT/);
  });

  test('it goes in the middle', async () => {
    const other = await startRedis();
    const lines = Array(400000).fill('{"event":"x"}');
    const done = ctlLines(lines, { url: other.url, ms: 60000 });
    const client = createClient({ url: other.url });
    client.on('error', () => {});
    await client.connect();
    let n = 0;
    await client.subscribe('socket.io#/#', () => { n += 1; });
    await until(() => n > 1000, 20000, 'it publishes');
    await other.kill9();
    const { code, output } = await done;
    await client.disconnect();
    assert.equal(code, 1, output);
    assert.match(output, /stopped at line \d+: (lost the connection to|cannot connect to) Redis/);
  });
});
