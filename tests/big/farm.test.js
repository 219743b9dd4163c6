'use strict';
// Clients that stop reading in a busy room, beside as many that read.

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { QUICK, startServer, load, growth } = require('../lib/load');
const { metricsOf, adminOf } = require('../lib/metrics');
const { get } = require('../lib/raw');
const { until } = require('../lib/until');

const GOOD = QUICK ? 100 : 500;
const SLOW = QUICK ? 80 : 400; // over WebSockets
const SLOW_POLLING = QUICK ? 20 : 100;
const ROOM = { conns: GOOD, rate: 40, size: 4096, seconds: QUICK ? 6 : 15 };
const QUEUE = 300000;
const TOTAL = 500000; // of all of them together: less than two queues
const HELD_MAX = 1.2 * TOTAL; // until the turn's end
const RSS_MAX_KB = 40000;

const page = async (node, path) => JSON.parse(String((await get(adminOf(node), path)).body));
const us = (n) => `${(n / 1000).toFixed(1)} ms`;

let alone; // the good ones without any slow ones
let node;

// How much the node holds at most while the scenario runs, and who is slow then.
async function watched(options) {
  const most = { held: 0, rss: 0, behind: 0 };
  const sids = new Set();
  const begin = node.rss();
  const grown = await growth(node);
  const r = await load([node], 'latency', options, {
    async meanwhile() {
      const m = await metricsOf(node);
      most.held = Math.max(most.held, m.slow_held_bytes);
      most.behind = Math.max(most.behind, m.slow_behind);
      most.rss = Math.max(most.rss, node.rss() - begin);
      for (const s of (await page(node, '/debug/slow')).slow) sids.add(s.sid);
    },
  });
  return { r, m: await grown(), most, sids };
}

function goodOnesMissNothing(r) {
  assert.equal(r.status, 0, JSON.stringify(r));
  assert.equal(r.delivered, r.sent * GOOD);
}

before(async () => {
  const quiet = await startServer();
  alone = await load([quiet], 'latency', ROOM);
  await quiet.stop();
});

test(`${SLOW + SLOW_POLLING} clients that stop reading end with a reason, in bounded memory, and cost nobody else a message`, async () => {
  node = await startServer({
    set: { 'limits.output_queue_bytes': QUEUE, 'limits.slow_consumer_ms': 2000, 'slow.total_bytes': TOTAL },
  });
  try {
    const { r, m, most, sids } = await watched({ ...ROOM, slow: SLOW, 'slow-polling': SLOW_POLLING });
    goodOnesMissNothing(r);
    const by = (why) => m[`slow_consumers_total{why="${why}"}`];
    console.log(`farm: ${GOOD} good ones: p50 ${us(r.p50_us)}, p99 ${us(r.p99_us)}, beside ${us(alone.p50_us)}, ${us(alone.p99_us)} alone; `
      + `${r.sent} messages, ${r.delivered} deliveries exactly once; slow ones ended: ${by('time')} by time, ${by('full')} full, ${by('shed')} shed; `
      + `held at most ${most.held} of ${TOTAL} bytes, ${most.behind} behind at a time, memory grew by at most ${most.rss} kB`);
    assert.equal(by('time') + by('full') + by('shed'), SLOW + SLOW_POLLING, 'each slow one is ended, and counted by why');
    assert.equal(r.slow_ended, SLOW);
    assert.equal(m['disconnects_total{reason="transport error"}'], SLOW + SLOW_POLLING);
    assert.ok(most.held <= HELD_MAX, `${most.held} bytes held`);
    assert.ok(most.rss <= RSS_MAX_KB, `memory grew by ${most.rss} kB`);
    assert.deepEqual([r.slow_doubled, r.slow_reordered], [0, 0]);
    assert.ok(sids.size > 0, 'operators saw who was slow');
    const [sid] = sids;
    const why = await get(adminOf(node), `/debug/why?sid=${sid}`);
    assert.equal(why.status, 200);
    assert.match(String(why.body), /"slow_closed","text":"given up for not keeping up/);
    console.log(`why ${sid.slice(0, 8)}: ${String(why.body).slice(-700)}`);
  } finally {
    await node.stop();
  }
});

test('with a policy each message to a slow client is either read by it later, whole and in order, or counted as dropped', async () => {
  node = await startServer({
    set: {
      'slow.policies': 'say=drop_oldest', 'slow.queue_bytes': 100000, 'limits.output_queue_bytes': QUEUE,
      'engine.ping_timeout_ms': 60000,
    },
  });
  try {
    const { r, m, most } = await watched({ ...ROOM, slow: SLOW + SLOW_POLLING });
    goodOnesMissNothing(r);
    const dropped = m['dropped_total{why="slow_oldest"}'];
    const sent = r.sent * (SLOW + SLOW_POLLING);
    console.log(`policy: ${sent} to slow ones = ${r.slow_delivered} read by them + ${dropped} dropped; good ones: `
      + `p99 ${us(r.p99_us)} beside ${us(alone.p99_us)} alone; held at most ${most.held} bytes, memory grew by at most ${most.rss} kB`);
    assert.ok(dropped > 0);
    assert.equal(r.slow_delivered + dropped, sent);
    assert.deepEqual([r.slow_ended, r.slow_doubled, r.slow_reordered], [0, 0, 0]);
    const all = GOOD + SLOW + SLOW_POLLING;
    assert.equal(m.deliveries_total, (r.sent + 2) * all, 'and what each was told when it came and joined');
    await until(async () => (await metricsOf(node)).slow_held_bytes === 0, 5000, 'nothing is held any more');
  } finally {
    await node.stop();
  }
});
