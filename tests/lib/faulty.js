'use strict';
// An official server with the chat's rooms that does not deliver as it should,
// and knows how often: { lost, doubled, reordered, late, strange, cut }.

const http = require('node:http');
const { Server } = require('socket.io');

// fault: one of the above, or 'none'. Every `every`-th delivery is concerned.
async function startFaulty(fault, { every = 50, lateMs = 400 } = {}) {
  const server = http.createServer();
  const io = new Server(server, { serveClient: false });
  const f = { lost: 0, doubled: 0, reordered: 0, late: 0, strange: 0, cut: 0, delivered: 0, refused: 0 };
  let n = 0;
  let said = 0;

  function deliver(socket, message) {
    n += 1;
    const give = (m = message) => socket.emit('chat message', m);
    f.delivered += 1;
    if (socket.data.held) {
      // what was held back goes out behind a later one of the same speaker
      const { held } = socket.data;
      if (held.speaker === message.speaker) {
        socket.data.held = null;
        f.reordered += 1;
        give();
        give(held);
        return;
      }
    }
    if (n % every || f[fault] >= 5) {
      give();
    } else if (fault === 'lost') {
      f.lost += 1;
      f.delivered -= 1;
    } else if (fault === 'doubled') {
      f.doubled += 1;
      give();
      give();
    } else if (fault === 'reordered' && !socket.data.held) {
      socket.data.held = message;
    } else if (fault === 'late') {
      f.late += 1;
      setTimeout(give, lateMs);
    } else if (fault === 'strange') {
      f.strange += 1;
      give();
      give({ ...message, message: message.message.replace(/^(\w+ \d+) \d+/, '$1 4000000') });
    } else if (fault === 'cut') {
      f.cut += 1;
      socket.conn.close();
    } else {
      give();
    }
  }

  io.on('connection', (socket) => {
    socket.on('join room', (room, ack) => {
      if (fault === 'closed') {
        ack({ error: 'this room is closed' });
        return;
      }
      socket.join(room);
      ack({ ok: true, room });
    });
    socket.on('chat message', (message, ack) => {
      said += 1;
      if (fault === 'refused' && said % 2) {
        f.refused += 1;
        ack({ error: 'rate_limited', retry_after_ms: 70 });
        return;
      }
      for (const id of io.of('/').adapter.rooms.get(message.room) || []) {
        deliver(io.of('/').sockets.get(id), { ...message, speaker: socket.id });
      }
      ack({ ok: true });
    });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  return Object.assign(f, {
    port, url: `http://127.0.0.1:${port}`, close: () => new Promise((resolve) => { io.close(resolve); }),
  });
}

module.exports = { startFaulty };
