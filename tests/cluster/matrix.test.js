'use strict';
// Every operation on the cluster, from a confab node, an official server, the
// official emitter and confabctl towards confab nodes and official servers. A cell is an
// operation and a direction; it is tested in both namespaces.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { Mixed, EMITTERS, SERVERS, KINDS, NAMES, alsoConnect, reasonOf } = require('../lib/mixed');
const { REFERENCE } = require('../lib/servers');
const { until } = require('../lib/until');

const NAMESPACES = ['/', '/custom'];

// All rows there are, with who does it; a missing or an additional one fails.
const BY_ALL = [
  'emit: to all', 'emit: to a room', 'emit: to several rooms', 'emit: to all but a room', 'emit: to all but two rooms',
  'emit: to a room but another', 'emit: to a room that nobody is in', 'emit: volatile, to all',
  'emit: volatile, to a room', 'emit: to a room, binary', 'emit: to all, binary', 'emit: to a room that is a number',
  'emit: to rooms, one of them a number', 'emit: to all but a room that is a number', 'emit: to one socket',
  'emit: to all but one socket', 'emit: to rooms with odd names', 'emit: values of all kinds', 'emit: large values',
  'socketsJoin: all, one room', 'socketsJoin: a room, several rooms', 'socketsJoin: a room but another',
  'socketsJoin: one socket', 'socketsJoin: a room that is a number',
  'socketsLeave: all, one room', 'socketsLeave: a room, several rooms', 'socketsLeave: a room but another',
  'socketsLeave: one socket', 'socketsLeave: a room that is a number',
  'disconnectSockets: a room', 'disconnectSockets: a room but another', 'disconnectSockets: a room, closing',
  'serverSideEmit', 'serverSideEmit: binary',
];
// Of them, those that JSON on a command line cannot say.
const NOT_BY_CONFABCTL = ['emit: to a room, binary', 'emit: to all, binary', 'emit: large values'];
const BY_SERVERS = [
  'emit: local', 'socketsJoin: local', 'disconnectSockets: local',
  'ask: all', 'ask: a room', 'ask: several rooms but another', 'ask: a room that is a number', 'ask: one socket',
  'ask: local', 'ask: one client is silent', 'ask: one client leaves', 'ask: no clients',
  'ask: answers without a value', 'ask: binary answers', 'ask: binary question', 'ask: values of all kinds',
  'fetchSockets: all', 'fetchSockets: a room', 'fetchSockets: all but a room',
  'fetchSockets: a room that is a number', 'fetchSockets: one socket', 'fetchSockets: no socket', 'fetchSockets: local',
  'fetchSockets: handshake', 'fetchSockets: rooms', 'fetchSockets: data',
  'allRooms', 'serverCount', 'serverSideEmit: all answer', 'serverSideEmit: one server is silent',
];

// ---- cells ---------------------------------------------------------------------

const SERVER_KINDS = { C: 'C1', N: 'N1' };
const SENDERS = [...Object.keys(SERVER_KINDS), ...Object.keys(EMITTERS)];
const cells = new Map(); // row -> direction -> { passed, total }
let m;

function sendersOf(name) {
  if (!BY_ALL.includes(name)) return Object.keys(SERVER_KINDS);
  return SENDERS.filter((s) => s !== 'T' || !NOT_BY_CONFABCTL.includes(name));
}

function mark(row, direction, error) {
  if (!cells.has(row)) cells.set(row, {});
  const cell = cells.get(row)[direction] ||= { passed: 0, total: 0 };
  cell.total += 1;
  if (!error) cell.passed += 1;
}

// A row: `run(from)` does it once for each sender and returns what to check for
// the servers of one kind, `(kind) => ...`.
function row(name, run) {
  test(name, async () => {
    const failures = [];
    const cell = async (direction, check) => {
      let error;
      try {
        await check();
      } catch (e) {
        error = e;
        failures.push(`${direction}: ${e.message}`);
      }
      mark(name, direction, error);
    };
    for (const sender of sendersOf(name)) {
      let check;
      try {
        check = await run(SERVER_KINDS[sender] || sender);
      } catch (e) {
        check = () => { throw e; };
      }
      for (const kind of KINDS) await cell(`${sender}>${kind}`, () => check(kind));
    }
    assert.deepEqual(failures, []);
  });
}

const ofKind = (kind, names) => names.filter((n) => n[0] === kind);
const letters = (pattern) => NAMES.filter((n) => pattern.test(n[2]));

// ---- broadcasts ----------------------------------------------------------------

function emits(name, o, expected, args = ['text', { n: 1 }]) {
  row(name, async (from) => {
    const given = typeof o === 'function' ? o() : o;
    await m.op(from, { op: 'emit', ...given, args: ['news', ...args] });
    await m.fence(from);
    const got = m.collect();
    return (kind) => {
      const wanted = typeof expected === 'function' ? expected(from) : expected;
      const heard = ofKind(kind, NAMES).flatMap((n) => got[n].map(() => n));
      assert.deepEqual(heard, ofKind(kind, wanted));
      for (const n of heard) assert.deepEqual(got[n], [{ event: 'news', args }], n);
    };
  });
}

const AB = letters(/[ab]/);
const C = letters(/c/);
const BINARY = [Buffer.from([0, 1, 255]), { deep: [Buffer.from('é')], n: 1 }, Buffer.alloc(0)];
const VALUES = ['é 日本 👍 "\\\n', '', 0, -1, 127, 128, 65536, 2 ** 32, 2 ** 53 - 1, -(2 ** 31) - 1, 0.5, -1e-7, true, false, null,
  [], {}, [[[]]], { a: [1, { b: null }], '': '', é: 'é' }, 'x'.repeat(300), [...Array(20).keys()]];

const LARGE = ['x'.repeat(300000), Buffer.alloc(300000, 7), [...Array(20000).keys()]];
// Among them what could be taken for a pattern, two rooms, a number, a socket.
const ODD = ['a#b', '#', '*', '[a-z]?', 'é 日本 👍', '"\\\n\t\u0000', ' ', '07', 'abcdefghijABCDEFGH-_', 'x'.repeat(100)];

function broadcasts() {
  emits('emit: to all', {}, NAMES);
  emits('emit: to a room', { rooms: ['r1'] }, AB);
  emits('emit: to several rooms', { rooms: ['r1', 'r2'] }, AB);
  emits('emit: to all but a room', { except: ['r1'] }, C);
  emits('emit: to all but two rooms', { except: ['r2', 'r3'] }, letters(/[ac]/));
  emits('emit: to a room but another', { rooms: ['r1'], except: ['r2'] }, letters(/a/));
  emits('emit: to a room that nobody is in', { rooms: ['empty'] }, []);
  emits('emit: volatile, to all', { flags: { volatile: true } }, NAMES);
  emits('emit: volatile, to a room', { rooms: ['r1'], flags: { volatile: true } }, AB);
  emits('emit: to a room, binary', { rooms: ['r1'] }, AB, BINARY);
  emits('emit: to all, binary', {}, NAMES, BINARY);
  emits('emit: to a room that is a number', { rooms: [7] }, letters(/a/));
  emits('emit: to rooms, one of them a number', { rooms: [7, 'r2'] }, AB);
  emits('emit: to all but a room that is a number', { except: [7] }, letters(/[bc]/));
  emits('emit: to all but one socket', () => ({ except: [m.idOf('N2a'), m.idOf('C2b')] }),
    NAMES.filter((n) => n !== 'N2a' && n !== 'C2b'));
  emits('emit: values of all kinds', { rooms: ['r2'] }, letters(/b/), VALUES);
  emits('emit: large values', { rooms: ['r2'] }, letters(/b/), LARGE);
  emits('emit: local', { rooms: ['r1'], flags: { local: true } }, (from) => AB.filter((n) => n.startsWith(from)));

  row('emit: to rooms with odd names', async (from) => {
    for (const n of C) await m.socketOp(n, { what: 'join', target: ODD });
    for (const room of ODD) await m.op(from, { op: 'emit', rooms: [room], args: ['news', room] });
    await m.op(from, { op: 'emit', rooms: ODD.slice(0, 3), args: ['news', 'several'] });
    await m.fence(from);
    const got = m.collect();
    for (const n of C) await m.socketOp(n, { what: 'leave', target: ODD });
    return (kind) => {
      for (const n of ofKind(kind, NAMES)) {
        assert.deepEqual(got[n].map((e) => e.args[0]), C.includes(n) ? [...ODD, 'several'] : [], n);
      }
    };
  });

  row('emit: to one socket', async (from) => {
    for (const to of ['C2a', 'N2c']) await m.op(from, { op: 'emit', rooms: [m.idOf(to)], args: ['news', to] });
    await m.fence(from);
    const got = m.collect();
    return (kind) => {
      for (const n of ofKind(kind, NAMES)) {
        assert.deepEqual(got[n], ['C2a', 'N2c'].includes(n) ? [{ event: 'news', args: [n] }] : [], n);
      }
    };
  });
}

// ---- broadcasts that ask ---------------------------------------------------------

const sorted = (list) => list.slice().sort();

// What the clients of the kind answered, of all that came.
function asks(name, o, expected, err = () => null) {
  row(name, async (from) => {
    const given = typeof o === 'function' ? o() : o;
    const { value, answers } = await askOnce(from, given, {});
    return (kind) => {
      const wanted = typeof expected === 'function' ? expected(from) : expected;
      assert.deepEqual(ofKind(kind, sorted(answers)), ofKind(kind, sorted(wanted)));
      assert.equal(value.err, err(from));
    };
  });
}

async function askOnce(from, o, how) {
  const value = await m.op(from, { op: 'emit', ack: true, ...o, args: ['ask', how, 'second argument'] });
  await m.fence(from);
  m.collect();
  return { value, answers: value.responses };
}

const TIMED_OUT = 'operation has timed out';

function questions() {
  asks('ask: all', {}, NAMES);
  asks('ask: a room', { rooms: ['r1'] }, AB);
  asks('ask: several rooms but another', { rooms: ['r1', 'r2'], except: [7] }, letters(/b/));
  asks('ask: a room that is a number', { rooms: [7] }, letters(/a/));
  asks('ask: no clients', { rooms: ['empty'] }, []);

  // the official adapter waits for the servers that it has not asked
  asks('ask: local', { rooms: ['r1'], flags: { local: true, timeout: 300 } }, (from) => AB.filter((n) => n.startsWith(from)),
    (from) => (from === 'C1' && !REFERENCE ? null : TIMED_OUT));

  row('ask: one socket', async (from) => {
    const answers = {};
    for (const to of ['C2a', 'N2c']) answers[to[0]] = [to, await askOnce(from, { rooms: [m.idOf(to)] }, {})];
    return (kind) => {
      const [to, { value }] = answers[kind];
      assert.deepEqual(value, { err: null, responses: [to] });
    };
  });

  row('ask: one client is silent', async (from) => {
    const answers = {};
    for (const silent of ['C2b', 'N2b']) {
      answers[silent[0]] = [silent, await askOnce(from, { rooms: ['r2'], flags: { timeout: 300 } }, { silent: [silent] })];
    }
    return (kind) => {
      const [silent, { value }] = answers[kind];
      assert.equal(value.err, TIMED_OUT);
      assert.deepEqual(sorted(value.responses), letters(/b/).filter((n) => n !== silent));
    };
  });

  row('ask: one client leaves', async (from) => {
    const values = {};
    for (const server of ['C2', 'N2']) {
      const s = await m.connect(server);
      await m.op(server, { op: 'socket', id: s.id, what: 'join', target: 'leaving' });
      s.on('ask', () => s.disconnect());
      const o = { rooms: ['r2', 'leaving'], flags: { timeout: 300 } };
      values[server[0]] = (await askOnce(from, o, {})).value;
    }
    return (kind) => {
      const { err, responses } = values[kind];
      assert.deepEqual([err, sorted(responses)], [TIMED_OUT, letters(/b/)]);
    };
  });

  row('ask: values of all kinds', async (from) => {
    const { value } = await askOnce(from, { rooms: ['r2'] }, { back: VALUES });
    return (kind) => {
      assert.equal(value.err, null);
      assert.deepEqual(value.responses.filter((r) => r.name[0] === kind).map((r) => r.back),
        ofKind(kind, letters(/b/)).map(() => VALUES));
    };
  });

  row('ask: answers without a value', async (from) => {
    const { value } = await askOnce(from, { rooms: ['r2'] }, { empty: true });
    return () => {
      assert.equal(value.err, null);
      assert.equal(value.responses.length, 4);
      // undefined, which JSON and MessagePack write as null
      assert.ok(value.responses.every((v) => v === null || v === undefined), JSON.stringify(value));
    };
  });

  row('ask: binary answers', async (from) => {
    const { value } = await askOnce(from, { rooms: ['r2'] }, { binary: true });
    return (kind) => {
      assert.equal(value.err, null);
      const answers = value.responses.filter((r) => String(r.from)[0] === kind);
      assert.deepEqual(answers.sort((x, y) => Buffer.compare(x.from, y.from)),
        ofKind(kind, letters(/b/)).map((n) => ({ from: Buffer.from(n), deep: [Buffer.from([0, 255])] })));
    };
  });

  row('ask: binary question', async (from) => {
    const how = { bytes: Buffer.from([1, 2, 255]) };
    const value = await m.op(from, { op: 'emit', ack: true, rooms: ['r2'], args: ['ask', how] });
    await m.fence(from);
    const got = m.collect();
    return (kind) => {
      assert.deepEqual({ ...value, responses: sorted(value.responses) }, { err: null, responses: letters(/b/) });
      for (const n of ofKind(kind, letters(/b/))) {
        assert.deepEqual(got[n].map((e) => e.args[0]), [how], n);
      }
    };
  });
}

// ---- sockets ---------------------------------------------------------------------

// Until the rooms of all clients of the kind are as they should be.
async function areIn(kind, rooms) {
  for (const n of ofKind(kind, NAMES)) {
    const base = { a: ['r1', '7'], b: ['r1', 'r2'], c: [] }[n[2]];
    const wanted = sorted([m.idOf(n), ...base, ...rooms(n)]);
    let last;
    await until(async () => {
      last = sorted(await m.roomsOf(n));
      return JSON.stringify(last) === JSON.stringify(wanted);
    }, 500, () => `${n} is in ${wanted}, not ${last}`);
  }
}

const back = (targets, rooms = []) => Promise.all(NAMES.map(async (n) => {
  await m.socketOp(n, { what: 'leave', target: targets });
  if (rooms.length) await m.socketOp(n, { what: 'join', target: rooms });
}));

// Who gets a message to the room, soon.
async function hearing(from, room, members) {
  await until(async () => {
    await m.op(from, { op: 'emit', rooms: [room], args: ['news'] });
    await m.fence(from);
    return members.every((n) => m.clients[n].inbox.count('news'));
  }, 500, 'the members hear it').catch(() => {}); // the caller sees who does not
  const got = m.collect();
  return NAMES.filter((n) => got[n].some((e) => e.event === 'news'));
}

function joins(name, o, target, chosen) {
  row(`socketsJoin: ${name}`, async (from) => {
    const targets = [target].flat();
    await m.op(from, { op: 'socketsJoin', ...(typeof o === 'function' ? o() : o), target });
    await m.fence(from);
    m.collect();
    const failed = {};
    const members = typeof chosen === 'function' ? chosen(from) : chosen;
    for (const kind of KINDS) {
      await areIn(kind, (n) => (members.includes(n) ? targets.map(String) : []))
        .catch((e) => { failed[kind] = e; });
    }
    const heard = await hearing(from, targets[0], members);
    await back(targets);
    return (kind) => {
      if (failed[kind]) throw failed[kind];
      assert.deepEqual(ofKind(kind, heard), ofKind(kind, members), 'who hears of the room');
    };
  });
}

function leaves(name, o, target, chosen) {
  row(`socketsLeave: ${name}`, async (from) => {
    const targets = [target].flat();
    await back([], [...targets, 'other']);
    await m.op(from, { op: 'socketsLeave', ...(typeof o === 'function' ? o() : o), target });
    await m.fence(from);
    m.collect();
    const failed = {};
    for (const kind of KINDS) {
      await areIn(kind, (n) => ['other', ...(chosen.includes(n) ? [] : targets.map(String))])
        .catch((e) => { failed[kind] = e; });
    }
    await back([...targets, 'other']);
    return (kind) => {
      if (failed[kind]) throw failed[kind];
    };
  });
}

const toOne = (letter) => () => ({ rooms: [m.idOf(`C2${letter}`), m.idOf(`N2${letter}`)] });

function membership() {
  joins('all, one room', {}, 'x', NAMES);
  joins('a room, several rooms', { rooms: ['r1'] }, ['x', 'y'], AB);
  joins('a room but another', { rooms: ['r1'], except: ['r2'] }, 'x', letters(/a/));
  joins('one socket', toOne('c'), ['x'], ['C2c', 'N2c']);
  joins('a room that is a number', { rooms: [7] }, 9, letters(/a/));
  joins('local', { rooms: ['r1'], flags: { local: true } }, 'x', (from) => AB.filter((n) => n.startsWith(from)));
  leaves('all, one room', {}, 'x', NAMES);
  leaves('a room, several rooms', { rooms: ['r1'] }, ['x', 'y'], AB);
  leaves('a room but another', { rooms: ['r1'], except: ['r2'] }, 'x', letters(/a/));
  leaves('one socket', toOne('c'), ['x'], ['C2c', 'N2c']);
  leaves('a room that is a number', { rooms: [7] }, 9, letters(/a/));
}

// ---- disconnecting ------------------------------------------------------------------

// Two more clients on each server, both in "go", the second in "stay", too, each
// with another namespace over the same connection.
function disconnects(name, o, { closes = false, spares = [], local = false } = {}) {
  row(`disconnectSockets: ${name}`, async (from) => {
    const all = {};
    for (const server of SERVERS) {
      for (const letter of 'xy') {
        const s = await m.connect(server);
        const other = await alsoConnect(s, m.nsp === '/' ? '/custom' : '/');
        await m.op(server, { op: 'socket', id: s.id, what: 'join', target: letter === 'y' ? ['go', 'stay'] : 'go' });
        all[server + letter] = { s, other };
      }
    }
    await m.op(from, { op: 'disconnectSockets', close: closes, ...o });
    await m.fence(from);
    m.collect();
    return async (kind) => {
      for (const [n, { s, other }] of Object.entries(all)) {
        if (n[0] !== kind) continue;
        if (spares.includes(n[2]) || (local && !n.startsWith(from))) {
          // still there: its server can send to it
          const server = n.slice(0, 2);
          await m.op(server, { op: 'emit', rooms: [s.id], flags: { local: true }, args: ['still here'] });
          await s.inbox.take('still here', 1000);
        } else {
          assert.equal(await reasonOf(s, 1000), 'io server disconnect', n);
          if (closes) await until(() => !other.connected, 1000, `${n}'s connection closes`);
          else assert.equal(other.connected, true, n);
        }
        s.disconnect();
        other.disconnect();
      }
    };
  });
}

function disconnecting() {
  disconnects('a room', { rooms: ['go'] });
  disconnects('a room but another', { rooms: ['go'], except: ['stay'] }, { spares: ['y'] });
  disconnects('a room, closing', { rooms: ['go'] }, { closes: true });
  disconnects('local', { rooms: ['go'], flags: { local: true } }, { local: true });
}

// ---- questions to servers --------------------------------------------------------------

function fetches(name, o, expected) {
  row(`fetchSockets: ${name}`, async (from) => {
    const found = await m.op(from, { op: 'fetchSockets', ...(typeof o === 'function' ? o() : o) });
    const names = found.map(({ id }) => NAMES.find((n) => m.idOf(n) === id) || id);
    return (kind) => {
      const wanted = typeof expected === 'function' ? expected(from) : expected;
      assert.deepEqual(ofKind(kind, sorted(names)), ofKind(kind, wanted));
      assert.equal(names.length, wanted.length);
    };
  });
}

// One member of what is said about each socket.
function fetchesMember(member, wanted) {
  row(`fetchSockets: ${member}`, async (from) => {
    const found = await m.op(from, { op: 'fetchSockets' });
    return async (kind) => {
      for (const n of ofKind(kind, NAMES)) {
        const socket = found.find(({ id }) => id === m.idOf(n));
        assert.ok(socket, `${n} is found`);
        assert.deepEqual(Object.keys(socket), ['id', 'handshake', 'rooms', 'data']);
        await wanted(n, socket[member]);
      }
    };
  });
}

const HANDSHAKE = ['headers', 'time', 'address', 'xdomain', 'secure', 'issued', 'url', 'query', 'auth'];

function surveys() {
  fetches('all', {}, NAMES);
  fetches('a room', { rooms: ['r1'] }, AB);
  fetches('all but a room', { except: ['r1'] }, C);
  fetches('a room that is a number', { rooms: [7] }, letters(/a/));
  fetches('one socket', () => ({ rooms: [m.idOf('C2b'), m.idOf('N2c')] }), ['C2b', 'N2c']);
  fetches('no socket', { rooms: ['empty'] }, []);
  fetches('local', { flags: { local: true } }, (from) => NAMES.filter((n) => n.startsWith(from)));
  fetchesMember('handshake', async (n, handshake) => {
    assert.deepEqual(Object.keys(handshake), HANDSHAKE, n);
    assert.deepEqual(handshake, await m.socketOp(n, { what: 'handshake' }), n);
    assert.deepEqual([handshake.auth, handshake.query.who, handshake.headers['x-who']], [{ user: n }, n, n]);
    assert.deepEqual([handshake.xdomain, handshake.secure, typeof handshake.issued], [false, false, 'number']);
    assert.match(handshake.time, /^\w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT/);
  });
  fetchesMember('rooms', (n, rooms) => assert.deepEqual(rooms.map(String),
    [m.idOf(n), ...{ a: ['r1', '7'], b: ['r1', 'r2'], c: [] }[n[2]]], n));
  fetchesMember('data', (n, data) => assert.deepEqual(data, { name: n, list: [1, 'é', null] }, n));

  row('allRooms', async (from) => {
    const rooms = (await m.op(from, { op: 'allRooms' })).map(String);
    return (kind) => {
      for (const n of ofKind(kind, NAMES)) assert.ok(rooms.includes(m.idOf(n)), n);
      assert.deepEqual(sorted([...new Set(rooms)]), sorted(['r1', 'r2', '7', ...NAMES.map((n) => m.idOf(n))]));
    };
  });

  row('serverCount', async (from) => {
    const count = await m.op(from, { op: 'serverCount' });
    return () => assert.equal(count, 4);
  });
}

// ---- events between servers --------------------------------------------------------------

const others = (from) => SERVERS.filter((s) => s !== from);

// What arrived at the servers, after all that was on its way.
async function serverSide(from, o) {
  const value = await m.op(from, { op: 'serverSideEmit', ...o });
  await m.op(from, { op: 'serverSideEmit', args: ['fence'] });
  const got = {};
  await Promise.all(others(from).map(async (s) => {
    const { inbox } = m.ctl[s];
    await until(() => inbox.all.some((e) => e.args[1] === 'fence'), 2000, `${s} hears of it`).catch(() => {});
    got[s] = inbox.all.map((e) => e.args.slice(0, 3)).filter((args) => args[1] !== 'fence');
    inbox.clear();
  }));
  if (SERVERS.includes(from)) got[from] = m.ctl[from].inbox.all.map((e) => e.args);
  return { value, got };
}

function tells(name, args, arriving = args) {
  row(name, async (from) => {
    const { got } = await serverSide(from, { args: ['told', ...args] });
    return (kind) => {
      for (const s of ofKind(kind, SERVERS)) {
        assert.deepEqual(got[s], s === from ? [] : [[m.nsp, 'told', arriving]], s);
      }
    };
  });
}

function answerAs(names, silent) {
  for (const s of names) {
    m.ctl[s].removeAllListeners('server-side');
    m.ctl[s].on('server-side', (nsp, event, args, ack) => {
      if (s !== silent) ack?.({ server: s, nsp, event, args }, 'second');
    });
  }
}

const answerOf = (s) => ({ server: s, nsp: m.nsp, event: 'asked', args: [1, 'é'] });
const byServer = (list) => list.slice().sort((x, y) => (x.server < y.server ? -1 : 1));

function betweenServers() {
  tells('serverSideEmit', [1, 'é "\\', { a: [null, true] }, -0.5]);
  // JSON has no bytes: the official form of a Buffer in it
  tells('serverSideEmit: binary', [Buffer.from([1, 255])], [{ type: 'Buffer', data: [1, 255] }]);

  row('serverSideEmit: all answer', async (from) => {
    answerAs(SERVERS);
    const { value } = await serverSide(from, { ack: true, args: ['asked', 1, 'é'] });
    return (kind) => {
      assert.deepEqual(byServer(value.responses).filter((r) => r.server[0] === kind),
        ofKind(kind, others(from)).map(answerOf));
      assert.equal(value.err, null);
    };
  });

  row('serverSideEmit: one server is silent', async (from) => {
    const results = {};
    for (const silent of ['C2', 'N2']) {
      answerAs(SERVERS, silent);
      results[silent[0]] = (await serverSide(from, { ack: true, args: ['asked', 1, 'é'] })).value;
    }
    answerAs(SERVERS);
    return (kind) => {
      const { err, responses } = results[kind];
      assert.equal(err, 'timeout reached: only 2 responses received out of 3');
      assert.deepEqual(byServer(responses), others(from).filter((s) => s !== `${kind}2`).map(answerOf));
    };
  });
}

// ---- the run -----------------------------------------------------------------------------

before(async () => {
  m = await Mixed.start();
});

after(async () => {
  await m?.stop();
});

for (const nsp of NAMESPACES) {
  describe(`in ${nsp}`, () => {
    before(() => m.enter(nsp));
    after(() => m.leave());
    broadcasts();
    questions();
    membership();
    disconnecting();
    surveys();
    betweenServers();
  });
}

test('no question stays open', async () => {
  for (const server of SERVERS) {
    for (const nsp of NAMESPACES) {
      let open;
      await until(async () => {
        open = await m.op(server, { op: 'stats', nsp });
        return open.requests === 0 && open.ackRequests === 0;
      }, 5000, () => `${server} has ${JSON.stringify(open)} open in ${nsp}`);
    }
  }
});

const directions = (senders) => senders.flatMap((from) => KINDS.map((to) => `${from}>${to}`));
const DIRECTIONS = directions(SENDERS);

function printMatrix() {
  console.log(`matrix (C confab, N Node.js, E emitter, T confabctl; passed/total in ${NAMESPACES.length} namespaces)`);
  console.log(`${''.padEnd(44)}${DIRECTIONS.map((d) => d.padStart(6)).join('')}`);
  const sum = { passed: 0, total: 0 };
  for (const [name, found] of cells) {
    const columns = DIRECTIONS.map((d) => {
      const cell = found[d];
      if (!cell) return '-';
      sum.passed += cell.passed;
      sum.total += cell.total;
      return `${cell.passed}/${cell.total}`;
    });
    console.log(`${name.padEnd(44)}${columns.map((c) => c.padStart(6)).join('')}`);
  }
  console.log(`operation x direction: ${sum.passed}/${sum.total}`);
}

test('the matrix has every row, in every direction and namespace', () => {
  printMatrix();
  const wanted = new Map([...BY_ALL, ...BY_SERVERS].map((r) => [r, directions(sendersOf(r))]));
  assert.deepEqual([...cells.keys()].sort(), [...wanted.keys()].sort());
  for (const [name, all] of wanted) {
    assert.deepEqual(Object.keys(cells.get(name)), all, name);
    for (const d of all) assert.equal(cells.get(name)[d].total, NAMESPACES.length, `${name}, ${d}`);
  }
});
