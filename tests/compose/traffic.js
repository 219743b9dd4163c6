'use strict';
// People who talk all the time: node traffic.js URL CLIENTS PACE
// Each line on stdin is "judge" or "judge strictly": what has happened since the
// start, or the last one, is told in one line, "ok ..." or "not ok ...". Nobody
// may have missed a message, or got one twice; strictly, no handshake may have
// been refused, nobody away for longer than its reconnection delay allows, nor
// more than PACE closed in a second.
const path = require('node:path');
const readline = require('node:readline');
const { Crowd, AWAY_MS } = require('../lib/people');

const here = path.resolve(__dirname, '../..');
const { io } = require(require.resolve('socket.io-client', {
  paths: [path.join(here, 'tests'), path.join(here, 'build/bundle/npm')],
}));

const [url, clients, pace] = process.argv.slice(2);

function complaint(seen) {
  if (!seen.due || !seen.handshakes || !seen.away.length) return 'nothing happened';
  if (seen.bad.length) return `handshakes were refused: ${seen.bad[0]}`;
  if (seen.longest >= AWAY_MS) return 'someone was away for too long';
  if (seen.mostInASecond > 1.25 * pace + 2) return 'too many were closed together';
  return '';
}

(async () => {
  const crowd = new Crowd(io, url, Number(clients));
  await crowd.settles();
  crowd.begin();
  console.log('ok');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      const seen = await crowd.judge();
      const why = line.trim() === 'judge strictly' ? complaint(seen) : '';
      console.log(`${why ? `not ok ${why}:` : 'ok'} ${seen.messages} messages, ${seen.due} deliveries due, ${
        seen.bad.length} of ${seen.handshakes} handshakes refused, ${seen.away.length} times away, at most ${
        seen.longest} ms, at most ${seen.mostInASecond} closed in a second`);
    } catch (e) {
      console.log(`not ok ${e.message}`);
    }
    crowd.begin();
  }
  process.exit(0);
})();
