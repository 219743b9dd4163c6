'use strict';
// What the conformance tests share: sessions of the fixture spoken by hand, and
// the ways in which they end.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { REFERENCE } = require('./servers');
const { PollingSession } = require('./session');
const { WebSocketConnection, requestText, request, get } = require('./raw');
const { until } = require('./until');

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';

const MESSAGES = ['Transport unknown', 'Session ID unknown', 'Bad handshake method',
  'Bad request', 'Forbidden', 'Unsupported protocol version'];

// ---- answers -----------------------------------------------------------------

function isError(r, code, status = 400) {
  assert.deepEqual([r.status, r.headers['content-type'], String(r.body)],
    [status, 'application/json', JSON.stringify({ code, message: MESSAGES[code] })]);
}

function isHandshake(r) {
  assert.equal(r.status, 200);
  assert.match(String(r.body), /^0\{"sid":"[\w-]{20}","upgrades":/);
}

function isEmpty(r, status) {
  assert.deepEqual([r.status, String(r.body)], [status, '']);
}

function isOk(r) {
  assert.deepEqual([r.status, String(r.body)], [200, 'ok']);
}

const sidOf = (reply) => /"sid":"([\w-]{20})"/.exec(reply)[1];

// The reason that the application's socket of that id hears.
async function reasonOf(server, id) {
  return (await server.process.says(new RegExp(`gone ${id} (.+)`)))[1];
}

// ---- polling -----------------------------------------------------------------

// A session without a parked request, connected to "/" or to nothing.
async function polled(server, { connect = true, query } = {}) {
  const s = await PollingSession.open(server, { poll: false, query });
  if (!connect) return s;
  isOk(await s.post('40'));
  let body = '';
  while (!body.includes('42["auth"')) body += await s.get().then((r) => r.body);
  s.id = sidOf(body);
  return s;
}

// Sessions refuse this method with 500; without a session it is 400.
const isKnown = async (s) => (await request(s.server, 'PUT', s.path)).status === 500;

// The promise of the answer to a GET that the server has parked.
async function parked(s) {
  const answer = s.get(20000);
  answer.catch(() => {});
  await isKnown(s); // a round trip
  return { answer };
}

async function forgotten(s, ms = 5000) {
  await until(async () => !(await isKnown(s)), ms, 'the session is forgotten');
  isError(await get(s.server, s.path), 1);
}

// It answers, and nothing else has been waiting.
async function works(s) {
  isOk(await s.post('429["echo","works"]'));
  assert.equal(String((await s.get()).body), '439["works"]');
}

async function postAs(s, headers, body = '3') {
  s.poster.write(requestText('POST', s.path, headers, body));
  return s.poster.response();
}

// ---- WebSocket ---------------------------------------------------------------

async function opened(server, { connect = true, query = '' } = {}) {
  const ws = await WebSocketConnection.open(server, W + query);
  ws.handshakePacket = await ws.textFrame();
  if (!connect) return ws;
  ws.text('40');
  ws.id = sidOf(await ws.textFrame());
  assert.match(await ws.textFrame(), /^42\["auth"/);
  return ws;
}

// The next frame closes, with that code or with none.
async function closed(ws, code = '', ms = 5000) {
  const f = await ws.frame(ms);
  assert.deepEqual([f.opcode, f.payload.toString(f.opcode === 8 ? 'hex' : 'utf8')], [8, code]);
}

async function stays(ws) {
  ws.text('429["echo","stays"]');
  assert.equal(await ws.textFrame(), '439["stays"]');
}

// The WebSocket with which a polling session is upgraded.
const besides = (s) => WebSocketConnection.open(s.server, s.path.replace('=polling', '=websocket'));

async function probed(server) {
  const s = await polled(server);
  const ws = await besides(s);
  ws.text('2probe');
  assert.equal(await ws.textFrame(), '3probe');
  return { s, ws };
}

// The refusal of a handshake.
async function refusal(server, path, headers) {
  let error;
  await assert.rejects(WebSocketConnection.open(server, path, { headers }), (e) => {
    error = e;
    return true;
  });
  assert.ok(error.response, String(error));
  await error.connection.end();
  return error.response;
}

// ---- checks that do not apply ------------------------------------------------

// A check that needs what confab does not have. With a body it still runs
// against the official server.
function notBuilt(name, reason, body) {
  const skip = REFERENCE && body ? false : `not built yet: ${reason}`;
  test(name, { skip }, body || (() => {}));
}

module.exports = {
  P, W, isError, isHandshake, isEmpty, isOk, sidOf, reasonOf, polled, parked, isKnown,
  forgotten, works, postAs, opened, closed, stays, besides, probed, refusal, notBuilt,
};
