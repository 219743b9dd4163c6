'use strict';
// The browser client that the server gives out.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { startFixture } = require('../lib/servers');
const { serving } = require('../lib/suite');
const { Connection, request, requestText, get } = require('../lib/raw');

const server = serving(startFixture);
const { version } = require('socket.io-client/package.json');
const dist = path.join(path.dirname(require.resolve('socket.io-client/package.json')), 'dist');

const FILES = ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js'];

for (const name of FILES.flatMap((f) => [f, `${f}.map`])) {
  test(`${name} is the official file`, async () => {
    const r = await get(server, `/socket.io/${name}`);
    assert.equal(r.status, 200);
    assert.equal(r.headers['content-type'], name.endsWith('.map')
      ? 'application/json; charset=utf-8' : 'application/javascript; charset=utf-8');
    assert.equal(r.headers['cache-control'], 'public, max-age=0');
    assert.equal(r.headers.etag, `"${version}"`);
    assert.ok(r.body.equals(fs.readFileSync(path.join(dist, name))), 'the same bytes');
  });
}

describe('compression', () => {
  const decoders = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync };
  for (const [accepted, coding] of [['gzip, deflate, br', 'gzip'], ['deflate', 'deflate'], ['br;q=0', undefined]]) {
    test(`for ${accepted}: ${coding}`, async () => {
      const plain = fs.readFileSync(path.join(dist, FILES[0]));
      for (let i = 0; i < 2; i++) {
        const r = await get(server, `/socket.io/${FILES[0]}`, { 'Accept-Encoding': accepted });
        assert.equal(r.headers['content-encoding'], coding);
        assert.equal(r.headers.etag, `"${version}"`);
        assert.ok((decoders[coding]?.(r.body) || r.body).equals(plain), 'the same bytes');
        if (coding) assert.ok(r.body.length < plain.length / 2);
      }
    });
  }
});

describe('revalidation', () => {
  for (const tag of [`"${version}"`, `W/"${version}"`]) {
    test(`${tag}: 304 without a body`, async () => {
      const c = new Connection(server);
      c.write(requestText('GET', '/socket.io/socket.io.min.js', { 'If-None-Match': tag }));
      const r = await c.response();
      assert.equal(r.status, 304);
      // the connection is still in step
      c.write(requestText('GET', '/socket.io/?EIO=4', {}));
      assert.equal((await c.response()).status, 400);
    });
  }
  for (const tag of ['"other"', version, `"${version}`, '', `""`]) {
    test(`${tag || 'an empty tag'}: 200`, async () => {
      const r = await get(server, '/socket.io/socket.io.min.js', { 'If-None-Match': tag });
      assert.equal(r.status, 200);
      assert.ok(r.body.length > 10000);
    });
  }
});

test('the query is ignored', async () => {
  assert.equal((await get(server, '/socket.io/socket.io.js?v=1&EIO=4')).status, 200);
});

test('HEAD has the headers only', async () => {
  const c = new Connection(server);
  c.write(requestText('HEAD', '/socket.io/socket.io.js'));
  const r = await c.response({ head: true });
  assert.equal(r.status, 200);
  assert.equal(r.headers.etag, `"${version}"`);
  c.write(requestText('GET', '/socket.io/?EIO=4'));
  assert.equal((await c.response()).status, 400);
});

test('other names are not files', async () => {
  for (const name of ['socket.io.esm.js', 'socket.io.js/', '..%2fsocket.io.js', 'version']) {
    const r = await request(server, 'GET', `/socket.io/${name}`);
    assert.equal(r.status, 400, name);
    assert.equal(JSON.parse(r.body).code, 0);
  }
});

test('a slow reader gets the whole file', async () => {
  const c = new Connection(server);
  c.socket.pause();
  for (let i = 0; i < 20; i++) c.write(requestText('GET', '/socket.io/socket.io.js.map'));
  await get(server, '/socket.io/?EIO=4');
  c.socket.resume();
  const expected = fs.readFileSync(path.join(dist, 'socket.io.js.map'));
  for (let i = 0; i < 20; i++) assert.ok((await c.response({ ms: 20000 })).body.equals(expected));
});
