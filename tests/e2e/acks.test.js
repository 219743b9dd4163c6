'use strict';
// Acknowledgements in both directions.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle } = require('../lib/suite');
const { SESSIONS } = require('../lib/session');
const { ask, reasonOf } = require('../lib/clients');
const { until } = require('../lib/until');

const server = serving(startFixture);

// All arguments of the answer, not only the first.
const answers = (s, event, ...args) =>
  new Promise((resolve) => { s.emit(event, ...args, (...values) => resolve(values)); });

onEachTransport((mode) => {
  describe('asked by the client', () => {
    test('none, one and several values are answered', async () => {
      const s = await join(server, '/', mode);
      assert.deepEqual(await answers(s, 'echo'), []);
      assert.deepEqual(await answers(s, 'echo', null), [null]);
      assert.deepEqual(await answers(s, 'echo', 1, 'é', { a: [] }), [1, 'é', { a: [] }]);
    });

    test('binary values are answered', async () => {
      const s = await join(server, '/', mode);
      const a = Buffer.from([0, 255, 1]);
      const b = Buffer.from([2]);
      assert.deepEqual(await answers(s, 'echo', 'x', a, { deep: [b] }),
        ['x', a, { deep: [b] }]);
    });

    test('200 questions at once get their own answers', async () => {
      const s = await join(server, '/', mode);
      const sent = [...Array(200).keys()];
      assert.deepEqual(await Promise.all(sent.map((i) => ask(s, 'echo', i))), sent);
    });

    test('an answer is given once', async () => {
      const s = await join(server, '/', mode);
      const got = [];
      s.emit('double-ack', (v) => got.push(v));
      await settle(s);
      assert.deepEqual(got, [1]);
    });

    test('an answer may come after the handler, and after other answers', async () => {
      const s = await join(server, '/', mode);
      const order = [];
      const late = answers(s, 'keep-ack').then((v) => order.push(['late', ...v]));
      await ask(s, 'echo', 1);
      order.push('echo');
      s.emit('send-ack', 'a', Buffer.from([7]));
      await late;
      assert.deepEqual(order, ['echo', ['late', 'a', Buffer.from([7])]]);
    });

    test('an answer that is dropped or never given does not come', async () => {
      const s = await join(server, '/', mode);
      const got = [];
      s.emit('keep-ack', () => got.push('kept'));
      s.emit('drop-ack');
      s.emit('no-ack', () => got.push('none'));
      s.emit('unknown', () => got.push('unknown'));
      await settle(s);
      assert.deepEqual(got, []);
      await assert.rejects(s.timeout(50).emitWithAck('no-ack'), /timed out/);
    });

    test('an answer kept longer than the client lives is harmless', async () => {
      const s = await join(server, '/', mode);
      s.emit('keep-ack', () => {});
      await settle(s);
      s.disconnect();
      const t = await join(server, '/', mode);
      assert.equal(await ask(t, 'echo', 1), 1);
    });
  });

  describe('asked by the server', () => {
    test('none, several and binary values come back', async () => {
      const s = await join(server, '/', mode);
      const replies = [[], [1, 'two', { three: [3] }], [Buffer.from([1, 2]), [Buffer.alloc(0)]]];
      s.on('question', (i, reply) => reply(...replies[i]));
      for (const i of replies.keys()) {
        s.emit('ask', 5000, 'question', i);
        assert.deepEqual(await s.inbox.take('asked'), [true, ...replies[i]]);
      }
    });

    test('the question carries arguments, binary ones too', async () => {
      const s = await join(server, '/', mode);
      s.on('question', (...args) => args.pop()(args.length));
      s.emit('ask', 5000, 'question', { a: 1 }, Buffer.from([9]));
      assert.deepEqual(await s.inbox.take('asked'), [true, 2]);
      const [first, second] = await s.inbox.take('question');
      assert.deepEqual([first, second], [{ a: 1 }, Buffer.from([9])]);
    });

    test('no answer in time is noticed once; a late one is ignored', async () => {
      const s = await join(server, '/', mode);
      let late;
      s.on('question', (reply) => { late = reply; });
      s.emit('ask', 100, 'question');
      assert.deepEqual(await s.inbox.take('asked'), [false]);
      late('too late');
      await settle(s);
      assert.equal(s.inbox.count('asked'), 0);
    });

    test('an answer is taken once', async () => {
      const s = await join(server, '/', mode);
      s.on('question', (reply) => {
        reply(1);
        // the client's own guard is by-passed
        s.packet({ type: 3, id: 0, data: [2] });
        s.packet({ type: 3, id: 0, data: [3] });
      });
      s.emit('ask', 5000, 'question');
      await s.inbox.take('asked');
      await settle(s);
      assert.equal(s.inbox.count('asked'), 0);
    });

    test('a client that goes leaves the question unanswered, once', async () => {
      const watcher = await join(server, '/', mode);
      const before = (await ask(watcher, 'counters')).unanswered;
      const s = await join(server, '/', mode);
      s.emit('ask', 300, 'question');
      await s.inbox.take('question');
      s.disconnect();
      await until(async () => (await ask(watcher, 'counters')).unanswered > before, 3000,
        'the handler is told');
      assert.equal((await ask(watcher, 'counters')).unanswered, before + 1);
    });
  });
});

for (const kind of SESSIONS) {
  describe(`byte by byte over ${kind.name}`, () => {
    const opened = async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      return s;
    };

    test('0 is an id, leading zeros are dropped, answers may be out of order', async () => {
      const s = await opened();
      await s.send('420["echo",1]');
      assert.equal(await s.message(), '430[1]');
      await s.send('42007["echo"]');
      assert.equal(await s.message(), '437[]');
      await s.send('4299["keep-ack"]', '4212["echo",2] ', '42["send-ack",3]');
      assert.equal(await s.message(), '4312[2]');
      assert.equal(await s.message(), '4399[3]');
      s.destroy();
    });

    test('a binary answer has the type of its own', async () => {
      const s = await opened();
      await s.send('451-7["echo",{"_placeholder":true,"num":0}]', Buffer.from([1, 2]));
      assert.equal(await s.message(), '461-7[{"_placeholder":true,"num":0}]');
      assert.deepEqual(await s.message(), Buffer.from([1, 2]));
      s.destroy();
    });

    test('answers that nobody asked for are ignored', async () => {
      const s = await opened();
      for (const p of ['439["x"]', '43', '430', '430[]', '43[]', '43999999999[1]']) await s.send(p);
      await s.send('421["echo",1]');
      assert.equal(await s.message(), '431[1]');
      s.destroy();
    });
  });
}

test('a client cannot answer the question to another', async () => {
  const [a, b] = [await join(server), await join(server)];
  let reply;
  a.on('question', (r) => { reply = r; });
  a.emit('ask', 5000, 'question');
  await a.inbox.take('question');
  for (let id = 0; id < 50; id++) b.packet({ type: 3, id, data: ['forged'] });
  await settle(b, a);
  assert.equal(a.inbox.count('asked'), 0);
  reply('mine');
  assert.deepEqual(await a.inbox.take('asked'), [true, 'mine']);
  b.disconnect();
  assert.equal(await reasonOf(b), 'io client disconnect');
});
