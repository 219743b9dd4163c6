'use strict';
// The official client, with an inbox: every event that arrives is kept until a
// test takes it, so that no test depends on when it starts to listen.

const { afterEach } = require('node:test');
const { io } = require('socket.io-client');
const { until, within, SLOW } = require('./until');

const MODES = [
  { name: 'polling', options: { transports: ['polling'], upgrade: false } },
  { name: 'websocket', options: { transports: ['websocket'] } },
  { name: 'upgrade', options: { transports: ['polling', 'websocket'] } },
];

class Inbox {
  constructor(socket) {
    this.socket = socket;
    this.all = []; // { event, args }, in order of arrival
    socket.onAny((event, ...args) => this.all.push({ event, args }));
  }

  // The arguments of the first event of that name not taken yet.
  async take(event, ms = 5000) {
    const found = await until(() => this.all.find((e) => e.event === event), ms,
      () => `event "${event}"; waiting: ${JSON.stringify(this.all).slice(0, 500)}`);
    this.all.splice(this.all.indexOf(found), 1);
    return found.args;
  }

  // Those of n events of that name.
  async takeAll(event, n, ms = 5000) {
    await until(() => this.count(event) >= n, ms,
      () => `${n} times "${event}", there are ${this.count(event)}`);
    const found = this.all.filter((e) => e.event === event).slice(0, n);
    this.all = this.all.filter((e) => !found.includes(e));
    return found.map((e) => e.args);
  }

  count(event) {
    return this.all.reduce((n, e) => n + (e.event === event), 0);
  }

  names() {
    return this.all.map((e) => e.event);
  }

  clear() {
    this.all = [];
  }
}

const open = new Set();

function track(socket) {
  open.add(socket);
  return socket;
}

// A client that has not connected yet.
function client(url, namespace, mode, options = {}) {
  const socket = io(url + (namespace === '/' ? '' : namespace), {
    forceNew: true, reconnection: false, autoConnect: false,
    ...mode.options, ...options,
  });
  socket.inbox = new Inbox(socket);
  socket.gone = new Promise((resolve) => {
    socket.once('disconnect', (reason, details) => resolve({ reason, details }));
  });
  return track(socket);
}

function connected(socket, ms = 10000) {
  if (socket.connected) return Promise.resolve(socket);
  return within(new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('connect_error', reject);
  }), ms, 'client connects');
}

const transportOf = (socket) => socket.io.engine.transport.name;

const upgraded = (socket, ms = 10000) =>
  until(() => transportOf(socket) === 'websocket', ms, 'client upgrades');

// A connected client; in the upgrade mode, after the upgrade.
async function connect(url, namespace = '/', mode = MODES[1], options = {}) {
  const socket = client(url, namespace, mode, options);
  socket.connect();
  await connected(socket);
  if (mode.name === 'upgrade') await upgraded(socket);
  return socket;
}

// Another namespace over the connection of `socket`.
async function alsoConnect(socket, namespace, options = {}) {
  const other = socket.io.socket(namespace, options);
  other.inbox = new Inbox(other);
  other.gone = new Promise((resolve) => {
    other.once('disconnect', (reason) => resolve({ reason }));
  });
  track(other).connect();
  return connected(other);
}

// The error that ends an attempt to connect.
function refused(socket, ms = 10000) {
  return within(new Promise((resolve, reject) => {
    socket.once('connect_error', resolve);
    socket.once('connect', () => reject(new Error('connected all the same')));
    socket.connect();
  }), ms, 'client is refused');
}

// With an acknowledgement and a deadline.
const ask = (socket, event, ...args) =>
  socket.timeout(10000 * SLOW).emitWithAck(event, ...args);

const reasonOf = async (socket, ms = 5000) =>
  (await within(socket.gone, ms, 'client is disconnected')).reason;

function closeAll() {
  for (const socket of open) {
    socket.io.reconnection(false);
    socket.disconnect();
    socket.io.engine?.close();
  }
  open.clear();
}

// For files whose clients live for one test.
const closeAfterEach = () => afterEach(closeAll);

module.exports = {
  MODES, Inbox, client, connected, connect, alsoConnect, refused, upgraded,
  transportOf, ask, reasonOf, closeAll, closeAfterEach,
};
