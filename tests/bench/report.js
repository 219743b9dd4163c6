'use strict';
// Medians and ratios of build/bench/runs.jsonl as a table, and as results.json.
//
//   report.js DIRECTORY CONFAB_VERSION

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const [directory, version] = process.argv.slice(2);
const runs = fs.readFileSync(path.join(directory, 'runs.jsonl'), 'utf8')
  .split('\n').filter(Boolean).map((line) => JSON.parse(line));

const median = (values) => {
  const v = [...values].sort((a, b) => a - b);
  const half = Math.floor(v.length / 2);
  return v.length % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
};

// One row: a figure of one scenario, for every server that has it.
function row(section, label, of, value, { more = true } = {}) {
  const figures = {};
  for (const run of runs.filter(of)) {
    (figures[run.server] ||= []).push(value(run));
  }
  // Runs with the same place in their lists were neighbours in time, so their
  // ratio is steadier than that of the medians.
  const ratio = (a, b) => (figures[a] && figures[b]
    ? median(figures[a].map((v, i) => (more ? v / figures[b][i]
      : figures[b][i] / v)))
    : undefined);
  const medians = {};
  for (const [name, values] of Object.entries(figures)) {
    medians[name] = median(values);
  }
  return {
    section, label, medians, figures,
    ratio: ratio('confab', 'node'), of_floor: ratio('confab', 'floor'),
  };
}

// The scenarios that were run, in their order.
function scenarios() {
  const seen = new Map();
  for (const r of runs.filter((x) => x.scenario !== 'idle')) {
    const label = r.scenario === 'fanout'
      ? `broadcast to ${r.conns}, ${r.size} B, ${r.window} at a time`
      : `echo, ${r.conns} clients, ${r.window} at a time each`;
    seen.set(label, (x) => x.scenario === r.scenario && x.size === r.size
      && x.window === r.window);
  }
  return [...seen];
}

function rows() {
  const list = [];
  for (const [label, of] of scenarios()) {
    list.push(row('per second of server CPU time', label, of,
      (r) => r.per_cpu_s));
  }
  for (const [label, of] of scenarios()) {
    list.push(row('per second by the clock', label, of, (r) => r.per_wall_s));
  }
  const idle = runs.find((r) => r.scenario === 'idle');
  if (idle) {
    const of = (r) => r.scenario === 'idle';
    const section = `${idle.conns} idle connections, ${idle.per_room} to a room`;
    list.push(row(section, 'memory of one, bytes', of,
      (r) => r.bytes_per_conn, { more: false }));
    list.push(row(section, 'memory of the server before, KB', of,
      (r) => r.dirty_before / 1024, { more: false }));
    list.push(row(section, 'CPU time to connect one, us', of,
      (r) => r.connect_cpu_us, { more: false }));
  }
  return list;
}

const number = (v) => (v === undefined ? ''
  : Math.round(v).toLocaleString('en-US'));
const times = (v, unit) => (v === undefined ? '' : v.toFixed(2) + unit);

function print(list, faults) {
  const line = (label, ...cells) => console.log(label.padEnd(42)
    + cells.map((c) => c.padStart(12)).join(''));
  line('', 'confab', 'Node.js', 'ratio', 'floor', 'of floor');
  let section = '';
  for (const r of list) {
    if (r.section !== section) console.log(`\n${r.section}`);
    section = r.section;
    line(`  ${r.label}`, number(r.medians.confab), number(r.medians.node),
      times(r.ratio, 'x'), number(r.medians.floor), times(r.of_floor, ''));
  }
  console.log(`\n${Object.entries(faults).map(([k, n]) => `${k} ${n}`).join(', ')}`
    + ` of ${number(sum('operations'))} messages`);
}

const sum = (field) => runs.reduce((n, r) => n + (r[field] || 0), 0);

function versions() {
  const of = (name) => require(`${name}/package.json`).version;
  return {
    confab: version, node: process.version, 'socket.io': of('socket.io'),
    ws: of('ws'),
  };
}

const list = rows();
const faults = {};
for (const field of ['lost', 'doubled', 'reordered', 'bad']) {
  faults[field] = sum(field);
}
const busy = runs.filter((r) => r.load_share > 0.9).length;
const machine = {
  cpu: os.cpus()[0].model, cores: os.cpus().length, kernel: os.release(),
};

console.log(`${version}; socket.io ${versions()['socket.io']} on Node.js `
  + `${process.version}; Linux ${machine.kernel}, ${machine.cores} cores, `
  + `${machine.cpu}; medians of ${process.env.REPEATS}\n`);
print(list, faults);
if (busy) {
  console.log(`in ${busy} of ${runs.length} runs the load generator was busy `
    + 'for more than nine tenths of the time: figures by the clock are its own');
}
fs.writeFileSync(path.join(directory, 'results.json'), `${JSON.stringify({
  date: new Date().toISOString(), machine, versions: versions(),
  repeats: Number(process.env.REPEATS), faults, table: list, runs,
}, null, 1)}\n`);
