'use strict';
// Clients that chat through a balancer: node chat.js URL [MORE...]
// Most of them do; a few come by each of the other addresses.
//
// Some stay connected (and come back by themselves) as long as this runs. For each
// number N on stdin: as many new ones join, everybody says something, everybody
// must hear everybody exactly once, and on at least N nodes. The answer is one
// line, "ok ..." or "not ok ...".
const path = require('node:path');
const readline = require('node:readline');

const here = path.resolve(__dirname, '../..');
const { io } = require(require.resolve('socket.io-client', {
  paths: [path.join(here, 'tests'), path.join(here, 'build/bundle/npm')],
}));

const [url, ...more] = process.argv.slice(2);
const MODES = [
  { transports: ['polling'] },
  { transports: ['websocket'] },
  { transports: ['polling', 'websocket'] },
];
const PER_MODE = 4;

function crowd() {
  const everywhere = [...Array(PER_MODE).fill(url), ...more];
  return MODES.flatMap((mode) => everywhere.map((address) => {
    const socket = io(address, { forceNew: true, reconnectionDelayMax: 1000, ...mode });
    socket.heard = new Map();
    socket.on('chat message', (text) => {
      socket.heard.set(text, (socket.heard.get(text) || 0) + 1);
    });
    return socket;
  }));
}

async function until(what, ms, condition) {
  for (const end = Date.now() + ms; ; ) {
    if (await condition()) return;
    if (Date.now() > end) throw new Error(`${what} within ${ms / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

let round = 0;

async function chat(everybody, nodes) {
  await until('everybody is connected', 20000, () => everybody.every((s) => s.connected));
  const hello = await Promise.all(
    everybody.map((s) => s.timeout(10000).emitWithAck('hello')));
  const used = new Set(hello.map((h) => h.node).filter((n) => !n.startsWith('nodejs-')));
  if (used.size < nodes) throw new Error(`only the nodes ${[...used]} are used`);

  round += 1;
  const texts = everybody.map((_, i) => `round ${round}, ${i}`);
  for (const socket of everybody) socket.heard.clear();
  everybody.forEach((socket, i) => socket.emit('chat message', texts[i]));
  await until('everybody has heard everybody', 10000,
    () => everybody.every((s) => texts.every((t) => s.heard.has(t))));
  await new Promise((resolve) => setTimeout(resolve, 300)); // for what comes twice
  const twice = everybody.reduce(
    (n, s) => n + [...s.heard.values()].filter((times) => times > 1).length, 0);
  if (twice) throw new Error(`${twice} messages were heard more than once`);

  const sockets = everybody.filter((s) => s.io.engine.transport.name === 'websocket');
  return `${everybody.length} clients, ${sockets.length} by WebSocket, on ${
    used.size} nodes`;
}

const regulars = crowd();
(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const guests = crowd();
    try {
      console.log(`ok ${await chat([...regulars, ...guests], Number(line))}`);
    } catch (e) {
      console.log(`not ok ${e.message}`);
    }
    for (const socket of guests) socket.disconnect();
  }
  process.exit(0);
})();
