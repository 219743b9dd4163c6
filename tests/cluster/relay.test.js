'use strict';
// Balancers that stick to nothing: a request that comes to the wrong node is
// relayed to the one that has its session.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, startRedis } = require('../lib/servers');
const { MODES, connect, ask, closeAll } = require('../lib/clients');
const { PollingSession, openUpgraded } = require('../lib/session');
const { get, request, destroyAll } = require('../lib/raw');
const { metricsOf } = require('../lib/stage');
const { Robin } = require('../lib/robin');
const { until } = require('../lib/until');

const UNKNOWN = { code: 1, message: 'Session ID unknown' };

let redis;
let nodes;

const start = (name, set = {}) => startFixture({ redis, name, set: { 'listen.host': '127.0.0.1', ...set } });

// Each has heard of the others.
const meet = (list, n = list.length) => Promise.all(list.map((node) =>
  until(async () => (await metricsOf(node)).presence_peers === n - 1, 10000, `${node.name} knows ${n - 1} others`)));

async function counted(what, list = nodes) {
  let sum = 0;
  for (const n of list) sum += (await metricsOf(n))[what];
  return sum;
}

before(async () => {
  redis = await startRedis();
  nodes = await Promise.all(['one', 'two', 'three'].map((name) => start(name)));
  await meet(nodes);
});
afterEach(() => { closeAll(); destroyAll(); });
after(async () => {
  for (const n of nodes || []) await n.stop();
  await redis?.stop();
});

for (const by of ['request', 'connection']) {
  describe(`each ${by} to the next node`, () => {
    let robin;
    before(async () => { robin = await Robin.open(nodes, by); });
    after(() => robin?.close());

    for (const mode of MODES) {
      test(`${mode.name}: everybody gets every message once`, async () => {
        const clients = await Promise.all([...Array(12).keys()].map(() => connect(robin.url, '/', mode)));
        const N = 20;
        await Promise.all(clients.map(async (s, i) => {
          for (let n = 0; n < N; n++) await ask(s, 'broadcast', { event: 'said' }, `${i}:${n}`);
        }));
        for (const s of clients) await until(() => s.inbox.count('said') >= 12 * N, 10000, 'all messages');
        for (const s of clients) {
          const got = s.inbox.all.filter((e) => e.event === 'said').map((e) => e.args[0]);
          assert.equal(got.length, 12 * N);
          for (let i = 0; i < clients.length; i++) {
            assert.deepEqual(got.filter((t) => t.startsWith(`${i}:`)), [...Array(N).keys()].map((n) => `${i}:${n}`));
          }
        }
      });

      test(`${mode.name}: large messages come back as they were`, async () => {
        const s = await connect(robin.url, '/', mode);
        for (const size of [1, 70000, 600000]) {
          const data = Buffer.alloc(size, 'confab binary');
          assert.deepEqual(await ask(s, 'echo', data), data);
        }
      });
    }
  });
}
