'use strict';
// 200 clients at once, all of them upgrading while they talk.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startNode } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { metricsOf } = require('../lib/metrics');
const { client, connected, upgraded, ask } = require('../lib/clients');
const { until, within } = require('../lib/until');

const server = serving(startNode);

const ROOMS = 20;
const MEMBERS = 10;
const MESSAGES = 50;
const UPGRADE = { name: 'upgrade', options: { transports: ['polling', 'websocket'] } };

async function member(room, number) {
  const s = client(server.url, '/', UPGRADE);
  s.number = number;
  s.got = [];
  s.offAny(); // the inbox would be searched for long
  s.on('chat message', (m) => s.got.push(m));
  s.connect();
  await connected(s, 30000);
  assert.equal((await ask(s, 'join room', room)).ok, true);
  return s;
}

async function speak(s, room) {
  for (let i = 0; i < MESSAGES; i++) {
    s.emit('chat message', { room, message: `${s.number}:${i}` });
    if (i % 10 === 9) await ask(s, 'chat message', { room: '', message: 'a round trip' });
  }
}

async function meeting(number) {
  const room = `room ${number}`;
  const members = await Promise.all([...Array(MEMBERS).keys()].map((i) => member(room, i)));
  await Promise.all(members.map((s) => speak(s, room)));
  const expected = MEMBERS * MESSAGES;
  await until(() => members.every((s) => s.got.length >= expected), 60000,
    () => `${room}: ${members.map((s) => s.got.length)} of ${expected}`);
  await Promise.all(members.map((s) => upgraded(s, 30000)));
  return members;
}

test('every message arrives once at every member, in each sender\'s order', async () => {
  const rooms = await within(Promise.all([...Array(ROOMS).keys()].map(meeting)), 120000, 'all rooms');
  let deliveries = 0;
  for (const [number, members] of rooms.entries()) {
    for (const s of members) {
      const next = Array(MEMBERS).fill(0);
      for (const m of s.got) {
        assert.equal(m.room, `room ${number}`);
        const [from, i] = m.message.split(':').map(Number);
        assert.equal(i, next[from], `member ${s.number} of ${m.room}, from ${from}`);
        next[from] += 1;
      }
      assert.deepEqual(next, Array(MEMBERS).fill(MESSAGES));
      deliveries += s.got.length;
    }
  }
  assert.equal(deliveries, ROOMS * MEMBERS * MEMBERS * MESSAGES);
});

test('the node has counted them all out again', CONFAB_ONLY, async () => {
  // the clients of the test above are closed by now
  await until(async () => {
    const all = await metricsOf(server);
    return all.sockets === 0 && all['sessions{transport="polling"}'] === 0 && all['sessions{transport="websocket"}'] === 0;
  }, 15000, 'no client is left');
});
