'use strict';
// The official server with the benchmark's events: the same as server.c.
//
//   server.js [redis=URL] [msgpack] [deflate]

const { createServer } = require('node:http');
const { Server } = require('socket.io');

const set = Object.fromEntries(process.argv.slice(2)
  .map((word) => [word.split('=')[0], word.slice(word.indexOf('=') + 1)]));

const server = createServer();
// Connections between two polls stay, as confab's do.
server.keepAliveTimeout = 75000;
const io = new Server(server, {
  serveClient: false,
  ...(set.msgpack && { parser: require('socket.io-msgpack-parser') }),
  ...(set.deflate && { perMessageDeflate: true }),
});

io.on('connection', (socket) => {
  socket.on('join', (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on('say', (message) => {
    io.to(message.room).emit('say', message);
  });
  socket.on('echo', (x, ack) => ack(x));
  // So that memory is read without garbage (node --expose-gc).
  socket.on('settle', (ack) => {
    if (global.gc) {
      global.gc();
      global.gc();
    }
    ack();
  });
});

async function join(url) {
  const { createClient } = require('redis');
  const { createAdapter } = require('@socket.io/redis-adapter');
  const clients = [createClient({ url }), createClient({ url })];
  await Promise.all(clients.map((client) => client.connect()));
  io.adapter(createAdapter(...clients));
}

async function main() {
  if (set.redis) await join(set.redis);
  server.listen(0, '127.0.0.1', 4096, () => {
    console.log(`ready on http://127.0.0.1:${server.address().port}`);
  });
}

process.on('SIGTERM', () => process.exit(0));
main();
