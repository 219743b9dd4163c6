'use strict';
// Broadcasts that ask every receiver for an acknowledgement.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport, join, settle, CONFAB_ONLY } = require('../lib/suite');
const { ask } = require('../lib/clients');
const { WebSocketSession } = require('../lib/session');

const server = serving(startFixture, { set: { 'limits.pending_acks': 20, 'engine.max_payload_bytes': 100000 } });

// n clients in a room of their own.
async function crowd(n, mode, room = `room ${Math.random()}`) {
  const all = [];
  for (let i = 0; i < n; i++) {
    const s = await join(server, '/', mode);
    await ask(s, 'join', room);
    all.push(s);
  }
  return { all, room };
}

const answering = (socket, value) => socket.on('question', (...args) => args.pop()(...value));

async function answersOf(asker, spec, ...args) {
  assert.equal(await ask(asker, 'broadcast-ack', { event: 'question', ...spec }, ...args), 0);
  return asker.inbox.take('answers');
}

const MISSING = (n) => (REFERENCE ? -1 : n);

onEachTransport((mode) => {
  test('the first value of each answer, however many there are', async () => {
    const { all, room } = await crowd(4, mode);
    answering(all[0], ['one', 'two', 'three']);
    answering(all[1], [{ deep: [1] }]);
    answering(all[2], [false]);
    answering(all[3], []);
    const [answers, missing] = await answersOf(all[0], { rooms: [room] }, 'what?');
    assert.equal(missing, 0);
    assert.deepEqual(new Set(answers.map((a) => JSON.stringify(a ?? null))),
      new Set(['"one"', '{"deep":[1]}', 'false', 'null']));
    assert.deepEqual(all[3].inbox.all.map((e) => [e.event, e.args[0]]), [['question', 'what?']]);
  });

  test('only those that are selected are asked, once', async () => {
    const { all, room } = await crowd(3, mode);
    for (const [i, s] of all.entries()) answering(s, [i]);
    await ask(all[1], 'join', `${room} too`);
    const [answers] = await answersOf(all[0], { from: 'others', rooms: [room, `${room} too`] });
    assert.deepEqual(answers.sort(), [1, 2]);
    assert.deepEqual(all.map((s) => s.inbox.count('question')), [0, 1, 1]);
  });

  test('binary data in question and answers', async () => {
    const { all, room } = await crowd(3, mode);
    for (const [i, s] of all.entries()) {
      s.on('question', (data, ack) => ack({ same: data, own: [Buffer.from([i, i])], i }));
    }
    const [answers, missing] = await answersOf(all[0], { rooms: [room] }, Buffer.from('abc'));
    assert.equal(missing, 0);
    assert.deepEqual(answers.sort((a, b) => a.i - b.i),
      [0, 1, 2].map((i) => ({ same: Buffer.from('abc'), own: [Buffer.from([i, i])], i })));
  });

  test('who does not answer in time is missing', async () => {
    const { all, room } = await crowd(3, mode);
    answering(all[1], ['here']);
    assert.deepEqual(await answersOf(all[0], { rooms: [room], timeout: 400 }), [['here'], MISSING(2)]);
  });

  test('a late answer is ignored', async () => {
    const { all, room } = await crowd(2, mode);
    let late;
    all[1].on('question', (ack) => { late = ack; });
    answering(all[0], ['early']);
    assert.deepEqual(await answersOf(all[0], { rooms: [room], timeout: 300 }), [['early'], MISSING(1)]);
    late('too late');
    await settle(...all);
    assert.equal(all[0].inbox.count('answers'), 0);
  });

  test('who goes is missing, and nobody waits for it', CONFAB_ONLY, async () => {
    const { all, room } = await crowd(3, mode);
    answering(all[0], ['here']);
    answering(all[1], ['here']);
    all[2].on('question', () => all[2].disconnect());
    assert.deepEqual(await answersOf(all[0], { rooms: [room], timeout: 60000 }), [['here', 'here'], 1]);
  });

  test('nobody to ask gives an empty answer', async () => {
    const { all: [s] } = await crowd(1, mode);
    assert.deepEqual(await answersOf(s, { rooms: ['nobody'], timeout: 60000 }), [[], 0]);
  });
});

test('all are asked with the same id, in one count with questions to one', async () => {
  const sessions = [];
  for (let i = 0; i < 2; i++) {
    const s = await WebSocketSession.open(server);
    await s.connect('/custom');
    await s.message();
    sessions.push(s);
  }
  const ids = [];
  for (const spec of ['["broadcast-ack",{"event":"q"}]', '["ask",5000,"q"]']) {
    await sessions[0].send(`42/custom,${spec}`);
    const [, id] = (await sessions[0].message()).match(/^42\/custom,(\d+)\["q"\]$/);
    ids.push(Number(id));
  }
  assert.equal(await sessions[1].message(), `42/custom,${ids[0]}["q"]`);
  assert.equal(ids[1], ids[0] + 1);
  // answered twice by one of them, which counts once
  await sessions[0].send(`43/custom,${ids[0]}["a"]`, `43/custom,${ids[0]}["b"]`, '42/custom,9["echo"]');
  assert.equal(await sessions[0].message(), '43/custom,9[]');
  await sessions[1].send(`43/custom,${ids[0]}["c"]`);
  assert.equal(await sessions[0].message(), '42/custom,["answers",["a","c"],0]');
});

test('what looks like an attachment and is none is not taken for one', CONFAB_ONLY, async () => {
  const { all, room } = await crowd(2, undefined);
  const raw = await WebSocketSession.open(server);
  await raw.connect();
  await raw.message();
  await raw.send(`420["join","${room}"]`);
  await raw.message();
  answering(all[0], [Buffer.from('secret')]);
  answering(all[1], [1]);
  await ask(all[0], 'broadcast-ack', { event: 'question', rooms: [room] });
  const [, id] = (await raw.message()).match(/^42(\d+)\["question"\]$/);
  await settle(...all);
  await raw.send(`43${id}[[{"_placeholder":true,"num":0}]]`);
  const [answers] = await all[0].inbox.take('answers');
  assert.deepEqual(answers.at(-1), null);
  assert.equal(answers.length, 3);
});

test('a reserved name, too many rooms and too many questions are refused', CONFAB_ONLY, async () => {
  const { all: [s], room } = await crowd(1, undefined);
  assert.equal(await ask(s, 'broadcast-ack', { event: 'disconnect' }), -6);
  assert.equal(await ask(s, 'broadcast-ack', { event: 'question', rooms: [...Array(17).keys()].map(String) }), -6);
  const codes = [];
  for (let i = 0; i < 22; i++) codes.push(await ask(s, 'broadcast-ack', { event: 'question', rooms: [room], timeout: 500 }));
  assert.deepEqual(codes, [...Array(20).fill(0), -2, -2]);
  await s.inbox.takeAll('answers', 20);
  assert.equal(await ask(s, 'broadcast-ack', { event: 'question', rooms: ['nobody'] }), 0);
});

test('answers that are too large together are missing', CONFAB_ONLY, async () => {
  const { all, room } = await crowd(6, undefined);
  for (const s of all) answering(s, ['x'.repeat(90000)]);
  await ask(all[0], 'broadcast-ack', { event: 'question', rooms: [room] });
  await server.process.says(/answers 4 missing 2/);
});

test('a server that stops has told the application', CONFAB_ONLY, async () => {
  const own = await startFixture();
  const s = await join(own);
  await ask(s, 'broadcast-ack', { event: 'question', timeout: 60000 });
  s.emit('broadcast-ack', { event: 'question', rooms: ['nobody'], timeout: 60000 });
  s.emit('stop');
  await own.says(/answers 0 missing 1/);
  await own.says(/answers 0 missing 0/);
  assert.deepEqual(await own.exits(10000), { code: 0, signal: null });
  own.checkSanitizers();
});
