'use strict';
// confabctl doctor: silent where all is well, and one line for each fault that is
// planted. The balancer is HAProxy with the shipped configuration, but for the
// line that is the fault.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { run, BUILD, OUTPUT, ROOT } = require('../lib/process');
const { startRedis, freePort } = require('../lib/servers');
const { startBalancer, startNodes } = require('../lib/balanced');
const { until } = require('../lib/until');

const PING_MS = 1000;
const SET = { 'engine.ping_interval_ms': PING_MS, 'engine.ping_timeout_ms': 4000 };
const CTL = path.join(BUILD, 'confabctl');

// Nodes that pass requests on to each other hide that the balancer does not.
const relayOff = /^\s*relay:/m.test(execFileSync(path.join(BUILD, 'confab'), ['--print-config'], { encoding: 'utf8' }))
  ? { 'cluster.relay': 'false' } : {};

async function doctor(...args) {
  const { code, output } = await run(CTL, ['doctor', ...args], { ms: 30000 });
  return { code, output, lines: output.split('\n').filter(Boolean) };
}

// One line, that says so.
async function finds(args, pattern) {
  const { code, output, lines } = await doctor(...args);
  assert.equal(lines.length, 1, output);
  assert.match(lines[0], pattern);
  assert.equal(code, 1);
}

async function isSilent(...args) {
  const { code, output } = await doctor(...args);
  assert.equal(output, '');
  assert.equal(code, 0);
}

// Of a node that is asked past the balancer.
const readyz = async (node) => (await fetch(`${node.url}/readyz`)).json();

function settled(nodes, peers = nodes.length - 1) {
  return until(async () => (await Promise.all(nodes.map(readyz))).every((r) => r.status === 'ready' && r.peers.length === peers),
    20000, 'the nodes hear each other');
}

// Whatever a test starts ends with it, the last first.
function ending(t, things) {
  t.after(async () => {
    for (const p of things.reverse()) {
      p.signal?.('SIGCONT');
      await p.stop();
    }
  });
}

// A certificate that is its own authority.
function certificate(name) {
  fs.mkdirSync(OUTPUT, { recursive: true });
  const file = path.join(OUTPUT, `${process.pid}-${name}`);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${name}`, '-keyout', `${file}.key`,
    '-out', `${file}.crt`], { stdio: 'ignore' });
  fs.writeFileSync(`${file}.pem`, fs.readFileSync(`${file}.crt`) + fs.readFileSync(`${file}.key`));
  fs.chmodSync(`${file}.key`, 0o600);
  return { crt: `${file}.crt`, pem: `${file}.pem` };
}

describe('a healthy cluster of three', () => {
  let redis, nodes, balancer;
  before(async () => {
    redis = await startRedis();
    nodes = await startNodes(3, { redis, set: { ...SET, 'engine.cors_origins': 'https://page.example', 'engine.cors_credentials': 'true' } });
    await settled(nodes);
    balancer = await startBalancer(nodes);
  });
  after(async () => {
    for (const p of [balancer, ...nodes || [], redis]) await p?.stop();
  });

  test('nothing is said, and the exit code is 0', async () => {
    await isSilent(balancer.url);
    await isSilent('--origin', 'https://page.example', '--credentials', '--chat',
      ...nodes.flatMap((n) => ['--node', n.url]), balancer.url);
  });

  test('with -v all three nodes are named, and what was looked at', async () => {
    const { code, output } = await doctor('-v', '--chat', balancer.url);
    assert.equal(code, 0, output);
    for (const what of [/^ok: handshake/m, /^ok: polling: \d+ requests/m, /^ok: WebSocket$/m, /^ok: upgrade/m,
      /^ok: a WebSocket lives .* \(1\.0 s\)/m, /^ok: a poll lives/m, /^ok: node-1: ready/m, /^ok: node-2: ready/m,
      /^ok: node-3: ready/m, /^ok: delivery between clients on 3 nodes/m]) assert.match(output, what);
  });

  test('a lonely node without a balancer is well, too', async (t) => {
    const [node] = await startNodes(1, { set: SET });
    ending(t, [node]);
    await isSilent('--chat', node.url);
  });

  test('bad usage is 2', async () => {
    for (const args of [[], ['a', 'b'], ['--timeout', 'x', balancer.url], ['ftp://x'], ['--credentials', balancer.url],
      ['--node', 'http://', balancer.url], ['--nonsense', balancer.url], ['--ca', '/nonexistent', balancer.url]]) {
      assert.equal((await doctor(...args)).code, 2, args.join(' '));
    }
    const help = await doctor('--help');
    assert.equal(help.code, 0);
    assert.match(help.output, /--origin ORIGIN/);
  });

  // ---- faults of the balancer ----------------------------------------------

  async function behind(t, changes) {
    const b = await startBalancer(nodes, { changes });
    ending(t, [b]);
    return b.url;
  }

  test('a short tunnel timeout', async (t) => {
    const url = await behind(t, [['timeout tunnel 1h', 'timeout tunnel 500ms']]);
    await finds([url], /^short timeout: a WebSocket was cut after 0\.\d s .* every 1\.0 s: raise `timeout tunnel`/);
  });

  test('a short server timeout', async (t) => {
    const url = await behind(t, [['timeout server 75s', 'timeout server 500ms']]);
    await finds([url], /^short timeout: a poll was cut after 0\.\d s .*`timeout server`/);
  });

  test('missing upgrade headers', async (t) => {
    const url = await behind(t, [['    default_backend nodes',
      '    http-request del-header Upgrade\n    http-request del-header Connection\n    default_backend nodes']]);
    await finds([url], /^no WebSocket: .*\b400\b.* instead of 101: .*proxy_set_header Upgrade/);
  });

  test('TLS asked for and not there', async () => {
    await finds([balancer.url.replace('http:', 'https:')], /^TLS mismatch: .*speaks plain HTTP, and https was asked for.*ssl crt/);
  });

  test('TLS there and not asked for', async (t) => {
    const { pem, crt } = certificate('IP:127.0.0.1');
    const url = await behind(t, [[/^( *bind "\$\{BALANCER_BIND-:8080\}")$/m, `$1 ssl crt ${pem}`]]);
    await finds([url], /^TLS mismatch: .*speaks TLS, and plain http was asked for: use https:/);
    const secure = url.replace('http:', 'https:');
    await isSilent('--ca', crt, '--chat', secure);
    await isSilent('--insecure', secure);
    await finds([secure], /^certificate: clients will not believe 127\.0\.0\.1:\d+: self-signed certificate/);
  });

  test('a node that is named as if it had no TLS, and one that is not there', async (t) => {
    const { crt } = certificate('IP:127.0.0.1');
    const [node] = await startNodes(1, { set: { 'tls.certificate_file': crt, 'tls.key_file': crt.replace('.crt', '.key') } });
    ending(t, [node]);
    await finds(['--node', node.url.replace('https:', 'http:'), balancer.url], /^TLS mismatch: .* use https:.*tls\.certificate_file/);
    await finds(['--node', `http://127.0.0.1:${await freePort()}`, balancer.url], /^node: 127\.0\.0\.1:\d+ does not answer \/readyz: .*refused/);
  });

  test('a certificate of another name', async (t) => {
    const { pem, crt } = certificate('DNS:other.example');
    const url = await behind(t, [[/^( *bind "\$\{BALANCER_BIND-:8080\}")$/m, `$1 ssl crt ${pem}`]]);
    await finds(['--ca', crt, url.replace('http:', 'https:')], /^certificate: .* IP address mismatch/);
  });

  test('nobody listens', async () => {
    await finds([`127.0.0.1:${await freePort()}`], /^connection: nobody takes connections at .*: Connection refused/);
  });

  test('a name that does not exist', async () => {
    await finds(['http://nowhere.invalid/'], /^name: nowhere\.invalid has no address/);
  });

  test('a wrong path', async () => {
    await finds([`${balancer.url}/wrong/`], /^wrong path: \/wrong\/ is answered with 404, Engine\.IO is at \/socket\.io\/: .*engine\.path/);
  });

  test('origins that are not allowed', async () => {
    await finds(['--origin', 'https://other.example', balancer.url],
      /^CORS: pages of https:\/\/other\.example may not use it: GET .*without Access-Control-Allow-Origin: .*engine\.cors_origins/);
  });

  test('a preflight that the balancer answers itself', async (t) => {
    const url = await behind(t, [['    default_backend nodes',
      '    http-request return status 204 if METH_OPTIONS\n    default_backend nodes']]);
    await finds(['--origin', 'https://page.example', url], /^CORS: .*: OPTIONS is answered without Access-Control-Allow-Origin/);
  });

  test('a node that belongs to the cluster and gets no requests', async (t) => {
    const b = await startBalancer(nodes.slice(0, 2));
    ending(t, [b]);
    await finds([b.url], /^not ready: node-3: in the cluster, but sent nothing by the balancer/);
  });

  test('a timeout too short to look at silence is said, and is no fault', async () => {
    const { code, output } = await doctor('--timeout', '1', balancer.url);
    assert.equal(code, 0, output);
    assert.match(output, /not looked at: .* 3 s: give a longer --timeout/);
  });
});

async function inTurn(t, set) {
  const redis = await startRedis();
  const nodes = await startNodes(3, { redis, set: { ...SET, ...set } });
  await settled(nodes);
  const balancer = await startBalancer(nodes, { changes: [[/^ *use-server .*$/gm, ''], ['balance leastconn', 'balance roundrobin']] });
  ending(t, [redis, ...nodes, balancer]);
  return balancer;
}

test('a balancer that sticks to nothing is well where nodes relay', { skip: !('cluster.relay' in relayOff) }, async (t) => {
  await isSilent((await inTurn(t, {})).url);
});

test('no stickiness', async (t) => {
  const balancer = await inTurn(t, relayOff);
  await finds([balancer.url], /^no stickiness: request \d+ of a polling session, on a new connection, .*Session ID unknown.*use-server.*cluster\.relay/);
});

test('an engine path of the nodes that clients do not know', async (t) => {
  const redis = await startRedis();
  const nodes = await startNodes(3, { redis, set: { ...SET, 'engine.path': '/somewhere/else/' } });
  await settled(nodes);
  const balancer = await startBalancer(nodes);
  ending(t, [redis, ...nodes, balancer]);
  await finds([balancer.url], /^wrong path: \/socket\.io\/ is answered with 404, Engine\.IO is at \/somewhere\/else\//);
  await isSilent(`${balancer.url}/somewhere/else/`);
});

test('Redis that cannot be reached', async (t) => {
  const nodes = await startNodes(3, { redis: `redis://127.0.0.1:${await freePort()}`, set: SET });
  const balancer = await startBalancer(nodes);
  ending(t, [...nodes, balancer]);
  await finds([balancer.url], /^Redis: node-\d, node-\d and node-\d: no connection .*redis\.url/);
});

test('two prefixes', async (t) => {
  const redis = await startRedis();
  const nodes = await startNodes(3, { redis, set: SET, each: [{}, {}, { 'redis.prefix': 'other' }] });
  await settled(nodes.slice(0, 2), 1);
  const balancer = await startBalancer(nodes);
  ending(t, [redis, ...nodes, balancer]);
  await finds([balancer.url], /^two prefixes: node-3: another redis\.prefix than node-\d and node-\d: .*give all nodes the same redis\.prefix/);
});

test('two Redis', async (t) => {
  const [one, two] = [await startRedis(), await startRedis()];
  const nodes = await startNodes(3, { redis: one, set: SET, each: [{}, { 'redis.url': two.url }, {}] });
  await settled([nodes[0], nodes[2]], 1);
  const balancer = await startBalancer(nodes);
  ending(t, [one, two, ...nodes, balancer]);
  await finds([balancer.url], /^two Redis: node-2: another redis\.url than/);
});

test('nodes that are not a cluster at all', async (t) => {
  const nodes = await startNodes(2, { set: SET });
  const balancer = await startBalancer(nodes);
  ending(t, [...nodes, balancer]);
  await finds([balancer.url], /^no cluster: node-\d and node-\d: adapter memory, .*set redis\.url/);
});

test('a node that is not ready', async (t) => {
  const redis = await startRedis();
  const gone = `redis://127.0.0.1:${await freePort()}`;
  const nodes = await startNodes(3, { redis, set: { ...SET, 'cluster.ready_without_redis': 'false' }, each: [{}, {}, { 'redis.url': gone }] });
  await settled(nodes.slice(0, 2), 1);
  const balancer = await startBalancer(nodes, { up: ['node-1', 'node-2'] });
  ending(t, [redis, ...nodes, balancer]);
  const line = /^not ready: node-3: no new clients while without Redis \(\/readyz: 503, degraded\)/;
  await finds([balancer.url], line);
  await finds(['--node', nodes[2].url, balancer.url], line);
});

test('no node is ready', async (t) => {
  const gone = `redis://127.0.0.1:${await freePort()}`;
  const nodes = await startNodes(2, { redis: gone, set: { ...SET, 'cluster.ready_without_redis': 'false' } });
  const balancer = await startBalancer(nodes, { up: [] });
  ending(t, [...nodes, balancer]);
  await finds([balancer.url], /^not ready: node-1 and node-2: .*without Redis/);
});

test('a node that does not answer at all', async (t) => {
  const redis = await startRedis();
  const nodes = await startNodes(3, { redis, set: { ...SET, 'cluster.lease_ms': 60000 } });
  await settled(nodes);
  nodes[2].signal('SIGSTOP');
  const balancer = await startBalancer(nodes, { up: ['node-1', 'node-2'] });
  ending(t, [redis, ...nodes, balancer]);
  await finds([balancer.url], /^not ready: node-3: in the cluster, but sent nothing by the balancer/);
});

test('clock skew', async (t) => {
  const redis = await startRedis();
  fs.mkdirSync(OUTPUT, { recursive: true });
  const shim = path.join(OUTPUT, `${process.pid}-clock.so`);
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', shim, path.join(ROOT, 'tests/lib/clock.c')]);
  const late = {
    LD_PRELOAD: shim, CLOCK_AHEAD_S: '5',
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS || ''}:verify_asan_link_order=0`,
  };
  const nodes = await startNodes(3, { redis, set: SET, env: [{}, late, {}] });
  await settled(nodes);
  const balancer = await startBalancer(nodes);
  ending(t, [redis, ...nodes, balancer]);
  await finds([balancer.url], /^clock: node-2 is [45]\.\d s ahead \(.*time service/);
});
