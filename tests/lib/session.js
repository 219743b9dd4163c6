'use strict';
// An Engine.IO session spoken by hand, the same words over every transport:
// send packets, receive packets, learn how it ended. Packets are text with the
// digit in front, or a Buffer for binary data.

const { Connection, WebSocketConnection, requestText } = require('./raw');
const { until } = require('./until');

const SEPARATOR = '\x1e';
const encode = (p) => (Buffer.isBuffer(p) ? `b${p.toString('base64')}` : p);
const decode = (p) => (p[0] === 'b' ? Buffer.from(p.slice(1), 'base64') : p);

class Session {
  constructor(server, path) {
    this.server = server;
    this.path = path;
    this.packets = [];
    this.over = null; // how it ended: text, once it has
  }

  async packet(ms = 5000) {
    await until(() => this.packets.length || this.over, ms, 'a packet');
    if (!this.packets.length) throw new Error(`session is over: ${this.over}`);
    return this.packets.shift();
  }

  // The next packet that is no heartbeat; heartbeats are answered.
  async message(ms = 5000) {
    for (;;) {
      const p = await this.packet(ms);
      if (p === '2') await this.send('3');
      else if (p !== '6') return p;
    }
  }

  async connect(namespace = '/', auth = '') {
    await this.send(`40${namespace === '/' ? '' : `${namespace},`}${auth}`);
    return this.message();
  }

  // The server ends the session.
  async ends(ms = 5000) {
    await until(() => this.over, ms, () =>
      `session ends; packets: ${JSON.stringify(this.packets)}`);
    return this.over;
  }
}

class PollingSession extends Session {
  static async open(server, { path = '/socket.io/', query = '', poll = true } = {}) {
    const s = new PollingSession(server, `${path}?EIO=4&transport=polling${query}`);
    s.getter = new Connection(server);
    s.poster = new Connection(server);
    const r = await s.get();
    s.handshake = JSON.parse(r.body.toString().slice(1));
    s.path += `&sid=${s.handshake.sid}`;
    if (poll) s.poll();
    return s;
  }

  async get(ms) {
    return this.exchange('getter', requestText('GET', this.path), ms);
  }

  // A request over the connection kept for it, or a new one when the server
  // has closed that.
  async exchange(which, text, ms) {
    if (this[which].ended || this[which].last) this[which] = new Connection(this.server);
    const c = this[which];
    c.write(text);
    const r = await c.response({ ms });
    c.last = /close/i.test(r.headers.connection || '');
    return r;
  }

  async poll() {
    try {
      while (!this.over && !this.paused) {
        const r = await this.get(60000);
        if (r.status !== 200) {
          this.over = `GET ${r.status} ${r.body}`;
          return;
        }
        for (const p of r.body.toString().split(SEPARATOR)) {
          if (p === '1') this.over = 'close packet';
          else this.packets.push(decode(p));
        }
      }
      this.paused?.();
    } catch (e) {
      this.over ||= e.message;
    }
  }

  // Resolves when the poll in flight has been answered.
  pause() {
    return new Promise((resolve) => { this.paused = resolve; });
  }

  async post(body) {
    return this.exchange('poster', requestText('POST', this.path,
      { 'Content-Type': 'text/plain;charset=UTF-8' }, body));
  }

  async send(...packets) {
    return this.post(packets.map(encode).join(SEPARATOR));
  }

  destroy() {
    this.getter.destroy();
    this.poster.destroy();
  }
}

class WebSocketSession extends Session {
  static async open(server, { path = '/socket.io/', query = '', headers } = {}) {
    const s = new WebSocketSession(server, `${path}?EIO=4&transport=websocket${query}`);
    s.ws = await WebSocketConnection.open(server, s.path, { headers });
    s.handshake = JSON.parse((await s.ws.textFrame()).slice(1));
    s.read();
    return s;
  }

  async read() {
    try {
      for (;;) {
        const f = await this.ws.frame(60000);
        if (f.opcode === 8) {
          this.over = `close ${f.payload.toString('hex')}`;
          return;
        }
        if (f.opcode === 1) this.packets.push(f.payload.toString());
        if (f.opcode === 2) this.packets.push(f.payload);
      }
    } catch (e) {
      this.over ||= e.message;
    }
  }

  async send(...packets) {
    for (const p of packets) {
      if (Buffer.isBuffer(p)) this.ws.binary(p);
      else this.ws.text(p);
    }
  }

  destroy() {
    this.ws.destroy();
  }
}

// Opens with polling and moves to a WebSocket as the official client does.
async function openUpgraded(server, options = {}) {
  const polling = await PollingSession.open(server, { ...options, poll: false });
  const path = polling.path.replace('transport=polling', 'transport=websocket');
  const s = new WebSocketSession(server, path);
  s.handshake = polling.handshake;
  s.ws = await WebSocketConnection.open(server, path, options);
  s.ws.text('2probe');
  const answer = await s.ws.textFrame();
  if (answer !== '3probe') throw new Error(`probe answered ${answer}`);
  s.ws.text('5');
  polling.destroy();
  s.read();
  return s;
}

const SESSIONS = [
  { name: 'polling', open: PollingSession.open },
  { name: 'websocket', open: WebSocketSession.open },
  { name: 'upgrade', open: openUpgraded },
];

module.exports = { PollingSession, WebSocketSession, openUpgraded, SESSIONS, encode, decode };
