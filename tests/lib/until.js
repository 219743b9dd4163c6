'use strict';
// Waiting for conditions, always with a deadline.

// Sanitized builds are several times slower; their deadlines are too. Valgrind
// is slower still.
const SLOW = process.env.MEMCHECK ? 10 : /asan/.test(process.env.BUILD || '') ? 4 : 1;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Resolves with the first truthy value of fn, tried every few milliseconds.
async function until(fn, ms, what) {
  const end = Date.now() + ms * SLOW;
  for (let pause = 1; ; pause = Math.min(pause * 2, 16)) {
    const value = await fn();
    if (value) return value;
    if (Date.now() > end) {
      const text = typeof what === 'function' ? what() : what;
      throw new Error(`not within ${ms * SLOW} ms: ${text}`);
    }
    await sleep(pause);
  }
}

// The promise's value, or an error when it takes longer.
function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const text = typeof what === 'function' ? what() : what;
      reject(new Error(`not within ${ms * SLOW} ms: ${text}`));
    }, ms * SLOW);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

module.exports = { until, within, sleep, SLOW };
