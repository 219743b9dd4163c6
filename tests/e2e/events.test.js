'use strict';
// Events with every kind of JSON value, in both directions.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving, onEachTransport, join, settle, CONFAB_ONLY } = require('../lib/suite');
const { SESSIONS } = require('../lib/session');
const { ask } = require('../lib/clients');

const server = serving(startFixture);

const VALUES = {
  'nothing': [],
  'null and booleans': [null, true, false],
  'integers': [0, -1, 42, 2 ** 31, -(2 ** 53) + 1],
  'fractions': [0.1, -1.5, 1e21, 1e-7, 5e-324, 1.7976931348623157e308],
  'texts': ['', 'a', '"quotes" \\ / \b\f\n\r\t', '\u0000\u001e\u001f\u007f'],
  'languages': ['é', 'ÿ', 'Ελλάδα', 'русский', '日本語', 'العربية', '👩‍👩‍👧‍👦', '\u2028\u2029', '\ufeff'],
  'lone surrogates': ['\ud800', 'x\udfff'],
  'arrays': [[], [[]], [1, [2, [3, [4]]]], [null]],
  'objects': [{}, { a: {} }, { '': 1, 'a b': [{ c: null }], 'é': '"' }],
  'names that mean something to JavaScript': [{ constructor: 1, toString: 2, length: 3 }],
  'a placeholder that is none': [{ _placeholder: true, num: 0 }],
  'twelve arguments': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
};

const deep = (n) => (n === 0 ? 'bottom' : [deep(n - 1)]);

onEachTransport((mode) => {
  for (const [name, args] of Object.entries(VALUES)) {
    test(`${name} come back as they were sent`, async () => {
      const s = await join(server, '/', mode);
      s.emit('message', ...args);
      assert.deepEqual(await s.inbox.take('message-back'), args);
    });
  }

  test('20 levels of nesting come back', async () => {
    const s = await join(server, '/', mode);
    assert.deepEqual(await ask(s, 'message-with-ack', deep(20)), deep(20));
  });

  test('event names may be any text', async () => {
    const s = await join(server, '/', mode);
    const names = ['', 'é', '日本', 'error', 'connection', 'message,["', '__proto__',
      'constructor', 'a'.repeat(200)];
    for (const name of names) {
      await ask(s, 'broadcast', { rooms: [s.id], event: name }, name);
    }
    assert.deepEqual(s.inbox.all, names.map((n) => ({ event: n, args: [n] })));
  });

  test('events without a handler are ignored', async () => {
    const s = await join(server, '/', mode);
    for (const name of ['unknown', '', 'error', '__proto__', 'hasOwnProperty']) s.emit(name, 1);
    assert.equal(await ask(s, 'echo', 'after'), 'after');
  });

  test('handlers of one event are called in the order they were added', async () => {
    const s = await join(server, '/', mode);
    s.emit('twice');
    await settle(s);
    assert.deepEqual(s.inbox.names(), ['first', 'second']);
  });

  test('a long text passes', async () => {
    const s = await join(server, '/', mode);
    const text = 'é0123456789'.repeat(50000);
    assert.equal(await ask(s, 'echo', text), text);
  });

  test('1,000 events keep their order in both directions', async () => {
    const s = await join(server, '/', mode);
    for (let i = 0; i < 1000; i++) s.emit('message', i);
    const back = await s.inbox.takeAll('message-back', 1000, 15000);
    assert.deepEqual(back.map(([i]) => i), [...Array(1000).keys()]);
  });

  test('1,000 events of one turn of the server keep their order', async () => {
    const s = await join(server, '/', mode);
    await ask(s, 'burst', 1000, 'n', 'payload '.repeat(20));
    const all = await s.inbox.takeAll('n', 1000, 15000);
    assert.deepEqual(all.map(([i]) => i), [...Array(1000).keys()]);
  });
});

for (const kind of SESSIONS) {
  describe(`byte by byte over ${kind.name}`, () => {
    test('the text of the client\'s JSON survives', CONFAB_ONLY, async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      const args = '{"b":1.0,"a":12345678901234567890,"b":"\\u00e9\\/","e":1E5},-0,"\\u0041"';
      await s.send(`42["message",${args}]`);
      assert.equal(await s.message(), `42["message-back",${args}]`);
      s.destroy();
    });

    test('control characters stay escaped', async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      await s.send('42["message","\\u001e\\u0000\\n"]');
      assert.equal(await s.message(), '42["message-back","\\u001e\\u0000\\n"]');
      s.destroy();
    });

    test('an event name may be a number', async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      await s.send('42[1,"a"]');
      await s.send('421["echo",2]');
      assert.equal(await s.message(), '431[2]');
      s.destroy();
    });
  });
}
