'use strict';
// A rolling restart in daylight: each node in turn drains, ends and comes back
// behind the balancer, while people talk and others come.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { startCluster } = require('../lib/cluster');
const { Crowd, AWAY_MS } = require('../lib/people');
const { destroyAll } = require('../lib/raw');
const { until } = require('../lib/until');

const NOTICE = 3000;
// A node that closed its third of them together would be seen: even if all were on
// one node its pace would be 10 a second.
const WINDOW = 6000;
const CLIENTS = 60;

const status = async (node) => (await (await fetch(`${node.url}/readyz`)).json()).status;
const gone = (pid) => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

// Stops the node and has it back in rotation.
async function roll(cluster, node) {
  const { pid } = node;
  const began = node.log().length;
  const log = () => node.log().slice(began);
  process.kill(pid, 'SIGTERM');
  await until(async () => await status(node) === 'draining', 2000, `${node.name} drains`);
  await until(() => / drain_end /.test(log()) && gone(pid), NOTICE + WINDOW + 8000, `${node.name} has drained and ended`);
  const [, closed, left, cut] = / drain_end .*closed=(\d+) left=(\d+) cut_off=(\d+) /.exec(log());
  await node.restart();
  await until(async () => /^UP/.test(await cluster.balancer.figure('nodes', node.name, 'status')), 15000,
    `the balancer uses ${node.name}`);
  return { closed: Number(closed), left: Number(left), cut: Number(cut) };
}

describe('each node in turn is restarted under load', () => {
  let cluster;
  let crowd;
  let seen;
  const rolls = [];

  before(async () => {
    cluster = await startCluster({
      nodes: 3, name: 'rolling', set: { 'drain.notice_ms': NOTICE, 'drain.window_ms': WINDOW },
    });
    crowd = new Crowd(io, cluster.url, CLIENTS);
    await crowd.settles();
    crowd.begin();
    for (const node of cluster.nodes) rolls.push(await roll(cluster, node));
    seen = await crowd.judge(); // nobody missed a message or got one twice
  });
  after(async () => {
    crowd?.leave();
    destroyAll();
    await cluster?.stop();
  });

  test('who was in a room all the time of a message got it once, and nobody twice', (t) => {
    t.diagnostic(`${seen.messages} messages, ${seen.due} deliveries due`);
    assert.ok(seen.due > 1000, `${seen.due}`);
  });

  test('no handshake is refused', (t) => {
    t.diagnostic(`${seen.handshakes} handshakes`);
    assert.ok(seen.handshakes > 100);
    assert.deepEqual(seen.bad, []);
  });

  test('each node sees its clients off, and ends', () => {
    for (const r of rolls) assert.equal(r.cut, 0, JSON.stringify(rolls));
    assert.ok(rolls.reduce((n, r) => n + r.closed, 0) >= CLIENTS, JSON.stringify(rolls));
  });

  test('nobody is away for longer than its reconnection delay allows', (t) => {
    t.diagnostic(`${seen.away.length} times away, at most ${seen.longest} ms`);
    assert.ok(seen.away.length >= CLIENTS, `${seen.away.length} were closed`);
    assert.ok(seen.longest < AWAY_MS, `away for ${seen.longest} ms`);
    for (const a of seen.away) assert.match(a.reason, /^transport (close|error)$/);
  });

  test('they are closed at the pace, not together', (t) => {
    const pace = (1000 * CLIENTS) / WINDOW;
    t.diagnostic(`at most ${seen.mostInASecond} in a second, at a pace of ${pace}`);
    // Ends are noticed here a little together.
    assert.ok(seen.mostInASecond <= 1.25 * pace + 2, `${seen.mostInASecond} in one second, the pace is ${pace}`);
  });
});
