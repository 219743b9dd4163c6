'use strict';
// Checks 127 and 128: the browser client that the server gives out.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { get } = require('../lib/raw');
const { isError } = require('../lib/conformance');

const server = serving(startFixture);
const { version } = require('socket.io-client/package.json');

test('127 the bundle, and 304 for those who have it', async () => {
  const r = await get(server, '/socket.io/socket.io.min.js');
  assert.equal(r.status, 200);
  assert.equal(r.headers.etag, `"${version}"`);
  assert.equal(r.headers['content-type'], 'application/javascript; charset=utf-8');
  assert.equal(r.headers['cache-control'], 'public, max-age=0');
  assert.ok(String(r.body).includes(`v${version}`));
  const again = await get(server, '/socket.io/socket.io.min.js', { 'If-None-Match': `W/"${version}"` });
  assert.equal(again.status, 304);
});

test('128 maps are JSON, other names are no files, the query does not matter', async () => {
  const map = await get(server, '/socket.io/socket.io.min.js.map');
  assert.equal(map.headers['content-type'], 'application/json; charset=utf-8');
  isError(await get(server, '/socket.io/socket.io.esm.js'), 0);
  assert.equal((await get(server, '/socket.io/socket.io.js?v=1')).status, 200);
});
