'use strict';
// Presence on one node; tests/cluster has the rest.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture, REFERENCE } = require('../lib/servers');
const { serving, onEachTransport, join, settle } = require('../lib/suite');
const { alsoConnect, ask } = require('../lib/clients');
const { until } = require('../lib/until');

const byId = (a, b) => (a[0] < b[0] ? -1 : 1);

describe('presence', { skip: REFERENCE && 'confab only' }, () => {
  const server = serving(startFixture);

  onEachTransport((mode) => {
    const group = `group ${mode.name}`;

    test('sockets enter, change and leave', async () => {
      const watcher = await join(server, '/', mode);
      await ask(watcher, 'join', 'presence-observers');
      const [a, b] = [await join(server, '/', mode), await join(server, '/', mode)];
      assert.equal(await ask(a, 'presence-count', group), 0);
      assert.deepEqual(await ask(a, 'presence-list', group), []);

      assert.equal(await ask(a, 'presence-set', group, { name: 'é' }), 0);
      assert.deepEqual(await watcher.inbox.take('presence'), ['enter', group, a.id, { name: 'é' }]);
      assert.equal(await ask(b, 'presence-set', group, 7), 0);
      assert.deepEqual(await watcher.inbox.take('presence'), ['enter', group, b.id, 7]);
      assert.equal(await ask(watcher, 'presence-count', group), 2);
      assert.deepEqual((await ask(watcher, 'presence-list', group)).sort(byId),
        [[a.id, { name: 'é' }], [b.id, 7]].sort(byId));

      assert.equal(await ask(a, 'presence-set', group, 'changed'), 0);
      assert.deepEqual((await watcher.inbox.take('presence')).slice(0, 3), ['update', group, a.id]);
      assert.equal(await ask(watcher, 'presence-count', group), 2);
      assert.deepEqual((await ask(watcher, 'presence-list', group)).find(([id]) => id === a.id)[1], 'changed');

      await ask(a, 'presence-clear', group);
      await ask(a, 'presence-clear', group);
      assert.deepEqual((await watcher.inbox.take('presence')).slice(0, 3), ['leave', group, a.id]);
      const { id } = b;
      b.disconnect();
      assert.deepEqual((await watcher.inbox.take('presence')).slice(0, 3), ['leave', group, id]);
      assert.equal(await ask(watcher, 'presence-count', group), 0);
      await settle(watcher);
      assert.equal(watcher.inbox.count('presence'), 0);
    });

    test('a socket may be in several groups, and leaves all', async () => {
      const [a, watcher] = [await join(server, '/', mode), await join(server)];
      const groups = ['', 'x', 'é', 'y'.repeat(100)].map((g) => `${group}/${g}`);
      for (const g of groups) await ask(a, 'presence-set', g, g);
      for (const g of groups) {
        assert.deepEqual(await ask(watcher, 'presence-list', g), [[a.id, g]]);
      }
      a.disconnect();
      for (const g of groups) {
        await until(async () => await ask(watcher, 'presence-count', g) === 0, 3000, 'group empties');
      }
    });

    test('namespaces have groups of their own', async () => {
      const root = await join(server, '/', mode);
      const custom = await alsoConnect(root, '/custom');
      await ask(root, 'presence-set', group, 1);
      assert.equal(await ask(custom, 'presence-count', group), 0);
      assert.equal(await ask(root, 'presence-count', group), 1);
    });
  });

  test('100 come and go, and none is left', async () => {
    const watcher = await join(server);
    const all = await Promise.all([...Array(100).keys()].map(() => join(server)));
    await Promise.all(all.map((s) => ask(s, 'presence-set', 'crowd', s.id)));
    assert.equal(await ask(watcher, 'presence-count', 'crowd'), 100);
    for (const s of all) s.io.engine.close();
    await until(async () => await ask(watcher, 'presence-count', 'crowd') === 0, 5000, 'crowd is gone');
  });
});
