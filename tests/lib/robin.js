'use strict';
// A balancer that sticks to nothing: each request, or each connection, goes to
// the next node.

const http = require('node:http');
const net = require('node:net');

class Robin {
  // nodes: { port }; by 'request' or 'connection'.
  static async open(nodes, by = 'request') {
    const r = new Robin();
    Object.assign(r, { nodes, turn: 0, sockets: new Set(), seen: nodes.map(() => 0) });
    r.agent = new http.Agent({ keepAlive: true });
    r.server = by === 'connection' ? net.createServer((s) => r.connection(s)) : r.proxy();
    r.server.on('connection', (s) => r.track(s));
    await new Promise((resolve) => { r.server.listen(0, '127.0.0.1', resolve); });
    r.port = r.server.address().port;
    r.url = `http://127.0.0.1:${r.port}`;
    return r;
  }

  next() {
    const at = this.turn++ % this.nodes.length;
    this.seen[at] += 1;
    return this.nodes[at].port;
  }

  track(socket) {
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    return socket;
  }

  // What comes from one side goes to the other, and so does its end.
  join(a, b) {
    a.pipe(b);
    b.pipe(a);
    a.on('close', () => b.destroy());
    b.on('close', () => a.destroy());
  }

  connection(client) {
    this.join(client, this.track(net.connect({ port: this.next(), host: '127.0.0.1' })));
  }

  proxy() {
    const server = http.createServer((req, res) => this.request(req, res));
    server.on('upgrade', (req, client, head) => this.upgrade(req, client, head));
    server.keepAliveTimeout = 60000;
    return server;
  }

  request(req, res) {
    const { method, url, headers } = req;
    const on = http.request({ port: this.next(), host: '127.0.0.1', method, path: url, headers, agent: this.agent }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
      answer.on('error', () => res.destroy());
    });
    on.on('error', () => res.destroy());
    res.on('close', () => on.destroy());
    req.pipe(on);
  }

  upgrade(req, client, head) {
    const node = this.track(net.connect({ port: this.next(), host: '127.0.0.1' }));
    const lines = [`${req.method} ${req.url} HTTP/1.1`];
    for (let i = 0; i < req.rawHeaders.length; i += 2) lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`);
    node.write(`${lines.join('\r\n')}\r\n\r\n`);
    node.write(head);
    this.join(client, node);
  }

  close() {
    this.agent.destroy();
    this.server.close();
    for (const s of this.sockets) s.destroy();
  }
}

module.exports = { Robin };
