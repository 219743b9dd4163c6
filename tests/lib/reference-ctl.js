'use strict';
// The test program's profile ctl (tests/fixture/ctl.c) on the official server:
// on /ctl, "op(o, ack)" runs one operation on the namespace o.nsp and
// acknowledges {value} or {error}.

const TIMEOUT_MS = 1000; // of requests, and of broadcasts that ask

const REMOTE = [2, 3, 4]; // join, leave, disconnect

// The server applies its own join, leave or disconnect when Redis brings it
// back; the operation is acknowledged after that.
function watchOwnRequests(adapter) {
  const waiting = [];
  const { onrequest } = adapter;
  adapter.onrequest = (channel, message) => {
    const done = onrequest.call(adapter, channel, message);
    if (message[0] === 0x7b && String(channel) === adapter.requestChannel) {
      let request = {};
      try {
        request = JSON.parse(message);
      } catch {
        // the adapter has ignored it, too
      }
      if (request.uid === adapter.uid && REMOTE.includes(request.type)) waiting.shift()?.();
    }
    return done;
  };
  return () => new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('Redis does not bring it back')), TIMEOUT_MS);
    waiting.push(() => {
      clearTimeout(late);
      resolve();
    });
  });
}

function prepare(io, namespace) {
  if (namespace.prepared) return;
  namespace.prepared = true;
  namespace.applied = namespace.adapter.pubClient
    ? watchOwnRequests(namespace.adapter) : async () => {};
  // every event, which no listener of the official server can ask for
  namespace._onServerSideEmit = ([event, ...args]) => {
    const ack = typeof args.at(-1) === 'function' ? [args.pop()] : [];
    for (const s of io.of('/ctl').sockets.values()) {
      s.emit('server-side', namespace.name, event, args, ...ack);
    }
  };
}

function select(namespace, { rooms = [], except = [], flags = {} }) {
  let b = namespace.except([]);
  for (const room of rooms) b = b.to(room);
  for (const room of except) b = b.except(room);
  if (flags.local) b = b.local;
  if (flags.volatile) b = b.volatile;
  if (flags.timeout !== undefined) b = b.timeout(flags.timeout);
  return b;
}

const answers = (ask) => new Promise((resolve) => {
  ask((error, responses) => resolve({ err: error ? error.message : null, responses }));
});

const describe = ({ id, handshake, rooms, data }) => ({ id, handshake, rooms: [...rooms], data });

function onSocket(s, o) {
  if (!s) throw new Error('there is no such socket');
  const targets = [o.target].flat();
  switch (o.what) {
    case 'join': return s.join(targets);
    case 'leave': return targets.forEach((room) => s.leave(room));
    case 'rooms': return [...s.rooms];
    case 'handshake': return s.handshake;
    case 'data': return s.data;
    case 'setData':
      s.data = o.value;
      return null;
    case 'disconnect':
      s.disconnect(o.close);
      return null;
    default: throw new Error('unknown: what');
  }
}

async function run(io, o) {
  const namespace = io.of(o.nsp || '/');
  prepare(io, namespace);
  const selected = select(namespace, o);
  const applied = async (change) => {
    const done = o.flags?.local ? null : namespace.applied();
    change();
    await done;
  };
  switch (o.op) {
    case 'of': return namespace.name;
    case 'emit':
      if (!o.ack) return void selected.emit(...o.args);
      return answers((fn) => (o.flags?.timeout === undefined ? selected.timeout(TIMEOUT_MS) : selected)
        .emit(...o.args, fn));
    case 'socketsJoin': return applied(() => selected.socketsJoin(o.target));
    case 'socketsLeave': return applied(() => selected.socketsLeave(o.target));
    case 'disconnectSockets': return applied(() => selected.disconnectSockets(o.close));
    case 'fetchSockets': return (await selected.fetchSockets()).map(describe);
    case 'allRooms': return [...await namespace.adapter.allRooms()];
    case 'serverCount': return namespace.adapter.serverCount();
    case 'stats':
      return { requests: namespace.adapter.requests?.size ?? 0, ackRequests: namespace.adapter.ackRequests?.size ?? 0 };
    case 'serverSideEmit':
      if (!o.ack) return void namespace.serverSideEmit(...o.args);
      return answers((fn) => namespace.serverSideEmit(...o.args, fn));
    case 'reset':
      for (const [name, n] of io._nsps) if (name !== '/ctl') n.local.disconnectSockets(false);
      return null;
    case 'socket': return onSocket(namespace.sockets.get(o.id), o);
    default: throw new Error('unknown operation');
  }
}

function ctl(io) {
  for (const name of ['/', '/custom']) prepare(io, io.of(name));
  io.of('/ctl').on('connection', (socket) => {
    socket.on('op', async (o, ack) => {
      try {
        ack({ value: (await run(io, o)) ?? null });
      } catch (e) {
        ack({ error: e.message });
      }
    });
  });
}

module.exports = { ctl, TIMEOUT_MS };
