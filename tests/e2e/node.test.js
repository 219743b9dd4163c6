'use strict';
// The node as a program: configuration, operations, start and stop.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { REFERENCE, startNode, startFixture, freePort, ready } = require('../lib/servers');
const { Process, run, BUILD, OUTPUT } = require('../lib/process');
const { serving, join } = require('../lib/suite');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { Connection, WebSocketConnection, request, requestText, get } = require('../lib/raw');
const { MODES, connect, ask, reasonOf, closeAll } = require('../lib/clients');
const { metric } = require('../lib/metrics');
const { until } = require('../lib/until');

const confab = (args, env) => run(path.join(BUILD, 'confab'), args, { env });

let files = 0;
function file(text) {
  fs.mkdirSync(OUTPUT, { recursive: true });
  files += 1;
  const name = path.join(OUTPUT, `${process.pid}-${files}.yaml`);
  fs.writeFileSync(name, text);
  return name;
}

async function refuses(args, pattern, env) {
  const { code, output } = await confab(args, env);
  assert.equal(code, 2, output);
  assert.match(output, pattern);
  assert.ok(output.trim().split('\n').length <= 2 || /usage/.test(output), output);
}

describe('configuration', { skip: REFERENCE && 'confab only' }, () => {
  test('an unknown key is refused with the nearest one', async () => {
    await refuses(['--set', 'engine.ping_intervall_ms=1000'], /engine\.ping_intervall_ms.*engine\.ping_interval_ms/);
    await refuses(['--set', 'listen.prot=1'], /listen\.port/);
  });

  test('in a file, with its line', async () => {
    const name = file('listen:\n  port: 0\nengine:\n  ping_intervall_ms: 1000\n');
    await refuses(['-c', name], new RegExp(`${path.basename(name)}:4:.*ping_intervall_ms.*ping_interval_ms`));
  });

  const wrong = {
    'no number': ['--set', 'listen.port=abc'],
    'a number and more': ['--set', 'listen.port=80x'],
    'a negative number': ['--set', 'listen.port=-1'],
    'a number out of range': ['--set', 'listen.port=65536'],
    'a number too large for anything': ['--set', 'listen.port=99999999999999999999'],
    'an interval that is too short': ['--set', 'engine.ping_interval_ms=0'],
    'an unknown choice': ['--set', 'log.level=loud'],
    'no value': ['--set', 'listen.port'],
    'an empty number': ['--set', 'listen.port='],
    'a path without a slash': ['--set', 'engine.path=chat', '--check-config'],
    'redis without its address': ['--set', 'adapter.type=redis', '--check-config'],
    'a file that is not there': ['-c', '/nonexistent/confab.yaml'],
    'a folder as a file': ['-c', '/'],
    'an unknown option': ['--prot', '1'],
    'an argument too many': ['serve'],
    '--set without a value': ['--set'],
  };
  for (const [name, args] of Object.entries(wrong)) {
    test(`${name}: exit 2`, async () => refuses(args, /confab|usage/));
  }

  const wrongFiles = {
    'a key that comes twice': ['listen:\n  port: 1\n  port: 2\n', 3],
    'a section that comes twice': ['listen:\n  port: 1\nlisten:\n  host: x\n', 3],
    'an unknown section': ['lissten:\n  port: 1\n', 1],
    'a value of the wrong type': ['listen:\n  port: [1]\n', 2],
    'a text instead of a section': ['listen: 1\n', 1],
    'a list at the top': ['- listen\n', 1],
    'an anchor': ['listen: &a\n  port: 1\n', 1],
    'broken YAML': ['listen:\n  port: "1\n', null],
    'tabs': ['listen:\n\tport: 1\n', 2],
  };
  for (const [name, [text, line]] of Object.entries(wrongFiles)) {
    test(`${name} in a file: exit 2 with its line`, async () => {
      const f = file(text);
      await refuses(['-c', f, '--check-config'],
        new RegExp(`${path.basename(f)}${line === null ? '' : `:${line}`}`));
    });
  }

  test('--check-config accepts what is right', async () => {
    const f = file('listen:\n  port: 0\n  host: 127.0.0.1\nengine:\n  cors_origins: ["http://a", "http://b"]\n');
    assert.equal((await confab(['-c', f, '--check-config'])).code, 0);
    assert.equal((await confab(['--check-config'])).code, 0);
    assert.equal((await confab(['-c', file(''), '--check-config'])).code, 0);
  });

  test('an enforced list of origins needs origins, a cookie a name', async () => {
    for (const origins of ['', '*', 'http://a,*']) {
      await refuses(['--set', `engine.cors_origins=${origins}`, '--set', 'engine.cors_enforce=true', '--check-config'],
        /engine\.cors_enforce/);
    }
    for (const name of ['a b', 'a=b', 'a;b', 'a\r\nb', 'é']) {
      await refuses(['--set', `engine.cookie=${name}`, '--check-config'], /engine\.cookie/);
    }
    await refuses(['--set', 'engine.cookie_attributes=Path=/\r\nX-Evil: 1', '--check-config'], /engine\.cookie_attributes/);
  });

  test('--print-config prints what it can read again', async () => {
    const first = await confab(['--set', 'listen.port=1234', '--set', 'engine.cors_origins=http://a,http://b: c',
      '--set', 'node.name=it\'s "me" #1: é', '--print-config']);
    assert.equal(first.code, 0);
    assert.match(first.output, /port: 1234/);
    const second = await confab(['-c', file(first.output), '--print-config']);
    assert.equal(second.code, 0, second.output);
    assert.equal(second.output, first.output);
    const all = await confab(['--print-config']);
    for (const key of ['ping_interval_ms', 'max_payload_bytes', 'lease_ms', 'prefix', 'json_depth']) {
      assert.match(all.output, new RegExp(`^ +${key}: `, 'm'));
    }
  });

  test('secrets are not printed', async () => {
    const { output } = await confab(['--set', 'redis.url=redis://u:hunter2@127.0.0.1:1', '--print-config']);
    assert.doesNotMatch(output, /hunter2/);
  });

  test('file, environment, --set: the later one wins', async () => {
    const f = file('engine:\n  ping_interval_ms: 1111\n  ping_timeout_ms: 1111\n  max_payload_bytes: 1111\n');
    const env = { CONFAB_ENGINE_PING_TIMEOUT_MS: '2222', CONFAB_ENGINE_MAX_PAYLOAD_BYTES: '2222' };
    const node = await startNode({
      env, args: ['-c', f, '--set', 'engine.max_payload_bytes=3333'],
    });
    const { handshake } = await PollingSession.open(node);
    assert.deepEqual([handshake.pingInterval, handshake.pingTimeout, handshake.maxPayload],
      [1111, 2222, 3333]);
    await node.stop();
  });

  test('an unknown variable is refused', async () => {
    await refuses(['--check-config'], /CONFAB_ENGINE_PING_INTERVALL_MS/,
      { CONFAB_ENGINE_PING_INTERVALL_MS: '1000' });
    await refuses(['--check-config'], /CONFAB_LISTEN_PORT/, { CONFAB_LISTEN_PORT: 'x' });
  });

  test('--version and --help', async () => {
    const version = await confab(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.output, /^confab \d+\.\d+\.\d+/);
    const help = await confab(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['--set', '--check-config', '--print-config', '--version']) {
      assert.ok(help.output.includes(word), word);
    }
  });

  test('a port that is taken: exit 1 and a sentence', async () => {
    const node = await startNode();
    const { code, output } = await confab(['--set', 'listen.host=127.0.0.1', '--set', `listen.port=${node.port}`]);
    assert.equal(code, 1);
    assert.match(output, new RegExp(`${node.port}`));
    await node.stop();
  });

  test('a path of one\'s own', async () => {
    for (const value of ['/my/path', '/my/path/']) {
      const node = await startNode({ set: { 'engine.path': value } });
      const s = await connect(node.url, '/', MODES[2], { path: '/my/path' });
      assert.equal((await ask(s, 'chat message', 'x')).ok, true);
      assert.equal((await get(node, '/socket.io/?EIO=4&transport=polling')).status, 404);
      closeAll();
      await node.stop();
    }
  });
});

describe('io_uring', { skip: REFERENCE && 'confab only' }, () => {
  const forbidden = path.join(__dirname, '../lib/forbid.py');
  const without = (...args) => ['python3', [forbidden, path.join(BUILD, 'confab'), '--set', 'listen.host=127.0.0.1',
    '--set', 'listen.port=0', '--set', 'drain.notice_ms=0', ...args]];
  const used = (node) => metric(node, 'confab_io_uring');

  test('is used or not, as set, and the metric tells', async () => {
    const off = await startNode({ set: { 'engine.io_uring': 'off' } });
    assert.equal(await used(off), 0);
    await off.stop();
    const auto = await startNode({ set: { 'engine.io_uring': 'auto' } });
    const said = /io_uring.*used=(yes|no)/.exec(auto.output())[1];
    assert.equal(await used(auto), said === 'yes' ? 1 : 0);
    await auto.stop();
  });

  test('where it is forbidden the node works without', async () => {
    const node = await ready(new Process('node', ...without()));
    assert.match(node.output(), /io_uring.*used=no.*not permitted/);
    assert.equal(await used(node), 0);
    const s = await connect(node.url, '/', MODES[2]);
    assert.equal((await ask(s, 'chat message', 'x')).ok, true);
    closeAll();
    await node.stop();
  });

  test('where it is forbidden and demanded the node does not start', async () => {
    const { code, output } = await run(...without('--set', 'engine.io_uring=on'));
    assert.equal(code, 1, output);
    assert.match(output, /engine\.io_uring.*not permitted/);
  });
});

describe('operations', { skip: REFERENCE && 'confab only' }, () => {
  const node = serving(startNode);

  test('/healthz and /readyz', async () => {
    for (const p of ['/healthz', '/readyz']) {
      const r = await get(node, p);
      assert.equal(r.status, 200);
      assert.ok(r.body.length > 0);
      assert.equal((await request(node, 'HEAD', p)).status, 200);
    }
    assert.equal((await get(node, '/healthz/x')).status, 404);
  });

  test('the page of the chat is served', async () => {
    const r = await get(node, '/');
    assert.equal(r.status, 200);
    assert.match(r.headers['content-type'], /^text\/html/);
    assert.match(String(r.body), /<html|<!doctype/i);
  });

  test('other methods are refused', async () => {
    for (const [method, p] of [['POST', '/'], ['DELETE', '/'], ['PUT', '/healthz']]) {
      const r = await request(node, method, p, { body: 'x' });
      assert.ok(r.status === 405 || r.status === 404, `${method} ${p}: ${r.status}`);
    }
  });

  test('the memory adapter says so, and no secrets are told', async () => {
    const r = await get(node, '/readyz');
    const { adapter, node: name, path: where, time_ms: time, ...more } = JSON.parse(r.body);
    assert.deepEqual([adapter, where, more], ['memory', '/socket.io/', { status: 'ready' }]);
    assert.match(name, /-[0-9a-f]{4}$/);
    assert.ok(Math.abs(time - Date.now()) < 60000);
  });

  test('where Redis is and the prefix are not told, but whether they are the same', async () => {
    const at = ['redis://user:secret@127.0.0.1:1/3', 'redis://127.0.0.1:1/3', 'redis://127.0.0.1:1/4'];
    const answers = [];
    for (const [i, url] of at.entries()) {
      const p = await startNode({ set: { 'redis.url': url, 'redis.prefix': i ? 'two' : 'one' } });
      const body = String((await get(p, '/readyz')).body);
      await p.stop();
      assert.doesNotMatch(body, /secret|user|127\.0\.0\.1|"one"|"two"/);
      answers.push(JSON.parse(body));
    }
    const [a, b, c] = answers;
    assert.match(a.redis, /^[0-9a-f]{8}$/);
    assert.deepEqual([a.redis === b.redis, b.redis === c.redis], [true, false]);
    assert.deepEqual([a.prefix === b.prefix, b.prefix === c.prefix], [false, true]);
    assert.deepEqual(a.peers, []);
  });
});

describe('the fixed document of a program', { skip: REFERENCE && 'confab only' }, () => {
  const fixture = serving(startFixture);

  test('GET and HEAD', async () => {
    const r = await get(fixture, '/fixture.txt');
    assert.deepEqual([r.status, String(r.body)], [200, 'a fixed document\n']);
    assert.equal(r.headers['content-type'], 'text/plain; charset=utf-8');
    const c = new Connection(fixture);
    c.write(requestText('HEAD', '/fixture.txt'));
    const head = await c.response({ head: true });
    assert.deepEqual([head.status, head.headers['content-length']], [200, '17']);
    assert.equal((await get(fixture, '/fixture.txt/more')).status, 404);
  });
});

describe('the end', () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} with clients of all kinds: exit 0`, { skip: REFERENCE && signal === 'SIGINT' }, async () => {
      const fixture = await startFixture();
      const clients = [];
      for (const mode of MODES) clients.push(await join(fixture, '/', mode));
      const parked = await PollingSession.open(fixture);
      await parked.connect();
      const ws = await WebSocketSession.open(fixture);
      await ws.connect();
      const idle = new Connection(fixture);
      idle.write(requestText('GET', '/socket.io/?EIO=4&transport=polling'));
      await idle.response();
      const half = new Connection(fixture);
      half.write('GET /half HTTP/1.1\r\nHost: x\r\n');
      const unfinished = await WebSocketConnection.open(fixture, '/socket.io/?EIO=4&transport=websocket');
      unfinished.write(Buffer.from([0x81, 0xfe]));
      fixture.signal(signal);
      for (const s of clients) assert.match(await reasonOf(s, 15000), /^transport (close|error)$/);
      await parked.ends(15000);
      await ws.ends(15000);
      assert.deepEqual(await fixture.exits(15000), { code: 0, signal: null });
      await fixture.stop();
    });
  }

  test('sockets hear "server shutting down"', async () => {
    // the fixture writes it down, as nobody is left to be told
    const fixture = await startFixture();
    const s = await join(fixture);
    const { id } = s;
    fixture.signal('SIGTERM');
    await reasonOf(s, 15000);
    assert.deepEqual(await fixture.exits(15000), { code: 0, signal: null });
    await fixture.stop();
    assert.match(fixture.output(), new RegExp(`^gone ${id} server shutting down$`, 'm'));
  });

  test('a new start on the same port works at once', { skip: REFERENCE && 'confab only' }, async () => {
    const port = await freePort();
    for (let i = 0; i < 3; i++) {
      const node = await startNode({ port });
      const s = await connect(node.url);
      assert.equal((await ask(s, 'chat message', 'x')).ok, true);
      await node.stop(15000);
      closeAll();
    }
  });
});
