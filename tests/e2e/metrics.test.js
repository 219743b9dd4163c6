'use strict';
// /metrics: text that the strictest reader takes, and numbers that agree with
// what clients count themselves, to the last one.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { startFixture } = require('../lib/servers');
const { serving, CONFAB_ONLY, join, settle } = require('../lib/suite');
const { Connection, WebSocketConnection, requestText } = require('../lib/raw');
const { PollingSession, WebSocketSession } = require('../lib/session');
const { MODES, client, refused, ask } = require('../lib/clients');
const { metricsText, metricsOf } = require('../lib/metrics');
const { P, W } = require('../lib/conformance');
const { until } = require('../lib/until');

// ---- a strict reader ---------------------------------------------------------

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = new RegExp('^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\[\\\\"n])*)"(?:,|$)');
const NUMBER = /^(?:-?\d+(?:\.\d+)?(?:e[+-]\d+)?|\+Inf|NaN)$/;

const unescape = (text) => text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));

function labelsOf(text) {
  const labels = {};
  for (let rest = text; rest;) {
    const m = LABEL.exec(rest);
    assert.ok(m, `labels: ${text}`);
    assert.ok(!(m[1] in labels), `label twice: ${text}`);
    labels[m[1]] = unescape(m[2]);
    rest = rest.slice(m[0].length);
  }
  return labels;
}

// To which family a sample belongs, given the one that is open.
const belongs = (family, name) => name === family.name
  || (family.type === 'histogram' && ['_bucket', '_sum', '_count'].some((s) => name === family.name + s));

// Families by name: { name, help, type, samples: [{ name, labels, value }] }.
function read(text) {
  assert.ok(text.endsWith('\n'));
  const families = new Map();
  const series = new Set();
  let family;
  for (const line of text.slice(0, -1).split('\n')) {
    let m = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line);
    if (m) {
      assert.ok(!families.has(m[1]), `${m[1]} begins once`);
      family = { name: m[1], help: m[2], type: null, samples: [] };
      families.set(m[1], family);
      continue;
    }
    m = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`).exec(line);
    if (m) {
      assert.equal(m[1], family?.name, line);
      assert.equal(family.type, null, line);
      assert.equal(family.samples.length, 0, line);
      [, , family.type] = m;
      continue;
    }
    m = SAMPLE.exec(line);
    assert.ok(m && NUMBER.test(m[3]), `a sample: ${line}`);
    assert.ok(family?.type && belongs(family, m[1]), `in its family: ${line}`);
    const labels = labelsOf(m[2] || '');
    const key = JSON.stringify([m[1], Object.entries(labels).sort()]);
    assert.ok(!series.has(key), `once: ${line}`);
    series.add(key);
    family.samples.push({ name: m[1], labels, value: m[3] === '+Inf' ? Infinity : Number(m[3]), key });
  }
  return families;
}

function checkHistogram(f) {
  const buckets = f.samples.filter((s) => s.name === `${f.name}_bucket`);
  const bounds = buckets.map((s) => (s.labels.le === '+Inf' ? Infinity : Number(s.labels.le)));
  const [sum, count] = ['sum', 'count'].map((s) => f.samples.find((x) => x.name === `${f.name}_${s}`).value);
  assert.equal(bounds.at(-1), Infinity);
  for (let i = 1; i < bounds.length; i++) {
    assert.ok(bounds[i] > bounds[i - 1], f.name);
    assert.ok(buckets[i].value >= buckets[i - 1].value, f.name);
  }
  assert.equal(buckets.at(-1).value, count);
  assert.ok(sum >= 0);
}

const valuesOf = (families) => new Map([...families.values()].flatMap((f) => f.samples.map((s) => [s.key, s.value])));

describe('the text', CONFAB_ONLY, () => {
  const server = serving(startFixture);

  test('is what a strict reader takes', async () => {
    const s = await join(server);
    await ask(s, 'join', 'room');
    await ask(s, 'broadcast', { rooms: ['room'], event: 'e' });
    const families = read(await metricsText(server));
    for (const f of families.values()) {
      assert.match(f.name, /^(confab|process)_[a-z_]+$/);
      assert.ok(f.samples.length > 0 && f.type, f.name);
      if (f.type === 'histogram') checkHistogram(f);
      else assert.equal(f.type === 'counter', f.name.endsWith('_total'), `${f.name} ${f.type}`);
    }
    assert.deepEqual([...families.values()].filter((f) => f.type === 'histogram').map((f) => f.name),
      ['confab_loop_turn_seconds', 'confab_fan_out_receivers', 'confab_fan_out_seconds']);
    for (const name of ['cpu_seconds_total', 'start_time_seconds', 'virtual_memory_bytes', 'resident_memory_bytes',
      'open_fds', 'max_fds']) assert.ok(families.has(`process_${name}`), name);
  });

  test('is what promtool takes', (t) => {
    if (spawnSync('promtool', ['--version']).error) {
      t.skip('promtool is not installed');
      return undefined;
    }
    return metricsText(server).then((text) => {
      const r = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
      // it does not like one unit, which is older than it
      assert.deepEqual((r.stdout + r.stderr).split('\n').filter((l) => l && !l.includes('confab_redis_deaf_ms_total')), []);
    });
  });

  test('counters only grow, and no series goes', async () => {
    const before = read(await metricsText(server));
    const s = await join(server);
    await ask(s, 'broadcast', { event: 'e' });
    s.disconnect();
    const after = read(await metricsText(server));
    const [a, b] = [valuesOf(before), valuesOf(after)];
    for (const f of before.values()) {
      for (const { key } of f.samples) {
        assert.ok(b.has(key), key);
        if (f.type !== 'gauge') assert.ok(b.get(key) >= a.get(key), key);
      }
    }
  });

  test('of the process it says what the system says', async () => {
    const families = read(await metricsText(server));
    const value = (name) => families.get(`process_${name}`).samples[0].value;
    assert.ok(Math.abs(value('resident_memory_bytes') / 1024 - server.process.rss()) < 4096);
    // with the connection that asked
    assert.ok(Math.abs(value('open_fds') - server.process.descriptors()) <= 2);
    assert.ok(Math.abs(value('start_time_seconds') - Date.now() / 1000) < 600);
    assert.ok(value('cpu_seconds_total') * 1000 <= server.process.cpu() + 10);
    assert.match(families.get('confab_build_info').samples[0].labels.version, /^\d+\.\d+\.\d+/);
  });

  test('names that clients give are escaped, and bounded in number', async () => {
    const odd = '/dyn-"quoted\\ \n{x="y"}';
    const s = await WebSocketSession.open(server);
    await s.connect(odd);
    const sockets = () => metricsText(server).then((t) => read(t).get('confab_namespace_sockets').samples);
    const named = await sockets();
    assert.equal(named.find((x) => x.labels.namespace === odd)?.value, 1);
    const crowd = [];
    for (let i = 0; i < 10; i++) {
      const c = await WebSocketSession.open(server);
      for (let j = 0; j < 15; j++) await c.connect(`/dyn-${i}-${j}`);
      crowd.push(c);
    }
    const many = await sockets();
    assert.equal(many.length, 101);
    const total = (await metricsOf(server)).sockets;
    assert.equal(many.reduce((n, x) => n + x.value, 0), total);
    assert.equal(many.find((x) => x.labels.namespace === 'others').value, 150 - (100 - named.length));
    s.destroy();
  });
});

// By how much each counter grows while it runs.
async function growth(server, fn) {
  const before = await metricsOf(server);
  await fn();
  const after = await metricsOf(server);
  return (name) => after[name] - before[name];
}

describe('what there is now', CONFAB_ONLY, () => {
  const server = serving(startFixture);
  const seen = async () => {
    const all = await metricsOf(server);
    return [all['sessions{transport="polling"}'], all['sessions{transport="websocket"}'], all.sockets, all.rooms,
      all['namespace_sockets{namespace="/"}'], all['namespace_sockets{namespace="/custom"}']];
  };

  test('sessions, sockets and rooms are counted as long as they are there', async () => {
    assert.deepEqual(await seen(), [0, 0, 0, 0, 0, 0]);
    const s = [];
    for (const mode of MODES) s.push(await join(server, '/', mode));
    s.push(await join(server, '/custom'));
    assert.deepEqual(await seen(), [1, 3, 4, 0, 3, 1]);
    for (const c of s) await ask(c, 'join', 'a room');
    assert.deepEqual(await seen(), [1, 3, 4, 2, 3, 1]);
    s[0].disconnect();
    s[3].disconnect();
    await until(async () => String(await seen()) === '0,2,2,1,2,0', 5000, async () => `${await seen()}`);
    for (const c of s) c.disconnect();
    await until(async () => String(await seen()) === '0,0,0,0,0,0', 5000, async () => `${await seen()}`);
    const all = await metricsOf(server);
    assert.ok(all.heap_bytes > 0 || /asan/.test(process.env.BUILD || ''));
    assert.ok(all.journal_records > 0);
  });
});

describe('one exchange', CONFAB_ONLY, () => {
  const server = serving(startFixture);

  test('connections, handshakes, upgrades and bytes agree with the client\'s own', async () => {
    let polling;
    let ws;
    const grown = await growth(server, async () => {
      polling = new Connection(server);
      polling.write(requestText('GET', P));
      const r = await polling.response();
      const { sid } = JSON.parse(String(r.body).slice(1));
      ws = await WebSocketConnection.open(server, `${W}&sid=${sid}`);
      ws.text('2probe');
      await ws.textFrame();
      ws.text('5');
      ws.text('40');
      assert.match(await ws.textFrame(), /^40/);
      await ws.textFrame(); // the greeting
      ws.text(`420["echo","${'x'.repeat(5000)}"]`);
      assert.equal((await ws.textFrame()).length, 5007);
    });
    assert.deepEqual(['accepted_total', 'handshakes_total', 'upgrades_total', 'events_in_total', 'deliveries_total']
      .map(grown), [2, 1, 1, 1, 3]);
    assert.equal(grown('bytes_in_total'), polling.socket.bytesWritten + ws.socket.bytesWritten);
    assert.equal(grown('bytes_out_total'), polling.socket.bytesRead + ws.socket.bytesRead);
  });
});

describe('what has been', CONFAB_ONLY, () => {
  const server = serving(startFixture, { set: { 'engine.max_payload_bytes': 20000 } });

  test('events, deliveries and the receivers of broadcasts agree with the clients\' own counts', async () => {
    const all = await Promise.all([...Array(12)].map((_, i) => join(server, '/', MODES[i % 2])));
    for (const s of all) await ask(s, 'join', 'room');
    let events = 0;
    let packets = 0;
    const grown = await growth(server, async () => {
      for (let i = 0; i < 40; i++) {
        // who asks is in the room, and is answered besides
        await ask(all[i % 12], 'broadcast', { rooms: ['room'], event: 'e' }, i);
        events += 1;
        packets += 13;
      }
      await settle(...all);
      events += 12;
      packets += 12;
    });
    const heard = all.reduce((n, s) => n + s.inbox.count('e'), 0);
    assert.equal(heard, 40 * 12);
    assert.equal(grown('events_in_total'), events);
    assert.equal(grown('deliveries_total'), packets);
    assert.equal(grown('broadcasts_total'), 40);
    assert.equal(grown('fan_out_receivers_sum'), heard);
    assert.equal(grown('fan_out_receivers_count'), 40);
    assert.equal(grown('fan_out_receivers_bucket{le="8"}'), 0);
    assert.equal(grown('fan_out_receivers_bucket{le="16"}'), 40);
    assert.equal(grown('fan_out_seconds_count'), 40);
    assert.ok(grown('fan_out_seconds_sum') < 5);
  });

  test('and disconnections, by reason', async () => {
    const opened = async (kind) => {
      const s = await kind.open(server);
      await s.connect();
      return s;
    };
    const reasons = ['transport close', 'transport error', 'ping timeout', 'parse error', 'forced close',
      'server shutting down'];
    const sumOf = (all) => reasons.reduce((n, r) => n + all[`disconnects_total{reason="${r}"}`], 0);
    // the clients of the test before have left
    await until(async () => {
      const all = await metricsOf(server);
      return all['sessions{transport="polling"}'] + all['sessions{transport="websocket"}'] === 0;
    }, 5000, 'nobody is there');
    const before = sumOf(await metricsOf(server));
    const grown = await growth(server, async () => {
      const close = await opened(WebSocketSession);
      close.ws.destroy();
      const closePolling = await opened(PollingSession);
      await closePolling.send('1');
      const error = await opened(WebSocketSession);
      error.ws.write(Buffer.from([0xff, 0xff]));
      const parse = await opened(PollingSession);
      await parse.send('x');
      const forced = await opened(WebSocketSession);
      await forced.send('42["disconnect-me",true]');
      const twice = await opened(WebSocketSession);
      await twice.send('40');
      await until(async () => sumOf(await metricsOf(server)) === before + 6, 5000, 'all six have ended');
    });
    assert.deepEqual(reasons.map((r) => grown(`disconnects_total{reason="${r}"}`)), [2, 1, 0, 1, 2, 0]);
  });

  test('what is refused is counted by its cause', async () => {
    const grown = await growth(server, async () => {
      assert.equal((await refused(client(server.url, '/nope', MODES[1]))).message, 'Invalid namespace');
      const s = await WebSocketSession.open(server);
      await s.connect();
      await s.send(`42["${'x'.repeat(30000)}"]`);
      await s.ends();
      const c = new Connection(server);
      c.write('nonsense\r\n\r\n');
      await c.end();
    });
    assert.equal(grown('connect_refused_total'), 1);
    assert.equal(grown('payload_too_large_total'), 1);
    assert.equal(grown('http_errors_total{why="bad"}'), 1);
  });
});
