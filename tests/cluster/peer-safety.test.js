'use strict';
// Whatever clients of confab send, a Node.js server of the same cluster lives
// on with its connections to Redis, and so do its clients: it decodes what it
// hears without protection.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { createClient } = require('redis');
const { startFixture, startNodeJsPeer, startRedis } = require('../lib/servers');
const { WebSocketSession } = require('../lib/session');
const { join } = require('../lib/suite');
const { ask, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const servers = {};
let redis;
let speaker; // a client of confab that behaves
let listeners; // on both servers, in room "r" and in none
let connections; // to Redis
let cases = 0;

before(async () => {
  servers.redis = await startRedis();
  servers.confab = await startFixture({ redis: servers.redis, name: 'confab' });
  servers.second = await startFixture({ redis: servers.redis, name: 'confab-2' });
  servers.nodejs = await startNodeJsPeer({ redis: servers.redis });
  redis = createClient({ url: servers.redis.url });
  await redis.connect();
  speaker = await join(servers.confab);
  listeners = await Promise.all(['confab', 'second', 'nodejs', 'nodejs'].map((n) => join(servers[n])));
  for (const l of listeners.slice(0, 3)) await ask(l, 'join', 'r');
  await until(async () => {
    await ask(speaker, 'broadcast', { event: 'hello' });
    await ask(speaker, 'broadcast', { event: 'hello', rooms: ['r'] });
    return until(() => listeners.every((l, i) => l.inbox.count('hello') > (i < 3)), 300, 'hello').catch(() => false);
  }, 10000, 'all hear each other');
  connections = await connected();
});

after(async () => {
  closeAll();
  await redis?.quit();
  for (const name of ['confab', 'second', 'nodejs', 'redis']) await servers[name]?.stop();
});

// The ids of the connections that subscribe or publish.
async function connected() {
  const list = await redis.sendCommand(['CLIENT', 'LIST']);
  return String(list).split('\n').map((l) => /^id=(\d+)/.exec(l)?.[1]).filter(Boolean).sort().join();
}

// All that was published so far has been digested, and nobody is the worse.
async function unharmed() {
  for (const l of listeners) l.inbox.clear();
  await ask(speaker, 'broadcast', { event: 'fence' });
  await ask(speaker, 'broadcast', { event: 'fence', rooms: ['r'] });
  for (const [i, l] of listeners.entries()) {
    await until(() => l.inbox.count('fence') === (i < 3 ? 2 : 1) || !l.connected, 5000, `listener ${i} still hears`);
    assert.ok(l.connected, `listener ${i} is connected`);
  }
  assert.equal(servers.nodejs.ended, null, servers.nodejs.output().slice(-1000));
  assert.doesNotMatch(servers.nodejs.output(), /redis: |Error|Unhandled/);
  assert.equal(await connected(), connections, 'the connections to Redis are those of the beginning');
}

// A client of confab that sends packets; it may be disconnected for that.
async function sends(...packets) {
  const s = await WebSocketSession.open(servers.confab);
  await s.connect();
  await s.send(...packets);
  await s.send('420["echo"]');
  await until(() => s.over || s.packets.some((p) => String(p).startsWith('430')), 10000, 'it is answered or ended');
  s.destroy();
}

function harmless(name, ...packets) {
  cases += 1;
  test(name, async () => {
    await sends(...packets);
    await unharmed();
  });
}

const broadcast = (spec, args = '', bins = []) => {
  const head = bins.length ? `45${bins.length}-` : '42';
  return [`${head}["broadcast",${typeof spec === 'string' ? spec : JSON.stringify(spec)}${args && ','}${args}]`, ...bins];
};
const P = (n) => `{"_placeholder":true,"num":${n}}`;
const nested = (n, open, inside, close) => open.repeat(n) + inside + close.repeat(n);
const B = (...list) => Buffer.from(list);

describe('names of events', () => {
  const names = {
    connect: 'connect', connect_error: 'connect_error', disconnect: 'disconnect', disconnecting: 'disconnecting',
    newListener: 'newListener', removeListener: 'removeListener', error: 'error', empty: '', 'a blank': ' ',
    'with NUL': 'a\u0000b', 'with controls': '\u0001\u001e\r\n', '__proto__': '__proto__', constructor: 'constructor',
    toString: 'toString', hasOwnProperty: 'hasOwnProperty', '*': '*', 'a number as text': '7', long: 'n'.repeat(256),
    longer: 'n'.repeat(299), 'longest': 'é'.repeat(140), _placeholder: '_placeholder',
  };
  for (const [name, event] of Object.entries(names)) harmless(name, ...broadcast({ event }));
  harmless('half of a pair', '42["broadcast",{"event":"\\ud800"}]');
  harmless('escaped reserved name', '42["broadcast",{"event":"\\u0063onnect"}]');
  harmless('reserved name before NUL', '42["broadcast",{"event":"connect\\u0000"}]');
  for (const wrong of ['7', 'null', 'true', '{}', '[]', '1e400', '["connect"]']) {
    harmless(`${wrong} as name of a broadcast`, `42["broadcast",{"event":${wrong}}]`);
    harmless(`${wrong} as name`, `42[${wrong},1]`);
  }
  for (const event of ['connect', 'disconnect', 'error', 'newListener']) harmless(`${event}, sent`, `42["${event}",1]`);
});

describe('arguments', () => {
  const values = {
    'an infinite number': '1e400', 'a long number': '123456789012345678901234567890', 'a longer one': `1${'0'.repeat(5000)}`,
    'a very small one': '1e-400', 'minus zero': '-0', 'a long fraction': `0.${'1'.repeat(5000)}`, '2^64': '18446744073709551616',
    'half of a pair': '"\\ud800"', 'other half as key': '{"\\udc00":1}', 'NUL': '"\\u0000"', 'NUL as key': '{"\\u0000":1}',
    'a prototype': '{"__proto__":{"toJSON":1}}', 'a prototype that is null': '{"__proto__":null}',
    'a prototype that is an array': '{"__proto__":[]}', 'an escaped prototype': '{"\\u005f\\u005fproto__":{"a":1}}',
    'prototypes in prototypes': nested(8, '{"__proto__":', '[]', '}'), 'many prototypes': `{${Array(1000).fill('"__proto__":[{}]').join()}}`,
    'a constructor': '{"constructor":{"prototype":{"x":1}}}', 'toJSON': '{"toJSON":"x"}', 'then': '{"then":1}', 'length': '{"length":1e9}',
    'hasOwnProperty': '{"hasOwnProperty":1,"valueOf":null}', 'a key twice': '{"a":1,"a":[2]}', 'an empty key': '{"":{"":1}}',
    'a placeholder': P(0), 'a placeholder out of range': P(99), 'half a placeholder': '{"_placeholder":true}',
    'a buffer as JSON': '{"type":"Buffer","data":[1]}', 'a huge buffer as JSON': '{"type":"Buffer","data":1e9}', 'a packet': '{"type":5,"nsp":"/","data":["x"],"attachments":9}',
    'deep arrays': nested(20, '[', '1', ']'), 'deep objects': nested(20, '{"a":', '1', '}'), 'deepest': nested(22, '[', '', ']'),
    'too deep': nested(60, '[', '', ']'), 'far too deep': nested(5000, '[', '', ']'),
    'a long list': `[${Array(100000).fill(0).join()}]`, 'a wide object': `{${[...Array(20000).keys()].map((i) => `"k${i}":0`).join()}}`,
    'a long text': `"${'x'.repeat(900000)}"`, 'a long key': `{"${'k'.repeat(500000)}":1}`, 'escapes': `"${'\\u0001'.repeat(100000)}"`,
    'many arguments': Array(30).fill('[]').join(),
  };
  for (const [name, args] of Object.entries(values)) harmless(name, ...broadcast({ event: 'odd' }, args), ...broadcast({ event: 'odd', rooms: ['r'] }, args));
  harmless('65,536 arguments', ...broadcast({ event: 'odd' }, Array(65536).fill('1').join()), `42["message",${Array(65536).fill('1').join()}]`);
  harmless('300,000 arguments', ...broadcast({ event: 'odd' }, Array(300000).fill('1').join()));
});

describe('binary', () => {
  const data = {
    'one': [P(0), B(1)], 'empty': [P(0), B()], 'ten': [[...Array(10).keys()].map(P).join(), ...Array(10).fill(B(1))],
    'eleven': [[...Array(11).keys()].map(P).join(), ...Array(11).fill(B(1))], 'one, twice': [`${P(0)},${P(0)}`, B(1)],
    'one that is not used': ['1', B(1)], 'a placeholder with more': ['{"_placeholder":true,"num":0,"x":1}', B(1)],
    'as prototype': [`{"__proto__":${P(0)}}`, B(1, 2)], 'as prototype, inside': [`[{"a":{"__proto__":${P(0)}}}]`, B(1, 2)],
    'as escaped prototype': [`{"_\\u005fproto__":${P(0)}}`, B(1)], 'inside a prototype': [`{"__proto__":{"a":${P(0)}}},${P(0)}`, B(1)],
    'beside a prototype': [`{"__proto__":{"length":9},"a":${P(0)}}`, B(1)], 'as toJSON': [`{"toJSON":${P(0)}}`, B(1)],
    'as a name': [`{"${'k'.repeat(300)}":${P(0)}}`, B(1)], 'a placeholder out of range': [`${P(0)},${P(5)}`, B(1)],
    'a negative placeholder': [P(-1), B(1)], 'half a placeholder': [P('0.5'), B(1)], 'placeholder as text': [P('"0"'), B(1)],
    'a placeholder of 1e-400': [P('1e-400'), B(1)], 'a placeholder of -0': [P('-0'), B(1)], 'an escaped placeholder': ['{"_pl\\u0061ceholder":true,"num":0}', B(1)],
    'a placeholder twice': ['{"_placeholder":true,"num":5,"num":0}', B(1)], 'a placeholder that is 1': [`{"_placeholder":1,"num":9},${P(0)}`, B(1)],
    'deep': [nested(18, '[', P(0), ']'), B(1)], 'large': [P(0), Buffer.alloc(900000)],
  };
  for (const [name, [args, ...bins]] of Object.entries(data)) harmless(name, ...broadcast({ event: 'odd' }, args, bins));
  harmless('instead of the selection', '451-["broadcast",{"_placeholder":true,"num":0},1]', B(1));
  harmless('as name', '451-["broadcast",{"event":{"_placeholder":true,"num":0}},1]', B(1));
  harmless('as room', '451-["broadcast",{"event":"odd","rooms":[{"_placeholder":true,"num":0}]},1]', B(1));
});

describe('rooms', () => {
  const rooms = ['', ' ', '#', '##', '*', '?', '[a]', '\\', '__proto__', 'constructor', '7', '1e3', '-0', 'NaN', 'Infinity', '0x10', 'a#b', 'r#',
    'a\u0000b', 'r\r\nPUBLISH x y\r\n', 'é'.repeat(60), 'x'.repeat(128), 'x'.repeat(300), 'ABCDEFGHIJKLMNOPQRST'];
  for (const room of rooms) {
    harmless(JSON.stringify(room.slice(0, 30)), `42["join",${JSON.stringify(room)}]`, ...broadcast({ event: 'odd', rooms: [room] }, '1'),
      ...broadcast({ event: 'odd', rooms: [room, 'r'] }, '1'), ...broadcast({ event: 'odd', except: [room] }, '1'),
      ...broadcast({ event: 'odd', rooms: ['r'], except: [room] }, '1'));
  }
  for (const wrong of ['null', '7', '{}', '[1,null,{}]', '["\\ud800"]', `[${Array(300).fill('"a"').join()}]`]) {
    harmless(`${wrong.slice(0, 30)} for a list`, ...broadcast(`{"event":"odd","rooms":${wrong}}`, '1'), ...broadcast(`{"event":"odd","except":${wrong}}`, '1'));
  }
  harmless('of sockets', '42["observe"]', `42["presence-set","observers",{"__proto__":1}]`);
});

describe('the rest', () => {
  for (const selection of ['null', '7', '"x"', '[]', '{"times":-1,"event":"odd"}', '{"volatile":"yes","event":"odd"}', '{"from":{},"event":"odd"}',
    '{"local":{},"event":"odd"}', '{"from":"others","volatile":true,"event":"odd"}']) {
    harmless(`${selection} as selection`, ...broadcast(selection, '1'));
  }
  for (const group of ['""', '"\\u0000"', '"__proto__"', '"\\ud800"', 'null', `"${'g'.repeat(256)}"`, `"${'g'.repeat(400)}"`]) {
    harmless(`presence in ${group.slice(0, 20)}`, `42["presence-set",${group},{"a":[1e400,"\\ud800",{"__proto__":[]}]}]`, `42["presence-clear",${group}]`);
  }
  harmless('many at once', ...[...Array(300).keys()].flatMap((i) => broadcast({ event: 'odd', rooms: i % 2 ? ['r'] : [] }, `${i},{"__proto__":${P(0)}}`, [B(i & 255)])));
  harmless('an event cut short', '42["broadcast",{"event":"odd"},');
  harmless('attachments that never come', '452-["broadcast",{"event":"odd"},1]', B(1));
  test('in other namespaces', async () => {
    const s = await WebSocketSession.open(servers.confab);
    for (const n of ['/custom', '/dyn-*', '/dyn-a#b', '/dyn-__proto__', `/dyn-${'x'.repeat(100)}`]) {
      await s.send(`40${n},`, `42${n},["broadcast",{"event":"odd","rooms":[]},{"__proto__":{"a":1}}]`);
    }
    await until(() => s.packets.length >= 5 || s.over, 5000, 'namespaces answer');
    s.destroy();
    await unharmed();
  });
});

// Operations on the whole cluster: requests to the Node.js server, and answers
// to what it asks.
const ODD = ['1e400', '-0', '"\\ud800"', '{"__proto__":{"toJSON":1}}', '{"__proto__":null,"then":1}', P(99), nested(20, '[', '1', ']'),
  '123456789012345678901234567890', '{"type":"Buffer","data":1e9}', `"${'x'.repeat(100000)}"`];
const ODD_BINARY = [[P(0), B(1)], [`{"__proto__":${P(0)}}`, B(1, 2)], [`[{"a":{"__proto__":${P(0)}}},${P(0)}]`, B(1)], [P(0), B()], [`{"toJSON":${P(0)}}`, B(1)]];

describe('operations', () => {
  for (const value of ODD) {
    harmless(`a broadcast to be acknowledged: ${value.slice(0, 30)}`, `42["broadcast-ack",{"event":"odd","rooms":["r"],"timeout":100},${value}]`);
    harmless(`an event between servers: ${value.slice(0, 30)}`, `42["server-ask",100,"odd",${value}]`);
  }
  for (const [args, ...bins] of ODD_BINARY) {
    harmless(`a broadcast to be acknowledged: ${args}, binary`, `45${bins.length}-["broadcast-ack",{"event":"odd","rooms":["r"],"timeout":100},${args}]`, ...bins);
  }
  for (const event of ['', '__proto__', 'connection', 'connect', 'disconnect', 'new_namespace', 'error', 'x'.repeat(299), 'a\u0000']) {
    harmless(`an event between servers named ${JSON.stringify(event).slice(0, 20)}`, `42["server-ask",100,${JSON.stringify(event)},1]`);
    harmless(`a broadcast to be acknowledged named ${JSON.stringify(event).slice(0, 20)}`, `42["broadcast-ack",{"event":${JSON.stringify(event)},"timeout":100},1]`);
  }
  for (const room of ['""', '"\\u0000"', '"\\ud800"', '"__proto__"', '7', 'null', '{}', `"${'x'.repeat(300)}"`]) {
    harmless(`sockets join and leave ${room.slice(0, 20)}`, `42["sockets-join",{"rooms":["nobody"]},${room}]`, `42["sockets-leave",{"rooms":["nobody"]},${room}]`,
      `42["fetch",{"rooms":["nobody"],"except":[${room}]}]`, `42["sockets-disconnect",{"rooms":["nobody"],"except":[${room}]},${room}]`);
  }
  harmless('all rooms', `42["join","\\ud800"]`, '42["join","__proto__"]', '42["all-rooms"]', '42["fetch",{}]');

  // The Node.js server asks all clients; one of confab answers.
  const answers = (name, make) => {
    cases += 1;
    test(`a client answers the Node.js server: ${name}`, async () => {
      const asker = listeners[2];
      assert.ok(asker.connected);
      const s = await WebSocketSession.open(servers.confab);
      await s.connect();
      await s.send('420["join","answerers"]');
      await until(() => s.packets.some((p) => String(p).startsWith('430')), 5000, 'it has joined');
      await ask(asker, 'broadcast-ack', { event: 'quiz', rooms: ['answerers'], timeout: 300 });
      let id;
      await until(() => {
        id = s.packets.map((p) => /^42(\d+)\["quiz"/.exec(String(p))?.[1]).find((i) => i !== undefined);
        return id !== undefined;
      }, 5000, 'it is asked');
      await s.send(...make(id));
      await until(() => asker.inbox.count('answers') > 0, 5000, 'the question ends');
      s.destroy();
      await unharmed();
    });
  };
  for (const value of [...ODD, '', '1,2,3']) answers(`[${value.slice(0, 30)}]`, (id) => [`43${id}[${value}]`]);
  for (const [args, ...bins] of ODD_BINARY) answers(`[${args}], binary`, (id) => [`46${bins.length}-${id}[${args}]`, ...bins]);
  answers('twice', (id) => [`43${id}[1]`, `43${id}[2]`]);
  answers('somebody else\'s question', (id) => [`43${Number(id) + 1}[1]`, `43${id}[2]`]);
});

test('nothing of it has been left out', (t) => {
  t.diagnostic(`${cases + 1} cases`);
  assert.doesNotMatch(servers.second.output(), /redis_bad_message/);
});
