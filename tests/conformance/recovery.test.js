'use strict';
// Checks 119 to 123: connection state recovery.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { sleep, SLOW } = require('../lib/until');
const { Talk } = require('../lib/talk');
const { isOk, polled, closed, reasonOf } = require('../lib/conformance');

const SET = { 'recovery.enabled': true };
const server = serving(startFixture, { set: SET });

const P = (num) => `{"_placeholder":true,"num":${num}}`;

const begin = (auth, namespace) => Talk.begin(server, auth, namespace);
const parsed = (p) => JSON.parse(p.slice(p.indexOf('[')));
const told = (packets) => packets.map((p) => parsed(p).slice(0, -1));

function isNew(t, old) {
  assert.notEqual(t.sid, old.sid);
  assert.notEqual(t.pid, old.pid);
  assert.deepEqual(t.missed, []);
}

function isOld(t, old) {
  assert.deepEqual([t.sid, t.pid], [old.sid, old.pid]);
}

test('119 the CONNECT reply has a pid, in every namespace', async () => {
  for (const namespace of ['/', '/custom']) {
    const t = await begin('', namespace);
    assert.match(t.reply.slice(2 + t.prefix.length), /^\{"sid":"[\w-]{20}","pid":"[\w-]{20}"\}$/);
    assert.notEqual(t.sid, t.pid);
  }
});

test('119 an event has an offset as one more string, no two the same', async () => {
  const t = await begin();
  t.ws.text('42["message","a"]');
  const first = parsed(await t.ws.textFrame());
  await t.ask('broadcast', { event: 'all' }, 1);
  const second = parsed(t.events[0]);
  assert.deepEqual([first.slice(0, -1), second.slice(0, -1)], [['message-back', 'a'], ['all', 1]]);
  for (const offset of [t.offset, first.at(-1), second.at(-1)]) assert.match(offset, /^[\w.-]+$/);
  assert.equal(new Set([t.offset, first.at(-1), second.at(-1)]).size, 3);
});

test('119 a broadcast has the same offset for all', async () => {
  const [a, b] = [await begin(), await begin()];
  await a.ask('broadcast', { event: 'all' });
  await b.settle();
  assert.equal(a.events.length, 1);
  assert.deepEqual(b.events, a.events);
});

test('119 an event with binary data, too', async () => {
  const t = await begin();
  t.ws.text(`451-["message",${P(0)}]`);
  t.ws.binary(Buffer.from([7]));
  const packet = await t.ws.textFrame();
  assert.match(packet, /^451-\["message-back",\{"_placeholder":true,"num":0\},"[\w.-]+"\]$/);
  assert.deepEqual([...(await t.ws.frame()).payload], [7]);
});

test('119 events that ask for an acknowledgement have none', async () => {
  const t = await begin();
  t.ws.text('42["ask",10000,"question","x"]');
  assert.match(await t.ws.textFrame(), /^42\d+\["question","x"\]$/);
  t.ws.text(`42["broadcast-ack",{"rooms":["${t.sid}"],"event":"question"}]`);
  assert.match(await t.ws.textFrame(), /^42\d+\["question"\]$/);
});

test('119 volatile events have none', async () => {
  const t = await begin();
  await t.ask('volatile', 1, 'v', 'x');
  await t.ask('broadcast', { event: 'all', volatile: true }, 'x');
  assert.deepEqual(t.events, ['42["all","x"]']);
});

test('120 missed events come before the reply, with old ids and rooms', async () => {
  const t = await begin();
  await t.ask('join', 'a room');
  await t.lose(server);
  const other = await begin();
  await other.ask('broadcast', { event: 'all' }, 'missed1');
  await other.ask('broadcast', { event: 'all', rooms: ['a room'] }, 'missed2');
  await other.ask('broadcast', { event: 'mine', rooms: [t.sid], local: true });
  const back = await begin(t.pidAnd());
  isOld(back, t);
  assert.deepEqual(told(back.missed), [['all', 'missed1'], ['all', 'missed2'], ['mine']]);
  assert.deepEqual(await back.ask('rooms').then((r) => r.sort()), [t.sid, 'a room'].sort());
  assert.equal(await back.ask('recovered'), true);
  assert.equal(await other.ask('recovered'), false);
});

test('120 the events that it had seen are not among them', async () => {
  const t = await begin();
  await t.ask('burst', 3, 'n');
  const offsets = t.events.map((p) => parsed(p).at(-1));
  await t.lose(server);
  const back = await begin(t.pidAnd(offsets[0]));
  assert.deepEqual(told(back.missed), [['n', 1], ['n', 2]]);
});

test('120 a missed event with binary data', async () => {
  const t = await begin();
  await t.lose(server);
  const other = await begin();
  other.ws.text(`451-["broadcast",{"event":"all"},${P(0)}]`);
  other.ws.binary(Buffer.from([1, 2]));
  await other.settle();
  const back = await begin(t.pidAnd());
  assert.equal(back.missed.length, 2);
  assert.match(back.missed[0], /^451-\["all",\{"_placeholder":true,"num":0\},"[\w.-]+"\]$/);
  assert.deepEqual([...back.missed[1]], [1, 2]);
});

test('120 over polling', async () => {
  const t = await begin();
  const other = await begin();
  await t.lose(server);
  await other.ask('broadcast', { event: 'all' }, 'missed');
  const s = await polled(server, { connect: false });
  isOk(await s.post(`40${t.pidAnd()}`));
  let body = '';
  while (!body.includes('40{')) body += await s.get().then((r) => `${r.body}\x1e`);
  const [missed, reply] = body.split('\x1e');
  assert.deepEqual(told([missed]), [['all', 'missed']]);
  assert.equal(reply, t.reply);
});

test('121 what is not known is a new session, without an error', async () => {
  const t = await begin();
  await t.lose(server);
  for (const auth of [
    { pid: 'x', offset: t.offset }, { pid: t.sid, offset: t.offset },
    { pid: t.pid, offset: 'x' }, { pid: t.pid, offset: '0-0' }, { pid: t.pid },
    { pid: t.pid, offset: 7 }, { pid: [t.pid], offset: t.offset }, { offset: t.offset },
  ]) {
    isNew(await begin(JSON.stringify(auth)), t);
  }
  isNew(await begin(t.pidAnd(), '/custom'), t);
  isOld(await begin(t.pidAnd()), t); // it was there all the time
});

describe('with a short time', () => {
  const TIME = 300 * SLOW;
  const hasty = serving(startFixture, { set: { ...SET, 'recovery.max_disconnection_ms': TIME } });

  test('121 who comes too late has a new session', async () => {
    const t = await Talk.begin(hasty);
    await t.lose(hasty);
    await sleep(TIME + 50);
    isNew(await Talk.begin(hasty, t.pidAnd()), t);
  });
});

test('122 after DISCONNECT: not recoverable', async () => {
  const t = await begin();
  t.ws.text('41');
  assert.equal(await reasonOf(server, t.sid), 'client namespace disconnect');
  isNew(await begin(t.pidAnd()), t);
});

test('122 after the server has disconnected it: not recoverable', async () => {
  for (const close of [true, false]) {
    const t = await begin();
    t.ws.text(`42["disconnect-me",${close}]`);
    const offset = parsed(await t.ws.textFrame()).at(-1);
    assert.equal(await reasonOf(server, t.sid), 'server namespace disconnect');
    isNew(await begin(t.pidAnd(offset)), t);
  }
});

test('122 after an Engine.IO parse error: not recoverable', async () => {
  const t = await begin();
  t.ws.text('x');
  assert.equal(await t.lose(server), 'parse error');
  isNew(await begin(t.pidAnd()), t);
});

test('122 after a Socket.IO decoder error: recoverable', async () => {
  const t = await begin();
  t.ws.text('42[');
  await closed(t.ws);
  assert.equal(await t.lose(server), 'forced close');
  isOld(await begin(t.pidAnd()), t);
});

test('122 after a lost connection: recoverable, more than once', async () => {
  let t = await begin();
  for (let i = 0; i < 3; i++) {
    await t.lose(server);
    const back = await begin(t.pidAnd());
    isOld(back, t);
    t = back;
  }
});

test('123 missed events are those of its rooms, but for those excepted', async () => {
  const t = await begin();
  await t.ask('join', 'mine');
  await t.ask('join', 'left');
  await t.ask('leave', 'left');
  await t.lose(server);
  const other = await begin();
  for (const spec of [
    { rooms: ['mine'] }, { rooms: ['left'] }, { rooms: ['left', 'mine'] }, { except: ['mine'] },
    { except: ['left'] }, { except: [t.sid] }, { rooms: ['mine'], except: ['mine'] },
    { rooms: ['mine'], except: ['other'] }, { rooms: [other.sid] }, { from: 'others' },
    { rooms: ['mine'], volatile: true }, {},
  ]) {
    await other.ask('broadcast', { event: 'e', ...spec }, JSON.stringify(spec));
  }
  await other.ask('broadcast-ack', { event: 'e', timeout: 10 });
  const back = await begin(t.pidAnd());
  assert.deepEqual(told(back.missed).map(([, spec]) => JSON.parse(spec)), [
    { rooms: ['mine'] }, { rooms: ['left', 'mine'] }, { except: ['left'] },
    { rooms: ['mine'], except: ['other'] }, { from: 'others' }, {},
  ]);
});
