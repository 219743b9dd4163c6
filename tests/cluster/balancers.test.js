'use strict';
// The whole cluster behind each kind of balancer that deploy/ has a file for:
// clients of every kind, which keep no cookies unless it says so.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const https = require('node:https');
const tls = require('node:tls');
const { startCluster } = require('../lib/cluster');
const { startHaproxy, FakeNode } = require('../lib/balancer');
const { pair } = require('../lib/certificate');
const { MODES, client, connected, connect, upgraded, ask, closeAll } = require('../lib/clients');
const { until, within } = require('../lib/until');

const certificate = pair('balancer');
const TLS = { env: { BALANCER_CERT: certificate.both }, options: { ca: certificate.ca } };

const VARIANTS = [
  { name: 'HAProxy by session id' },
  { name: 'HAProxy by session id, TLS', ...TLS },
  { name: 'HAProxy by cookie, kept', env: { BALANCER_STICKY: 'cookie' }, options: { withCredentials: true } },
  { name: 'HAProxy by cookie, refused', env: { BALANCER_STICKY: 'cookie' } },
  { name: 'HAProxy in turn', env: { BALANCER_STICKY: 'none' } },
  { name: 'nginx', env: { BALANCER: 'nginx' } },
  { name: 'nginx, TLS', ...TLS, env: { ...TLS.env, BALANCER: 'nginx' } },
];

const EACH = 20;
const nodeOf = async (s) => (await ask(s, 'hello')).node;

// A client in a room, and what it hears there.
async function member(url, mode, options, room) {
  const s = client(url, '/', mode, options);
  s.offAny(); // it keeps only what it is told of the room
  s.heard = [];
  s.on('chat message', (m) => { if (m.room === room) s.heard.push(m.message); });
  s.connect();
  await connected(s);
  if (mode.name === 'upgrade') await upgraded(s);
  s.node = await nodeOf(s);
  assert.equal((await ask(s, 'join room', room)).ok, true);
  return s;
}

for (const { name, env = {}, options = {} } of VARIANTS) {
  describe(name, () => {
    let cluster;
    before(async () => { cluster = await startCluster({ name: 'balanced', env }); });
    afterEach(closeAll);
    after(() => cluster?.stop());

    for (const mode of MODES) {
      test(`everybody hears everybody once and in order, over ${mode.name}`, async () => {
        const room = mode.name;
        const all = [];
        while (all.length < 12 || new Set(all.map((s) => s.node)).size < 3) {
          assert.ok(all.length < 40, 'the balancer uses all nodes');
          all.push(await member(cluster.url, mode, options, room));
        }
        for (const s of all) {
          await until(async () => (await ask(s, 'who', room)).count === all.length, 10000, 'all know of all');
        }
        await Promise.all(all.map(async (s, i) => {
          for (let n = 0; n < EACH; n++) {
            assert.equal((await ask(s, 'chat message', { room, message: `${i}:${n}` })).ok, true);
          }
        }));
        await until(() => all.every((s) => s.heard.length >= all.length * EACH), 15000,
          () => `all is heard: ${all.map((s) => s.heard.length)} of ${all.length * EACH}`);
        for (const s of all) {
          assert.equal(s.heard.length, all.length * EACH);
          for (const i of all.keys()) {
            assert.deepEqual(s.heard.filter((m) => m.startsWith(`${i}:`)), [...Array(EACH).keys()].map((n) => `${i}:${n}`));
          }
          assert.ok(s.connected, 'nobody had to come again');
        }
      });
    }

    test('large messages pass, both ways', async () => {
      const all = [];
      for (const mode of MODES) all.push(await member(cluster.url, mode, options, 'large'));
      const text = '"'.repeat(16384); // twice that on the wire, more than HAProxy buffers
      for (const s of all) {
        await until(async () => (await ask(s, 'who', 'large')).count === 3, 10000, 'all know of all');
      }
      for (const s of all) {
        assert.equal((await ask(s, 'chat message', { room: 'large', message: text })).ok, true);
      }
      await until(() => all.every((s) => s.heard.length === 3), 10000, 'all are heard');
      for (const s of all) assert.ok(s.heard.every((m) => m === text));
    });
  });
}

// Requests that HAProxy has given to each node.
const given = (cluster) => Promise.all(cluster.nodes.map(async (n) =>
  Number(await cluster.balancer.figure('nodes', n.name, 'req_tot'))));

describe('stickiness', () => {
  afterEach(closeAll);
  for (const { name, env, options } of VARIANTS.filter((v) => /session id$|kept/.test(v.name))) {
    test(`${name}: all requests of a session go to its node`, async () => {
      const cluster = await startCluster({ name: 'sticky', env });
      try {
        for (let i = 0; i < 6; i++) {
          const s = await connect(cluster.url, '/', MODES[0], options);
          const node = await nodeOf(s);
          const before = await given(cluster);
          for (let n = 0; n < 10; n++) await ask(s, 'hello');
          const more = (await given(cluster)).map((n, k) => n - before[k]);
          for (const [k, n] of cluster.nodes.entries()) {
            if (n.name === node) assert.ok(more[k] >= 20, `${node} has had ${more}`);
            else assert.equal(more[k], 0, `${n.name} has had ${more}`);
          }
          s.disconnect();
        }
      } finally {
        closeAll();
        await cluster.stop();
      }
    });
  }
});

describe('HAProxy with a certificate', () => {
  let node;
  let b;
  before(async () => {
    node = await FakeNode.start('node-1');
    b = await startHaproxy([node], TLS.env);
  });
  after(async () => {
    await b?.kill9();
    await node?.stop();
  });

  test('tells nodes that the client came by https', async () => {
    const status = await within(new Promise((resolve, reject) => {
      https.get({ port: b.port, host: '127.0.0.1', path: '/', ca: certificate.ca, headers: { 'X-Forwarded-Proto': 'http' } },
        (r) => { r.resume(); resolve(r.statusCode); }).on('error', reject);
    }), 5000, 'an answer');
    assert.equal(status, 200);
    assert.equal(node.requests.at(-1).headers['x-forwarded-proto'], 'https');
  });

  const secure = (options) => within(new Promise((resolve, reject) => {
    const s = tls.connect({ port: b.port, host: '127.0.0.1', ca: certificate.ca, ...options });
    s.once('secureConnect', () => { resolve(s.getProtocol()); s.destroy(); });
    s.once('error', reject);
  }), 5000, 'the handshake');

  test('speaks TLS 1.2 and 1.3, nothing older', async () => {
    for (const v of ['TLSv1.2', 'TLSv1.3']) assert.equal(await secure({ minVersion: v, maxVersion: v }), v);
    await assert.rejects(secure({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }), /protocol/);
  });

  test('does not answer those who do not speak TLS', async () => {
    await assert.rejects(fetch(`http://127.0.0.1:${b.port}/`));
  });
});
