'use strict';
// A node that tells the others it takes requests of its sessions, and does with
// them whatever a test wants.

const net = require('node:net');
const crypto = require('node:crypto');
const { createClient } = require('redis');

class FakeNode {
  // serve(connection, head, body): a request has come as a whole. `address`:
  // where the others are sent; a port of its own if it is not given.
  static async open(redis, { serve, address, prefix = 'socket.io' } = {}) {
    const n = new FakeNode();
    Object.assign(n, { serve, id: crypto.randomBytes(8).toString('hex'), tag: crypto.randomBytes(6).toString('base64url').slice(0, 6),
      token: crypto.randomBytes(16).toString('base64url'), channel: `${prefix}-presence#`, connections: new Set(), requests: [] });
    n.server = net.createServer({ allowHalfOpen: true }, (c) => n.connection(c));
    await new Promise((resolve) => { n.server.listen(0, '127.0.0.1', resolve); });
    n.port = n.server.address().port;
    n.address = address || `127.0.0.1:${n.port}`;
    n.client = createClient({ url: redis.url });
    await n.client.connect();
    await n.say('hello');
    n.beats = setInterval(() => n.say('beat').catch(() => {}), 500);
    return n;
  }

  say(type) {
    return this.client.publish(this.channel, JSON.stringify({
      v: 1, type, node: this.id, seq: 0, count: 0, name: 'fake', tag: this.tag, relay: this.address, token: this.token,
    }));
  }

  // An id that looks like one of its sessions'.
  sid() {
    return this.tag + crypto.randomBytes(12).toString('base64url').slice(0, 14);
  }

  connection(c) {
    let got = Buffer.alloc(0);
    this.connections.add(c);
    c.gone = false;
    c.on('error', () => {});
    c.on('end', () => { c.gone = true; });
    c.on('close', () => { c.gone = true; this.connections.delete(c); });
    c.on('data', (d) => {
      if (c.tunnel) {
        c.tunnel(d);
        return;
      }
      got = Buffer.concat([got, d]);
      const end = got.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = got.subarray(0, end).toString('latin1');
      const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] || 0);
      if (got.length < end + 4 + length) return;
      const body = got.subarray(end + 4, end + 4 + length);
      got = got.subarray(end + 4 + length);
      this.requests.push({ head, body });
      this.serve?.(c, head, body);
    });
  }

  async close() {
    clearInterval(this.beats);
    await this.say('bye');
    await this.client.quit();
    for (const c of this.connections) c.destroy();
    this.server.close();
  }
}

module.exports = { FakeNode };
