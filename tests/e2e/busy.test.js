'use strict';
// More clients than a node has room for: who comes too many is told so, and
// those that are here do not notice.

const { describe, test, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { REFERENCE, BUILD, startFixture, ready } = require('../lib/servers');
const { Process } = require('../lib/process');
const { serving, join } = require('../lib/suite');
const { MODES, ask, client, refused, closeAll } = require('../lib/clients');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { Connection, get, requestText, destroyAll } = require('../lib/raw');
const { metric, isIdle } = require('../lib/hostile');
const { until, sleep, SLOW } = require('../lib/until');

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';
const UPGRADE = {
  Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const KINDS = { polling: [P, {}, 200], websocket: [W, UPGRADE, 101] };

async function handshake(server, kind) {
  const [target, headers] = KINDS[kind];
  const c = new Connection(server);
  c.write(requestText('GET', target, headers));
  return c.response();
}

function isBusy(r, message) {
  assert.equal(r.status, 503);
  assert.match(r.headers['retry-after'], /^[1-5]$/);
  assert.match(r.headers['content-type'], /^application\/json/);
  assert.deepEqual(JSON.parse(r.body), { code: 503, message });
}

const refusedFor = (server, why) => metric(server, `confab_handshakes_refused_total{why="${why}"}`);

describe('busy', { skip: REFERENCE && 'confab only' }, () => {
  describe('limits.handshakes_per_second of 5', () => {
    const server = serving(startFixture, { set: { 'limits.handshakes_per_second': 5, 'engine.cors_origins': 'http://a' } });

    for (const [kind, [, , good]] of Object.entries(KINDS)) {
      test(`${kind}: five at once, then 503, and again five a second later`, async () => {
        for (const round of [1, 2]) {
          await sleep(1100 * SLOW);
          const begin = Date.now();
          const all = [];
          for (let i = 0; i < 12; i++) all.push(await handshake(server, kind));
          const more = Math.ceil((Date.now() - begin) / 200);
          const n = all.filter((r) => r.status === good).length;
          assert.ok(n >= 5 && n <= 5 + more, `${n} passed in round ${round}`);
          for (const r of all.slice(0, 5)) assert.equal(r.status, good);
          for (const r of all.filter((one) => one.status !== good)) isBusy(r, 'Too many handshakes');
        }
        assert.ok(await refusedFor(server, 'rate') > 0);
      });
    }

    test('requests of sessions and other pages do not count', async () => {
      await sleep(1100 * SLOW);
      const s = await PollingSession.open(server);
      await s.connect();
      await s.message();
      for (let i = 0; i < 30; i++) {
        await s.send(`42${i}["echo",${i}]`);
        assert.equal(await s.message(), `43${i}[${i}]`);
        assert.equal((await get(server, '/healthz')).status, 200);
      }
      assert.equal((await handshake(server, 'polling')).status, 200);
    });

    test('pages of other sites may read the answer', async () => {
      let r;
      await until(async () => {
        r = await get(server, P, { Origin: 'http://a' });
        return r.status === 503;
      }, 5000, 'one is refused');
      assert.equal(r.headers['access-control-allow-origin'], 'http://a');
    });

  });

  describe('limits.handshakes_per_second of 1', () => {
    const server = serving(startFixture, { set: { 'limits.handshakes_per_second': 1 } });

    for (const mode of MODES) {
      test(`an official client over ${mode.name} gets an error, and in when there is room`, async () => {
        await until(async () => (await handshake(server, 'polling')).status === 200, 5000, 'there is room for one');
        assert.ok(await refused(client(server.url, '/', mode)) instanceof Error);
        const s = client(server.url, '/', mode, { reconnection: true, reconnectionDelay: 300 });
        s.connect();
        await until(() => s.connected, 10000, 'it gets in');
        closeAll();
      });
    }
  });

  describe('limits.half_open of 4', () => {
    const server = serving(startFixture, { set: { 'limits.half_open': 4, 'limits.header_timeout_ms': 60000 } });
    afterEach(() => until(async () => await metric(server, 'confab_half_open{what="connections"}') === 0
      && await metric(server, 'confab_half_open{what="sessions"}') <= 4, 5000, 'connections have gone'));

    test('sessions without a namespace: more get 503 until one of them joins, or leaves', async () => {
      const all = [];
      for (let i = 0; i < 4; i++) all.push(await WebSocketSession.open(server));
      assert.equal(await metric(server, 'confab_half_open{what="sessions"}'), 4);
      for (const kind of Object.keys(KINDS)) isBusy(await handshake(server, kind), 'Too many half-open sessions');
      assert.equal(await refusedFor(server, 'half_open'), 2);
      await all[0].connect();
      all.push(await WebSocketSession.open(server));
      isBusy(await handshake(server, 'polling'), 'Too many half-open sessions');
      await all[4].connect('/nope'); // refused: it has not joined
      isBusy(await handshake(server, 'polling'), 'Too many half-open sessions');
      all[1].destroy();
      await until(async () => await metric(server, 'confab_half_open{what="sessions"}') === 3, 5000, 'one has left');
      await (await WebSocketSession.open(server)).connect();
      for (const s of all) s.destroy();
      await until(async () => await metric(server, 'confab_half_open{what="sessions"}') === 0, 5000, 'all have left');
    });

    test('those that have joined are not among them', async () => {
      const all = [];
      for (let i = 0; i < 10; i++) all.push(await join(server));
      for (const s of all) assert.equal(await ask(s, 'echo', 1), 1);
      assert.equal(await metric(server, 'confab_half_open{what="sessions"}'), 0);
    });

    test('handshakes that wait for their admission are', async () => {
      const judge = await join(server);
      await ask(judge, 'observe');
      const waiting = [];
      for (let i = 0; i < 4; i++) {
        const c = new Connection(server);
        c.write(requestText('GET', `${P}&wait=${i}`));
        await judge.inbox.take('waiting');
        waiting.push(c);
      }
      isBusy(await handshake(server, 'polling'), 'Too many half-open sessions');
      for (const c of waiting) c.destroy();
      await until(async () => await metric(server, 'confab_half_open{what="sessions"}') === 0, 5000, 'they have gone');
    });

    test('connections that do not ask: the one that is silent longest makes room', async () => {
      const before = await metric(server, 'confab_accept_refused_total{why="half_open"}');
      const silent = [];
      for (let i = 0; i < 4; i++) {
        silent.push(new Connection(server).write(i % 2 ? 'GET / HTTP/1.1\r\n' : ''));
        await until(async () => silent[0].ended || await metric(server, 'confab_half_open{what="connections"}') === i + 1,
          5000, 'it is counted').catch(() => {});
      }
      const s = await join(server);
      assert.equal(await ask(s, 'echo', 1), 1);
      isBusy(await silent[0].response(), 'Too many half-open connections');
      await silent[0].end();
      assert.ok(await metric(server, 'confab_accept_refused_total{why="half_open"}') > before);
      assert.equal(silent[3].ended, false);
    });
  });

  describe('limits.connections of 8', () => {
    const server = serving(startFixture, { set: { 'limits.connections': 8 } });

    test('more are told at once, the others go on, and there is room again when one leaves', async () => {
      const all = [];
      for (let i = 0; i < 8; i++) {
        const s = await WebSocketSession.open(server);
        await s.connect();
        await s.message();
        all.push(s);
      }
      for (let i = 0; i < 20; i++) {
        const c = new Connection(server); // and does not ask
        isBusy(await c.response(), 'Too many connections');
        c.destroy();
      }
      for (const s of all) {
        await s.send('421["echo",1]');
        assert.equal(await s.message(), '431[1]');
      }
      all[0].destroy();
      await until(async () => (await handshake(server, 'polling').catch(() => ({}))).status === 200, 5000, 'there is room');
    });

    test('a flood of them waits, does not spin, and hurts nobody', async () => {
      const s = await WebSocketSession.open(server);
      await s.connect();
      await s.message();
      [...Array(200).keys()].map(() => new Connection(server));
      await isIdle(server.process);
      await s.send('421["echo",1]');
      assert.equal(await s.message(), '431[1]');
      s.destroy();
      destroyAll();
      await until(async () => (await handshake(server, 'polling').catch(() => ({}))).status === 200, 10000, 'there is room');
      assert.ok(await metric(server, 'confab_accept_pauses_total{why="connections"}') > 0);
      assert.ok(await metric(server, 'confab_accept_refused_total{why="connections"}') > 0);
    });
  });

  describe('descriptors', () => {
    let p;
    afterEach(() => destroyAll());
    after(() => p?.stop());

    test('when the system has no more, old clients go on, nothing spins, and later ones come in', async () => {
      p = await startFixture();
      const old = await WebSocketSession.open(p);
      await old.connect();
      await old.message();
      const limit = (n) => execFileSync('prlimit', ['--pid', String(p.pid), `--nofile=${n}:`]);
      const usual = execFileSync('prlimit', ['--pid', String(p.pid), '--nofile', '--noheadings', '--output', 'SOFT'], { encoding: 'utf8' });
      limit(p.descriptors() + 3);
      const many = [...Array(50).keys()].map(() => new Connection(p).write(requestText('GET', P)));
      await until(() => many.filter((c) => c.buffer.length).length >= 3, 5000, 'the last ones come in');
      await isIdle(p);
      assert.ok(many.filter((c) => c.buffer.length).length < 10);
      await old.send('421["echo",1]');
      assert.equal(await old.message(), '431[1]');
      limit(usual.trim());
      await until(() => many.every((c) => c.buffer.length), 5000, 'all have come in');
      assert.ok(await metric(p, 'confab_accept_pauses_total{why="descriptors"}') > 0);
    });

    test('with few from the start, new clients are told or wait', async () => {
      const few = await ready(new Process('few', 'prlimit',
        ['--nofile=64', '--', path.join(BUILD, 'tests/fixture'), '--port', '0']));
      const old = await WebSocketSession.open(few);
      await old.connect();
      await old.message();
      const many = [...Array(100).keys()].map(() => new Connection(few).write(requestText('GET', P)));
      await until(() => many.some((c) => c.buffer.includes('503')), 5000, 'some are told');
      await isIdle(few);
      assert.ok(few.descriptors() < 64, `${few.descriptors()}`);
      await old.send('421["echo",1]');
      assert.equal(await old.message(), '431[1]');
      const answers = many.map((c) => /^HTTP\/1.1 (\d+)/.exec(c.buffer)?.[1] || 'none');
      assert.deepEqual([...new Set(answers)].sort(), ['200', '503', 'none']);
      destroyAll();
      await few.stop();
    });
  });
});
