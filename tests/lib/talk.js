'use strict';
// A client of the fixture with connection state recovery, spoken by hand over a
// WebSocket.

const { WebSocketConnection } = require('./raw');
const { W, reasonOf } = require('./conformance');

class Talk {
  static async begin(at, auth = '', namespace = '/') {
    const t = new Talk();
    t.ws = await WebSocketConnection.open(at, W);
    await t.ws.textFrame(); // the handshake
    t.prefix = namespace === '/' ? '' : `${namespace},`;
    t.ws.text(`40${t.prefix}${auth}`);
    t.missed = []; // what came before the reply
    for (;;) {
      const f = await t.ws.frame();
      const p = f.opcode === 1 ? String(f.payload) : f.payload;
      if (f.opcode === 1 && p.startsWith('40')) {
        t.reply = p;
        break;
      }
      t.missed.push(p);
    }
    Object.assign(t, JSON.parse(t.reply.slice(2 + t.prefix.length)));
    t.offset = JSON.parse((await t.ws.textFrame()).slice(2 + t.prefix.length)).at(-1); // the greeting
    return t;
  }

  // What comes before the answer is kept in `events`.
  async ask(...event) {
    this.ws.text(`42${this.prefix}7${JSON.stringify(event)}`);
    this.events = [];
    for (;;) {
      const f = await this.ws.frame();
      const p = f.opcode === 1 ? String(f.payload) : f.payload;
      if (f.opcode === 1 && p.startsWith(`43${this.prefix}7`)) {
        return JSON.parse(p.slice(3 + this.prefix.length))[0];
      }
      this.events.push(p);
    }
  }

  // Until this, what was sent has been handled.
  async settle() {
    await this.ask('echo', 'settled');
  }

  // The connection is lost, and the server knows.
  async lose(at) {
    this.ws.destroy();
    return reasonOf(at, this.sid);
  }

  pidAnd(offset = this.offset) {
    return JSON.stringify({ pid: this.pid, offset });
  }
}

module.exports = { Talk };
