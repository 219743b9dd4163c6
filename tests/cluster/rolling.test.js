'use strict';
// A rolling restart in daylight: each node in turn drains, ends and comes back
// behind the balancer, while people talk and others come.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { startCluster } = require('../lib/cluster');
const { Connection, requestText, destroyAll } = require('../lib/raw');
const { until, sleep, SLOW } = require('../lib/until');

const NOTICE = 3000;
const WINDOW = 2000 * SLOW;
const CLIENTS = 60;
const ROOMS = 3;
// Of the official client: the delay, and half of it more by chance; then a
// handshake, a namespace and, where it is wanted, an upgrade.
const DELAY = { reconnectionDelay: 100, reconnectionDelayMax: 500 };
const AWAY_MS = 1.5 * DELAY.reconnectionDelayMax + 1250 * SLOW;
// What was sent or answered so close to a client's coming or going may or may
// not have reached it.
const BLUR_MS = 500 * SLOW;
const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];
const HANDSHAKES = [
  ['/socket.io/?EIO=4&transport=polling', {}],
  ['/socket.io/?EIO=4&transport=websocket', {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }],
];

// Someone in a room who says something every now and then.
class Person {
  constructor(url, i) {
    this.name = `person-${i}`;
    this.room = `rolling-${i % ROOMS}`;
    this.stays = []; // { from, to } in its room
    this.away = []; // { from, to, reason }
    this.heard = new Map(); // text -> how often
    this.said = []; // { text, room, sent, answered }
    this.socket = io(url, { transports: TRANSPORTS[i % 3], forceNew: true, ...DELAY });
    this.socket.on('connect', () => {
      const last = this.away.at(-1);
      if (last) last.to = Date.now();
      this.socket.emit('join room', this.room, () => this.stays.push({ from: Date.now(), to: Infinity }));
    });
    this.socket.on('disconnect', (reason) => {
      const last = this.stays.at(-1);
      if (last) last.to = Math.min(last.to, Date.now());
      this.away.push({ from: Date.now(), to: Infinity, reason });
    });
    this.socket.on('chat message', (m) => this.heard.set(m.message, (this.heard.get(m.message) || 0) + 1));
    this.timer = setInterval(() => this.say(), 300 * SLOW + i);
  }

  get inRoom() {
    return this.stays.at(-1)?.to === Infinity;
  }

  say() {
    if (!this.inRoom) return;
    const m = { text: `${this.name} ${this.said.length}`, room: this.room, sent: Date.now(), answered: 0 };
    this.said.push(m);
    this.socket.emit('chat message', { room: this.room, message: m.text }, (r) => {
      if (r.ok) m.answered = Date.now();
    });
  }

  wasThere(m) {
    return this.room === m.room && this.stays.some((s) =>
      s.from + BLUR_MS <= m.sent && m.answered + BLUR_MS <= s.to);
  }

  silence() {
    clearInterval(this.timer);
  }
}

// A handshake every few milliseconds, over either transport; what was answered
// otherwise than with a session.
function newcomers(cluster) {
  const n = { tried: 0, bad: [], under: 0 };
  const timer = setInterval(async () => {
    const [path, headers] = HANDSHAKES[n.tried % 2];
    n.tried += 1;
    n.under += 1;
    const c = new Connection(cluster);
    try {
      c.write(requestText('GET', path, headers));
      const r = await c.response({ ms: 5000 });
      if (r.status !== 200 && r.status !== 101) n.bad.push(`${r.status} ${r.body}`);
    } catch (e) {
      n.bad.push(e.message);
    } finally {
      c.destroy();
      n.under -= 1;
    }
  }, 20 * SLOW);
  n.stop = async () => {
    clearInterval(timer);
    await until(() => n.under === 0, 10000, 'all are answered');
  };
  return n;
}

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
  const [, pace] = / drain_window .*closes_per_second=(\d+)/.exec(log());
  await node.restart();
  await until(async () => /^UP/.test(await cluster.balancer.figure('nodes', node.name, 'status')), 15000,
    `the balancer uses ${node.name}`);
  return { closed: Number(closed), left: Number(left), cut: Number(cut), pace: Number(pace) };
}

describe('each node in turn is restarted under load', () => {
  let cluster;
  let people = [];
  let came;
  const rolls = [];

  before(async () => {
    cluster = await startCluster({
      nodes: 3, name: 'rolling', set: { 'drain.notice_ms': NOTICE, 'drain.window_ms': WINDOW },
    });
    people = [...Array(CLIENTS).keys()].map((i) => new Person(cluster.url, i));
    await until(() => people.every((p) => p.inRoom), 20000, 'all are in their rooms');
    came = newcomers(cluster);
    for (const node of cluster.nodes) rolls.push(await roll(cluster, node));
    await came.stop();
    await until(() => people.every((p) => p.inRoom), 10000, 'all are back');
    await sleep(2 * BLUR_MS);
    for (const p of people) p.silence();
    await until(() => people.every((p) => p.inRoom), 5000, 'they stay');
    await sleep(2 * BLUR_MS); // what is on its way arrives
  });
  after(async () => {
    for (const p of people) {
      p.silence();
      p.socket.disconnect();
    }
    destroyAll();
    await cluster?.stop();
  });

  test('no handshake is refused', () => {
    assert.ok(came.tried > 100, `${came.tried}`);
    assert.deepEqual(came.bad, [], `${came.bad.length} of ${came.tried} handshakes`);
  });

  test('each node sees its clients off, and ends', () => {
    // Those who asked for a session and never came back are cut off.
    for (const r of rolls) assert.ok(r.closed + r.left > r.cut, JSON.stringify(rolls));
    assert.ok(rolls.reduce((n, r) => n + r.closed, 0) >= CLIENTS, JSON.stringify(rolls));
  });

  test('nobody is away for longer than its reconnection delay allows', (t) => {
    const away = people.flatMap((p) => p.away);
    assert.ok(away.length >= CLIENTS, `${away.length} were closed`);
    const longest = Math.max(...away.map((a) => a.to - a.from));
    t.diagnostic(`${away.length} times away, at most ${longest} ms`);
    assert.ok(longest < AWAY_MS, `away for ${longest} ms`);
    for (const a of away) assert.match(a.reason, /^transport (close|error)$/);
  });

  test('they are closed at the pace, not together', (t) => {
    const ends = people.flatMap((p) => p.away.map((a) => a.from)).sort((a, b) => a - b);
    let most = 0;
    ends.forEach((from, i) => {
      let n = 0;
      while (i + n < ends.length && ends[i + n] < from + 1000) n += 1;
      most = Math.max(most, n);
    });
    const pace = Math.max(...rolls.map((r) => r.pace));
    t.diagnostic(`at most ${most} in a second, at a pace of ${pace}`);
    // Ends are noticed here a little together.
    assert.ok(most <= 1.25 * pace + 2, `${most} in one second, the pace is ${pace}`);
  });

  test('who was in a room all the time of a message got it once, and nobody twice', (t) => {
    const said = people.flatMap((p) => p.said).filter((m) => m.answered);
    let due = 0;
    for (const p of people) {
      for (const [text, n] of p.heard) assert.equal(n, 1, `${p.name} heard "${text}" ${n} times`);
      for (const m of said) {
        if (!p.wasThere(m)) continue;
        due += 1;
        assert.ok(p.heard.has(m.text), `${p.name} did not hear "${m.text}"`);
      }
    }
    t.diagnostic(`${said.length} messages, ${due} deliveries due`);
    assert.ok(due > 1000, `${due}`);
  });
});
