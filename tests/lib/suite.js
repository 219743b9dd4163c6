'use strict';
// What most test files begin with.

const { describe, before, after, afterEach } = require('node:test');
const { REFERENCE } = require('./servers');
const clients = require('./clients');
const raw = require('./raw');

// A server for all tests of the file or of the describe block around the call.
function serving(start, options = {}) {
  const holder = {
    process: null,
    get url() { return this.process.url; },
    get port() { return this.process.port; },
    get admin() { return this.process.admin; },
  };
  before(async () => { holder.process = await start(options); });
  afterEach(() => {
    clients.closeAll();
    raw.destroyAll();
  });
  after(async () => {
    if (holder.process) await holder.process.stop();
  });
  return holder;
}

// The same tests over polling, over WebSocket and with an upgrade.
function onEachTransport(tests) {
  for (const mode of clients.MODES) describe(`over ${mode.name}`, () => tests(mode));
}

// For what the reference server does not have, or does otherwise.
const CONFAB_ONLY = { skip: REFERENCE && 'not for the reference server' };

// A client of the fixture; it greets with the auth it was given.
async function join(server, namespace, mode, options) {
  const socket = await clients.connect(server.url, namespace, mode, options);
  [socket.seenAuth] = await socket.inbox.take('auth');
  return socket;
}

// After this, everything sent to these clients so far has arrived: packets of a
// connection stay in order.
const settle = (...sockets) =>
  Promise.all(sockets.map((s) => clients.ask(s, 'echo', 'fence')));

module.exports = { serving, onEachTransport, CONFAB_ONLY, join, settle };
