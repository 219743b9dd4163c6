'use strict';
// The servers a test talks to. TEST_SERVER=reference runs the suites against
// the official Node.js server with the same applications: that is how the
// tests themselves are tested.

const net = require('node:net');
const path = require('node:path');
const { Process, ROOT, BUILD, OUTPUT } = require('./process');

const REFERENCE = process.env.TEST_SERVER === 'reference';

// For ports that a program must be told; the others are asked to take any.
function freePort() {
  return new Promise((resolve, reject) => {
    const s = net.createServer();
    s.once('error', reject);
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

const assignments = (set) =>
  Object.entries(set).flatMap(([k, v]) => ['--set', `${k}=${v}`]);

// TEST_SET="section.key=value ..." goes to every server of ours: a suite can be
// run once more in another way.
const common = (process.env.TEST_SET || '').split(' ').filter(Boolean)
  .flatMap((s) => ['--set', s]);

async function ready(p) {
  const m = await p.says(/ready on (https?:\/\/[\w.:[\]-]+:(\d+))[^\n]*?(?: admin=(\S+))?\n/, 20000);
  p.url = m[1];
  p.port = Number(m[2]);
  p.admin = m[3]; // the official server has none
  return p;
}

async function startReference({ app = 'fixture', set = {}, redis, name }) {
  const args = [path.join(__dirname, 'reference.js'), '--app', app];
  if (redis) args.push('--redis', redis.url || redis);
  return ready(new Process(name || `reference-${app}`, process.execPath,
    [...args, ...assignments(set)]));
}

// A node that is told to stop stops at once, unless a test is about that.
const AT_ONCE = { 'drain.notice_ms': 0, 'drain.window_ms': 0 };

// The node with the chat application.
async function startNode({ set = {}, redis, name, env, port = 0, args = [] } = {}) {
  if (REFERENCE) return startReference({ app: 'chat', set, redis, name });
  const all = { 'listen.host': '127.0.0.1', 'listen.port': port, ...AT_ONCE, ...set };
  if (redis) {
    all['redis.url'] = redis.url || redis;
    all['adapter.type'] = 'redis';
  }
  return ready(new Process(name || 'node', path.join(BUILD, 'confab'),
    [...common, ...assignments(all), ...args], { env }));
}

// The test program on the public API (tests/fixture).
async function startFixture({ set = {}, redis, name, profile, parser } = {}) {
  if (REFERENCE) return startReference({ app: profile === 'ctl' ? 'ctl' : 'fixture', set, redis, name });
  const args = ['--port', '0', ...common, ...assignments(set)];
  if (profile) args.push('--profile', profile);
  if (parser) args.push('--parser', parser);
  if (redis) args.push('--redis', redis.url || redis);
  return ready(new Process(name || 'fixture', path.join(BUILD, 'tests/fixture'),
    args));
}

// A WebSocket server that sends back what it gets (tests/fixture/echo.c).
const startEcho = ({ deflate = false } = {}) =>
  ready(new Process('echo', path.join(BUILD, 'tests/fixture'),
    ['--profile', 'echo', '--port', '0', '--host', '127.0.0.1', ...(deflate ? ['--deflate'] : [])]));

// An official server with the official Redis adapter and the fixture's events,
// or its profile ctl.
const startNodeJsPeer = ({ redis, set, app = 'fixture', name = 'nodejs' }) =>
  startReference({ app, redis, set, name });

async function startRedis({ port, args = [] } = {}) {
  const chosen = port || await freePort();
  const p = new Process('redis', 'redis-server', [
    '--port', String(chosen), '--bind', '127.0.0.1', '--save', '',
    '--appendonly', 'no', '--daemonize', 'no', '--dir', OUTPUT, ...args]);
  await p.says(/Ready to accept connections/);
  p.port = chosen;
  p.url = `redis://127.0.0.1:${chosen}`;
  return p;
}

module.exports = {
  REFERENCE, ROOT, BUILD, AT_ONCE, startNode, startFixture, startReference,
  startEcho, startNodeJsPeer, startRedis, freePort, ready, assignments,
};
