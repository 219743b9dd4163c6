'use strict';
// Medians and ratios of build/bench/runs.jsonl as a table beside the budgets,
// as results.json and as a plot, results.svg.
//
//   report.js DIRECTORY CONFAB_VERSION

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { plot } = require('./plot');
const { sections } = require('./budgets');

const [directory, version] = process.argv.slice(2);
const runs = fs.readFileSync(path.join(directory, 'runs.jsonl'), 'utf8')
  .split('\n').filter(Boolean).map((line) => {
    const run = JSON.parse(line);
    const [id, turn] = run.id.split('@');
    return { ...run, id: run.rooms ? `${id}-${run.rooms}` : id, turn: Number(turn) };
  });

const median = (values) => {
  const v = [...values].sort((a, b) => a - b);
  const half = Math.floor(v.length / 2);
  return v.length % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
};

// Median, least and greatest of some values; nothing of none.
const spread = (values) => (values.length === 0 ? undefined : {
  median: median(values), min: Math.min(...values), max: Math.max(...values),
});

// The values of one scenario by one server, each under its repeat. Several of
// one repeat (processes side by side) count with their mean. A run that the
// generator held up is none where the clock is what is measured.
function figures({ id, value, clock }, server) {
  const byTurn = new Map();
  for (const r of runs.filter((x) => x.id === id && x.server === server)) {
    const v = value(r);
    if (v === undefined || (clock && r.load_was_limit)) continue;
    byTurn.set(r.turn, [...(byTurn.get(r.turn) || []), v]);
  }
  return new Map([...byTurn].map(([turn, v]) => [turn, v.reduce((a, b) => a + b) / v.length]));
}

// Of runs of the same repeat, which were neighbours in time.
function ratio(a, b) {
  return spread([...a].filter(([turn]) => b.get(turn))
    .map(([turn, v]) => v / b.get(turn)));
}

// What a server's figures of the row are divided by.
function floorFigures(row, server) {
  if (!row.floor) return new Map();
  const of = { ...row, id: row.floor.id || row.id };
  return figures(of, row.floor.server === 'self' ? server : row.floor.server || 'floor');
}

// One row of the table: see budgets.js.
function evaluate(row) {
  const server = row.server || 'confab';
  const own = figures(row, server);
  const node = figures(row, 'node');
  const floor = floorFigures(row, server);
  const result = {
    section: row.section, id: row.id, label: row.label,
    plot: row.plot, series: row.series, x: row.x,
    confab: spread([...own.values()]), node: spread([...node.values()]),
    floor: spread([...floor.values()]),
    of_node: ratio(own, node), of_floor: ratio(own, floor),
    node_of_floor: ratio(node, floorFigures(row, 'node')),
    // What the floors themselves come to.
    floor_of_floor: row.note && ratio(figures(row, 'floor'), floor),
    ring_of_floor: row.note && ratio(figures(row, 'uring'), floor),
    load_share: Math.max(...runs.filter((r) => r.id === row.id && r.server === server)
      .map((r) => r.load_share)),
    budgets: [],
  };
  for (const budget of row.budgets || []) {
    const got = result[budget.of];
    result.budgets.push({ ...budget, holds: Boolean(got && got.median <= budget.most) });
  }
  return result;
}

// ---- text ------------------------------------------------------------------

function number(v) {
  if (v === undefined) return '';
  if (Math.abs(v) >= 1000) return Math.round(v).toLocaleString('en-US');
  return v.toFixed(Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2);
}
const times = (s) => (s ? s.median.toFixed(2) : '');
const range = (s) => (s && s.min !== s.max ? `${s.min.toFixed(2)}..${s.max.toFixed(2)}` : '');

const widths = [52, 10, 10, 10, 8, 8, 14, 6];
const line = (...cells) => console.log(cells.map((cell, i) => (i === 0
  ? cell.padEnd(widths[i]) : i < widths.length ? cell.padStart(widths[i]) : `  ${cell}`))
  .join('').trimEnd());

function remarks(r) {
  const floors = [['write()', r.floor_of_floor], ['io_uring', r.ring_of_floor]]
    .filter(([, s]) => s && s.median !== 1).map(([name, s]) => `${name} ${times(s)}`);
  return [...r.budgets.map((b) => `${b.text}: ${b.holds ? 'holds' : 'MISSED'}`),
    ...(floors.length ? [`floor: ${floors.join(', ')}`] : [])].join('; ');
}

function print(list) {
  line('', 'confab', 'Node.js', 'floor', '/ Node', '/ floor', 'min..max', 'load', 'budget');
  let section = '';
  for (const r of list) {
    if (r.section !== section) console.log(`\n${r.section}`);
    section = r.section;
    line(`  ${r.label}`, number(r.confab?.median), number(r.node?.median),
      number(r.floor?.median), times(r.of_node), times(r.of_floor),
      range(r.of_floor || r.of_node || r.confab),
      r.confab ? `${Math.round(r.load_share * 100)}%` : '', remarks(r));
  }
}

// ---- all -------------------------------------------------------------------

const sum = (field) => runs.reduce((n, r) => n + (r[field] || 0), 0);
const of = (name) => require(`${name}/package.json`).version;
const versions = {
  confab: version, node: process.version, 'socket.io': of('socket.io'), ws: of('ws'),
  '@socket.io/redis-adapter': of('@socket.io/redis-adapter'),
};
const machine = { cpu: os.cpus()[0].model, cores: os.cpus().length, kernel: os.release() };
const repeats = new Set(runs.map((r) => r.turn)).size;
const faults = {};
for (const field of ['lost', 'doubled', 'reordered', 'bad']) faults[field] = sum(field);

const list = sections(runs).map(evaluate).filter((r) => r.confab || r.node);
console.log(`${version}; socket.io ${versions['socket.io']}, ws ${versions.ws} on Node.js `
  + `${process.version}; Linux ${machine.kernel}, ${machine.cores} cores, ${machine.cpu}; `
  + `medians of ${repeats}; ratios within one repeat\n`);
print(list);

const clean = Object.values(faults).every((n) => n === 0);
console.log(`\n${Object.entries(faults).map(([k, n]) => `${k} ${n}`).join(', ')}`
  + ` of ${Math.round(sum('delivered')).toLocaleString('en-US')} messages in ${runs.length} runs`
  + ` (budget 0: ${clean ? 'holds' : 'MISSED'})`);
const busy = runs.filter((r) => r.load_was_limit);
console.log(`the generator took ${(100 * median(runs.map((r) => r.load_share))).toFixed(0)} % `
  + `of its core in the median run, ${(100 * Math.max(...runs.map((r) => r.load_share))).toFixed(0)} % `
  + `in the busiest; ${busy.length} runs over 95 % are not valid by the clock`);
const all = list.flatMap((r) => r.budgets);
console.log(`${all.filter((b) => b.holds).length} of ${all.length} budgets hold`);

fs.writeFileSync(path.join(directory, 'results.json'), `${JSON.stringify({
  date: new Date().toISOString(), machine, versions, repeats,
  faults, table: list, runs,
}, null, 1)}\n`);
fs.writeFileSync(path.join(directory, 'results.svg'), plot(list, versions));
