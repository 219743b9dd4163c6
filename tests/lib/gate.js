'use strict';
// A TCP relay in front of a server. From cut to mend clients lose their
// connections and get no others, and the server's stay open and silent for good,
// as when a cable is pulled. With a delay everything takes that long each way.

const net = require('node:net');

class Gate {
  static async open(server, { delay = 0 } = {}) {
    const g = new Gate();
    g.pairs = new Set();
    g.listener = net.createServer({ allowHalfOpen: true }, (near) => {
      if (g.down) {
        near.destroy();
        return;
      }
      const far = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
      const pair = { near, far };
      g.pairs.add(pair);
      for (const [a, b] of [[near, far], [far, near]]) {
        a.setNoDelay(true);
        const pass = (d) => { if (!pair.cut && !b.destroyed) b.write(d); };
        a.on('data', delay ? (d) => setTimeout(pass, delay, d) : pass);
        a.on('end', () => { if (!pair.cut) b.end(); });
        a.on('error', () => {});
        a.on('close', () => { if (!pair.cut) b.destroy(); });
      }
    });
    await new Promise((resolve) => { g.listener.listen(0, '127.0.0.1', resolve); });
    g.port = g.listener.address().port;
    g.url = `http://127.0.0.1:${g.port}`;
    return g;
  }

  cut() {
    this.down = true;
    for (const pair of this.pairs) {
      pair.cut = true;
      pair.near.destroy();
    }
  }

  mend() {
    this.down = false;
  }

  close() {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
    this.listener.close();
  }
}

module.exports = { Gate };
