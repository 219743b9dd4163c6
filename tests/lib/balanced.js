'use strict';
// Nodes with settings of their own behind HAProxy with the shipped
// configuration, which a test may change line by line.

const fs = require('node:fs');
const path = require('node:path');
const { Process, ROOT, OUTPUT } = require('./process');
const { startNode, freePort } = require('./servers');
const { until } = require('./until');

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
let started = 0;

// Replaces what must be there.
function edit(text, changes) {
  for (const [from, to] of changes) {
    if (!(from instanceof RegExp ? from.test(text) : text.includes(from))) {
      throw new Error(`deploy/haproxy.cfg has no ${from}`);
    }
    text = text.replace(from, to);
  }
  return text;
}

// The shipped file for these nodes: { name, port }.
function configuration(nodes, changes = []) {
  const servers = nodes.map((n) => `    server ${n.name} 127.0.0.1:${n.port} check`).join('\n');
  const text = fs.readFileSync(path.join(ROOT, 'deploy/haproxy.cfg'), 'utf8');
  return edit(text, [[/^ *server-template .*$/m, servers], ...changes]);
}

// `up`: names of the nodes that must be seen in service.
async function startBalancer(nodes, { changes, up = nodes.map((n) => n.name) } = {}) {
  started += 1;
  fs.mkdirSync(OUTPUT, { recursive: true });
  const file = path.join(OUTPUT, `${process.pid}-haproxy-${started}.cfg`);
  fs.writeFileSync(file, configuration(nodes, changes));
  const port = await freePort();
  const stats = await freePort();
  const p = new Process('haproxy', 'haproxy', ['-db', '-f', file], {
    env: { PATH, BALANCER_BIND: `127.0.0.1:${port}`, BALANCER_STATS: `127.0.0.1:${stats}` },
  });
  Object.assign(p, { port, url: `http://127.0.0.1:${port}`, stop: () => p.kill9() });
  let seen;
  await until(async () => {
    if (p.ended) throw new Error(`haproxy: ${p.output()}`);
    try {
      seen = await (await fetch(`http://127.0.0.1:${stats}/stats;csv`)).text();
    } catch {
      return false;
    }
    // by now all have been looked at
    return nodes.every((n) => {
      const state = new RegExp(`^nodes,${n.name},.*?,(UP|DOWN|NOLB)[^,]*,`, 'm').exec(seen);
      return state && (up.includes(n.name) ? state[1] === 'UP' : state[1] !== 'UP');
    });
  }, 10000, () => `${up} are in rotation: ${seen}`);
  return p;
}

// each: settings of the first node, the second, ...; env: the same.
async function startNodes(n, { redis, set = {}, each = [], env = [] } = {}) {
  return Promise.all(Array.from({ length: n }, (_, i) => startNode({
    name: `node-${i + 1}`,
    redis: each[i]?.['redis.url'] || redis,
    set: { 'node.name': `node-${i + 1}`, ...set, ...each[i] },
    env: env[i],
  })));
}

module.exports = { startBalancer, startNodes, configuration };
