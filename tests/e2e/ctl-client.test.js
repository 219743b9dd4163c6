'use strict';
// The client that `confabctl doctor` is made of: against this server and the
// official one, and against servers that mean no good.

const { describe, test, after } = require('node:test');
const assert = require('node:assert/strict');
const net = require('node:net');
const path = require('node:path');
const { REFERENCE, BUILD, startFixture, startReference } = require('../lib/servers');
const { run } = require('../lib/process');
const { serving } = require('../lib/suite');
const { SLOW } = require('../lib/until');

const TALK = path.join(BUILD, 'tests/ctl/talk');
const CTL = path.join(BUILD, 'confabctl');
const SET = { 'engine.ping_interval_ms': 400, 'engine.ping_timeout_ms': 4000 };

async function talk(url, transport, ...more) {
  const [namespace = '/', auth = '', ...words] = more;
  const { code, output } = await run(TALK, [url, transport, namespace, auth, ...words], { ms: 20000 });
  return { code, lines: output.split('\n').filter(Boolean), output };
}

const servers = {
  'this server': (options) => startFixture(options),
  ...(REFERENCE ? {} : { 'the official server': (options) => startReference(options) }),
};

for (const [name, start] of Object.entries(servers)) {
  describe(`with ${name}`, () => {
    const server = serving(start, { set: SET });

    for (const transport of ['polling', 'websocket', 'upgrade']) {
      test(`over ${transport}: events, answers, attachments and pings`, async () => {
        const { code, lines, output } = await talk(server.url, transport, '/custom', '{"a":"é"}',
          'echo', '1,"two",{"three":[null]}', 'formats', '', 'transport', '', 'WAIT', '1000', 'echo', '');
        assert.equal(code, 0, output);
        const text = lines.filter((l) => l !== 'ping' && !l.startsWith('connected') && l !== 'upgraded');
        assert.deepEqual(text.map((l) => l.replace(/^(event \["formats").*\]( \d.*)/, '$1$2')), [
          'event ["auth",{"a":"é"}]',
          'answer [1,"two",{"three":[null]}]',
          'event ["formats" 3 1',
          'answer [0]',
          `answer ["${transport === 'polling' ? 'polling' : 'websocket'}"]`,
          'answer []',
        ]);
        assert.equal(lines.includes('upgraded'), transport === 'upgrade', output);
        assert.match(output, /^connected 20$/m);
        assert.ok(lines.filter((l) => l === 'ping').length >= 2, output);
      });

      test(`over ${transport}: what is said around the upgrade is neither lost nor out of order`, async () => {
        const words = [];
        for (let i = 0; i < 60; i++) words.push('echo', String(i));
        const { lines } = await talk(server.url, transport, '/', '', ...words);
        assert.deepEqual(lines.filter((l) => l.startsWith('answer')), Array.from({ length: 60 }, (_, i) => `answer [${i}]`));
      });

      test(`over ${transport}: a large message`, async () => {
        const big = 'x'.repeat(100000);
        const { lines, output } = await talk(server.url, transport, '/', '', 'echo', JSON.stringify(big));
        assert.ok(lines.includes(`answer ["${big}"]`), output.slice(0, 1000));
      });
    }

    test('a namespace that refuses says why', async () => {
      const { code, output } = await talk(server.url, 'websocket', '/private', '{"token":"bad"}');
      assert.equal(code, 1);
      assert.match(output, /^closed the namespace "\/private" refused: "not authorized"$/m);
    });

    test('a server that ends it', async () => {
      for (const transport of ['polling', 'websocket']) {
        const { output } = await talk(server.url, transport, '/', '', 'disconnect-me', 'true');
        assert.match(output, /^event \["bye"\]\n(.*\n)*closed the server /m);
      }
    });

    test('a question without an answer ends', async () => {
      const { output } = await talk(server.url, 'websocket', '/', '', 'no-ack', '', 'echo', '1');
      assert.match(output, /^unanswered\n(ping\n)*answer \[1\]$/m);
    });

    test('doctor has nothing to say', async () => {
      const { code, output } = await run(CTL, ['doctor', server.url], { ms: 30000 });
      assert.equal(output, '');
      assert.equal(code, 0);
    });
  });
}

// ---- servers that mean no good -----------------------------------------------

const HELLO = (o = {}) => JSON.stringify({
  sid: 'abc', upgrades: ['websocket'], pingInterval: 300, pingTimeout: 300, maxPayload: 1000000, ...o,
});
const OK = (body) => `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const accept = (head) => require('node:crypto').createHash('sha1')
  .update(`${/sec-websocket-key: (\S+)/i.exec(head)[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const SWITCH = (head) => `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(head)}\r\n\r\n`;
const FRAME = (first, ...rest) => Buffer.from([first, ...rest]);
const TEXT = (s) => Buffer.concat([FRAME(0x81, 126, s.length >> 8, s.length & 255), Buffer.from(s)]);

describe('servers that mean no good', { skip: REFERENCE && 'of the client' }, () => {
  const open = new Set();
  after(() => { for (const s of open) s.close(); });

  // `answer` gets the head of each request, and the socket.
  function server(answer) {
    return new Promise((resolve) => {
      const s = net.createServer((c) => {
        let head = '';
        c.on('error', () => {});
        c.on('data', (d) => {
          head += d.toString('latin1');
          while (head.includes('\r\n\r\n')) {
            const end = head.indexOf('\r\n\r\n') + 4;
            const one = head.slice(0, end);
            head = head.slice(end).replace(/^[^A-Z][^\r]*$/, '');
            const r = answer(one, c);
            if (r !== undefined && !c.destroyed) c.write(r);
          }
        });
      });
      open.add(s);
      s.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${s.address().port}`));
    });
  }

  const drip = (text) => (head, c) => {
    let i = 0;
    const timer = setInterval(() => {
      if (c.destroyed) clearInterval(timer);
      else c.write(text(i++));
    }, 50);
  };
  const flood = (head, chunk) => (_, c) => {
    c.write(head);
    const more = () => { while (!c.destroyed && c.write(chunk)) ; };
    c.on('drain', more);
    more();
  };

  const answers = {
    'that close at once': (h, c) => { c.destroy(); },
    'that say nothing': () => undefined,
    'that speak something else': () => '220 mail.example ESMTP\r\n',
    'whose head never ends': drip((i) => (i ? `X-${i}: y\r\n` : 'HTTP/1.1 200 OK\r\n')),
    'whose head floods': flood('HTTP/1.1 200 OK\r\n', 'X-A: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(1000)),
    'whose body floods': flood('HTTP/1.1 200 OK\r\n\r\n', 'x'.repeat(65536)),
    'whose chunks flood': flood('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', `1000\r\n${'x'.repeat(4096)}\r\n`),
    'whose chunk is endless': () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nx',
    'whose body is announced as endless': () => 'HTTP/1.1 200 OK\r\nContent-Length: 4294967295\r\n\r\nx',
    'that say two lengths': () => 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
    'that go on and on': flood('', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)),
    'whose hello is no JSON': () => OK('0{"sid":'),
    'whose sid would break a request': () => OK(`0${HELLO({ sid: 'a b\r\nX: y' })}`),
    'whose sid is endless': () => OK(`0${HELLO({ sid: 'a'.repeat(5000) })}`),
    'that never ping': (h) => (/transport=websocket/.test(h) ? Buffer.concat([Buffer.from(SWITCH(h)), TEXT(`0${HELLO()}`)])
      : /sid=/.test(h) ? (/^POST/.test(h) ? OK('ok') : undefined) : OK(`0${HELLO()}`)),
    'that ping never, by its own word': () => OK(`0${HELLO({ pingInterval: 0 })}`),
    'that ping once in a thousand years': () => OK(`0${HELLO({ pingInterval: 1e15 })}`),
    'that accept no WebSocket': (h) => (/upgrade: websocket/i.test(h)
      ? 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n' : OK(/sid=/.test(h) ? 'ok' : `0${HELLO()}`)),
    'whose answers are terminal escapes': () => 'HTTP/1.1 418 x\r\nContent-Length: 34\r\n\r\n{"code":9,"message":"\u001b[2J\\u001b[H"}',
  };
  const frames = {
    masked: FRAME(0x81, 0x81, 1, 2, 3, 4, 5),
    'with reserved bits': FRAME(0xc1, 1, 0x32),
    'of no known kind': FRAME(0x83, 1, 0x32),
    'of 2^63 bytes': FRAME(0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255),
    'which continue nothing': FRAME(0x80, 1, 0x32),
    'of control, too long': FRAME(0x89, 126, 1, 0, ...Buffer.alloc(256)),
    'which are not UTF-8': FRAME(0x81, 2, 0x34, 0xff),
    'without a packet': FRAME(0x81, 0),
    'which never end': Buffer.concat([FRAME(0x01, 1, 0x34), ...Array.from({ length: 20000 }, () => FRAME(0, 1, 0x61))]),
  };
  for (const [what, bytes] of Object.entries(frames)) {
    answers[`that send frames, ${what}`] = (h) => {
      if (/upgrade: websocket/i.test(h)) return Buffer.concat([Buffer.from(SWITCH(h)), TEXT(`0${HELLO()}`), bytes]);
      if (/^POST/.test(h)) return OK('ok');
      return OK(/sid=/.test(h) ? '40{"sid":"x"}' : `0${HELLO()}`);
    };
  }

  for (const [what, answer] of Object.entries(answers)) {
    test(`${what}: doctor says so, in plain lines, and ends`, async () => {
      const url = await server(answer);
      const begin = Date.now();
      const { code, signal, output } = await run(CTL, ['doctor', '--timeout', '8', url], { ms: 15000 });
      assert.equal(signal, null);
      assert.equal(code, 1, output);
      assert.match(output, /^[ -~\n]+$/, 'no control characters');
      assert.ok(output.split('\n').every((l) => l.length < 1100));
      assert.ok(Date.now() - begin < 12000 * SLOW);
    });
  }

  const packets = {
    'an event without a name': ['42[]'],
    'too many attachments': ['4599-["x"]'],
    'an attachment that belongs to nothing': ['40{"sid":"x"}', 'bAAAA'],
    'an answer to nothing': ['40{"sid":"x"}', '439007199254740993["x"]', '437[]', 'x'],
    'nesting without end': [`42${'['.repeat(5000)}`],
    'a namespace that is no text': ['40{"sid":7}'],
    'a socket id without end': [`40{"sid":"${'x'.repeat(100000)}"}`, 'x'],
    'a second handshake': [`0${HELLO()}`],
    'a type that is none': ['9'],
  };
  for (const [what, list] of Object.entries(packets)) {
    test(`${what}: the client closes`, async () => {
      const url = await server((h) => {
        if (/^POST/.test(h)) return OK('ok');
        return OK(/sid=/.test(h) ? list.join('\x1e') : `0${HELLO()}`);
      });
      const { output, signal } = await run(TALK, [url, 'polling', '/', '', 'x', ''], { ms: 20000 });
      assert.equal(signal, null);
      assert.match(output, /^closed /m);
    });
  }
});
