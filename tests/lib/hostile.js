'use strict';
// What the tests of attacks share: a server, another client that must not
// notice anything, and the server's memory.

const { test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { startFixture, REFERENCE } = require('./servers');
const { CONFAB_ONLY } = require('./suite');
const { metric } = require('./metrics');
const { destroyAll } = require('./raw');
const { ask, closeAll } = require('./clients');
const { until, sleep, SLOW } = require('./until');

const P = '/socket.io/?EIO=4&transport=polling';
const W = '/socket.io/?EIO=4&transport=websocket';

// A server under attack, for all tests of the file. After each of them the
// bystander is still connected and served.
function attacked(set = {}) {
  const server = {};
  before(async () => {
    server.process = await startFixture({ set });
    server.url = server.process.url;
    server.port = server.process.port;
    server.admin = server.process.admin;
    server.bystander = io(server.url, { forceNew: true, transports: ['websocket'], reconnection: false });
    await until(() => server.bystander.connected, 5000, 'bystander connects');
    server.descriptors = server.process.descriptors();
  });
  afterEach(async () => {
    closeAll();
    destroyAll();
    assert.equal(server.bystander.connected, true, 'the other client is still connected');
    assert.equal(await ask(server.bystander, 'echo', 'still talking'), 'still talking');
  });
  after(async () => {
    server.bystander?.disconnect();
    await server.process?.stop();
  });
  server.bounded = (megabytes, fn) => bounded(server.process, megabytes, fn);
  return server;
}

// Runs it and fails when the process has grown by more than some megabytes.
async function bounded(process, megabytes, fn) {
  const begin = process.rss();
  let most = begin;
  const timer = setInterval(() => { most = Math.max(most, process.rss()); }, 20);
  try {
    await fn();
  } finally {
    clearInterval(timer);
  }
  most = Math.max(most, process.rss());
  // sanitizers keep freed memory, the reference has a heap of its own
  if (SLOW === 1 && !REFERENCE) {
    assert.ok(most - begin < megabytes * 1024, `grew by ${Math.round((most - begin) / 1024)} MB`);
  }
}

// What spins never has a quiet second; what has just been busy soon has one.
async function isIdle(process) {
  let used;
  await until(async () => {
    const begin = process.cpu();
    await sleep(1000);
    used = process.cpu() - begin;
    return used <= 50 * SLOW;
  }, 5000, () => `${used} ms of processor time in an idle second`);
}

// The last test of a file.
function leavesNothing(server) {
  test('all of that has left nothing behind', CONFAB_ONLY, async () => {
    const left = async () => [await metric(server, 'confab_sockets'),
      await metric(server, 'confab_sessions{transport="polling"}'),
      await metric(server, 'confab_sessions{transport="websocket"}')].join();
    let now;
    await until(async () => {
      now = await left();
      return now === '1,0,1';
    }, 50000, () => `only the bystander is left; sockets, polling and WebSocket sessions: ${now}`);
    await until(() => server.process.descriptors() <= server.descriptors, 10000,
      () => `${server.process.descriptors()} descriptors, ${server.descriptors} at the start`);
    await isIdle(server.process);
  });
}

module.exports = { P, W, attacked, bounded, metric, isIdle, leavesNothing };
