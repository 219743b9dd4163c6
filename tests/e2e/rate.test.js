'use strict';
// How fast clients may send.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, CONFAB_ONLY } = require('../lib/suite');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { ask, reasonOf, MODES } = require('../lib/clients');
const { metric } = require('../lib/hostile');
const { until, sleep, SLOW } = require('../lib/until');

const refused = (by) => `confab_rate_limited_total{by="${by}"}`;
const asked = (s, n, event = 'echo', ...args) => Promise.all([...Array(n).keys()]
  .map((i) => ask(s, event, ...(args.length ? args : [i]))));
const isRefusal = (r) => r?.error === 'rate_limited';
const refusals = (answers) => answers.filter(isRefusal);

// By the monotonic clock, and not a moment less.
async function wait(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end) await sleep(end - performance.now());
}

describe('a connection', CONFAB_ONLY, () => {
  // one event a second, so that time plays little part
  const server = serving(startFixture, {
    set: { 'rate.connection_events': 1, 'rate.connection_burst': 20 },
  });

  onEachTransport((mode) => {
    test('may send a burst; what comes then is refused, and says for how long', async () => {
      const s = await join(server, '/', mode);
      const before = await metric(server, refused('connection'));
      const answers = await asked(s, 30);
      const [passed, not] = [answers.filter((a) => !isRefusal(a)), refusals(answers)];
      assert.ok(passed.length >= 20 && passed.length <= 20 + 2 * SLOW, `${passed.length} passed`);
      assert.deepEqual(passed.slice(0, 20), [...Array(20).keys()]);
      assert.equal(await metric(server, refused('connection')) - before, not.length);
      for (const r of not) {
        assert.deepEqual(Object.keys(r), ['error', 'retry_after_ms']);
        assert.ok(r.retry_after_ms > 0 && r.retry_after_ms <= 1000, r.retry_after_ms);
      }
    });
  });

  test('waiting as long as it says is enough, again and again', async () => {
    const s = await join(server);
    await asked(s, 20);
    for (let i = 0; i < 3; i++) {
      let r;
      do r = await ask(s, 'echo', i); while (!isRefusal(r)); // it was at the edge
      await wait(r.retry_after_ms);
      assert.equal(await ask(s, 'echo', 'after'), 'after');
    }
  });

  test('another one has its own', async () => {
    const [a, b] = [await join(server), await join(server)];
    assert.ok(refusals(await asked(a, 30)).length > 0);
    assert.equal(refusals(await asked(b, 20)).length, 0);
  });

  test('all its namespaces share it', async () => {
    const s = await WebSocketSession.open(server);
    for (const nsp of ['/', '/custom']) {
      await s.connect(nsp);
      await s.message();
    }
    for (let i = 0; i < 20; i++) await s.send(i % 2 ? `42${i}["echo",1]` : `42/custom,${i}["echo",1]`);
    for (let i = 0; i < 20; i++) assert.match(await s.message(), /\[1\]$/);
    await s.send('4220["echo",1]', '42/custom,21["echo",1]');
    assert.match(await s.message(), /^4320\[\{"error":"rate_limited","retry_after_ms":\d+\}\]$/);
    assert.match(await s.message(), /^43\/custom,21\[\{"error":"rate_limited","retry_after_ms":\d+\}\]$/);
    s.destroy();
  });

  test('one without an acknowledgement is dropped and counted, with its attachments', async () => {
    const s = await join(server);
    await asked(s, 20);
    const before = await metric(server, refused('connection'));
    for (let i = 0; i < 5; i++) s.emit('message', i, Buffer.alloc(100));
    await until(async () => await metric(server, refused('connection')) - before >= 4, 5000, 'refused');
    assert.ok(s.inbox.count('message-back') <= 1);
    assert.equal(s.connected, true);
  });

  test('acknowledgements are not counted', async () => {
    const s = await join(server);
    await asked(s, 20);
    for (let i = 0; i < 5; i++) s.emit('message', i);
    assert.equal(s.connected, true);
  });
});

describe('an event', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: { 'rate.events': 'echo=0.1/3,in-room=5' } });

  test('may have a rate of its own, for each connection', async () => {
    const [a, b] = [await join(server), await join(server)];
    for (const s of [a, b]) {
      const answers = await asked(s, 10);
      assert.deepEqual(answers.slice(0, 3), [0, 1, 2]);
      assert.equal(refusals(answers).length, 7);
      for (const r of refusals(answers)) assert.ok(r.retry_after_ms > 5000 && r.retry_after_ms <= 10000);
      assert.equal(refusals(await asked(s, 5, 'in-room', 'r')).length, 0);
      assert.equal(refusals(await asked(s, 500, 'room-size', 'r')).length, 0);
    }
    assert.equal(await metric(server, refused('event')), 14);
  });

  test('what a refusal says holds', async () => {
    const s = await join(server);
    const [first] = refusals(await asked(s, 6, 'in-room', 'r'));
    assert.ok(first.retry_after_ms <= 200);
    await wait(first.retry_after_ms);
    assert.equal(await ask(s, 'in-room', 'r'), false);
  });

  test('a client that comes back starts anew', async () => {
    const a = await join(server);
    await asked(a, 10);
    a.disconnect();
    assert.equal(refusals(await asked(await join(server), 3)).length, 0);
  });
});

describe('an address', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'rate.address_events': 1, 'rate.address_burst': 30, 'engine.trusted_proxies': '127.0.0.1' },
  });
  const from = (address) => ({ ...MODES[1], options: { ...MODES[1].options,
    extraHeaders: { 'X-Forwarded-For': address } } });

  test('two connections share it; those of another address do not', async () => {
    const [a, b] = [await join(server, '/', from('192.0.2.1')), await join(server, '/', from('192.0.2.1'))];
    const other = await join(server, '/', from('192.0.2.2'));
    assert.equal(refusals(await asked(a, 15)).length, 0);
    assert.equal(refusals(await asked(b, 15)).length, 0);
    const more = [...await asked(a, 5), ...await asked(b, 5)];
    assert.ok(refusals(more).length >= 10 - 2 * SLOW);
    assert.equal(refusals(await asked(other, 30)).length, 0);
    assert.equal(await metric(server, refused('address')), refusals(more).length);
  });

  test('a reconnect does not help', async () => {
    const a = await join(server, '/', from('192.0.2.3'));
    await asked(a, 30);
    a.disconnect();
    const b = await join(server, '/', from('192.0.2.3'));
    assert.ok(refusals(await asked(b, 5)).length >= 5 - 2 * SLOW);
  });

  test('an IPv6 network of 64 bits is one', async () => {
    const [a, b] = [await join(server, '/', from('2001:db8:0:1::1')),
      await join(server, '/', from('2001:db8:0:1:ffff:1:2:3'))];
    const other = await join(server, '/', from('2001:db8:0:2::1'));
    await asked(a, 30);
    assert.ok(refusals(await asked(b, 5)).length >= 5 - 2 * SLOW);
    assert.equal(refusals(await asked(other, 30)).length, 0);
  });
});

describe('an address with a large burst', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'rate.address_events': 1, 'rate.address_burst': 320, 'rate.connection_events': 0 },
  });

  test('is charged for sixteen events of a connection at once', async () => {
    const [a, b] = [await join(server), await join(server)];
    assert.equal(refusals(await asked(a, 160 + 15)).length, 0);
    assert.equal(refusals(await asked(b, 160 + 15 - 16)).length, 0);
    // nobody has more than what it has not been charged for
    const n = refusals(await asked(b, 32)).length;
    assert.ok(n >= 16 - SLOW && n <= 32, `${n} refused`);
    assert.equal(await metric(server, refused('address')), n);
  });
});

describe('a room', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: { 'rate.room_events': 1, 'rate.room_burst': 10 } });

  test('takes so many events from all of its members together', async () => {
    const [a, b] = [await join(server), await join(server)];
    for (const s of [a, b]) await ask(s, 'join', 'r');
    const answers = [...await asked(a, 6, 'say-into', 'r', 'said', 1), ...await asked(b, 6, 'say-into', 'r', 'said', 1)];
    const n = refusals(answers).length;
    assert.ok(n === 2 || (SLOW > 1 && n < 2), `${n} refused`);
    for (const r of refusals(answers)) assert.ok(r.retry_after_ms > 0 && r.retry_after_ms <= 1000);
    assert.equal(refusals(await asked(a, 10, 'say-into', 'another', 'said', 1)).length, 0);
    assert.equal((await a.inbox.takeAll('said', 12 - n)).length, 12 - n);
    assert.equal(await metric(server, refused('room')), n);
  });
});

describe('a client that goes on', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'rate.connection_events': 1, 'rate.connection_burst': 10, 'rate.strikes': 50 },
  });

  onEachTransport((mode) => {
    test('is disconnected, and others are not', async () => {
      const [s, other] = [await join(server, '/', mode), await join(server)];
      const before = await metric(server, 'confab_rate_disconnects_total');
      for (let i = 0; i < 200; i++) s.emit('message', i);
      assert.equal(await reasonOf(s), 'io server disconnect');
      assert.equal(await metric(server, 'confab_rate_disconnects_total') - before, 1);
      assert.equal(await ask(other, 'echo', 1), 1);
      assert.match(server.process.output(), /rate_limited node=\S+ sid=\S{8} address="127\.0\.0\.1"/);
    });
  });

  test('is told why on its WebSocket', async () => {
    const s = await WebSocketSession.open(server);
    await s.connect();
    await s.message();
    for (let i = 0; i < 100; i++) await s.send('42["message",1]');
    const over = Buffer.from((await s.ends()).replace('close ', ''), 'hex');
    assert.equal(over.readUInt16BE(), 1008);
    assert.equal(String(over.subarray(2)), 'rate limit');
    assert.ok(s.packets.includes('41'));
    s.destroy();
  });

  test('in one request of polling: the rest of it is ignored', async () => {
    const s = await PollingSession.open(server);
    await s.connect();
    await s.message();
    const before = await metric(server, 'confab_events_in_total');
    await s.send(...Array(500).fill('42["message",1]'));
    assert.match(await s.ends(), /close packet|GET 400/);
    assert.equal(await metric(server, 'confab_events_in_total') - before, 10 + 50 + 1);
  });

  test('one that waits as it is told is not', async () => {
    const s = await join(server);
    await asked(s, 10 + 40);
    for (let i = 0; i < 2; i++) {
      const r = await ask(s, 'echo', 1);
      await wait(r.retry_after_ms || 0);
      assert.equal(await ask(s, 'echo', 2), 2);
    }
    assert.equal(s.connected, true);
  });
});

describe('by default', CONFAB_ONLY, () => {
  const server = serving(startFixture);

  test('a thousand at once and two hundred a second pass', async () => {
    const s = await join(server);
    assert.equal(refusals(await asked(s, 1000)).length, 0);
    await wait(1000);
    assert.equal(refusals(await asked(s, 200)).length, 0);
  });

  test('more do not', async () => {
    const s = await join(server);
    assert.ok(refusals(await asked(s, 1900)).length > 0);
    assert.equal(s.connected, true);
  });
});

describe('0', CONFAB_ONLY, () => {
  const server = serving(startFixture, {
    set: { 'rate.connection_events': 0, 'rate.address_events': 0, 'rate.strikes': 0 },
  });

  test('is no limit', async () => {
    const s = await join(server);
    for (let i = 0; i < 10; i++) assert.equal(refusals(await asked(s, 2000)).length, 0);
  });
});
