'use strict';
// A cluster of two confab nodes, C1 and C2, and two official servers, N1 and
// N2, all of the profile ctl, with three clients of each in a namespace, C1a,
// C1b, C1c, C2a...: a is in r1 and in 7, b in r1 and r2, c in no room. With
// TEST_SERVER=reference all four are official servers.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { createClient } = require('redis');
const { Emitter } = require('@socket.io/redis-emitter');
const parser = require('socket.io-msgpack-parser');
const { startFixture, startNodeJsPeer, startRedis, BUILD } = require('./servers');
const { connect, alsoConnect, ask, reasonOf, closeAll, MODES } = require('./clients');
const { until, within } = require('./until');

const SERVERS = ['C1', 'C2', 'N1', 'N2'];
const KINDS = ['C', 'N'];
const NAMES = SERVERS.flatMap((s) => ['a', 'b', 'c'].map((c) => s + c));
const ROOMS = { a: ['r1', 7], b: ['r1', 'r2'], c: [] };

// The second of each kind speaks MessagePack with its clients, and answers on
// the channels of those who ask.
const isOther = (server) => server[1] === '2';

// What the clients do with "ask(how, ..., ack)".
function answering(name) {
  return (how, ...rest) => {
    const ack = rest.at(-1);
    if (how.silent?.includes(name)) return;
    if (how.empty) ack();
    else if (how.back) ack({ name, back: how.back });
    else if (how.binary) ack({ from: Buffer.from(name), deep: [Buffer.from([0, 255])] });
    else ack(name, 'second');
  };
}

// Programs that are no servers: what they do for an operation.
const EMITTERS = {
  E(m, { op, nsp, rooms = [], except = [], flags = {}, args, target, close }) {
    const all = new Emitter(m.connection).of(nsp);
    let e = all.except(except);
    if (rooms.length) e = e.to(rooms);
    if (flags.volatile) e = e.volatile;
    if (op === 'emit') e.emit(...args);
    else if (op === 'socketsJoin') e.socketsJoin(target);
    else if (op === 'socketsLeave') e.socketsLeave(target);
    else if (op === 'disconnectSockets') e.disconnectSockets(close);
    else if (op === 'serverSideEmit') all.serverSideEmit(...args);
    else throw new Error(`emitters have no ${op}`);
  },
  T: confabctl,
};

// What does not go on the command line goes in lines: rooms that are numbers
// besides others, NUL characters, large values.
async function confabctl(m, { op, nsp, rooms = [], except = [], flags = {}, args, target, close }) {
  const numbers = [rooms, except, target ?? []].flat().filter((r) => typeof r === 'number');
  const where = ['-n', nsp, ...rooms.flatMap((r) => ['--to', r]), ...except.flatMap((r) => ['--except', r]),
    ...(numbers.length ? ['--numbers'] : [])];
  const json = (values) => values.map((v) => JSON.stringify(v));
  const [event, ...values] = args || [];
  const commands = {
    emit: () => ['emit', '--lines'],
    socketsJoin: () => ['join', ...where, '--', ...[target].flat()],
    socketsLeave: () => ['leave', ...where, '--', ...[target].flat()],
    disconnectSockets: () => ['disconnect', ...where, ...(close ? ['--close'] : [])],
    serverSideEmit: () => ['server-emit', '-n', nsp, '--', event, ...json(values)],
  };
  const line = { event, args: values, to: rooms, except, namespace: nsp, volatile: !!flags.volatile };
  const child = spawn(path.join(BUILD, 'confabctl'), ['--redis', m.redis.url, ...commands[op]()].map(String),
    { stdio: [op === 'emit' ? 'pipe' : 'ignore', 'ignore', 'inherit'] });
  child.stdin?.end(`${JSON.stringify(line)}\n`);
  const [code] = await within(once(child, 'exit'), 5000, 'confabctl ends');
  if (code !== 0) throw new Error(`confabctl ends with ${code}`);
}

class Mixed {
  static async start() {
    const m = new Mixed();
    m.redis = await startRedis();
    m.connection = createClient({ url: m.redis.url });
    await m.connection.connect();
    m.servers = {};
    m.ctl = {};
    m.fences = 0;
    for (const name of SERVERS) {
      const set = isOther(name)
        ? { 'adapter.specific_responses': true, 'engine.parser': 'msgpack' } : {};
      m.servers[name] = name[0] === 'C'
        ? await startFixture({ profile: 'ctl', redis: m.redis, name, set })
        : await startNodeJsPeer({ app: 'ctl', redis: m.redis, name, set });
    }
    for (const name of SERVERS) m.ctl[name] = await m.connect(name, '/ctl');
    await Promise.all(SERVERS.flatMap((name) => ['/', '/custom'].map((nsp) => m.counts(name, nsp))));
    return m;
  }

  // The server knows of all in the namespace. When it never does, that is for
  // the tests to find.
  async counts(name, nsp) {
    const all = async () => (await this.ask(name, { op: 'serverCount', nsp })).value === SERVERS.length;
    await until(all, 5000, `${name} counts the servers`).catch((e) => console.log(e.message));
  }

  connect(server, nsp = this.nsp, options = {}) {
    return connect(this.servers[server].url, nsp, MODES[1], { ...options, ...(isOther(server) ? { parser } : {}) });
  }

  ask(server, o) {
    return ask(this.ctl[server], 'op', o);
  }

  // One operation of a server, or of an emitter; its value.
  async op(from, o) {
    if (from in EMITTERS) return EMITTERS[from](this, { nsp: this.nsp, ...o });
    const answer = await this.ask(from, { nsp: this.nsp, ...o });
    if ('error' in answer) throw new Error(`${from}, ${o.op}: ${answer.error}`);
    return answer.value;
  }

  // The twelve clients of the namespace.
  async enter(nsp) {
    this.nsp = nsp;
    this.clients = {};
    for (const name of NAMES) {
      const s = await this.connect(name.slice(0, 2), nsp, {
        auth: { user: name }, query: { who: name }, extraHeaders: { 'x-who': name },
      });
      s.on('ask', answering(name));
      this.clients[name] = s;
      await this.socketOp(name, { what: 'setData', value: { name, list: [1, 'é', null] } });
      for (const target of ROOMS[name[2]]) await this.socketOp(name, { what: 'join', target });
    }
  }

  // An operation of its own server on one of the clients.
  socketOp(name, o) {
    return this.op(name.slice(0, 2), { op: 'socket', id: this.clients[name].id, ...o });
  }

  async roomsOf(name) {
    return (await this.socketOp(name, { what: 'rooms' })).map(String);
  }

  // Everything that `from` has published before has been handled everywhere:
  // its messages stay in order.
  async fence(from, names = NAMES) {
    this.fences += 1;
    const event = `fence ${this.fences}`;
    await this.op(from, { op: 'emit', args: [event] });
    await Promise.all(names.map((n) => this.clients[n].inbox.take(event, 2000)));
  }

  // Who got what since the last call: name -> list of events.
  collect(names = NAMES) {
    const got = {};
    for (const n of names) {
      got[n] = this.clients[n].inbox.all;
      this.clients[n].inbox.clear();
    }
    return got;
  }

  idOf(name) {
    return this.clients[name].id;
  }

  leave() {
    for (const s of Object.values(this.clients)) s.disconnect();
  }

  async stop() {
    closeAll();
    await this.connection?.quit();
    for (const s of Object.values(this.servers || {})) await s.stop();
    await this.redis?.stop();
  }
}

module.exports = { Mixed, EMITTERS, SERVERS, KINDS, NAMES, alsoConnect, reasonOf };
