'use strict';
// The program in the README, taken out of it, built as the README says against
// an installed library, and chatted with.

const { test } = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { Process, run, ROOT, BUILD, OUTPUT } = require('../lib/process');
const { freePort } = require('../lib/servers');
const { until } = require('../lib/until');
const { connect, closeAll } = require('../lib/clients');

const sanitized = /asan/.test(BUILD);

async function must(command, args, options) {
  const r = await run(command, args, { ms: 120000, ...options });
  assert.equal(r.code, 0, r.output);
  return r.output.trim();
}

test('the program of the README compiles against the installed library and chats',
  { skip: sanitized && 'the library is instrumented' }, async () => {
    const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
    const program = /```c\n([^]*?)```/.exec(readme)[1];
    const dir = path.join(OUTPUT, 'program');
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, 'chat.c'), program);

    await must('make', ['install', `PREFIX=${dir}/usr`], { name: 'install' });
    const env = { PKG_CONFIG_PATH: path.join(dir, 'usr/lib/pkgconfig') };
    const flags = await must('pkg-config', ['--cflags', '--libs', 'confab'], { env });
    await must('cc', [`${dir}/chat.c`, '-Wall', '-Wextra', '-Werror',
      ...flags.split(/\s+/), '-o', `${dir}/chat`]);

    const port = await freePort();
    const chat = new Process('chat', `${dir}/chat`, [],
      { env: { CONFAB_LISTEN_PORT: String(port), CONFAB_LISTEN_HOST: '127.0.0.1', CONFAB_DRAIN_NOTICE_MS: '0' } });
    try {
      const url = `http://127.0.0.1:${port}`;
      await until(() => fetch(`${url}/healthz`).then((r) => r.ok, () => false),
        5000, 'the program serves');
      const [a, b] = await Promise.all([
        connect(url, '/', { name: 'upgrade', options: {} }),
        connect(url, '/', { name: 'upgrade', options: {} })]);
      const heard = new Promise((resolve) => b.on('chat message', resolve));
      const ack = await a.timeout(5000).emitWithAck('chat message', 'hello');
      assert.deepEqual(ack, { ok: true });
      assert.equal(await heard, 'hello');
    } finally {
      closeAll();
      await chat.stop();
    }
  });

test('an emitter compiles against the installed library, in C and C++',
  { skip: sanitized && 'the library is instrumented' }, async () => {
    const dir = path.join(OUTPUT, 'emitter');
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, 'emit.c'), `
#include <confab/sio_emitter.h>
int main(int argc, char **argv)
{
    struct sio_emitter *em = sio_emitter_new(argv[argc - 1], NULL);
    struct sio_emission news = sio_emission_of(em, "/");
    sio_emission_to(&news, SIO_STR("readers"));
    sio_emission_to_number(&news, 7);
    if (sio_emitter_emit(&news, "news", "{title:s}", "It works") < 0)
        puts(sio_emitter_error(em));
    sio_emitter_free(em);
}
`);
    await must('make', ['install', `PREFIX=${dir}/usr`], { name: 'install' });
    const env = { PKG_CONFIG_PATH: path.join(dir, 'usr/lib/pkgconfig') };
    const flags = (await must('pkg-config', ['--cflags', '--libs', 'confab'], { env })).split(/\s+/);
    const warn = ['-Wall', '-Wextra', '-Werror'];
    await must('cc', [`${dir}/emit.c`, ...warn, ...flags, '-o', `${dir}/emit`]);
    await must('clang', ['-x', 'c++', '-fsyntax-only', ...warn, `${dir}/emit.c`, ...flags.filter((f) => f.startsWith('-I'))]);
    const port = await freePort();
    const said = await must(`${dir}/emit`, [`redis://127.0.0.1:${port}`]);
    assert.equal(said, `cannot connect to Redis at 127.0.0.1:${port}: Connection refused`);
    assert.match(await must(`${dir}/usr/bin/confabctl`, ['--version']), /^confabctl /);
  });

test('the README names every setting, and no other', async () => {
  const printed = await run(path.join(BUILD, 'confab'), ['--print-config']);
  const keys = [];
  let section = '';
  for (const line of printed.output.split('\n')) {
    const m = /^( *)([a-z_]+):/.exec(line);
    if (m && !m[1]) section = m[2];
    else if (m) keys.push(`${section}.${m[2]}`);
  }
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const table = /## Configuration([^]*?)\n## /.exec(readme)[1];
  const named = [...table.matchAll(/^\| (`[^|]*) \|/gm)]
    .flatMap((m) => [...m[1].matchAll(/`([a-z_.]+)`/g)].map((k) => k[1]));
  assert.deepEqual(named.sort(), keys.sort());
});
