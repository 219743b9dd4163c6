'use strict';
// The official Node.js server with the same applications as confab: the chat
// (server/app/chat.c), the test program (tests/fixture/own.c) and its profile
// ctl (reference-ctl.js).
//   reference.js --app chat|fixture|ctl [--redis URL] [--set section.key=value]...
// It is what the tests are tested against, and the Node.js peer of the mixed
// cluster.

const http = require('node:http');
const { Server } = require('socket.io');
const { ctl, TIMEOUT_MS } = require('./reference-ctl');

function parseArguments(argv) {
  const options = { app: 'fixture', set: {} };
  for (let i = 0; i < argv.length; i += 2) {
    const value = argv[i + 1];
    if (argv[i] === '--app') options.app = value;
    else if (argv[i] === '--redis') options.redis = value;
    else if (argv[i] === '--set') {
      const at = value.indexOf('=');
      options.set[value.slice(0, at)] = value.slice(at + 1);
    } else throw new Error(`unknown argument ${argv[i]}`);
  }
  return options;
}

function serverOptions(set) {
  const number = (key) => (key in set ? Number(set[key]) : undefined);
  const options = {
    path: set['engine.path'],
    pingInterval: number('engine.ping_interval_ms'),
    pingTimeout: number('engine.ping_timeout_ms'),
    upgradeTimeout: number('engine.upgrade_timeout_ms'),
    maxHttpBufferSize: number('engine.max_payload_bytes'),
    connectTimeout: number('engine.connect_timeout_ms'),
    allowEIO3: set['engine.allow_eio3'] === 'true' || undefined,
    parser: set['engine.parser'] === 'msgpack' ? require('socket.io-msgpack-parser') : undefined,
  };
  if (set['recovery.enabled'] === 'true') {
    options.connectionStateRecovery = {
      maxDisconnectionDuration: number('recovery.max_disconnection_ms') ?? 120000,
      skipMiddlewares: set['recovery.skip_middlewares'] !== 'false',
    };
  }
  for (const key of Object.keys(options)) {
    if (options[key] === undefined) delete options[key];
  }
  if (set['engine.cookie']) options.cookie = { name: set['engine.cookie'] };
  const origins = set['engine.cors_origins'];
  if (origins) options.cors = { origin: origins === '*' ? '*' : origins.split(',') };
  return options;
}

// ---- the chat application --------------------------------------------------

function chat(io) {
  for (const namespace of [io.of('/'), io.of('/chat')]) {
    let numUsers = 0;
    namespace.on('connection', (socket) => {
      let username;
      // A handler returns what it acknowledges besides "ok", or throws.
      const on = (event, handle) => socket.on(event, (...args) => {
        const ack = typeof args.at(-1) === 'function' ? args.pop() : null;
        try {
          const more = handle(...args);
          ack?.({ ok: true, ...more });
        } catch (e) {
          if (ack) ack({ error: e.message });
          else socket.emit('error message', { event, error: e.message });
        }
      });
      const demand = (condition, error) => { if (!condition) throw new Error(error); };
      const isText = (v, max) => typeof v === 'string' && Buffer.byteLength(v) <= max;
      const demandRoom = (room) => demand(isText(room, 128) && room, 'bad room');

      on('chat message', (message) => {
        if (message === null || typeof message !== 'object') {
          demand(isText(message, 16384), 'bad message');
          namespace.emit('chat message', message);
          return;
        }
        demandRoom(message.room);
        demand(socket.rooms.has(message.room), 'not in this room');
        demand(isText(message.message, 16384), 'bad message');
        namespace.to(message.room).emit('chat message', { ...message, username });
      });
      on('join room', (room) => {
        demandRoom(room);
        socket.join(room);
        return { room, count: namespace.adapter.rooms.get(room).size };
      });
      on('leave room', (room) => {
        demandRoom(room);
        demand(socket.rooms.has(room), 'not in this room');
        socket.leave(room);
        return { room };
      });
      on('add user', (name) => {
        if (username !== undefined) return {};
        demand(isText(name, 64) && name, 'bad name');
        username = name;
        numUsers += 1;
        socket.emit('login', { numUsers });
        socket.broadcast.emit('user joined', { username, numUsers });
        return { username, numUsers };
      });
      on('new message', (message) => {
        demand(isText(message, 16384), 'bad message');
        socket.broadcast.emit('new message', { username, message });
      });
      for (const event of ['typing', 'stop typing']) {
        on(event, () => { socket.broadcast.emit(event, { username }); });
      }
      socket.on('disconnect', () => {
        if (username === undefined) return;
        numUsers -= 1;
        socket.broadcast.emit('user left', { username, numUsers });
      });
    });
  }
}

// ---- the test program ------------------------------------------------------

const released = { count: 0 };
const waiting = new Map(); // key -> next of /slow, or of a handshake

function common(io, namespace) {
  namespace.on('connection', (socket) => {
    const on = (event, fn) => socket.on(event, (...args) => {
      const ack = typeof args.at(-1) === 'function' ? args.pop() : () => {};
      fn(ack, ...args);
    });
    const answer = (event, fn) => on(event, (ack, ...args) => ack(fn(...args)));

    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => socket.emit('message-back', ...args));
    socket.on('message-with-ack', (...args) => args.pop()(...args));
    socket.on('echo', (...args) => {
      if (typeof args.at(-1) === 'function') args.pop()(...args);
      else socket.emit('echo-back', ...args);
    });
    socket.on('twice', () => socket.emit('first'));
    socket.on('twice', () => socket.emit('second'));
    on('double-ack', (ack) => { ack(1); ack(2); });
    on('no-ack', () => {});
    on('keep-ack', (ack) => { socket.data.ack = ack; });
    on('send-ack', (ack, ...args) => {
      socket.data.ack?.(...args);
      delete socket.data.ack;
    });
    on('drop-ack', () => { delete socket.data.ack; });

    on('ask', (ack, timeout, event, ...args) => {
      socket.timeout(timeout).emit(event, ...args, (error, ...values) => {
        if (error) {
          socket.emit('asked', false);
          released.unanswered = (released.unanswered || 0) + 1;
        } else socket.emit('asked', true, ...values);
      });
    });

    answer('join', (room) => { socket.join(room); return 0; });
    answer('leave', (room) => { socket.leave(room); return 0; });
    answer('in-room', (room) => socket.rooms.has(room));
    answer('rooms', () => [...socket.rooms]);
    answer('room-size', (room) => namespace.adapter.rooms.get(room)?.size || 0);
    answer('socket-count', () => namespace.sockets.size);

    on('broadcast', (ack, spec, ...args) => {
      let b = spec.from === 'others' ? socket.broadcast : namespace;
      for (const room of spec.rooms || []) b = b.to(room);
      for (const room of spec.except || []) b = b.except(room);
      if (spec.local) b = b.local;
      if (spec.volatile) b = b.volatile;
      for (let i = 0; i < (spec.times || 1); i++) b.emit(spec.event, ...args);
      ack(0);
    });
    const selected = (spec) => {
      let b = spec.from === 'others' ? socket.broadcast : namespace.except([]);
      for (const room of spec.rooms || []) b = b.to(room);
      for (const room of spec.except || []) b = b.except(room);
      return spec.volatile ? b.volatile : b;
    };
    on('broadcast-ack', (ack, spec, ...args) => {
      selected(spec).timeout(spec.timeout ?? 5000).emit(spec.event, ...args,
        (error, answers) => socket.emit('answers', answers, error ? -1 : 0));
      ack(0);
    });
    on('sockets', async (ack, spec) => ack((await selected(spec).fetchSockets()).map((s) => s.id)));
    answer('sockets-join', (spec, room) => { selected(spec).socketsJoin(room); return 0; });
    answer('sockets-leave', (spec, room) => { selected(spec).socketsLeave(room); return 0; });
    answer('sockets-disconnect', (spec, close) => { selected(spec).disconnectSockets(close); return 0; });
    answer('send-to', (id, event, ...args) => {
      const other = namespace.sockets.get(id);
      other?.emit(event, ...args);
      return !!other;
    });
    on('volatile', (ack, n, event, ...args) => {
      for (let i = 0; i < n; i++) socket.volatile.emit(event, i, ...args);
      ack(0);
    });
    on('burst', (ack, n, event, ...args) => {
      for (let i = 0; i < n; i++) socket.emit(event, i, ...args);
      ack(0);
    });

    on('disconnect-me', (ack, close) => {
      socket.emit('bye');
      socket.disconnect(close);
    });
    answer('disconnect-other', (id, close) => {
      const other = namespace.sockets.get(id);
      other?.disconnect(close);
      return !!other;
    });

    answer('id', () => socket.id);
    answer('query', (name) => socket.handshake.query[name] ?? null);
    answer('header', (name) => socket.handshake.headers[name.toLowerCase()] ?? null);
    answer('address', () => socket.handshake.address);
    answer('handshake', () => socket.handshake);
    answer('request', () => {
      const { url, issued, secure } = socket.handshake;
      return { url, issued, secure };
    });
    answer('recovered', () => socket.recovered);
    answer('transport', () => socket.conn.transport.name);
    answer('namespace', () => namespace.name);
    answer('get-auth', () => socket.handshake.auth);

    answer('set-data', (value) => {
      if (socket.data.value !== undefined) released.count += 1;
      socket.data.value = value;
      return 0;
    });
    answer('get-data', () => socket.data.value ?? {});
    answer('counters', () => ({
      released: released.count, unanswered: released.unanswered || 0,
    }));

    on('formats', (ack) => {
      socket.emit('formats', 'a "quoted" text', 'part', -7, 9007199254740991, 0.5,
        true, false, null, { raw: [1, { x: 'é' }] }, Buffer.from([0, 1, 255]),
        { list: ['x', { deep: Buffer.from([2]) }], n: 1 }, []);
      ack(0);
    });

    answer('observe', () => { socket.join('observers'); return 0; });
    socket.on('disconnect', (reason) => {
      console.log(`gone ${socket.id} ${reason}`);
      if (socket.data.value !== undefined) released.count += 1;
      io.of('/').to('observers').emit('gone',
        { namespace: namespace.name, id: socket.id, reason });
    });

    answer('release', (key, error) => {
      const next = waiting.get(key);
      waiting.delete(key);
      next?.(error ? new Error(error) : undefined);
      return !!next;
    });
    answer('stop', () => { setImmediate(() => stop(io)); return 0; });
  });
}

function dynamic(io) {
  const starts = (start) => (name, auth, next) => next(null, name.startsWith(start));
  const parents = {
    '/dyn-': starts('/dyn-'),
    '/d': starts('/d'),
    '/keyed-': (name, auth, next) => next(null, name.startsWith('/keyed-') && auth.key === true),
  };
  for (const [start, match] of Object.entries(parents)) {
    const parent = io.of(match);
    parent.on('connection', (socket) => {
      if (!socket.nsp.prepared) {
        socket.nsp.prepared = true;
        common(io, socket.nsp); // for the next ones
        socket.nsp.listeners('connection').at(-1)(socket);
      }
      socket.on('parent', (ack) => ack(start));
    });
    parent.use((socket, next) => next(
      socket.nsp.name === '/dyn-closed' ? new Error('closed') : undefined));
  }
  common(io, io.of('/dyn-static'));
}

// Handshakes, as the fixture's check_request.
function allowRequest(io, req, settle) {
  const query = new URL(req.url, 'http://x').searchParams;
  if (query.has('wait')) {
    waiting.set(query.get('wait'), (e) => settle(e ? e.message : null, !e));
    io.of('/').to('observers').emit('waiting', query.get('wait'));
  } else if (query.has('deny')) settle(query.get('deny'), false);
  else if (req.headers['x-seen']) {
    settle(`${req.headers['x-seen']} ${req.url} ${req.socket.remoteAddress}`, false);
  } else settle(null, true);
}

function addHeader(headers, req) {
  const value = new URL(req.url, 'http://x').searchParams.get('header');
  if (value) headers['X-Fixture'] = value;
}

function fixture(io) {
  io.engine.on('initial_headers', addHeader);
  io.of('/private').use((socket, next) => {
    const { token } = socket.handshake.auth;
    if (token === 'secret' || socket.handshake.query.token === 'secret') {
      return next();
    }
    if (token === undefined) return next(new Error('no token'));
    const e = new Error('not authorized');
    e.data = { code: 42, seen: token };
    return next(e);
  });
  io.of('/private').use((socket, next) => {
    socket.join('members');
    socket.emit('welcome', 'early');
    next();
  });
  io.of('/slow').use((socket, next) => {
    waiting.set(socket.handshake.auth.key, next);
    io.of('/').to('observers').emit('waiting', socket.handshake.auth.key);
  });
  dynamic(io);
  for (const name of ['/', '/custom', '/private', '/slow']) common(io, io.of(name));
}

let stopping = false;

function stop(io) {
  if (stopping) return;
  stopping = true;
  io.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 2000);
}

async function main() {
  const { app, redis, set } = parseArguments(process.argv.slice(2));
  const server = http.createServer((req, res) => { res.writeHead(404).end(); });
  const options = { cleanupEmptyChildNamespaces: true, ...serverOptions(set) };
  if (app === 'fixture') options.allowRequest = (req, settle) => allowRequest(io, req, settle);
  const io = new Server(server, options);
  if (redis) {
    const { createClient } = require('redis');
    const { createAdapter } = require('@socket.io/redis-adapter');
    const publish = createClient({ url: redis });
    const subscribe = publish.duplicate();
    for (const c of [publish, subscribe]) c.on('error', (e) => console.log(`redis: ${e.message}`));
    await Promise.all([publish.connect(), subscribe.connect()]);
    io.adapter(createAdapter(publish, subscribe, {
      key: set['redis.prefix'] || 'socket.io',
      requestsTimeout: app === 'ctl' ? TIMEOUT_MS : undefined,
      publishOnSpecificResponseChannel: set['adapter.specific_responses'] === 'true',
    }));
  }
  ({ chat, fixture, ctl })[app](io);
  process.on('SIGTERM', () => stop(io));
  server.listen(Number(set['listen.port'] || 0), '127.0.0.1', () => {
    console.log(`${app} ready on http://127.0.0.1:${server.address().port}`);
  });
}

main();
