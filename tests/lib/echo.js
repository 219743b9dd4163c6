'use strict';
// What the tests of the WebSocket protocol share: a case is what to write and
// what must come back from a server that echoes messages.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { WebSocketConnection, frame } = require('./raw');

const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const NAME = Object.fromEntries(Object.entries(OPCODE).map(([k, v]) => [v, k]));

// ---- what is sent ---------------------------------------------------------

const text = (data, options) => frame(OPCODE.text, data, options);
const binary = (data, options) => frame(OPCODE.binary, data, options);
const ping = (data, options) => frame(OPCODE.ping, data, options);
const pong = (data, options) => frame(OPCODE.pong, data, options);
const more = (data, options) => frame(0, data, options); // a continuation
const OPEN = { fin: false }; // and more will follow

function closeBody(code, reason = '') {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason)]);
}
const close = (code, reason) => frame(OPCODE.close, code === undefined ? '' : closeBody(code, reason));

function pieces(data, size) {
  const all = [];
  for (let i = 0; i < data.length; i += size) all.push(data.subarray(i, i + size));
  return all.length ? all : [data];
}

// One message as frames of at most `size` bytes.
function fragments(kind, data, size, first = {}) {
  const parts = pieces(Buffer.from(data), size);
  return parts.map((p, i) => frame(i ? 0 : OPCODE[kind], p,
    { fin: i === parts.length - 1, ...(i ? {} : first) }));
}

// The start of a text frame of which no more than this comes.
function unfinished(data, length = data.length + 1) {
  return frame(OPCODE.text, data, { length });
}

// ---- what comes back ------------------------------------------------------

const brief = (b) => (b.length > 64
  ? `${b.length} bytes ${b.subarray(0, 16).toString('hex')}...` : b.toString('hex'));

const is = (kind, data = '') => ({ kind, data: Buffer.from(data) });
const closed = (...codes) => ({ kind: 'close', codes });

async function expect(ws, wanted, read = (f) => f) {
  const f = read(await ws.frame());
  const kind = NAME[f.opcode];
  assert.equal(f.fin, true, 'one frame');
  assert.equal(f.rsv, 0, 'no reserved bits');
  const seen = kind === 'close' ? `close ${
    f.payload.length >= 2 ? f.payload.readUInt16BE() : 'without a code'}` : kind;
  if (wanted.codes) {
    const names = wanted.codes.map((c) => `close ${c === 1005 ? 'without a code' : c}`);
    assert.ok(names.includes(seen), `${seen}, expected ${names.join(' or ')}`);
    return;
  }
  assert.equal(seen.split(' ')[0], wanted.kind);
  if (!f.payload.equals(wanted.data)) {
    assert.fail(`${kind} ${brief(f.payload)}, expected ${brief(wanted.data)}`);
  }
}

// A flushed write for each: they arrive apart as far as TCP lets them.
async function send(ws, writes) {
  for (const w of [writes].flat()) {
    if (ws.socket.destroyed || ws.ended) return;
    await new Promise((resolve) => { ws.socket.write(w, resolve); });
  }
}

// Nothing follows the close frame but the end of the connection.
async function ends(ws) {
  await ws.end();
  assert.equal(ws.error, null, 'not reset');
  assert.equal(ws.buffer.length, 0, 'nothing behind the close frame');
}

// The connection is in order: it closes as it should, with nothing before that.
async function leaves(ws) {
  await send(ws, close(1000));
  await expect(ws, closed(1000));
  await ends(ws);
}

const opened = (server, headers) =>
  WebSocketConnection.open(server, '/any/path', { headers });

// Sends and expects, in turn: an array of writes, then what comes back.
async function play(server, steps, { headers, read } = {}) {
  const ws = await opened(server, headers);
  let last;
  for (const step of steps) {
    if (step.kind) {
      await expect(ws, step, read);
      last = step;
    } else {
      await send(ws, step);
    }
  }
  if (last && last.kind === 'close') await ends(ws);
  else await leaves(ws);
}

// A test for each entry of a table: name -> steps.
function cases(server, title, table, options) {
  describe(title, () => {
    for (const [name, steps] of Object.entries(table)) {
      test(name, () => play(server, steps, options));
    }
  });
}

module.exports = {
  text, binary, ping, pong, more, close, closeBody, OPEN, OPCODE, pieces, fragments,
  unfinished, is, closed, expect, send, ends, leaves, opened, play, cases,
};
