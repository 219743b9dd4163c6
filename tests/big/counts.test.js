'use strict';
// A node's counters beside what the load generator has counted itself.

const assert = require('node:assert/strict');
const { test, before, after } = require('node:test');
const { QUICK, startServer, load, growth } = require('../lib/load');
const { metricsOf } = require('../lib/metrics');
const { until } = require('../lib/until');

const CPU_MS = QUICK ? 200 : 3000;

let node;
before(async () => { node = await startServer(); });
after(() => node.stop());

const sessions = (m) => m['sessions{transport="websocket"}'] + m['sessions{transport="polling"}'];
const ends = (m) => Object.fromEntries(Object.entries(m).filter(([k, v]) => v && k.startsWith('disconnects_total'))
  .map(([k, v]) => [/"(.*)"/.exec(k)[1], v]));

// The scenario, and what the node has counted meanwhile; its clients are gone.
async function counted(scenario, options) {
  const grown = await growth(node);
  const r = await load([node], scenario, { 'cpu-ms': CPU_MS, ...options });
  assert.equal(r.status, 0, JSON.stringify(r));
  await until(async () => sessions(await metricsOf(node)) === 0, 10000, 'its clients are gone');
  const m = await grown();
  const dropped = Object.entries(m).filter(([k]) => k.startsWith('dropped_total')).map(([, v]) => v);
  assert.ok(dropped.every((n) => n === 0), `nothing is dropped: ${dropped}`);
  return { r, m };
}

const say = (name, r, m) => console.log(`${name}: ${r.delivered} delivered; the node: ${m.events_in_total} events in, `
  + `${m.deliveries_total} deliveries, ${m.broadcasts_total} broadcasts, ${m.bytes_in_total} bytes in, ${m.bytes_out_total} out, `
  + `${m.handshakes_total} sessions, ended ${JSON.stringify(ends(m))}`);

test('a fan-out to rooms is counted to the last message and byte', async () => {
  const members = 100;
  const { r, m } = await counted('fanout', { conns: 1000, 'per-room': members, window: 8, messages: 4000, warm: 400 });
  say('fan-out', r, m);
  const messages = r.delivered / members;
  assert.equal(m.events_in_total, messages + r.conns, 'each message, and who joins');
  assert.equal(m.broadcasts_total, messages);
  assert.equal(m.deliveries_total, r.delivered + 2 * r.conns, 'and what each was told when it came and joined');
  assert.deepEqual([m.bytes_in_total, m.bytes_out_total], [r.bytes_out, r.bytes_in]);
  assert.equal(m.handshakes_total, r.conns);
  assert.deepEqual(ends(m), { 'transport close': r.conns });
});

test('acknowledged events are counted to the last event and byte', async () => {
  const { r, m } = await counted('echo', { conns: 500, window: 8, messages: 40000, warm: 4000 });
  say('echo', r, m);
  assert.equal(m.events_in_total, r.delivered);
  assert.equal(m.deliveries_total, r.delivered + r.conns, 'and what each was told when it came');
  assert.deepEqual([m.bytes_in_total, m.bytes_out_total], [r.bytes_out, r.bytes_in]);
  assert.equal(m.handshakes_total, r.conns);
  assert.deepEqual(ends(m), { 'transport close': r.conns });
});

for (const polling of [0, 1]) {
  test(`sessions that come and go over ${polling ? 'polling' : 'WebSockets'} are counted one by one, by why they end`, async () => {
    const { r, m } = await counted('churn', { polling, window: 32, messages: 1000, warm: 100 });
    say(polling ? 'polling' : 'sessions', r, m);
    assert.equal(m.handshakes_total, r.delivered);
    assert.equal(m.events_in_total, r.delivered);
    assert.equal(m.deliveries_total, 2 * r.delivered);
    assert.deepEqual(ends(m), { 'transport close': r.delivered });
  });
}
