'use strict';
// TLS on the node itself: https and wss, the handshake's edges, the files.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const { REFERENCE, startNode, startFixture } = require('../lib/servers');
const { run, BUILD, OUTPUT } = require('../lib/process');
const { Connection } = require('../lib/raw');
const { pair } = require('../lib/certificate');
const { MODES, connect, ask, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const settings = ({ cert, key }) => ({ 'tls.certificate_file': cert, 'tls.key_file': key });

// A TLS connection, or the error that ended it.
function secure(server, options = {}) {
  return new Promise((resolve, reject) => {
    const s = tls.connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ...options });
    s.once('secureConnect', () => resolve(s));
    s.once('error', reject);
  });
}

const nameOf = (s) => s.getPeerCertificate().subject.CN;

describe('TLS', { skip: REFERENCE && 'confab only' }, () => {
  let one, two, server;
  before(async () => {
    one = pair('one');
    two = pair('two');
    server = await startFixture({ set: { ...settings(one), 'limits.header_timeout_ms': 500,
      'engine.max_payload_bytes': 8000000, 'limits.output_queue_bytes': 16000000 } });
  });
  afterEach(closeAll);
  after(async () => { if (server) await server.stop(); });

  test('the ready line says https', () => assert.match(server.url, /^https:/));

  for (const mode of MODES) {
    test(`messages small, many and large, over ${mode.name}`, async () => {
      const s = await connect(server.url, '/', mode, { ca: one.ca });
      assert.deepEqual(await ask(s, 'echo', 'hello'), await ask(s, 'echo', 'hello'));
      for (const size of [16384, 40000, 300000, 3000000]) {
        const text = 'x'.repeat(size);
        assert.ok(JSON.stringify(await ask(s, 'echo', text)).includes(text), `${size}`);
      }
      const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => ask(s, 'echo', `m${i}`)));
      all.forEach((r, i) => assert.ok(JSON.stringify(r).includes(`"m${i}"`)));
      const many = await Promise.all(Array.from({ length: 40 }, () => ask(s, 'echo', 'y'.repeat(100000))));
      assert.equal(many.length, 40);
    });
  }

  test('an authority that the client does not know is refused by it', async () => {
    await assert.rejects(secure(server, { rejectUnauthorized: true }));
  });

  test('ALPN is http/1.1', async () => {
    const s = await secure(server, { ALPNProtocols: ['h2', 'http/1.1'] });
    assert.equal(s.alpnProtocol, 'http/1.1');
    s.destroy();
  });

  test('TLS 1.2 and 1.3, no TLS 1.1', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const s = await secure(server, { minVersion: version, maxVersion: version });
      assert.equal(s.getProtocol(), version);
      s.destroy();
    }
    await assert.rejects(secure(server, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0' }), /alert protocol version/);
  });

  test('plain HTTP is closed', async () => {
    const c = new Connection(server);
    c.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await c.end();
    assert.doesNotMatch(c.buffer.toString('latin1'), /HTTP/);
    c.destroy();
  });

  test('a handshake that stays half open is closed in time', async () => {
    for (const bytes of ['', '\x16\x03\x01\x02\x00\x01']) {
      const c = new Connection(server);
      const begin = Date.now();
      c.write(Buffer.from(bytes, 'latin1'));
      await c.end();
      assert.ok(Date.now() - begin >= 400);
      assert.equal(c.buffer.length, 0);
      c.destroy();
    }
  });

  test('a response ends with close_notify', async () => {
    const s = await secure(server);
    let ended = false;
    s.on('end', () => { ended = true; }).resume();
    s.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await until(() => ended, 5000, 'the end');
    s.destroy();
  });

  test('SIGHUP swaps the pair for new connections; a bad one changes nothing', async () => {
    const live = pair('live');
    const node = await startNode({ set: settings(live) });
    const old = await connect(node.url, '/', MODES[1], { ca: live.ca });
    fs.copyFileSync(two.cert, live.cert);
    fs.copyFileSync(two.key, live.key);
    node.signal('SIGHUP');
    await node.says(/tls_reloaded/);
    const s = await secure(node);
    assert.equal(nameOf(s), 'two');
    s.destroy();
    assert.equal((await ask(old, 'chat message', 'still here')).ok, true);
    fs.copyFileSync(one.key, live.key);
    node.signal('SIGHUP');
    await node.says(/tls_reload_failed.*live\.key/);
    const t = await secure(node);
    assert.equal(nameOf(t), 'two');
    t.destroy();
    await node.stop(); // exit status 0, with a client connected
  });

  const refuses = async (set, pattern) => {
    const { code, output } = await run(path.join(BUILD, 'confab'), ['--set', 'listen.port=0',
      ...Object.entries(set).flatMap(([k, v]) => ['--set', `${k}=${v}`])]);
    assert.equal(code, 2, output);
    assert.match(output, pattern);
  };

  test('a pair that is no pair is refused at start, by name', async () => {
    await refuses(settings({ cert: one.cert, key: two.key }), /two\.key/);
    await refuses(settings({ cert: '/nonexistent/a.crt', key: one.key }), /\/nonexistent\/a\.crt.*No such file/);
    await refuses(settings({ cert: one.key, key: one.key }), /certificate_file.*one\.key/);
    await refuses(settings({ cert: one.cert, key: one.cert }), /key_file.*one\.crt/);
    await refuses({ 'tls.key_file': one.key }, /both/);
  });

  test('a key that everybody may read is refused', async () => {
    const open = pair('open');
    fs.chmodSync(open.key, 0o644);
    await refuses(settings(open), /open\.key.*everybody/);
  });
});
