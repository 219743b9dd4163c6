'use strict';
// A Redis that is broken or hostile, down to the bytes: the node serves its own
// clients as if nothing had happened, keeps within its memory, says little, and
// comes back when Redis does.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const notepack = require('notepack.io');
const { io } = require('socket.io-client');
const { FakeRedis, bulk, array, integer } = require('../lib/fake-redis');
const { startFixture } = require('../lib/servers');
const { bounded, metric } = require('../lib/hostile');
const { Inbox, ask } = require('../lib/clients');
const { until, sleep, SLOW } = require('../lib/until');

const MESSAGE_MAX = 2 * 1000000 + 65536; // of engine.max_payload_bytes = 1 MB
const MEGABYTES = 24;
const LOG_LINES = 40; // in a minute, of all kinds together

const up = async (s) => await metric(s.node, 'confab_redis_up') === 1;

const news = (text) => notepack.encode(['another', { type: 2, data: ['news', text], nsp: '/' }, { rooms: [], except: [], flags: {} }]);

async function client(url) {
  const s = io(url, { forceNew: true, transports: ['websocket'], reconnection: false });
  s.inbox = new Inbox(s);
  await until(() => s.connected, 5000, 'client connects');
  return s;
}

// A node with two clients, on a Redis that behaves at first.
async function start(name) {
  const s = { redis: await FakeRedis.start() };
  s.node = await startFixture({ redis: s.redis.url, name });
  s.a = await client(s.node.url);
  s.b = await client(s.node.url);
  await ask(s.b, 'join', 'r');
  await until(() => up(s), 10000, 'the node is up');
  return s;
}

// Its own clients do not notice.
let numbers = 0;
async function serves(s) {
  for (const rooms of [[], ['r']]) {
    numbers += 1;
    const event = `local ${numbers}`;
    const begin = Date.now();
    assert.equal(await ask(s.a, 'broadcast', { event, rooms }), 0);
    await s.b.inbox.take(event, 1000);
    assert.ok(Date.now() - begin < 1000 * SLOW, 'at once');
  }
}

// Once Redis behaves the node hears others and is heard.
async function comesBack(s, ms = 20000) {
  s.redis.onConnection = null;
  s.redis.onCommand = null;
  await until(async () => await serves(s) || up(s), ms, 'the node is back');
  numbers += 1;
  const n = numbers;
  await until(() => {
    s.redis.publish('socket.io#/#', news(n));
    return until(() => s.b.inbox.all.some((e) => e.event === 'news' && e.args[0] === n), 300, 'news').catch(() => false);
  }, 10000, 'others are heard');
  s.redis.seen = [];
  await until(async () => {
    await serves(s);
    return s.redis.seen.includes('PUBLISH');
  }, 10000, 'it publishes');
}

async function end(s) {
  s.a?.disconnect();
  s.b?.disconnect();
  try {
    await s.node?.stop();
  } finally {
    await s.redis.stop();
  }
}

function saysLittle(s) {
  const lines = s.node.output().split('\n').filter((l) => /redis_/.test(l));
  assert.ok(lines.length <= LOG_LINES, `${lines.length} lines:\n${lines.slice(0, 60).join('\n')}`);
}

// attack(s) resolves when it has been going on for long enough.
function survives(name, attack, { counted = false, back = true } = {}) {
  test(name, async () => {
    const s = await start(name.replace(/[^a-z]+/gi, '-').slice(0, 40));
    try {
      const bad = await metric(s.node, 'confab_redis_ignored_total{why="bad"}');
      await bounded(s.node, MEGABYTES, async () => {
        await attack(s);
        await serves(s);
        if (counted) {
          await until(async () => await metric(s.node, 'confab_redis_ignored_total{why="bad"}') > bad, 5000, 'it is counted');
        }
        if (back) await comesBack(s);
      });
      assert.ok(s.a.connected && s.b.connected);
      saysLittle(s);
    } finally {
      await end(s);
    }
  });
}

// ---- bytes on a connection that works ---------------------------------------

const text = (s) => Buffer.from(s, 'latin1');
const message = (channel, payload) => array(bulk('message'), bulk(channel), bulk(payload));
const nestedArrays = (n, inside = '') => text('*1\r\n'.repeat(n) + inside);

// The bytes, and whether the connection is given up for them.
const BYTES = {
  'another protocol': [text('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'), true],
  'zeros': [Buffer.alloc(1000), true],
  'all bytes': [Buffer.from([...Array(256).keys()]), true],
  'empty lines': [text('\r\n\r\n\r\n'), true],
  'a bulk of 2 GB': [text(`$2147483647\r\n${'x'.repeat(100000)}`), false],
  'a bulk of 2 GB, and more than is allowed of it': [text(`$2147483647\r\n${'x'.repeat(3000000)}`), true],
  'a bulk of 10^19': [text('$9999999999999999999\r\nx'), true],
  'a bulk of -2': [text('$-2\r\n'), true],
  'a bulk of no length': [text('$\r\n'), true],
  'a bulk of abc': [text('$abc\r\n'), true],
  'a bulk without its end': [text('$3\r\nabcde\r\n'), true],
  'an array of 10^9': [text('*1000000000\r\n$1\r\nx\r\n'), true],
  'an array of 10^19': [text('*9999999999999999999\r\n'), true],
  'an array of -2': [text('*-2\r\n'), true],
  'an array of 1,025': [text(`*1025\r\n${':1\r\n'.repeat(1025)}`), true],
  'arrays in arrays': [nestedArrays(10000), true],
  'wide arrays in wide arrays': [text(`${'*1024\r\n'.repeat(7)}${':1\r\n'.repeat(600000)}`), true],
  'empty arrays in a wide array': [text(`*1024\r\n${'*0\r\n'.repeat(1000)}`), false],
  'a line of 1 MB': [text(`+${'x'.repeat(1000000)}`), true],
  'a line of 1 MB of carriage returns': [text(`+${'\r'.repeat(1000000)}`), true],
  'an error of 1 MB': [text(`-ERR ${'x'.repeat(1000000)}\r\n`), true],
  'an integer of 30 digits': [text(':123456789012345678901234567890\r\n'), true],
  'an integer of letters': [text(':abc\r\n'), true],
  'status that nobody asked for': [text('+OK\r\n'), true],
  'an integer that nobody asked for': [text(':1\r\n'), true],
  'nil that nobody asked for': [text('$-1\r\n'), true],
  'a nil array that nobody asked for': [text('*-1\r\n'), true],
  'an empty array that nobody asked for': [text('*0\r\n'), true],
  'an error that nobody asked for': [text('-ERR unexpected\r\n'), true],
  'an error with escapes': [text('-ERR \x1b[31m\x00\xff" key=value\r\n'), true],
  'a subscription that nobody asked for': [array(bulk('subscribe'), bulk('x'), integer(9)), true],
  'the end of a subscription that nobody asked for': [array(bulk('unsubscribe'), bulk('socket.io-presence#'), integer(0)), true],
  'a push of RESP3': [text('>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n'), true],
  'a map of RESP3': [text('%1\r\n+a\r\n:1\r\n'), true],
  'a large map of RESP3': [text('%1000000000\r\n+a\r\n:1\r\n'), true],
  'a set of RESP3': [text('~1\r\n:1\r\n'), true],
  'attributes of RESP3': [text('|1\r\n+a\r\n:1\r\n+OK\r\n'), true],
  'a double of RESP3': [text(',1.5\r\n'), true],
  'a boolean of RESP3': [text('#t\r\n'), true],
  'null of RESP3': [text('_\r\n'), true],
  'a large number of RESP3': [text(`(${'9'.repeat(1000)}\r\n`), true],
  'verbatim text of RESP3': [text('=15\r\ntxt:Some string\r\n'), true],
  'a streamed text of RESP3': [text('$?\r\n;4\r\nHell\r\n;0\r\n'), true],
};

// What only a subscriber may get, though not like this.
const PUSHED = {
  'a message of integers': [array(bulk('message'), integer(1), integer(2)), false],
  'a message of nils': [text('*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n'), false],
  'a message of arrays': [text('*3\r\n$7\r\nmessage\r\n*1\r\n:1\r\n*0\r\n'), false],
  'a message of errors': [text('*3\r\n$7\r\nmessage\r\n-ERR a\r\n-ERR b\r\n'), false],
  'a pattern message of nils': [text('*4\r\n$8\r\npmessage\r\n$-1\r\n$-1\r\n$-1\r\n'), false],
  'a pattern message of an unknown pattern': [array(bulk('pmessage'), bulk('x*'), bulk('xyz'), bulk('garbage')), false],
  'a pattern message of a channel that does not fit': [array(bulk('pmessage'), bulk('socket.io#/#*'), bulk('other#/#'), bulk('garbage')), false],
  'a message of an unknown channel': [message('x', 'garbage'), false],
  'a message of an empty channel': [message('', ''), false],
  'a message without payload': [array(bulk('message'), bulk('socket.io-presence#')), true],
  'a message with too much': [array(bulk('message'), bulk('socket.io-presence#'), bulk('a'), bulk('b')), true],
  'a message whose word is an integer': [array(integer(1), bulk('a'), bulk('b')), true],
  'a message in capitals': [array(bulk('MESSAGE'), bulk('a'), bulk('b')), true],
  'a sharded message': [array(bulk('smessage'), bulk('a'), bulk('b')), true],
  'a message in a message': [array(bulk('message'), array(bulk('message')), array(array(), array())), false],
};

async function sendTo(s, which, bytes, givenUp) {
  const c = s.redis[which]();
  assert.ok(c, which);
  const accepted = s.redis.accepted;
  c.socket.write(bytes);
  if (givenUp) {
    await until(() => c.socket.destroyed || c.socket.readableEnded, 10000, 'the connection is given up');
    await until(() => s.redis.accepted > accepted, 10000, 'and made anew');
  } else {
    await sleep(100);
    await serves(s);
    assert.equal(c.socket.destroyed, false, 'the connection is kept');
    if (/^[$*]/.test(bytes.toString('latin1', 0, 1)) && !/message/.test(bytes)) c.socket.destroy();
  }
}

for (const which of ['subscriber', 'publisher']) {
  describe(`bytes to the ${which}`, { concurrency: 12 }, () => {
    for (const [name, [bytes, givenUp]] of Object.entries(BYTES)) {
      survives(name, (s) => sendTo(s, which, bytes, givenUp), { counted: givenUp });
    }
  });
}

describe('messages that are none', { concurrency: 12 }, () => {
  for (const [name, [bytes, givenUp]] of Object.entries(PUSHED)) {
    survives(name, (s) => sendTo(s, 'subscriber', bytes, givenUp));
    survives(`${name}, to the publisher`, (s) => sendTo(s, 'publisher', bytes, true), { counted: true });
  }
});

// One after the other: it is this process that has to write it all.
describe('much of it', () => {
  survives('a message larger than allowed costs the connection', async (s) => {
    await sendTo(s, 'subscriber', message('socket.io#/#', Buffer.alloc(4 * MESSAGE_MAX)), true);
  }, { counted: true });
  survives('a message a little larger than allowed costs nothing', async (s) => {
    const pattern = [...s.redis.subscriber().patterns].find((p) => /^socket.io#\/#/.test(p));
    const bytes = array(...(pattern ? [bulk('pmessage'), bulk(pattern)] : [bulk('message')]), bulk('socket.io#/#'), bulk(Buffer.alloc(MESSAGE_MAX + 1)));
    await sendTo(s, 'subscriber', bytes, false);
  }, { counted: true });
  survives('100,000 messages of unknown channels', async (s) => {
    const c = s.redis.subscriber();
    for (let i = 0; i < 100; i++) c.socket.write(Buffer.concat(Array(1000).fill(message('x', 'garbage'))));
    await serves(s);
    assert.equal(c.socket.destroyed, false);
  });
  survives('50,000 messages that make no sense', async (s) => {
    for (let i = 0; i < 50000; i++) {
      s.redis.publish(i % 2 ? 'socket.io#/#' : 'socket.io-presence#', 'garbage');
      if (i % 500 === 0) await serves(s);
    }
    await serves(s);
  }, { counted: true });
  survives('100,000 replies that nobody asked for, again and again', async (s) => {
    s.redis.onConnection = (c) => c.socket.write(text('+OK\r\n'.repeat(100000)));
    s.redis.drop();
    await until(() => s.redis.accepted >= 8, 20000, 'a few attempts');
  });
  survives('a message in single bytes is a message', async (s) => {
    const c = s.redis.subscriber();
    const pattern = [...c.patterns].find((p) => /^socket.io#\/#/.test(p));
    const head = pattern ? [bulk('pmessage'), bulk(pattern)] : [bulk('message')];
    // nothing else may come between
    s.redis.onCommand = (o, w) => w === 'PUBLISH' && o.socket.write(integer(0)) !== undefined;
    for (const byte of array(...head, bulk('socket.io#/#'), bulk(news('in bytes')))) {
      c.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    assert.deepEqual(await s.b.inbox.take('news'), ['in bytes']);
  });
});

// ---- a handshake that goes wrong --------------------------------------------

const COMMANDS = ['CLIENT', 'PING', 'SUBSCRIBE', 'PSUBSCRIBE', 'PUBSUB', 'PUBLISH'];

const REPLIES = {
  '-LOADING': '-LOADING Redis is loading the dataset in memory\r\n',
  '-NOAUTH': '-NOAUTH Authentication required.\r\n',
  '-MOVED': '-MOVED 3999 127.0.0.1:6381\r\n',
  '-READONLY': '-READONLY You can\'t write against a read only replica.\r\n',
  '-NOPERM': '-NOPERM this user has no permissions\r\n',
  '-ERR': '-ERR unknown command\r\n',
  'an empty error': '-\r\n',
  'an integer': ':1\r\n',
  'nil': '$-1\r\n',
  'an empty array': '*0\r\n',
  'an array of nils': '*3\r\n$-1\r\n$-1\r\n$-1\r\n',
  'arrays in an array': '*2\r\n*1\r\n:1\r\n*0\r\n',
  'something else': '*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n',
  'two replies': '+OK\r\n+OK\r\n',
  'garbage': '\x01\x02\x03',
};

// For a while, or for some attempts.
async function goesOn(s) {
  const stop = Date.now() + 1500;
  await until(async () => {
    await serves(s);
    return s.redis.accepted >= 12 || Date.now() > stop;
  }, 10000, 'it goes on');
  assert.ok(s.redis.accepted < 60, `${s.redis.accepted} connections`);
}

describe('replies to commands', { concurrency: 12 }, () => {
  for (const word of COMMANDS) {
    for (const [name, reply] of Object.entries(REPLIES)) {
      survives(`${word}: ${name}`, async (s) => {
        s.redis.onCommand = (c, w) => w === word && c.socket.write(text(reply)) !== undefined;
        s.redis.drop();
        await goesOn(s);
        s.redis.onCommand = null;
        s.redis.drop();
      });
    }
  }
});

describe('the end of a connection', { concurrency: 12 }, () => {
  for (const [how, close] of [['closes', (c) => c.socket.end()], ['resets', (c) => c.socket.resetAndDestroy()]]) {
    survives(`${how} when it has accepted`, async (s) => {
      s.redis.onConnection = close;
      s.redis.drop();
      await goesOn(s);
    });
    for (const word of COMMANDS) {
      survives(`${how} instead of an answer to ${word}`, async (s) => {
        s.redis.onCommand = (c, w) => { if (w === word) close(c); return w === word; };
        s.redis.drop();
        await goesOn(s);
      });
      survives(`${how} in the middle of an answer to ${word}`, async (s) => {
        s.redis.onCommand = (c, w, args) => {
          if (w !== word) return false;
          c.socket.write(s.redis.answer(c, w, args).subarray(0, 3), () => close(c));
          return true;
        };
        s.redis.drop();
        await goesOn(s);
      });
    }
  }
  survives('ends its side only', async (s) => {
    const c = s.redis.subscriber();
    c.socket.end();
    await until(() => s.redis.connections.size >= 2 && !s.redis.connections.has(c), 10000, 'the connection is made anew');
  });
});

describe('no answer', { concurrency: 12 }, () => {
  survives('to a connection', async (s) => {
    s.redis.onCommand = () => true;
    s.redis.drop();
    await goesOn(s);
    await until(() => s.redis.accepted >= 6, 20000, 'it is given up and tried again');
  });
  survives('to a subscription', async (s) => {
    s.redis.onCommand = (c, w) => /SUBSCRIBE/.test(w);
    s.redis.drop();
    await goesOn(s);
    await until(() => s.redis.accepted >= 5, 30000, 'it is given up and tried again');
  });
  survives('to what is published', async (s) => {
    s.redis.onCommand = (c, w) => w === 'PUBLISH';
    await goesOn(s);
    await until(() => s.redis.accepted >= 3, 30000, 'it is given up and tried again');
  });
  survives('but bytes, one at a time', async (s) => {
    s.redis.onCommand = () => true;
    s.redis.onConnection = (c) => {
      const timer = setInterval(() => (c.socket.destroyed ? clearInterval(timer) : c.socket.write('$')), 50);
    };
    s.redis.drop();
    await goesOn(s);
  });
  survives('and no reading either', async (s) => {
    for (const c of s.redis.connections) c.socket.pause();
    const big = 'x'.repeat(100000);
    for (let i = 0; i < 200; i++) await ask(s.a, 'broadcast', { event: 'big', rooms: ['nobody'] }, big);
    await goesOn(s);
    for (const c of s.redis.connections) c.socket.resume();
  });
});
