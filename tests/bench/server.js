'use strict';
// The official server with the benchmark's events: the same as server.c.

const { createServer } = require('node:http');
const { Server } = require('socket.io');

const server = createServer();
const io = new Server(server, { serveClient: false });

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

server.listen(0, '127.0.0.1', 4096, () => {
  console.log(`ready on http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => process.exit(0));
