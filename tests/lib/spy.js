'use strict';
// One server of the profile ctl alone on a Redis, with all that it publishes.
// The test itself plays the other server of its cluster: it is subscribed to
// the request channels, so that the server counts it, and answers questions
// with nothing.

const { createClient } = require('redis');
const msgpack = require('notepack.io');
const { startRedis } = require('./servers');
const { WebSocketConnection } = require('./raw');
const { W } = require('./conformance');
const { until, within } = require('./until');
const { connect, ask, MODES } = require('./clients');

const NAMESPACES = ['/', '/custom'];
const REQUESTS = 'socket.io-request#';
const RESPONSES = 'socket.io-response#';
// Of the official adapter; confab's nodes have one more for presence.
const CLASSIC = /^socket\.io(-request|-response)?#/;

// By this room the test program asks whether all have done what they were told
// (tests/fixture/done.c), before it acknowledges.
const NOBODY = 'nobody, as everybody knows';

const ANSWERS = {
  0: (q) => ({ requestId: q.requestId, sockets: [] }),
  1: (q) => ({ requestId: q.requestId, rooms: [] }),
  5: (q) => ({ requestId: q.requestId, sockets: [] }),
  6: (q) => ({ type: 6, requestId: q.requestId, data: 'the other' }),
  7: (q) => ({ type: 8, requestId: q.requestId, clientCount: 0 }),
};

function decode(payload) {
  try {
    return payload[0] === 0x7b ? JSON.parse(payload) : msgpack.decode(payload);
  } catch {
    return {};
  }
}

// A client of /ctl that sends its JSON text as it is.
class RawCtl {
  static async open(server) {
    const c = new RawCtl();
    c.ws = await WebSocketConnection.open(server, W);
    await c.ws.textFrame();
    c.ws.text('40/ctl,');
    await c.ws.textFrame();
    c.last = 0;
    return c;
  }

  async op(text) {
    this.last += 1;
    this.ws.text(`42/ctl,${this.last}["op",${text}]`);
    const start = `43/ctl,${this.last}`;
    for (;;) {
      const t = await this.ws.textFrame(10000);
      if (t === '2') this.ws.text('3');
      if (t.startsWith(start)) return JSON.parse(t.slice(start.length))[0];
    }
  }
}

class Side {
  static async start(name, startServer) {
    const side = new Side();
    Object.assign(side, { name, seen: [], fences: 0, clients: {} });
    side.redis = await startRedis();
    await side.reconnect();
    side.server = await startServer({ redis: side.redis, name });
    side.ctl = await connect(side.server.url, '/ctl', MODES[1]);
    side.raw = await RawCtl.open(side.server);
    return side;
  }

  // To a Redis that has begun.
  async reconnect() {
    this.connections = [];
    this.sent = [];
    for (let i = 0; i < 3; i++) {
      const c = createClient({ url: this.redis.url });
      c.on('error', () => {}); // what it means is found by the tests
      this.connections.push(c);
      await c.connect();
    }
    const [spy, other, publisher] = this.connections;
    this.publisher = publisher;
    await spy.pSubscribe('*', (payload, channel) => this.hear(String(channel), payload), true);
    for (const nsp of NAMESPACES) {
      await other.subscribe(`${REQUESTS}${nsp}#`, (payload) => this.answer(nsp, payload), true);
    }
  }

  async disconnect() {
    for (const c of this.connections) await within(Promise.resolve(c.quit()), 2000, 'redis quits').catch(() => {});
  }

  hear(channel, payload) {
    const own = this.sent.findIndex((m) => m.channel === channel && m.payload.equals(payload));
    if (own >= 0) this.sent.splice(own, 1);
    else if (!payload.includes(NOBODY)) this.seen.push({ channel, payload });
  }

  publish(channel, payload) {
    const bytes = Buffer.from(payload);
    this.sent.push({ channel, payload: bytes });
    return this.publisher.publish(channel, bytes);
  }

  answer(nsp, payload) {
    const q = decode(payload);
    if (q.requestId === undefined || q.uid === 'other' || !ANSWERS[q.type]) return;
    this.publish(`${RESPONSES}${nsp}#`, JSON.stringify(ANSWERS[q.type](q)));
  }

  // By the official client, for binary data; or as JSON text.
  async op(o) {
    const answer = typeof o === 'string' ? await this.raw.op(o) : await ask(this.ctl, 'op', o);
    if ('error' in answer) throw new Error(`${this.name}: ${JSON.stringify(o).slice(0, 200)}: ${answer.error}`);
    return answer.value;
  }

  // What the server publishes because of the action: all up to a message that
  // it publishes afterwards.
  async record(action) {
    const from = this.seen.length;
    await action(this);
    this.fences += 1;
    const fence = Buffer.from(`fence ${this.fences}`);
    await this.op({ op: 'emit', rooms: ['fence'], args: [String(fence)] });
    const to = await until(() => this.seen.findIndex((m) => m.payload.includes(fence)) + 1, 5000,
      () => `${this.name} publishes ${fence}`);
    return this.seen.slice(from, to - 1);
  }

  // The server has answered n times since the last request.
  hears(n) {
    const count = () => this.seen.slice(this.from).filter((m) => m.channel.startsWith(RESPONSES)).length;
    return until(() => count() >= n, 5000, () => `${this.name} answers ${n} times, not ${count()}`);
  }

  // What it answers to the request, n messages and no more: the answer to a
  // later request comes after all of them.
  async answers(nsp, request, n, { during = () => {} } = {}) {
    const from = this.seen.length;
    this.from = from;
    const channel = `${REQUESTS}${nsp}#`;
    await this.publish(channel, Buffer.isBuffer(request) ? request : JSON.stringify(request));
    await during(this);
    await this.hears(n);
    this.fences += 1;
    const fence = `"fence ${this.fences}"`;
    await this.publish(channel, `{"uid":"other","requestId":${fence},"type":1}`);
    const to = await until(() => this.seen.findIndex((m) => m.payload.includes(fence)) + 1, 5000,
      () => `${this.name} answers ${fence}`);
    return this.seen.slice(from, to - 1);
  }

  // A client whose handshake is the same on every side, but for its key.
  async client(name, nsp = '/', auth = '') {
    const ws = await WebSocketConnection.open(this.server, `${W}&name=${name}`, { headers: { 'X-Name': name } });
    await ws.textFrame();
    const prefix = nsp === '/' ? '' : `${nsp},`;
    ws.text(`40${prefix}${auth}`);
    const { sid } = JSON.parse((await ws.textFrame()).slice(2 + prefix.length));
    this.clients[name] = { ws, id: sid, prefix };
    return this.clients[name];
  }

  // Answers the next "ask" that reaches the client: with JSON text, or with one
  // binary value.
  async acknowledge(name, answer) {
    const { ws, prefix } = this.clients[name];
    for (;;) {
      const t = await ws.textFrame();
      if (t === '2') ws.text('3');
      if (!t.startsWith(`42${prefix}`)) continue;
      const [, id] = /^(\d+)\["ask"/.exec(t.slice(2 + prefix.length)) || [];
      if (id === undefined) continue;
      if (Buffer.isBuffer(answer)) ws.text(`461-${prefix}${id}[{"_placeholder":true,"num":0}]`).binary(answer);
      else ws.text(`43${prefix}${id}${answer}`);
      return;
    }
  }

  async stop() {
    this.ctl?.disconnect();
    this.raw?.ws.destroy();
    for (const { ws } of Object.values(this.clients)) ws.destroy();
    await this.disconnect();
    await this.server?.stop();
    await this.redis?.stop();
  }
}

module.exports = { Side, REQUESTS, RESPONSES, CLASSIC };
