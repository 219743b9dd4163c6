'use strict';
// Where Redis is, beyond a host and a port: a cluster works the same, and comes
// back the same when Redis was away.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { startFixture, startNodeJsPeer, startRedis } = require('../lib/servers');
const { join } = require('../lib/suite');
const { ask, closeAll } = require('../lib/clients');
const { BUILD, run } = require('../lib/process');
const { until } = require('../lib/until');

describe('Redis at a unix socket', () => {
  const ROOM = 'places';
  const servers = {};
  const clients = {};
  let directory;
  let url;

  const start = () => startRedis({
    port: servers.redis?.port,
    args: ['--unixsocket', path.join(directory, 'redis.sock'), '--requirepass', 'se/cret'],
  });

  // Events to the room from each server, until one of each has come to all.
  async function heardByAll(event) {
    await until(async () => {
      for (const [name, c] of Object.entries(clients)) {
        c.emit('broadcast', { rooms: [ROOM], event: `${event}-${name}` }, 1);
      }
      return until(() => Object.values(clients).every((to) => Object.keys(clients)
        .every((name) => to.inbox.count(`${event}-${name}`))), 500, event).catch(() => false);
    }, 15000, () => `all servers hear each other; ${servers.confab.output}`);
  }

  before(async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'places-'));
    url = `unix://:se%2Fcret@${path.join(directory, 'redis.sock')}?db=3`;
    servers.redis = await start();
    servers.confab = await startFixture({ redis: url, name: 'confab' });
    servers.confab2 = await startFixture({ redis: url, name: 'confab-2' });
    servers.nodejs = await startNodeJsPeer({ redis: `redis://:se%2Fcret@127.0.0.1:${servers.redis.port}` });
    for (const name of ['confab', 'confab2', 'nodejs']) {
      clients[name] = await join(servers[name]);
      await ask(clients[name], 'join', ROOM);
    }
  });

  after(async () => {
    closeAll();
    for (const name of ['confab', 'confab2', 'nodejs', 'redis']) await servers[name]?.stop();
    fs.rmSync(directory, { recursive: true });
  });

  test('carries a cluster, and peers that come over TCP', () => heardByAll('first'));

  test('serves confabctl', async () => {
    const { code, output } = await run(path.join(BUILD, 'confabctl'),
      ['--redis', url, 'emit', '--to', ROOM, 'outside', '7'], { name: 'confabctl' });
    assert.equal(code, 0, output);
    for (const c of Object.values(clients)) assert.deepEqual(await c.inbox.take('outside'), [7]);
  });

  test('is found again when Redis comes back', async () => {
    await servers.redis.stop();
    const { code, output } = await run(path.join(BUILD, 'confabctl'),
      ['--redis', url, 'emit', 'nobody'], { name: 'confabctl-away' });
    assert.notEqual(code, 0);
    assert.match(output, /cannot connect to Redis at \/.*redis\.sock/);
    assert.doesNotMatch(output, /cret/);
    servers.redis = await start();
    await heardByAll('again');
  });
});
