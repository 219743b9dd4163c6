'use strict';
// Many nodes in one process, in virtual time, and whatever can fail.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const path = require('node:path');
const { run, BUILD } = require('../lib/process');

const RUNS = 300;
const sim = (...args) => run(path.join(BUILD, 'tests/sim'), args.map(String), { ms: 240000 });

async function clean(t, runs, seed) {
  const r = await sim('--runs', runs, '--seed', seed);
  assert.equal(r.code, 0, r.output);
  for (const line of r.output.trim().split('\n')) t.diagnostic(line);
  const [, sent, delivered] = /(\d+) sent, (\d+) delivered/.exec(r.output);
  assert.ok(Number(sent) > 50 * runs && Number(delivered) > Number(sent), r.output);
  const [lost, counted, presence, questions, arrived] =
    /(\d+) by their nodes, which counted (\d+) \((\d+) of presence, (\d+) of questions, and (\d+) had arrived/
      .exec(r.output).slice(1).map(Number);
  assert.equal(counted, lost + presence + questions + arrived);
  return r.output;
}

test(`${RUNS} runs from a fixed seed keep every promise`, (t) => clean(t, RUNS, 1));

test(`${RUNS} runs from a seed of today keep every promise`, (t) => {
  const seed = crypto.randomInt(2 ** 32);
  t.diagnostic(`--seed ${seed}`);
  return clean(t, RUNS, seed);
});

test('the same seed is the same run, event by event', async () => {
  const trace = async (seed) => {
    const r = await sim('--runs', 1, '--seed', seed, '--steps', 60, '--trace');
    assert.equal(r.code, 0, r.output);
    assert.match(r.output, /broadcast/);
    return r.output;
  };
  for (const seed of [5, 6, 7]) assert.equal(await trace(seed), await trace(seed));
  assert.notEqual(await trace(5), await trace(6));
});

test('a run is the same alone and among others', async () => {
  const alone = await sim('--runs', 1, '--seed', 20, '--trace');
  const after = await sim('--runs', 4, '--seed', 17, '--trace');
  const events = (s) => s.split('\n').filter((l) => /^ *\d+ [a-z ]+ \d+ \d+ \d+$/.test(l));
  const lines = events(alone.output);
  assert.ok(lines.length > 50);
  assert.equal(events(after.output).slice(-lines.length).join('\n'), lines.join('\n'));
});
