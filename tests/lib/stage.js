'use strict';
// Where a failure is shown: nodes, members of rooms on all of them who say
// numbered messages all the time, and what the nodes count meanwhile.

const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { metricsOf } = require('./metrics');
const { Connection } = require('./raw');
const { Tally, messages } = require('./tally');
const { until, sleep, SLOW } = require('./until');

// The reply to a command without spaces in its arguments: a line, or the text.
async function redis(server, command) {
  const c = new Connection(server);
  try {
    c.write(`${command}\r\n`);
    const line = String(await c.upTo('\r\n', 5000)).trimEnd();
    if (line[0] !== '$') return line.slice(1);
    return String(await c.bytes(Number(line.slice(1)), 5000));
  } finally {
    c.destroy();
  }
}

const lostBy = (why) => `redis_publish_lost_total{why="${why}"}`;
const COUNTERS = {
  outgoing: 'redis_outgoing_total',
  published: 'redis_published_total',
  late: 'redis_published_late_total',
  full: lostBy('full'),
  unanswered: lostBy('unanswered'),
  volatile: lostBy('volatile'),
  refused: lostBy('refused'),
  unfit: lostBy('unfit'),
  waiting: 'redis_queued_messages',
  open: 'redis_unanswered_messages',
  publisher: 'redis_reconnects_total{role="publisher"}',
  subscriber: 'redis_reconnects_total{role="subscriber"}',
  deaf: 'redis_deaf_ms_total',
  received: 'redis_received_total',
  up: 'redis_up',
  peers: 'presence_peers',
};

async function countersOf(node) {
  const all = await metricsOf(node);
  const c = {};
  for (const [short, name] of Object.entries(COUNTERS)) {
    assert.ok(name in all, `${node.name} has confab_${name}`);
    c[short] = all[name];
  }
  return c;
}

const givenUp = (c) => c.full + c.unanswered + c.volatile + c.refused + c.unfit;

// What the node has logged about its gaps, added up.
function gapsIn(log) {
  const sum = { lines: 0, sent_late: 0, queue_full: 0, unanswered: 0, volatile: 0, refused: 0, deaf: 0, deafLines: 0 };
  for (const [, fields] of log.matchAll(/ redis_gap (.*)/g)) {
    sum.lines += 1;
    for (const [, key, value] of fields.matchAll(/(\w+)=(\d+)/g)) if (key in sum) sum[key] += Number(value);
  }
  for (const [, ms] of log.matchAll(/ redis_deaf .*?ms=(\d+)/g)) {
    sum.deafLines += 1;
    sum.deaf += Number(ms);
  }
  return sum;
}

class Stage {
  // nodes: { name, url, log() }; perNode members on each, of which the first
  // speaks. With `url` they come in through that, over each transport in turn,
  // and are where it puts them.
  static async open({ nodes, perNode = 2, speakers = 1, url, everyMs = 20, pad = 60 }) {
    const s = new Stage();
    Object.assign(s, { nodes, everyMs, pad: `/${'x'.repeat(pad)}`, members: [], url });
    await s.settled();
    for (const node of nodes) {
      for (let i = 0; i < perNode; i++) {
        s.members.push(await s.member(url ? null : node, `${node.name}-${i}`, i < speakers));
      }
    }
    return s;
  }

  async member(node, name, speaks) {
    const transports = node || this.members.length % 2 ? ['websocket'] : ['polling'];
    const m = { name, node, speaks, transports, ready: false, away: [] };
    m.socket = io(node?.url || this.url, {
      transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, timeout: 3000 * SLOW,
    });
    m.socket.on('chat message', ({ message }) => { if (m.place) this.tally.hear(m.place, message); });
    m.socket.on('disconnect', () => {
      m.ready = false;
      m.away.push({ from: Date.now(), to: Infinity });
    });
    m.socket.on('connect', () => this.comeBack(m));
    await until(() => m.socket.connected, 10000, `${name} connects`);
    if (!node) await this.whereIs(m);
    return m;
  }

  async whereIs(m) {
    const { node } = await m.socket.timeout(10000 * SLOW).emitWithAck('hello');
    m.node = this.nodes.find((n) => n.name === node);
    return m.node;
  }

  async join(m, rooms) {
    for (const room of rooms) {
      const r = await m.socket.timeout(10000 * SLOW).emitWithAck('join room', room);
      if (!r.ok) throw new Error(`${m.name} cannot join ${room}: ${JSON.stringify(r)}`);
    }
  }

  async comeBack(m) {
    if (!m.place) return;
    const { id } = m.socket;
    try {
      await this.whereIs(m);
      await this.join(m, m.place.rooms);
    } catch (e) {
      if (m.socket.connected && m.socket.id === id) this.error = e;
      return;
    }
    if (m.socket.id !== id) return;
    m.ready = true;
    for (const a of m.away) a.to = Math.min(a.to, Date.now());
  }

  // All nodes know each other, and nothing waits in them.
  settled(ms = 20000) {
    let last;
    return until(async () => {
      try {
        last = await Promise.all(this.nodes.map(countersOf));
      } catch (e) {
        last = e.message;
        return false;
      }
      return last.every((c) => c.up === 1 && c.waiting === 0 && c.peers === this.nodes.length - 1);
    }, ms, () => `the nodes have settled: ${JSON.stringify(last)}`);
  }

  // So many more messages, of all speakers together.
  async says(n) {
    const goal = this.said + n;
    await until(() => this.said >= goal, 20000, `${n} more messages`);
  }

  say(m, room) {
    if (!m.ready || !m.socket.connected) return;
    this.said += 1;
    const text = this.tally.next(m, room, this.pad);
    this.tally.unsure(text);
    m.socket.emit('chat message', { room, message: text }, (r) => {
      if (r.ok) this.tally.entry(text).ok = true;
      else this.error = new Error(`${m.name}: ${r.error}`);
    });
  }

  // Says messages while `trouble` happens and until all is well again; then the
  // last ones, which everybody must hear.
  async run(name, trouble) {
    this.rooms = [`${name} A`, `${name} B`];
    this.said = 0;
    this.aside = 0; // messages to others that are not numbered
    this.tally = new Tally();
    for (const m of this.members) {
      m.away = [];
      m.place = null;
      await this.join(m, this.rooms);
      m.place = this.tally.member(m, this.rooms);
      m.ready = true;
    }
    const before = await Promise.all(this.nodes.map(countersOf));
    const logged = this.nodes.map((n) => n.log().length);
    let turn = 0;
    const speaking = setInterval(() => {
      turn += 1;
      for (const m of this.members) if (m.speaks) this.say(m, this.rooms[turn % 2]);
    }, this.everyMs);
    const times = {};
    try {
      await sleep(500);
      times.from = Date.now();
      await trouble(times);
      times.mended = Date.now();
      await this.settled();
      times.to = Date.now();
      await sleep(300);
      await until(() => this.members.every((m) => m.ready), 10000, 'everybody is back');
    } finally {
      clearInterval(speaking);
    }
    await this.settled();
    for (const room of this.rooms) for (const m of this.members) if (m.speaks) this.say(m, room);
    await until(() => this.tally.done(), 8000, () =>
      `${name}: the last messages are heard; ${this.text(name, this.tally.result(), null)}`);
    await until(async () => (await Promise.all(this.nodes.map(countersOf))).every((c) => c.open === 0), 5000,
      'all is answered');
    // whatever were to come twice, or late
    await sleep(200);
    if (this.error) throw this.error;
    return this.report(name, times, before, logged);
  }

  async report(name, times, before, logged) {
    const after = await Promise.all(this.nodes.map(countersOf));
    const r = this.tally.result();
    r.times = times;
    r.aside = this.aside;
    r.nodes = new Map();
    r.sum = {};
    for (const [i, n] of this.nodes.entries()) {
      const c = {};
      for (const k of Object.keys(COUNTERS)) {
        // a node that has begun anew counts from zero
        c[k] = after[i][k] - (after[i].outgoing < before[i].outgoing ? 0 : before[i][k]);
        r.sum[k] = (r.sum[k] || 0) + c[k];
      }
      c.log = gapsIn(n.log().slice(logged[i]));
      c.all = after[i];
      r.nodes.set(n, c);
    }
    console.log(this.text(name, r, r.sum));
    return r;
  }

  text(name, r, sum) {
    const line = `${name}: sent ${r.sent}, taken ${r.accepted} (deliveries ${r.expected}), delivered ${r.delivered}, lost ${r.lost.length} `
      + `(messages ${messages(r.lost)}), doubled ${r.doubled}, reordered ${r.reordered}`;
    if (!sum) return line;
    return `${line}; the nodes: published ${sum.published}, late ${sum.late}, `
      + `lost unanswered ${sum.unanswered} full ${sum.full} volatile ${sum.volatile} refused ${sum.refused}, `
      + `reconnects ${sum.publisher}+${sum.subscriber}, deaf ${sum.deaf} ms`;
  }

  close() {
    for (const m of this.members) m.socket.disconnect();
  }
}

// A client misses what is said while it is not there: all of it in one piece, in
// which it lost its connection, and nothing that was said after it was back.
const wasAway = (l) => l.member.away.some((a) => l.before <= a.from && l.after >= a.from && l.at <= a.to);
// It was said into a connection that its publisher has lost, and never taken.
const wasNotTaken = (l) => !l.ok && l.publisher.away.some((a) => l.at <= a.to);

// What is promised whatever fails: nothing twice, nothing out of order, all of
// it to who was on the node where it was said; and counters and log that agree.
function promises(r, { restarted = false } = {}) {
  assert.equal(r.doubled, 0, 'nothing is doubled');
  assert.equal(r.reordered, 0, 'nothing is reordered');
  for (const l of r.lost) {
    if (restarted || wasAway(l) || wasNotTaken(l)) continue;
    assert.notEqual(l.member.node, l.publisher.node, `${l.member.name} misses ${l.publisher.name} ${l.n} on its own node`);
  }
  for (const [n, c] of r.nodes) {
    assert.equal(c.all.outgoing, c.all.published + givenUp(c.all) + c.all.waiting + c.all.open,
      `${n.name} accounts for every message: ${JSON.stringify(c.all)}`);
    if (restarted) continue;
    assert.deepEqual([c.log.sent_late, c.log.queue_full, c.log.unanswered, c.log.volatile],
      [c.late, c.full, c.unanswered, c.volatile], `${n.name} logs what it counts: ${JSON.stringify(c)}`);
    assert.equal(c.log.deaf, c.deaf, `${n.name} logs how long it heard nothing`);
    assert.ok(c.log.deafLines <= c.subscriber, 'once for each loss');
  }
  if (restarted) return;
  const out = r.sum.outgoing - r.aside;
  assert.ok(out >= r.accepted && out <= r.sent, `what is taken goes out once: ${out} of ${r.accepted} to ${r.sent}`);
  if (r.lost.every((l) => l.publisher.away.length === 0)) assert.equal(r.accepted, r.sent, 'all is taken');
}

// Messages that a node's publisher has given up, or may have: the others are to
// miss no more than these of it.
function onlyWhatIsCounted(r) {
  for (const [n, c] of r.nodes) {
    const missed = messages(r.lost.filter((l) => l.publisher.node === n));
    assert.ok(missed <= givenUp(c), `${n.name}: ${missed} are missed, ${givenUp(c)} counted`);
  }
}

function nothingLost(r) {
  assert.deepEqual(r.lost.map((l) => `${l.member.name} misses ${l.publisher.name} ${l.n}`), []);
  assert.equal(givenUp(r.sum), 0);
}

module.exports = { Stage, metricsOf, promises, onlyWhatIsCounted, nothingLost, wasAway, wasNotTaken, redis, messages };
