'use strict';
// The rows of the table: which figure of which scenario (the ids of run.sh), what
// it is compared with, and the budget it is to keep.
//
// A row: section, id, label; value(run), the figure; clock, true when it
// is one by the clock; server, whose figure stands in confab's column; floor,
// what it is divided by: a scenario's id (default: its own), a server ("self":
// each server by itself) and a value; budgets: [{ of, most, text }], of being a
// member of the result: of_floor, of_node, or confab for the figure itself;
// series and x: its place in a growth curve; plot: its name in the picture.

const US = (r) => (r.cpu_ns === undefined ? undefined : r.cpu_ns / 1000);
const count = (n) => n.toLocaleString('en-US');

const floorAtMost = (most, more = '') => ({ of: 'of_floor', most, text: `<= ${most} of the floor${more}` });
const cheaper = (times) => ({ of: 'of_node', most: 1 / times, text: `>= ${times}x less than Node.js` });
const atMost = (most, unit) => ({ of: 'confab', most, text: `<= ${most} ${unit}` });

function fanout(runs) {
  const rings = runs.some((r) => r.server === 'plain');
  const rows = [];
  for (const window of [1, 8]) {
    for (const size of [64, 1024]) {
      for (const room of ['small', 'big']) {
        const id = `fanout-${room}-${size}-${window}`;
        const run = runs.find((r) => r.id === id);
        if (!run) continue;
        const label = `${count(run.conns)} members, ${size === 64 ? '64 B' : '1 KiB'}, W=${window}`;
        const row = {
          section: 'Fan-out: CPU per delivery, us (W = broadcasts of a room outstanding)', id, label, value: US,
          plot: 'Fan-out', floor: { id: `fanout-${room}-${size}-1` }, note: true,
        };
        if (window === 8) {
          rows.push({ ...row, budgets: [floorAtMost(0.12), cheaper(14)] });
        } else if (rings) {
          rows.push({ ...row, label: `${label}, write()`, server: 'plain', budgets: [floorAtMost(1.05)] });
          rows.push({ ...row, label: `${label}, io_uring`, budgets: [floorAtMost(0.75), cheaper(2.8)] });
        } else {
          rows.push({ ...row, budgets: [floorAtMost(1.05), floorAtMost(0.75, ' with io_uring')] });
        }
      }
    }
  }
  return rows;
}

function echo() {
  const row = (clients, window, budgets) => ({
    section: 'Echo with acknowledgement: CPU per round trip, us',
    id: `echo-${clients}-${window}`, label: `${count(clients)} connections, W=${window} each`,
    value: US, plot: 'Echo', floor: {}, budgets,
  });
  return [row(100, 1, [floorAtMost(1.15)]), row(1000, 1, [floorAtMost(1.15)]),
    row(100, 8, [cheaper(12)]), row(1000, 8, [cheaper(12)])];
}

function churn() {
  const row = (kind, label, most) => ({
    section: 'Connect, CONNECT, one acknowledgement, close: CPU per session, us',
    id: `churn-${kind}`, label, value: US, plot: 'Churn', floor: { id: 'churn-bare', server: 'bare' },
    budgets: [floorAtMost(most)],
  });
  return [row('websocket', 'WebSocket: upgrade request and 2 packets', 3),
    row('polling', 'polling: 6 requests on a connection', 4)];
}

function latency() {
  const row = (label, value, more) => ({
    section: 'Latency of a broadcast to 1,000, open loop of 50/s',
    id: 'latency', label, clock: true, value, plot: 'Latency', ...more,
  });
  return [
    row('p50, us', (r) => r.p50_us, { floor: {} }),
    row('p99, us', (r) => r.p99_us, {
      floor: {}, budgets: [{ of: 'of_node', most: 0.25, text: '<= 1/4 of Node.js' }],
    }),
    row('p99.9, us', (r) => r.p999_us, { floor: {} }),
    row('p99.9 / p99', (r) => r.p999_us / r.p99_us, { budgets: [atMost(1.3, 'x')] }),
  ];
}

function rooms(runs) {
  const run = runs.find((r) => r.id === 'rooms-many');
  return run ? [{
    section: 'Small rooms: CPU per delivery, us', id: 'rooms-many', value: US, plot: 'Small rooms', floor: {},
    label: `${count(run.conns / 10)} rooms of 10, W=8 each`,
  }] : [];
}

function kinds() {
  const row = (id, label, more) => ({
    section: 'Other messages, W=8: CPU per delivery, us', id, label, value: US, ...more,
  });
  return [
    row('binary', '1,000 members, 1 KiB attachment', { plot: 'Binary', floor: {} }),
    row('msgpack', '1,000 members, msgpack parser, 64 B'),
    row('deflate-without', '100 members, 2 KiB of text'),
    row('deflate-with', 'the same with per-message deflate', {
      floor: { id: 'deflate-without', server: 'self' },
    }),
  ];
}

function cross() {
  const section = 'Two nodes through Redis, 100 rooms of 10, W=8 each';
  const emit = (ns) => (r) => (ns(r) * r.members) / 1000;
  const added = (p) => (r) => r[`other_${p}_us`] - r[`${p}_us`];
  const difference = (p, label, budgets) => ({
    section: 'Other node minus own node, 2 receivers, 100/s', id: 'cross-latency',
    label: `${label}, us`, clock: true, value: added(p), budgets,
  });
  return [
    {
      section, id: 'cross-rooms', label: 'CPU per delivery, us / one node alone', value: US,
      plot: 'Two nodes, one being 1', floor: { id: 'rooms-one', server: 'self' },
      budgets: [{ of: 'of_floor', most: 1.2, text: '<= 1.20 of one node' }],
    },
    {
      section, id: 'cross-rooms', label: 'CPU per emit, both nodes, us', value: emit((r) => r.cpu_ns),
      budgets: [atMost(15, 'us')],
    },
    { section, id: 'cross-rooms', label: "CPU per emit, Redis's own, us", value: emit((r) => r.redis_cpu_ns) },
    {
      section, id: 'cross-rooms', label: 'deliveries per second, by the clock', clock: true,
      value: (r) => r.per_wall_s,
    },
    difference('p50', 'p50', [atMost(150, 'us')]), difference('p99', 'p99'),
    difference('p999', 'p99.9'),
  ];
}

function idle(runs) {
  const section = 'Memory of an idle connection with a session, in a room of 100, bytes';
  const rows = [];
  for (const [kind, most] of [['websocket', 400], ['polling', 600]]) {
    const name = kind === 'polling' ? 'polling, between polls' : 'WebSocket';
    for (const suffix of ['-1000', '-10000', '']) {
      const id = `idle-${kind}${suffix}`;
      const run = runs.find((r) => r.id === id);
      if (!run) continue;
      const row = {
        section, id, label: `${name}, ${count(run.conns)}`, plot: 'Memory', value: (r) => r.bytes_per_conn,
      };
      rows.push(suffix ? row : { ...row, budgets: [atMost(most, 'bytes')] });
      if (suffix) continue;
      rows.push({ ...row, label: `${name}, of the kernel's small objects`, value: (r) => r.kernel_per_conn });
      rows.push({ ...row, label: `${name}, CPU to open, us`, value: US, plot: '' });
    }
  }
  const third = runs.find((r) => r.id === 'idle-thirds');
  if (third) {
    rows.push({
      section, id: 'idle-thirds', label: `WebSocket, ${count(3 * third.conns)} in three processes`, plot: 'Memory',
      value: (r) => r.bytes_per_conn,
    });
  }
  rows.push({
    section, id: 'idle-websocket', label: 'resident memory of an empty process, MB',
    value: (r) => r.rss_empty / (1 << 20), budgets: [atMost(6, 'MB')],
  });
  return rows;
}

function growth(runs) {
  const rows = [];
  const add = (section, pattern, series, label, value = US) => {
    const ids = [...new Set(runs.map((r) => r.id).filter((id) => pattern.test(id)))];
    for (const id of ids.length > 1 ? ids : []) {
      const run = runs.find((r) => r.id === id);
      const x = run.rooms || (series === 'nodes' ? run.nodes : run.conns);
      rows.push({ section, id, label: label(x), value, series, x });
    }
    rows.sort((a, b) => (a.series === b.series ? a.x - b.x : 0));
  };
  add('Growth: CPU per delivery against members, W=8, us', /^(members-\d+|fanout-small-64-8)$/, 'members',
    (n) => `${count(n)} members`);
  add('Growth: CPU per broadcast to 12 members against nodes, all nodes together, us', /^nodes-/, 'nodes',
    (n) => `${n} node${n > 1 ? 's' : ''}`, (r) => (r.cpu_ns * r.members) / 1000);
  add('Growth: CPU per join against rooms, us', /^joins-/, 'rooms', (n) => `up to ${count(n)} rooms`);
  return rows;
}

// All rows that these runs may have figures for.
exports.sections = (runs) => [fanout, echo, churn, latency, rooms, kinds, cross, idle, growth]
  .flatMap((part) => part(runs));
