'use strict';
// Checks 124 to 126: packets in MessagePack.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { opened, closed, polled, isOk } = require('../lib/conformance');

const server = serving(startFixture, { set: { 'engine.parser': 'msgpack' } });

const hex = (text) => Buffer.from(text.replace(/ /g, ''), 'hex');
const TYPE = 'a474797065';
const DATA = 'a464617461';
const NSP = 'a36e7370 a12f';
const CONNECT = `83 ${TYPE} 00 ${DATA} d40000 ${NSP}`;

// A CONNECT reply has an id of 20 bytes.
const isConnected = (packet) =>
  assert.match(packet.toString('latin1'), /^.\xa4type\x00\xa4data.\xa3sid\xb4[\w-]{20}/);

async function joined() {
  const ws = await opened(server, { connect: false });
  ws.binary(hex(CONNECT));
  const f = await ws.frame();
  assert.equal(f.opcode, 2);
  isConnected(f.payload);
  assert.equal((await ws.frame()).opcode, 2); // the greeting
  return ws;
}

test('124 CONNECT with data that is undefined', joined);

test('124 CONNECT with data that is null: closed', async () => {
  const ws = await opened(server, { connect: false });
  ws.binary(hex(`83 ${TYPE} 00 ${DATA} c0 ${NSP}`));
  await closed(ws);
});

const WRONG = {
  'type 5': `83 ${TYPE} 05 ${DATA} 91a178 ${NSP}`,
  'no namespace': `82 ${TYPE} 02 ${DATA} 91a178`,
  'an id that is not whole': `84 ${TYPE} 02 ${DATA} 91a178 a26964 cb3ff8000000000000 ${NSP}`,
  'an event without an array': `83 ${TYPE} 02 ${DATA} 80 ${NSP}`,
  'a byte too many': `83 ${TYPE} 02 ${DATA} 91a178 ${NSP} 00`,
};
for (const [name, packet] of Object.entries(WRONG)) {
  test(`125 ${name}: closed`, async () => {
    const ws = await joined();
    ws.binary(hex(packet));
    await closed(ws);
  });
}

test('125 a text frame: closed', async () => {
  const ws = await joined();
  ws.text('42["x"]');
  await closed(ws);
});

test('126 CONNECT over polling', async () => {
  const s = await polled(server, { connect: false });
  isOk(await s.post('bgqR0eXBlAKNuc3ChLw=='));
  const [packet] = String((await s.get()).body).split('\x1e');
  assert.equal(packet[0], 'b');
  isConnected(Buffer.from(packet.slice(1), 'base64'));
});
