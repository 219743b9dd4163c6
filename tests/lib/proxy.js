'use strict';
// A TCP relay for a connection that fails in all the ways a network has. A cut
// ends connections on both sides at once. In a hole nothing is lost and nothing
// gets through: what was sent, and that a side has closed, arrives when the hole
// has ended, as with TCP.

const net = require('node:net');

class Pair {
  constructor(proxy, near, far) {
    this.proxy = proxy;
    this.near = near;
    this.far = far;
    this.held = false;
    this.waiting = []; // { at, act }, of both directions, in order
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.on('data', (d) => this.pass(() => { if (!to.destroyed) to.write(d); }));
      from.on('end', () => this.pass(() => to.end()));
      from.on('error', () => this.pass(() => to.destroy()));
    }
  }

  // The delay may change at any time; the order does not.
  pass(act) {
    const last = this.waiting.at(-1)?.at || 0;
    this.waiting.push({ at: Math.max(last, Date.now() + this.proxy.delay), act });
    if (this.waiting.length === 1) this.run();
  }

  run() {
    while (!this.held && this.waiting.length && this.waiting[0].at <= Date.now()) this.waiting.shift().act();
    if (!this.held && this.waiting.length && !this.timer) {
      this.timer = setTimeout(() => { this.timer = null; this.run(); }, this.waiting[0].at - Date.now());
    }
  }

  hold() {
    this.held = true;
  }

  release() {
    this.held = false;
    this.run();
  }

  destroy() {
    clearTimeout(this.timer);
    this.near.destroy();
    this.far.destroy();
  }
}

class Proxy {
  static async open(port) {
    const p = new Proxy();
    p.pairs = new Set();
    p.delay = 0; // in each direction, in milliseconds
    p.state = 'open';
    p.listener = net.createServer({ allowHalfOpen: true }, (near) => {
      if (p.state === 'cut') {
        near.destroy();
        return;
      }
      const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const pair = new Pair(p, near, far);
      if (p.state === 'hole') pair.hold();
      p.pairs.add(pair);
      far.on('close', () => p.pairs.delete(pair));
    });
    await new Promise((resolve) => { p.listener.listen(0, '127.0.0.1', resolve); });
    p.port = p.listener.address().port;
    p.url = `redis://127.0.0.1:${p.port}`;
    return p;
  }

  cut() {
    this.state = 'cut';
    for (const pair of this.pairs) pair.destroy();
  }

  hole() {
    this.state = 'hole';
    for (const pair of this.pairs) pair.hold();
  }

  // What was held gets through `late` milliseconds after new connections do.
  mend(late = 0) {
    this.state = 'open';
    const held = [...this.pairs].filter((pair) => pair.held);
    setTimeout(() => { for (const pair of held) pair.release(); }, late);
  }

  close() {
    for (const pair of this.pairs) pair.destroy();
    this.listener.close();
  }
}

module.exports = { Proxy };
