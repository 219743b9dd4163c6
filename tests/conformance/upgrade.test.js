'use strict';
// Checks 69 to 80: the upgrade from polling to WebSocket.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { WebSocketConnection, get } = require('../lib/raw');
const { until, SLOW } = require('../lib/until');
const {
  isError, isOk, polled, parked, works, closed, stays, besides, probed,
} = require('../lib/conformance');

const server = serving(startFixture);

async function releasedSoon(answer) {
  const begin = Date.now();
  assert.equal(String((await answer).body), '6');
  assert.ok(Date.now() - begin < 500 * SLOW, `released after ${Date.now() - begin} ms`);
}

test('69 the probe is answered, a parked GET is released', async () => {
  const s = await polled(server);
  const { answer } = await parked(s);
  const ws = await besides(s);
  ws.text('2probe');
  assert.equal((await ws.bytes(8)).toString('hex'), '81063370726f6265');
  await releasedSoon(answer);
});

test('70 every GET during the upgrade is released', async () => {
  const { s } = await probed(server);
  for (let i = 0; i < 3; i++) await releasedSoon(s.get());
});

test('71 a POST during the upgrade is answered by the next GET', async () => {
  const { s, ws } = await probed(server);
  await works(s);
  assert.equal(ws.buffer.length, 0);
});

test('72 after 5 the session is on the WebSocket only', async () => {
  const { s, ws } = await probed(server);
  ws.text('5');
  await stays(ws);
  isError(await get(server, s.path), 3);
  isError(await s.post('3'), 3);
});

test('73 what waits between 3probe and 5 comes over the WebSocket, once and in order', async () => {
  const { s, ws } = await probed(server);
  for (let i = 0; i < 3; i++) isOk(await s.post(`42["message",${i}]`));
  ws.text('5');
  for (let i = 0; i < 3; i++) assert.equal(await ws.textFrame(), `42["message-back",${i}]`);
  await stays(ws);
});

test('73 what the server said before it closed comes over the WebSocket, too', async () => {
  const { s, ws } = await probed(server);
  isOk(await s.post('42["disconnect-me",true]'));
  ws.text('5');
  assert.equal(await ws.textFrame(), '42["bye"]');
  assert.equal(await ws.textFrame(), '41');
  await closed(ws);
});

test('74 a second WebSocket during or after the upgrade: 101, closed', async () => {
  const { s, ws } = await probed(server);
  await closed(await besides(s));
  ws.text('5');
  await stays(ws);
  await closed(await besides(s));
  await stays(ws);
});

test('75 a message instead of the probe: closed, polling works on', async () => {
  const s = await polled(server);
  const ws = await besides(s);
  ws.text('40');
  await closed(ws);
  await works(s);
});

test('76 a message after the probe: closed, polling works on', async () => {
  const { s, ws } = await probed(server);
  ws.text('42["message",1]');
  await closed(ws);
  await works(s);
});

test('77 the WebSocket is dropped after the probe: a second attempt succeeds', async () => {
  const { s, ws } = await probed(server);
  ws.destroy();
  await works(s);
  let again;
  await until(async () => { // once the server has noticed
    again = await besides(s);
    again.text('2probe');
    const f = await again.frame();
    return f.opcode === 1 && String(f.payload) === '3probe';
  }, 5000, 'a second attempt');
  again.text('5');
  await stays(again);
});

describe('with a short timeout', () => {
  const hasty = serving(startFixture, { set: { 'engine.upgrade_timeout_ms': 200 * SLOW } });

  test('78 no 5 in time: closed, polling works on', async () => {
    const { s, ws } = await probed(hasty);
    const begin = Date.now();
    await closed(ws);
    assert.ok(Date.now() - begin > 100 * SLOW);
    await works(s);
  });
});

test('79 5 with a GET still parked: the GET gets 1', async () => {
  const s = await polled(server);
  const ws = await besides(s);
  const { answer } = await parked(s);
  ws.text('5');
  assert.equal(String((await answer).body), '1');
  await stays(ws);
});

test('80 transport=polling on an upgrade request opens nothing', async () => {
  const s = await polled(server);
  // 101 and a close frame, or a plain refusal: clients cannot tell
  const ws = await WebSocketConnection.open(server, s.path).catch((e) => e);
  if (ws instanceof Error) assert.equal(ws.response.status, 400);
  else await closed(ws);
  await works(s);
});
