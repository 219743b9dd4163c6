'use strict';
// What became of each numbered check, from the TAP output of a run:
//   list.js FILE [all]
// With "all", a number of which the run has no test is missing: a failure.

const fs = require('node:fs');

const [file, complete] = process.argv.slice(2);
const LAST = 148;

// number -> { title, failed, passed, reasons }, of one or more tests
const checks = new Map();
for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
  const m = /^ *(not )?ok \d+ - (\d+) (.*?)(?: # (?:SKIP|TODO) ?(.*))?$/.exec(line);
  if (!m) continue;
  const [, failed, number, title, reason] = m;
  const check = checks.get(Number(number)) || { title, failed: 0, passed: 0, reasons: [] };
  checks.set(Number(number), check);
  if (reason !== undefined) check.reasons.push(reason);
  else if (failed) check.failed += 1;
  else check.passed += 1;
  if (failed) check.title = title; // the one to look at
}

function verdict({ failed, passed, reasons }) {
  if (failed) return 'fail';
  return passed ? 'pass' : `does not apply: ${reasons[0]}`;
}

function named({ title, failed, passed, reasons }) {
  const others = failed + passed + reasons.length - 1;
  return `  (${title.replace(/\\(.)/g, '$1')}${others ? `, and ${others} more` : ''})`;
}

const totals = { pass: 0, fail: 0, 'does not apply': 0, missing: 0 };
for (let n = 1; n <= LAST; n++) {
  const check = checks.get(n);
  if (!check && !complete) continue;
  const result = check ? verdict(check) : 'missing';
  totals[result.split(':')[0]] += 1;
  const partly = check && check.passed && check.reasons.length
    ? `; in part it does not apply: ${check.reasons[0]}` : '';
  console.log(`${String(n).padStart(4)}  ${result}${partly}${check ? named(check) : ''}`);
}
console.log(`\nchecks: ${Object.entries(totals).filter(([, n]) => n)
  .map(([what, n]) => `${n} ${what}`).join(', ')}`);
process.exitCode = totals.missing ? 1 : 0;
