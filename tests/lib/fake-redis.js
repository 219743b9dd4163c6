'use strict';
// A Redis that does what it is told: as much of the real one as nodes need
// (publish and subscribe, in RESP2), and anything else in its stead.

const net = require('node:net');

const bulk = (s) => Buffer.concat([Buffer.from(`$${Buffer.byteLength(s)}\r\n`), Buffer.from(s), Buffer.from('\r\n')]);
const array = (...items) => Buffer.concat([Buffer.from(`*${items.length}\r\n`), ...items]);
const integer = (n) => Buffer.from(`:${n}\r\n`);

// Takes complete commands off the front of the bytes: [[commands], rest].
function parse(bytes) {
  const commands = [];
  for (;;) {
    let at = 0;
    const line = (sign) => {
      const end = bytes.indexOf('\r\n', at);
      if (end < 0) return null;
      if (String.fromCharCode(bytes[at]) !== sign) throw new Error(`not RESP: ${bytes.subarray(at, at + 20)}`);
      const n = Number(bytes.toString('latin1', at + 1, end));
      at = end + 2;
      return n;
    };
    const count = line('*');
    const args = [];
    while (count !== null && args.length < count) {
      const n = line('$');
      if (n === null || at + n + 2 > bytes.length) break;
      args.push(bytes.subarray(at, at + n));
      at += n + 2;
    }
    if (count === null || args.length < count) return [commands, bytes];
    commands.push(args);
    bytes = bytes.subarray(at);
  }
}

class FakeRedis {
  constructor() {
    this.connections = new Set();
    this.accepted = 0;
    this.seen = []; // the first words of all commands
    // Called for each connection and each command; true: it has been dealt with.
    this.onConnection = null;
    this.onCommand = null;
    this.server = net.createServer((socket) => this.accept(socket));
  }

  static async start() {
    const r = new FakeRedis();
    await new Promise((resolve) => { r.server.listen(0, '127.0.0.1', resolve); });
    r.port = r.server.address().port;
    r.url = `redis://127.0.0.1:${r.port}`;
    return r;
  }

  accept(socket) {
    const c = { socket, channels: new Set(), patterns: new Set(), rest: Buffer.alloc(0) };
    this.accepted += 1;
    this.connections.add(c);
    socket.setNoDelay(true);
    socket.on('close', () => this.connections.delete(c));
    socket.on('error', () => {});
    socket.on('data', (data) => {
      let commands;
      [commands, c.rest] = parse(Buffer.concat([c.rest, data]));
      for (const command of commands) this.command(c, command);
    });
    this.onConnection?.(c);
  }

  command(c, args) {
    const word = String(args[0]).toUpperCase();
    this.seen.push(word);
    if (c.socket.destroyed || this.onCommand?.(c, word, args)) return;
    c.socket.write(this.answer(c, word, args));
  }

  answer(c, word, args) {
    const subscribed = () => c.channels.size + c.patterns.size;
    switch (word) {
      case 'PING': return subscribed() ? array(bulk('pong'), bulk('')) : Buffer.from('+PONG\r\n');
      case 'PUBLISH': return integer(this.publish(String(args[1]), args[2]));
      case 'PUBSUB':
        return array(...args.slice(2).flatMap((channel) => [bulk(channel),
          integer([...this.connections].filter((o) => o.channels.has(String(channel))).length)]));
      case 'SUBSCRIBE': case 'UNSUBSCRIBE': case 'PSUBSCRIBE': case 'PUNSUBSCRIBE':
        return Buffer.concat(args.slice(1).map((name) => {
          const set = word[0] === 'P' ? c.patterns : c.channels;
          if (/UN/.test(word)) set.delete(String(name));
          else set.add(String(name));
          return array(bulk(word.toLowerCase()), bulk(name), integer(subscribed()));
        }));
      case 'CLIENT':
        if (/info/i.test(args[1])) return bulk('id=1 addr=127.0.0.1:1 name=x');
        return /kill/i.test(args[1]) ? integer(0) : Buffer.from('+OK\r\n');
      default: return Buffer.from('+OK\r\n');
    }
  }

  // Patterns here are a beginning, perhaps escaped, or match a number of
  // characters in the middle; more are not needed.
  publish(channel, payload) {
    let heard = 0;
    for (const c of this.connections) {
      if (c.channels.has(channel)) {
        heard += 1;
        c.socket.write(array(bulk('message'), bulk(channel), bulk(payload)));
      }
      for (const pattern of c.patterns) {
        const regexp = pattern.replace(/\\?[^]/g, (m) => (m === '*' ? '.*' : m === '?' ? '.'
          : `\\u{${m.at(-1).codePointAt(0).toString(16)}}`));
        if (!new RegExp(`^${regexp}$`, 'us').test(channel)) continue;
        heard += 1;
        c.socket.write(array(bulk('pmessage'), bulk(pattern), bulk(channel), bulk(payload)));
      }
    }
    return heard;
  }

  subscriber() {
    return [...this.connections].find((c) => c.channels.size > 0);
  }

  publisher() {
    return [...this.connections].find((c) => c.channels.size + c.patterns.size === 0);
  }

  drop() {
    for (const c of this.connections) c.socket.destroy();
  }

  async stop() {
    this.drop();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}

module.exports = { FakeRedis, bulk, array, integer };
