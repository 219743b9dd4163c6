'use strict';
// Packets that no client should send end their own connection, at most, while
// another client goes on.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { startFixture } = require('../lib/servers');
const { serving, join } = require('../lib/suite');
const { SESSIONS, PollingSession } = require('../lib/session');
const { requestText } = require('../lib/raw');
const { Inbox, ask, connect } = require('../lib/clients');
const { until } = require('../lib/until');

const server = serving(startFixture);

const P = (num) => `{"_placeholder":true,"num":${num}}`;
const one = Buffer.from([1]);

// The reference says one or the other, as its queue happens to be.
const STATE = /^forced (server )?close$/;

// On a connection that joined "/". What is sent (several packets: one after the
// other), and the reason that the server's socket hears.
const CLOSES = [
  ['42[]', 'forced close'],
  ['42{}', 'forced close'],
  ['42"x"', 'forced close'],
  ['42[null]', 'forced close'],
  ['42[true]', 'forced close'],
  ['42[["a"]]', 'forced close'],
  ['42[{}]', 'forced close'],
  ['42["a"', 'forced close'],
  ['42["a"]x', 'forced close'],
  ['42["a",]', 'forced close'],
  ['42["a",NaN]', 'forced close'],
  ['42["a",01]', 'forced close'],
  ['42["a",\'b\']', 'forced close'],
  ['42["a","\u0001"]', 'forced close'],
  ['42["a","\\x"]', 'forced close'],
  ['42["connect"]', 'forced close'],
  ['42["connect_error"]', 'forced close'],
  ['42["disconnect"]', 'forced close'],
  ['42["disconnecting"]', 'forced close'],
  ['42["newListener"]', 'forced close'],
  ['42["removeListener"]', 'forced close'],
  ['42["\\u0064isconnect"]', 'forced close'],
  ['42-1["a"]', 'forced close'],
  ['421.5["a"]', 'forced close'],
  ['42abc["a"]', 'forced close'],
  ['42/custom["a"]', STATE],
  ['42/["a"]', STATE],
  ['42/custom,["a"]', STATE],
  ['42/nope,["a"]', STATE],
  ['43{}', 'forced close'],
  ['430{}', 'forced close'],
  ['44{}', STATE],
  ['44{"message":"x"}', STATE],
  ['44"x"', STATE],
  ['40', STATE],
  ['40{"a":1', 'forced close'],
  ['40[]', 'forced close'],
  ['40null', 'forced close'],
  ['40"x"', 'forced close'],
  ['40-1', 'forced close'],
  ['41{}', 'forced close'],
  ['41[]', 'forced close'],
  ['41,', 'forced close'],
  ['41/custom,', STATE],
  ['450-["a"]', 'forced close'],
  ['45-["a"]', 'forced close'],
  ['451["a"]', 'forced close'],
  ['45', 'forced close'],
  ['46', 'forced close'],
  ['460-[]', 'forced close'],
  ['4511-["a"]', 'forced close'],
  ['455999999999-["a"]', 'forced close'],
  ['45-1-["a"]', 'forced close'],
  ['451.5-["a"]', 'forced close'],
  ['47', 'forced close'],
  ['4a', 'forced close'],
  ['4[]', 'forced close'],
  ['4', 'forced close'],
  [[`451-["a",${P(0)}]`, '42["b"]'], 'forced close', 'text where data must come'],
  [[`451-["a",${P(1)}]`, one], 'forced close', 'placeholder past the end'],
  [[`451-["a",${P(-1)}]`, one], 'forced close', 'negative placeholder'],
  [[`451-["a",${P('"0"')}]`, one], 'forced close', 'placeholder number as text'],
  [[`451-["a",${P('1e9')}]`, one], 'forced close', 'huge placeholder'],
  [one, 'forced close', 'data out of nothing'],
  [Buffer.alloc(0), 'forced close', 'empty data out of nothing'],
  ['2', 'transport error', 'ping from the client'],
  ['2x', 'transport error', 'ping with data from the client'],
  ['x', 'parse error', 'unknown Engine.IO packet'],
  ['7', 'parse error', 'Engine.IO packet 7'],
];

// The connection stays; nothing is answered.
const IGNORED = [
  '42', '43', '43[]', '430', '430[]', '439["x"]', '3', '0', '5', '6', '3probe',
  '42["unknown"]', '42["error","x"]', '42["__proto__"]', '42/,["unknown"]',
  '42 ["unknown"]',
];

// On a connection that joined nothing.
const CLOSES_AT_ONCE = [
  '42["a"]', '421["a"]', '41', '43', '43[]', '44{}', '40null', '40[]', '40"x"', '40true',
  '40{"a":1', '40-1', '40custom', '47', '4', '42[', one,
];
const CONNECTS = ['40', '40{}', '40/,', '40{"a":{"b":[1]}}', '401{"a":1}'];

const text = (sent) => [sent].flat().map((p) => (Buffer.isBuffer(p) ? `<${p.toString('hex')}>` : p)).join(' then ');

for (const kind of SESSIONS) {
  describe(`over ${kind.name}`, () => {
    let watcher;
    let chat;
    before(async () => {
      // not those of lib/clients.js: these live longer than one test
      const own = async () => {
        const s = io(server.url, { forceNew: true, transports: ['websocket'] });
        s.inbox = new Inbox(s);
        await until(() => s.connected, 5000, 'client connects');
        return s;
      };
      [watcher, chat] = [await own(), await own()];
      await ask(watcher, 'observe');
    });
    after(() => {
      for (const s of [watcher, chat]) s?.disconnect();
    });

    const opened = async () => {
      const s = await kind.open(server);
      const reply = await s.connect();
      s.id = JSON.parse(reply.slice(2)).sid;
      await s.message();
      return s;
    };

    const reasonFor = async (id) => {
      for (;;) {
        const [gone] = await watcher.inbox.take('gone');
        if (gone.id === id) return gone.reason;
      }
    };

    for (const [sent, reason, name] of CLOSES) {
      test(`${name || text(sent)}: closed`, async () => {
        const s = await opened();
        for (const p of [sent].flat()) await s.send(p);
        await s.ends();
        assert.match(await reasonFor(s.id),
          typeof reason === 'string' ? new RegExp(`^${reason}$`) : reason);
        assert.equal(await ask(chat, 'echo', 'still here'), 'still here');
        s.destroy();
      });
    }

    for (const sent of IGNORED) {
      test(`${text(sent)}: ignored`, async () => {
        const s = await opened();
        await s.send(sent);
        await s.send('427["echo","here"]');
        assert.equal(await s.message(), '437["here"]');
        s.destroy();
      });
    }

    for (const sent of CLOSES_AT_ONCE) {
      test(`${text(sent)} before CONNECT: closed`, async () => {
        const s = await kind.open(server);
        await s.send(sent);
        await s.ends();
        assert.equal(await ask(chat, 'echo', 1), 1);
        s.destroy();
      });
    }

    for (const sent of CONNECTS) {
      test(`${text(sent)}: connects`, async () => {
        const s = await kind.open(server);
        await s.send(sent);
        assert.match(await s.message(), /^40\{"sid":"[\w-]{20}"\}$/);
        s.destroy();
      });
    }

    test('an unknown namespace is named as it was written', async () => {
      const s = await kind.open(server);
      for (const name of ['/nope', '/custom?a=b', '/é"\\']) {
        const escaped = name;
        assert.equal(await s.connect(name), `44${escaped},{"message":"Invalid namespace"}`);
      }
      assert.match(await s.connect(), /^40/);
      s.destroy();
    });

    test('a namespace without its comma connects', async () => {
      const s = await kind.open(server);
      await s.send('40/custom');
      assert.match(await s.message(), /^40\/custom,\{"sid":"[\w-]{20}"\}$/);
      s.destroy();
    });

    test('events for a namespace whose admission is pending close', async () => {
      const s = await kind.open(server);
      await s.send('40/slow,{"key":"pending"}');
      assert.deepEqual(await watcher.inbox.take('waiting'), ['pending']);
      await s.send('42/slow,["x"]');
      await s.ends();
      await ask(watcher, 'release', 'pending');
      assert.equal(await ask(chat, 'echo', 1), 1);
      s.destroy();
    });

    test('attachments that never come hold nobody else up', async () => {
      const s = await opened();
      await s.send(`451-["message",${P(0)}]`);
      assert.equal(await ask(chat, 'echo', 'other'), 'other');
      await s.send(one);
      assert.match(await s.message(), /^451-\["message-back"/);
      s.destroy();
    });
  });
}

describe('polling bodies', () => {
  const cases = {
    'empty': '',
    'a separator at the end': '42["message",1]\x1e',
    'a separator at the start': '\x1e42["message",1]',
    'two separators': '42["message",1]\x1e\x1e42["message",2]',
    'an unknown packet behind a good one': '42["message",1]\x1exyz',
  };
  for (const [name, body] of Object.entries(cases)) {
    test(`${name}: the session is gone`, async () => {
      const s = await PollingSession.open(server);
      await s.connect();
      await s.message();
      const r = await s.post(body);
      assert.equal(r.status, 200);
      assert.equal(String(r.body), 'ok');
      await s.ends();
      const again = await s.get();
      assert.equal(again.status, 400);
      assert.equal(JSON.parse(again.body).code, 1);
    });
  }

  test('packets behind a close packet are ignored', async () => {
    const [watcher, s] = [await connect(server.url), await PollingSession.open(server)];
    await ask(watcher, 'join', 'after-close');
    await s.connect();
    await s.message();
    const spec = JSON.stringify({ rooms: ['after-close'], event: 'leak' });
    await s.post(`1\x1e42["broadcast",${spec}]`);
    await s.ends();
    await ask(watcher, 'echo', 1);
    assert.equal(watcher.inbox.count('leak'), 0);
  });

  test('octet-stream is refused, other types are text', async () => {
    const s = await PollingSession.open(server);
    const post = async (type) => {
      s.poster.write(requestText('POST', s.path, type ? { 'Content-Type': type } : {}, '3'));
      return s.poster.response();
    };
    for (const type of ['', 'application/json', 'application/octet-stream; charset=x',
      'Application/Octet-Stream', 'application/x-www-form-urlencoded']) {
      assert.equal((await post(type)).status, 200, type);
    }
    const r = await post('application/octet-stream');
    assert.deepEqual([r.status, String(r.body)], [400, '']);
    assert.equal(await s.ends(), 'close packet');
  });
});
