'use strict';
// Every attack that README.md lists has a test that is named after it.

const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const assert = require('node:assert/strict');

test('every attack of the list has a test, and the other way round', () => {
  const listed = [...fs.readFileSync(path.join(__dirname, 'README.md'), 'utf8').matchAll(/^\| (\d+) \|/gm)]
    .map((m) => Number(m[1]));
  const tested = new Set();
  for (const file of fs.readdirSync(__dirname)) {
    if (!file.endsWith('.test.js')) continue;
    const text = fs.readFileSync(path.join(__dirname, file), 'utf8');
    for (const m of text.matchAll(/attack (\d+): /g)) tested.add(Number(m[1]));
    // the head section's tests are named in a loop
    if (/attack \$\{\/sid\//.test(text)) [3, 8].forEach((n) => tested.add(n));
  }
  assert.deepEqual([...tested].sort((a, b) => a - b), listed);
});
