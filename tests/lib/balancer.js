'use strict';
// A balancer alone, in front of nodes that are not real: they note each request
// and answer as they are told.

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Process, ROOT, OUTPUT } = require('./process');
const { freePort } = require('./servers');
const { until } = require('./until');

const DEPLOY = path.join(ROOT, 'deploy');

// Says on whose behalf it answers, and a handshake's session id, as a node does.
class FakeNode {
  static async start(name) {
    const node = Object.assign(new FakeNode(), {
      name, ready: 200, handshakes: 200, sessions: 200, requests: [], opened: 0,
    });
    node.server = http.createServer((request, response) => node.answer(request, response));
    node.server.on('upgrade', (request, socket) => node.upgrade(request, socket));
    await new Promise((resolve) => node.server.listen(node.port || 0, '127.0.0.1', resolve));
    node.port = node.server.address().port;
    return node;
  }

  note({ method, url, headers }) {
    this.requests.push({ method, url, headers });
  }

  // A WebSocket that says nothing and stays.
  upgrade(request, socket) {
    this.note(request);
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    if (this.handshakes !== 200) {
      socket.end(`HTTP/1.1 ${this.handshakes} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const accept = crypto.createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
      + `Sec-WebSocket-Accept: ${accept}\r\nX-Node: ${this.name}\r\n\r\n`);
  }

  answer(request, response) {
    if (request.url === '/readyz') {
      response.writeHead(this.ready).end();
      return;
    }
    this.note(request);
    request.resume();
    const sid = new URL(request.url, 'http://x').searchParams.get('sid');
    this.opened += 1;
    const slot = request.headers['x-confab-slot'];
    const made = `${String(this.opened).padStart(20, 'a')}${slot ? `.${slot}` : ''}`;
    const status = sid ? this.sessions : this.handshakes;
    response.writeHead(status, { 'X-Node': this.name, ...(status === 503 ? { 'Retry-After': '7' } : {}) });
    response.end(status === 200 && !sid ? `0{"sid":"${made}"}` : 'ok');
  }

  // How many requests with, or without, a session it has had.
  count(session) {
    return this.requests.filter((r) => /[?&]sid=/.test(r.url) === session).length;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const listening = (port) => until(async () => {
  const { Connection } = require('./raw');
  const c = new Connection({ port });
  await until(() => c.ended || !c.socket.connecting, 1000, 'an answer');
  const there = !c.ended;
  c.destroy();
  return there;
}, 10000, `port ${port} is served`);

// The statistics of HAProxy at that port: a column of a frontend, backend or server.
async function figureAt(stats, proxy, server, column) {
  const text = await (await fetch(`http://127.0.0.1:${stats}/stats;csv`)).text();
  const [head, ...rows] = text.trim().split('\n').map((line) => line.replace(/^# /, '').split(','));
  const row = rows.find((r) => r[0] === proxy && r[1] === server);
  return row[head.indexOf(column)];
}

let made = 0;
function writeConfiguration(name, text) {
  made += 1;
  fs.mkdirSync(OUTPUT, { recursive: true });
  const file = path.join(OUTPUT, `${process.pid}-${made}-${name}`);
  fs.writeFileSync(file, text);
  return file;
}

async function startHaproxy(nodes, env = {}) {
  const servers = nodes.map((n) => `    server ${n.name} 127.0.0.1:${n.port} check`).join('\n');
  const text = fs.readFileSync(path.join(DEPLOY, 'haproxy.cfg'), 'utf8')
    .replace(/^ *server-template .*$/m, servers);
  const [port, stats] = [await freePort(), await freePort()];
  const p = new Process('haproxy', 'haproxy', ['-db', '-f', writeConfiguration('haproxy.cfg', text)], {
    env: {
      PATH: `${process.env.PATH}:/usr/sbin`, BALANCER_BIND: `127.0.0.1:${port}`,
      BALANCER_STATS: `127.0.0.1:${stats}`, BALANCER_HARD_STOP: '1s', ...env,
    },
  });
  await listening(port);
  p.figure = (...which) => figureAt(stats, ...which);
  p.port = port;
  for (const n of nodes) {
    await until(async () => /UP/.test(await p.figure('nodes', n.name, 'status')), 5000, `${n.name} is up`);
  }
  return p;
}

// nginx with three nodes in the place of those in the file; edit: what to replace.
async function startNginx(nodes, edit = {}) {
  const port = await freePort();
  let text = fs.readFileSync(path.join(DEPLOY, 'nginx.conf'), 'utf8').replace('listen 8080;', `listen 127.0.0.1:${port};`);
  nodes.forEach((n, i) => { text = text.replaceAll(`10.0.0.${i + 1}:3000`, `127.0.0.1:${n.port}`); });
  for (const [a, b] of Object.entries(edit)) {
    if (!text.includes(a)) throw new Error(`deploy/nginx.conf has no ${a}`);
    text = text.replace(a, b);
  }
  const prefix = path.join(OUTPUT, `${process.pid}-nginx-${made}`);
  fs.mkdirSync(prefix, { recursive: true });
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((t) => `${t}_temp_path ${prefix}/${t};`);
  const file = writeConfiguration('nginx.conf', text.replace('http {', `http {\n${temp.join('\n')}`));
  const p = new Process('nginx', 'nginx', ['-p', prefix, '-c', file,
    '-g', `daemon off; error_log stderr; pid ${prefix}/pid;`], { env: { PATH: `${process.env.PATH}:/usr/sbin` } });
  await listening(port);
  p.port = port;
  return p;
}

module.exports = { FakeNode, startHaproxy, startNginx, figureAt };
