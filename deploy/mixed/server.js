'use strict';
// A Node.js server in a cluster of confab: the official server with the official
// adapter, nothing special about either. Its clients and those of the C nodes are
// in the same rooms. It speaks a part of the chat's protocol (server/app/chat.c).
//
//   PORT=3000  REDIS_URL=redis://localhost:6379  REDIS_PREFIX=socket.io

const os = require('node:os');
const { createClient } = require('redis');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-adapter');

const log = (...words) => console.log(new Date().toISOString(), ...words);

async function main() {
  const publisher = createClient({ url: process.env.REDIS_URL || 'redis://localhost:6379' });
  const subscriber = publisher.duplicate();
  for (const [role, client] of Object.entries({ publisher, subscriber })) {
    client.on('error', (e) => log(`redis, ${role}: ${e.message}`));
    await client.connect();
  }
  const io = new Server({
    adapter: createAdapter(publisher, subscriber, { key: process.env.REDIS_PREFIX || 'socket.io' }),
  });

  const text = (value, most) => typeof value === 'string' && Buffer.byteLength(value) <= most;
  const known = (ack) => (typeof ack === 'function' ? ack : () => {});

  io.on('connection', (socket) => {
    socket.on('hello', (...args) => known(args.at(-1))({ node: `nodejs-${os.hostname()}` }));
    socket.on('join room', (room, ack) => {
      if (!text(room, 128) || !room) return known(ack)({ error: 'bad room' });
      socket.join(room);
      known(ack)({ ok: true, room });
    });
    socket.on('chat message', (said, ack) => {
      const { room, message } = said !== null && typeof said === 'object' ? said : { message: said };
      if (!text(message, 16384)) return known(ack)({ error: 'bad message' });
      if (room === undefined) io.emit('chat message', message);
      else if (!socket.rooms.has(room)) return known(ack)({ error: 'not in this room' });
      else io.to(room).emit('chat message', { room, message });
      known(ack)({ ok: true });
    });
  });

  io.listen(Number(process.env.PORT || 3000));
  log('ready');
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => {
      await io.close();
      await Promise.all([publisher.quit(), subscriber.quit()]);
    });
  }
}

main().catch((e) => {
  log(e.message);
  process.exit(1);
});
