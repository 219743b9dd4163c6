'use strict';
// HTTP and WebSocket byte by byte, for what no decent client sends.

const crypto = require('node:crypto');
const net = require('node:net');
const { until } = require('./until');

const open = new Set();

// A TCP connection that keeps all it receives.
class Connection {
  constructor(server) {
    this.buffer = Buffer.alloc(0);
    this.ended = false; // the peer has finished sending, or reset
    this.closed = false;
    this.error = null;
    this.socket = net.connect({
      port: server.port, host: '127.0.0.1', localAddress: server.local, allowHalfOpen: true,
    });
    this.socket.setNoDelay(true);
    this.socket.on('data', (d) => {
      this.buffer = Buffer.concat([this.buffer, d]);
    });
    this.socket.on('end', () => { this.ended = true; });
    this.socket.on('error', (e) => { this.error = e; this.ended = true; });
    this.socket.on('close', () => { this.closed = true; this.ended = true; });
    open.add(this);
  }

  write(data) {
    if (!this.socket.destroyed) this.socket.write(data);
    return this;
  }

  // Takes the next n bytes.
  async bytes(n, ms = 5000) {
    await until(() => this.buffer.length >= n || this.ended, ms,
      () => `${n} bytes, there are ${this.buffer.length}`);
    if (this.buffer.length < n) {
      throw new Error(`connection ended with ${this.buffer.length} of ${n} bytes`);
    }
    const taken = this.buffer.subarray(0, n);
    this.buffer = this.buffer.subarray(n);
    return taken;
  }

  // Takes up to and including the text.
  async upTo(text, ms = 5000) {
    let at = -1;
    await until(() => {
      at = this.buffer.indexOf(text);
      return at >= 0 || this.ended;
    }, ms, () => `${JSON.stringify(text)} in ${
      JSON.stringify(this.buffer.toString('latin1').slice(0, 300))}`);
    if (at < 0) {
      throw new Error(`connection ended after ${
        JSON.stringify(this.buffer.toString('latin1').slice(0, 300))}`);
    }
    return this.bytes(at + text.length, ms);
  }

  // One HTTP response; `head` for an answer to HEAD.
  async response({ head = false, ms = 5000 } = {}) {
    const top = (await this.upTo('\r\n\r\n', ms)).toString('latin1');
    const [line, ...lines] = top.trimEnd().split('\r\n');
    const m = /^HTTP\/1\.([01]) (\d{3}) ?(.*)$/.exec(line);
    if (!m) throw new Error(`not a status line: ${line}`);
    const headers = {};
    for (const l of lines) {
      const at = l.indexOf(':');
      const key = l.slice(0, at).toLowerCase();
      const value = l.slice(at + 1).trim();
      headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
    }
    const r = {
      status: Number(m[2]), reason: m[3], headers, lines, body: Buffer.alloc(0),
    };
    if (head || r.status === 101 || r.status === 204 || r.status === 304) return r;
    if (/chunked/i.test(headers['transfer-encoding'] || '')) {
      const parts = [];
      for (;;) {
        const size = parseInt(String(await this.upTo('\r\n', ms)), 16);
        const part = await this.bytes(size + 2, ms);
        if (size === 0) break;
        parts.push(part.subarray(0, size));
      }
      r.body = Buffer.concat(parts);
    } else if ('content-length' in headers) {
      r.body = await this.bytes(Number(headers['content-length']), ms);
    } else {
      await until(() => this.ended, ms, 'the body ends with the connection');
      r.body = await this.bytes(this.buffer.length);
    }
    return r;
  }

  // The server closes; what it had sent before that stays in `buffer`.
  end(ms = 5000) {
    return until(() => this.ended, ms, () => `connection ends; received ${
      JSON.stringify(this.buffer.toString('latin1').slice(0, 300))}`);
  }

  destroy() {
    this.socket.destroy();
    open.delete(this);
  }
}

function requestText(method, path, headers = {}, body) {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost'];
  for (const [k, v] of Object.entries(headers)) {
    for (const one of [v].flat()) lines.push(`${k}: ${one}`);
  }
  if (body !== undefined && !('Content-Length' in headers)) {
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  }
  return Buffer.concat([
    Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
    body === undefined ? Buffer.alloc(0) : Buffer.from(body),
  ]);
}

// One request on a connection of its own.
async function request(server, method, path, { headers, body, ms } = {}) {
  const c = new Connection(server);
  c.write(requestText(method, path, headers, body));
  try {
    return await c.response({ head: method === 'HEAD', ms });
  } finally {
    c.destroy();
  }
}

const get = (server, path, headers) => request(server, 'GET', path, { headers });

// ---- WebSocket ------------------------------------------------------------

function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length } = {}) {
  const data = Buffer.from(payload);
  const n = length === undefined ? BigInt(data.length) : BigInt(length);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = mask ? 0x80 : 0;
  if (n < 126n) {
    head.push(bit | Number(n));
  } else if (n < 65536n) {
    head.push(bit | 126, Number(n >> 8n), Number(n & 255n));
  } else {
    head.push(bit | 127);
    for (let i = 56n; i >= 0n; i -= 8n) head.push(Number((n >> i) & 255n));
  }
  if (!mask) return Buffer.concat([Buffer.from(head), data]);
  const key = crypto.randomBytes(4);
  const masked = Buffer.from(data);
  for (let i = 0; i < masked.length; i++) masked[i] ^= key[i & 3];
  return Buffer.concat([Buffer.from(head), key, masked]);
}

class WebSocketConnection extends Connection {
  // The handshake; rejects with the response when it is not 101.
  static async open(server, path, { headers = {}, ms } = {}) {
    const ws = new WebSocketConnection(server);
    ws.key = crypto.randomBytes(16).toString('base64');
    ws.write(requestText('GET', path, {
      Connection: 'Upgrade', Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': ws.key, ...headers,
    }));
    ws.handshake = await ws.response({ ms });
    if (ws.handshake.status !== 101) {
      throw Object.assign(new Error(`handshake answered ${ws.handshake.status}`),
        { response: ws.handshake, connection: ws });
    }
    return ws;
  }

  text(t, options) { return this.write(frame(1, t, options)); }

  binary(b, options) { return this.write(frame(2, b, options)); }

  // The next frame.
  async frame(ms = 5000) {
    const [first, second] = await this.bytes(2, ms);
    let n = second & 127;
    if (n === 126) n = (await this.bytes(2, ms)).readUInt16BE();
    else if (n === 127) n = Number((await this.bytes(8, ms)).readBigUInt64BE());
    if (second & 128) throw new Error('server masks its frame');
    const payload = await this.bytes(n, ms);
    return { fin: !!(first & 128), rsv: (first >> 4) & 7, opcode: first & 15, payload };
  }

  async textFrame(ms) {
    const f = await this.frame(ms);
    if (f.opcode !== 1) throw new Error(`opcode ${f.opcode}: ${f.payload.toString('hex')}`);
    return f.payload.toString();
  }

  // Skips data until the close frame; its code, or 1005 when it is empty.
  async closeCode(ms = 5000) {
    for (;;) {
      const f = await this.frame(ms);
      if (f.opcode === 8) {
        return f.payload.length >= 2 ? f.payload.readUInt16BE() : 1005;
      }
    }
  }
}

const destroyAll = () => {
  for (const c of open) c.destroy();
};

module.exports = {
  Connection, WebSocketConnection, requestText, request, get, frame, destroyAll,
};
