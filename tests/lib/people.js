'use strict';
// People who talk in rooms while a cluster changes under them, and newcomers; and
// what became of their messages. Official clients, of every transport.

const { Connection, requestText } = require('./raw');
const { until, sleep, SLOW } = require('./until');

const ROOMS = 3;
// Of the official client: the delay of the first attempt, which must do, and half
// of it more by chance; then a handshake and a namespace.
const DELAY = { reconnectionDelay: 100, reconnectionDelayMax: 500 };
const AWAY_MS = 1.5 * DELAY.reconnectionDelay + 850 * SLOW;
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
  constructor(io, url, i) {
    this.name = `person-${i}`;
    this.room = `rolling-${i % ROOMS}`;
    this.stays = []; // { from, to } in its room
    this.away = []; // { from, to, reason }
    this.heard = new Map(); // text -> how often
    this.refused = []; // attempts to come back
    this.words = 0;
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
    this.socket.on('connect_error', (e) => this.refused.push(e.message));
    this.socket.on('chat message', (m) => this.heard.set(m.message, (this.heard.get(m.message) || 0) + 1));
    this.pause = 300 * SLOW + i;
    this.talk();
  }

  talk() {
    this.timer = setInterval(() => this.say(), this.pause);
  }

  get inRoom() {
    return this.stays.at(-1)?.to === Infinity;
  }

  say() {
    if (!this.inRoom) return;
    this.words += 1;
    const m = { text: `${this.name} ${this.words}`, room: this.room, sent: Date.now(), answered: 0 };
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

  forget() {
    this.away = this.away.filter((a) => a.to === Infinity);
    this.said = [];
    this.refused = [];
    this.heard.clear();
  }

  // How many of `said` were for it.
  got(said) {
    for (const [text, n] of this.heard) {
      if (n !== 1) throw new Error(`${this.name} heard "${text}" ${n} times`);
    }
    const due = said.filter((m) => this.wasThere(m));
    const missed = due.filter((m) => !this.heard.has(m.text));
    if (missed.length) throw new Error(`${this.name} missed ${missed.length} of ${due.length}, as "${missed[0].text}"`);
    return due.length;
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
      const sid = /"sid":"([^"]+)"/.exec(String(r.body));
      if (sid) {
        // It says good-bye, so that its session is not there any more.
        c.write(requestText('POST', `${path}&sid=${sid[1]}`, {}, '1'));
        await c.response({ ms: 5000 });
      }
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


// `n` people in rooms of `url`, with the official client `io`.
class Crowd {
  constructor(io, url, n) {
    this.url = url;
    this.people = [...Array(n).keys()].map((i) => new Person(io, url, i));
  }

  settles(ms = 20000) {
    return until(() => this.people.every((p) => p.inRoom), ms, () =>
      `all are in their rooms: ${this.people.filter((p) => !p.inRoom).length} are not`);
  }

  // From here to `judge`.
  begin() {
    for (const p of this.people) p.forget();
    this.came = newcomers(new URL(this.url));
  }

  // Everybody falls silent, and what was said since `begin` is looked at: throws
  // when someone missed a message of a room it was in, or got one twice.
  async judge() {
    await this.came.stop();
    await this.settles();
    await sleep(2 * BLUR_MS);
    for (const p of this.people) p.silence();
    await this.settles();
    await sleep(2 * BLUR_MS); // what is on its way arrives
    for (const p of this.people) p.talk();
    const said = this.people.flatMap((p) => p.said).filter((m) => m.answered);
    const due = this.people.reduce((n, p) => n + p.got(said), 0);
    const away = this.people.flatMap((p) => p.away);
    return {
      messages: said.length,
      due,
      handshakes: this.came.tried,
      bad: [...this.came.bad, ...this.people.flatMap((p) => p.refused)],
      away,
      longest: Math.max(0, ...away.map((a) => a.to - a.from)),
      mostInASecond: most(away.map((a) => a.from), 1000),
    };
  }

  leave() {
    for (const p of this.people) {
      p.silence();
      p.socket.disconnect();
    }
  }
}

// The largest number of `times` within `ms`.
function most(times, ms) {
  const t = [...times].sort((a, b) => a - b);
  let best = 0;
  let first = 0;
  t.forEach((end, i) => {
    while (t[first] <= end - ms) first += 1;
    best = Math.max(best, i - first + 1);
  });
  return best;
}

module.exports = { Crowd, AWAY_MS };
