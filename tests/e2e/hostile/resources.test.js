'use strict';
// Clients that want more than their share, and what a process has few of. The
// numbers are those of README.md.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { REFERENCE, BUILD, startFixture, startRedis, ready } = require('../../lib/servers');
const { Process, OUTPUT } = require('../../lib/process');
const { join, CONFAB_ONLY } = require('../../lib/suite');
const { PollingSession, WebSocketSession } = require('../../lib/session');
const { Connection, WebSocketConnection, request, requestText, get, frame, destroyAll } = require('../../lib/raw');
const { ask, closeAll } = require('../../lib/clients');
const { until, sleep, SLOW } = require('../../lib/until');
const { P, W, attacked, isIdle, leavesNothing } = require('../../lib/hostile');

const server = attacked({
  'limits.slow_consumer_ms': 500 * SLOW, 'limits.output_queue_bytes': 200000,
  // sessions that are left behind go soon
  'engine.ping_interval_ms': 3000 * SLOW, 'engine.ping_timeout_ms': 3000 * SLOW,
});

describe('readers that are too slow', () => {
  test('attack 37: a client that asks and does not read: closed', CONFAB_ONLY, async () => {
    await server.bounded(40, async () => {
      await ask(server.bystander, 'observe');
      const s = await WebSocketSession.open(server);
      const { sid } = JSON.parse((await s.connect()).slice(2));
      const gone = new Promise((resolve) => {
        server.bystander.on('gone', (g) => { if (g.id === sid) resolve(g.reason); });
      });
      await s.message();
      s.ws.socket.pause();
      const text = 'x'.repeat(50000);
      let over = false;
      gone.then(() => { over = true; });
      for (let i = 0; i < 2000 && !over; i++) {
        s.ws.socket.write(frame(1, `42["message",${i},"${text}"]`), () => {});
        await sleep(1);
      }
      const reason = await gone;
      assert.equal(typeof reason, 'string');
    });
  });

  test('attack 37: a reader that stops: closed, and does not hold the room up', CONFAB_ONLY, async () => {
    await server.bounded(40, async () => {
      await ask(server.bystander, 'observe');
      const stopped = await WebSocketSession.open(server);
      const { sid } = JSON.parse((await stopped.connect()).slice(2));
      await stopped.message();
      await stopped.send('421["join","stopped"]');
      await stopped.message();
      let reason;
      server.bystander.on('gone', (g) => { if (g.id === sid) reason = g.reason; });
      const other = await join(server);
      other.offAny();
      await ask(other, 'join', 'stopped');
      let got = 0;
      other.on('flood', () => { got += 1; });
      stopped.ws.socket.pause();
      const text = 'x'.repeat(10000);
      let sent = 0;
      const begin = Date.now();
      while (!reason && Date.now() - begin < 30000) {
        await ask(server.bystander, 'broadcast', { rooms: ['stopped'], event: 'flood', times: 20 }, text);
        sent += 20;
      }
      assert.ok(reason, 'the reader that stopped is closed');
      await until(() => got >= sent, 10000, () => `${got} of ${sent}`);
      assert.equal(got, sent);
      stopped.ws.socket.resume();
      await stopped.ws.end(10000);
    });
  });

  test('attack 37: a polling client that does not fetch: bounded', CONFAB_ONLY, async () => {
    await server.bounded(40, async () => {
      const s = await PollingSession.open(server, { poll: false });
      await s.post('40');
      await s.get();
      await s.post('421["join","unfetched"]');
      await s.get();
      const text = 'x'.repeat(10000);
      for (let i = 0; i < 100; i++) {
        await ask(server.bystander, 'broadcast', { rooms: ['unfetched'], event: 'flood', times: 100 }, text);
      }
    });
  });
});

describe('the log', () => {
  test('attack 33: line breaks and escapes of clients do not reach it', CONFAB_ONLY, async () => {
    const evil = '\u001b[31m\r\ninjected line';
    const s = await WebSocketSession.open(server);
    await s.send(`40/${evil}`);
    await s.message();
    await s.send('40');
    await s.message();
    await s.send(`42["${evil}"]`);
    await get(server, '/%0d%0ainjected%20line', { 'User-Agent': 'injected\tline\x7f' });
    await request(server, 'GET', `${P}&sid=%0d%0ainjected%20line`);
    const log = server.process.output();
    assert.doesNotMatch(log, /^injected/m);
    assert.ok(!log.includes('\u001b'), 'no escape sequences');
  });

  for (const format of ['text', 'json']) {
    test(`attack 33: no secrets, no raw bytes, no long lines in it, as ${format}`, CONFAB_ONLY, async () => {
      const p = await startFixture({ set: { 'log.level': 'debug', 'log.format': format }, name: `log-${format}` });
      try {
        const evil = 'x\\u001b[31m\\r\\ninjected';
        const s = await WebSocketSession.open(p, {
          query: '&token=hunter2-query', headers: { Authorization: 'Bearer hunter2-header', Cookie: 'sid=hunter2-cookie' },
        });
        await s.connect('/private', '{"token":"hunter2-auth"}');
        await s.connect('/', `{"token":"hunter2-auth","evil":"${evil}"}`);
        await s.message();
        await s.send(`42["${evil}","hunter2-argument"]`);
        await s.send(`42["${'n'.repeat(100000)}"]`);
        await s.ends();
        await request(p, 'GET', `${P}&sid=hunter2-sid%1b%0a`);
        assert.equal((await get(p, P, { 'User-Agent': 'u'.repeat(1000000) })).status, 431);
        const log = p.output();
        assert.doesNotMatch(log, /hunter2/);
        // eslint-disable-next-line no-control-regex
        assert.doesNotMatch(log, /[\x00-\x09\x0b-\x1f\x7f]/);
        assert.doesNotMatch(log, /^injected/m);
        for (const line of log.split('\n')) assert.ok(line.length < 2000, `${line.length} characters`);
      } finally {
        destroyAll();
        await p.stop();
      }
    });
  }
});

describe('descriptors', { skip: REFERENCE && 'confab only' }, () => {
  test('attack 40: when they run out, nobody is disturbed, nothing spins, and later ones come in', async () => {
    const p = await ready(new Process('few-descriptors', 'prlimit',
      ['--nofile=64', '--', path.join(BUILD, 'tests/fixture'), '--port', '0']));
    try {
      const few = p.descriptors(); // of its own, and of those who started it
      const old = await WebSocketSession.open(p);
      await old.connect();
      await old.message();
      const many = [...Array(200).keys()].map(() => new Connection(p).write('GET / HTTP/1.1\r\n'));
      await until(() => p.descriptors() >= few + 30, 5000, () => `half are used, ${p.descriptors()}`);
      await old.send('421["echo",1]');
      assert.equal(await old.message(), '431[1]');
      assert.ok(p.descriptors() < 64, 'some are kept back');
      await isIdle(p);
      for (const c of many) c.destroy();
      await until(async () => (await request(p, 'GET', P).catch(() => ({}))).status === 200, 10000, 'others come in');
      await old.send('422["echo",2]');
      assert.equal(await old.message(), '432[2]');
    } finally {
      destroyAll();
      await p.stop();
    }
  });
});

// Moves the wall clock, when the file is there, by a number of seconds.
const CLOCK = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <stdio.h>
static time_t jump(void)
{
    long seconds = 0;
    FILE *f = fopen(getenv("CLOCK_JUMP"), "r");
    if (f) {
        if (fscanf(f, "%ld", &seconds) != 1) seconds = 0;
        fclose(f);
    }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *t)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) t->tv_sec += jump();
    return rc;
}
int gettimeofday(struct timeval *t, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return t ? (*t = now.tv_sec) : now.tv_sec;
}
`;

describe('the clock', { skip: REFERENCE && 'confab only' }, () => {
  // a sanitizer's runtime must be the first library
  test('attack 48: a day forwards and backwards: no client is lost, heartbeats go on', { skip: SLOW > 1 }, async () => {
    fs.mkdirSync(OUTPUT, { recursive: true });
    const file = (name) => path.join(OUTPUT, `${process.pid}-${name}`);
    execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-o', file('clock.so'), '-', '-ldl'], { input: CLOCK });
    const p = await ready(new Process('clock', path.join(BUILD, 'tests/fixture'),
      ['--port', '0', '--set', 'engine.ping_interval_ms=300', '--set', 'engine.ping_timeout_ms=300'],
      { env: { LD_PRELOAD: file('clock.so'), CLOCK_JUMP: file('jump') } }));
    try {
      const s = await WebSocketSession.open(p);
      await s.connect();
      await s.message();
      const issued = async () => {
        await s.send('421["handshake"]');
        return s.message();
      };
      await issued();
      for (const seconds of [86400, -86400, 0]) {
        fs.writeFileSync(file('jump'), String(seconds));
        const begin = Date.now();
        for (let beats = 0; beats < 3; beats++) {
          await until(() => s.packets.length || s.over, 5000, 'a ping');
          assert.equal(await s.packet(), '2');
          await s.send('3');
        }
        const took = Date.now() - begin;
        assert.ok(took > 500 && took < 2500, `three heartbeats took ${took} ms`);
        // the jump is seen where the wall clock belongs: in a new handshake
        const other = await WebSocketSession.open(p);
        await other.connect();
        await other.message();
        await other.send('421["handshake"]');
        const { issued: at } = JSON.parse((await other.message()).slice(3))[0];
        assert.ok(Math.abs(at - Date.now() - seconds * 1000) < 60000, `issued ${new Date(at)}`);
        other.destroy();
      }
    } finally {
      destroyAll();
      await p.stop();
    }
  });
});

describe('names in Redis', () => {
  let redis;
  let nodes;
  before(async () => {
    redis = await startRedis();
    nodes = [await startFixture({ redis, name: 'redis-a' }), await startFixture({ redis, name: 'redis-b' })];
  });
  afterEach(closeAll);
  after(async () => {
    for (const n of nodes || []) await n.stop();
    await redis?.stop();
  });

  const NAMES = ['*', '?', '[ab]', 'a#b#', 'socket.io#/custom#', '/custom#', 'x\r\nPUBLISH socket.io#/# y\r\n',
    'x\r\n*1\r\n$8\r\nFLUSHALL\r\n', '$-1', 'a b "c" \\\'d\'', '%s%n%b', '\u0000'];

  test('attack 30: names full of commands reach the other node as names, and Redis keeps its data', async () => {
    const c = new Connection(redis);
    c.write('SET witness here\r\n');
    await c.upTo('+OK\r\n');
    const [a, b] = [await join(nodes[0]), await join(nodes[1])];
    let heard = 0;
    for (const name of NAMES) {
      if (await ask(b, 'join', name) !== 0 && !REFERENCE) continue; // refused
      await ask(a, 'broadcast', { rooms: [name], event: 'across' }, name);
      assert.deepEqual(await b.inbox.take('across'), [name]);
      heard += 1;
    }
    assert.ok(heard >= 8, `${heard} of ${NAMES.length}`);
    c.write('GET witness\r\n');
    assert.equal(String(await c.upTo('here\r\n')), '$4\r\nhere\r\n');
    c.destroy();
  });

  test('attack 29: such names reach no other room, no other namespace', async () => {
    const a = await join(nodes[0]);
    const others = [await join(nodes[1]), await join(nodes[1], '/custom')];
    for (const o of others) {
      for (const room of ['a', 'b', 'x', 'a#b']) await ask(o, 'join', room);
    }
    for (const name of NAMES) await ask(a, 'broadcast', { rooms: [name], event: 'stray' }, name);
    await ask(a, 'broadcast', { rooms: ['a'], event: 'last' });
    await others[0].inbox.take('last'); // in order behind the others
    for (const o of others) assert.equal(o.inbox.count('stray'), 0);
  });

  test('attack 29: a room named like a socket\'s id is that socket\'s own room', async () => {
    const [a, b, c] = [await join(nodes[0]), await join(nodes[1]), await join(nodes[0])];
    await ask(a, 'broadcast', { rooms: [b.id], event: 'private' }, 1);
    assert.deepEqual(await b.inbox.take('private'), [1]);
    await ask(c, 'echo', 1);
    assert.equal(c.inbox.count('private'), 0);
  });
});

leavesNothing(server);
