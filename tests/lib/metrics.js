'use strict';
// What a node counts, read through its admin listener, which the line that says
// that it is ready names: { admin: 'http://127.0.0.1:43211' }.

const { get } = require('./raw');

// For requests to it over connections of their own, which leave nothing open.
const adminOf = (node) => {
  if (!node.admin) throw new Error(`${node.name || node.url} has no admin listener`);
  return { port: Number(new URL(node.admin).port) };
};

async function metricsText(node) {
  const r = await get(adminOf(node), '/metrics');
  if (r.status !== 200) throw new Error(`/metrics: ${r.status} ${r.body}`);
  return String(r.body);
}

// All of confab's own, without the prefix: 'sockets', 'limit_total{limit="rooms"}'.
async function metricsOf(node) {
  const all = {};
  for (const line of (await metricsText(node)).split('\n')) {
    const m = /^confab_(\S+?|\S+\{.*\}) (\S+)$/.exec(line);
    if (m) all[m[1]] = Number(m[2]);
  }
  return all;
}

// One by its whole name, with its labels.
async function metric(node, name) {
  for (const line of (await metricsText(node)).split('\n')) {
    if (line.startsWith(`${name} `)) return Number(line.slice(name.length + 1));
  }
  throw new Error(`no metric ${name}`);
}

module.exports = { adminOf, metricsText, metricsOf, metric };
