'use strict';
// The benchmark's server and load generator (tests/bench) as parts of a test:
// more connections than a test in JavaScript could hold.

const path = require('node:path');
const { Process, BUILD } = require('./process');
const { metricsOf } = require('./metrics');
const { until } = require('./until');

const program = (name) => path.join(BUILD, 'tests/bench', name);

const QUICK = Boolean(process.env.BIG_QUICK);

// set: "section.key" -> value; presence: who joins a room is shown.
async function startServer({ set = {}, name = 'server', presence = false } = {}) {
  const args = Object.entries(set).map(([k, v]) => `${k}=${v}`);
  const p = new Process(name, program('server'), [...(presence ? ['presence'] : []), ...args]);
  const m = await p.says(/admin on (\S+)\nready on (http:\S+:(\d+))/);
  return Object.assign(p, { admin: m[1], url: m[2], port: Number(m[3]) });
}

const options = (nodes, all) => [
  '--pid', nodes.map((n) => n.pid).join(), '--port', nodes.map((n) => n.port).join(),
  ...Object.entries(all).flatMap(([k, v]) => [`--${k}`, String(v)])];

// One scenario to its end. Its line of figures; `status` is 1 when a message was
// lost, doubled, reordered or changed. `meanwhile` is called again and again.
async function load(nodes, scenario, all, { ms = 120000, meanwhile = async () => {} } = {}) {
  const p = new Process(`load-${scenario}`, program('load'), [...options(nodes, all), scenario]);
  await until(async () => {
    if (!p.ended) await meanwhile();
    return p.ended;
  }, ms, () => `${scenario} ends; it said: ${p.output().slice(-2000)}`);
  if (p.ended.code !== 0 && p.ended.code !== 1) throw new Error(`${scenario}: ${JSON.stringify(p.ended)} ${p.output()}`);
  return { ...JSON.parse(p.output()), status: p.ended.code };
}

// A generator that holds its clients and does what it is told (hold.c).
class Holder {
  static async open(nodes, all, ms = 120000) {
    const h = new Holder();
    h.process = new Process('hold', program('load'), [...options(nodes, all), 'hold'], { stdin: 'pipe' });
    h.answers = 0;
    h.begun = await h.answer(ms);
    return h;
  }

  async answer(ms) {
    const line = await until(() => {
      const lines = this.process.output().split('\n');
      if (lines.length > this.answers + 1) return lines[this.answers];
      if (this.process.ended) throw new Error(`the generator has ended: ${this.process.output().slice(-2000)}`);
      return null;
    }, ms, () => `the generator answers; it said: ${this.process.output().slice(-2000)}`);
    this.answers += 1;
    return JSON.parse(line);
  }

  ask(line, ms = 60000) {
    this.process.child.stdin.write(`${line}\n`);
    return this.answer(ms);
  }

  async quit() {
    this.process.child.stdin.write('quit\n');
    await this.process.exits(20000);
  }
}

// What each counter has grown by.
async function growth(node) {
  const before = await metricsOf(node);
  return async () => {
    const now = await metricsOf(node);
    return Object.fromEntries(Object.entries(now).map(([k, v]) => [k, v - (before[k] || 0)]));
  };
}

module.exports = { QUICK, startServer, load, Holder, growth };
