'use strict';
// What an operator does with a running node and an installed one: reload,
// secrets in files, systemd, manual pages, completion.

const { test, describe, before, after } = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { Process, run, ROOT, BUILD, OUTPUT } = require('../lib/process');
const { startNode, startRedis, freePort, REFERENCE } = require('../lib/servers');
const { until } = require('../lib/until');
const { connect, closeAll } = require('../lib/clients');

const CONFAB = path.join(BUILD, 'confab');
const fresh = (name) => {
  const dir = path.join(OUTPUT, name);
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  return dir;
};
const write = (file, text, mode = 0o600) => {
  fs.writeFileSync(file, text);
  fs.chmodSync(file, mode);
  return file;
};
const count = (text, pattern) => [...text.matchAll(pattern)].length;

async function must(command, args, options) {
  const r = await run(command, args, { ms: 120000, ...options });
  assert.equal(r.code, 0, r.output);
  return r.output;
}

async function refuses(args, pattern, env) {
  const { code, output } = await run(CONFAB, ['--set', 'listen.port=0', ...args], { env });
  assert.equal(code, 2, output);
  assert.match(output, pattern);
}

describe('SIGHUP', { skip: REFERENCE }, () => {
  after(closeAll);

  test('changes what can change, names what cannot, and ends no connection', async () => {
    const dir = fresh('reload');
    const file = write(path.join(dir, 'node.yaml'),
      'log: {level: info}\nlimits: {sessions: 1000}\nengine: {path: /socket.io}\n');
    const node = await startNode({ args: ['-c', file] });
    const client = await connect(node.url, '/', { name: 'websocket', options: { transports: ['websocket'] } });
    write(file, 'log: {level: debug}\nlimits: {sessions: 1}\nengine:\n'
      + '  cors_origins: [https://a.example]\n  ping_interval_ms: 26000\n');
    node.signal('SIGHUP');
    await node.says(/ reloaded /);
    const said = node.output();
    for (const key of ['log.level', 'limits.sessions', 'engine.cors_origins']) {
      assert.match(said, new RegExp(`setting_changed.*key=${key.replace('.', '\\.')}\\b`));
    }
    assert.match(said, /setting_needs_restart.*key=engine\.ping_interval_ms/);
    assert.equal(count(said, /setting_(changed|needs_restart)/g), 4, said);
    const poll = () => fetch(`${node.url}/socket.io/?EIO=4&transport=polling`,
      { headers: { Origin: 'https://a.example' } });
    assert.equal((await poll()).status, 503, 'one session is there, and one is allowed');
    client.disconnect();
    const r = await until(async () => {
      const answer = await poll();
      return answer.status === 200 && answer;
    }, 5000, 'a place');
    assert.equal(r.headers.get('access-control-allow-origin'), 'https://a.example');
    assert.match(await r.text(), /"pingInterval":25000/);
    await node.stop();
  });

  test('a mistake in the file changes nothing and is logged with its place', async () => {
    const dir = fresh('mistake');
    const file = write(path.join(dir, 'node.yaml'), 'log: {level: info}\n');
    const node = await startNode({ args: ['-c', file] });
    write(file, 'log:\n  level: debug\n  fromat: json\n');
    node.signal('SIGHUP');
    await node.says(/reload_failed.*node\.yaml:3:3.*did you mean log\.format/);
    write(file, 'log: {level: debug}\nengine: {cors_enforce: true}\n');
    node.signal('SIGHUP');
    await node.says(/reload_failed.*cors_enforce/);
    assert.doesNotMatch(node.output(), /setting_changed/);
    write(file, 'log: {format: json}\n');
    node.signal('SIGHUP');
    await node.says(/"event":"reloaded"/);
    await node.stop();
  });

  test('a new password of Redis serves the next connection', async () => {
    const dir = fresh('login');
    const redis = await startRedis();
    const cli = (...args) => must('redis-cli', ['-p', String(redis.port), ...args]);
    await cli('acl', 'setuser', 'chat', 'on', '>first', '~*', '&*', '+@all');
    const url = (password) => `redis://chat:${password}@127.0.0.1:${redis.port}\n`;
    const file = write(path.join(dir, 'url'), url('first'));
    const node = await startNode({ set: { 'adapter.type': 'redis', 'redis.url_file': file } });
    const ready = async () => (await (await fetch(`${node.url}/readyz`)).json()).status === 'ready';
    await until(ready, 10000, 'Redis to be there');
    await cli('acl', 'setuser', 'chat', '>second', '<first');
    write(file, url('second'));
    node.signal('SIGHUP');
    await node.says(/setting_changed.*key=redis\.url/);
    assert.doesNotMatch(node.output(), /first|second/);
    const lost = /redis_lost/g;
    await cli('client', 'kill', 'type', 'pubsub');
    await cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await until(() => count(node.output(), lost) >= 2, 10000, 'both connections to be lost');
    await until(ready, 15000, 'Redis to be there again, with the new password');
    write(file, `redis://chat:second@127.0.0.1:${redis.port}/3\n`);
    node.signal('SIGHUP');
    await node.says(/setting_needs_restart.*key=redis\.url/);
    await node.stop();
    await redis.stop();
  });
});

describe('secrets in files', { skip: REFERENCE }, () => {
  test('one that everybody may read is refused, and so is what is no secret', async () => {
    const dir = fresh('secrets');
    const file = (name, text, mode) => write(path.join(dir, name), text, mode);
    const refused = (f, pattern) => refuses(['--set', `redis.url_file=${f}`], pattern);
    await refused(file('open', 'redis://:geheim@127.0.0.1\n', 0o644),
      /redis\.url_file: .*open: everybody may read this secret; chmod o-r it/);
    await refused(file('empty', '\n'), /empty: is empty/);
    await refused(file('lines', 'redis://a\nredis://b\n'), /lines: must be one line/);
    await refused(file('long', 'x'.repeat(5000)), /long: longer than 4096 bytes/);
    await refused(path.join(dir, 'none'), /none: No such file/);
    fs.mkdirSync(path.join(dir, 'folder'), { mode: 0o700 });
    await refused(path.join(dir, 'folder'), /Is a directory/);
    await must('mkfifo', ['-m', '600', path.join(dir, 'pipe')]);
    await refused(path.join(dir, 'pipe'), /pipe: is empty/);
  });

  test('confabctl takes the same file, and nobody prints what is in it', async () => {
    const dir = fresh('ctl');
    const port = await freePort();
    const file = write(path.join(dir, 'url'), `redis://:geheim@127.0.0.1:${port}\r\n`, 0o440);
    const r = await run(path.join(BUILD, 'confabctl'), ['emit', 'news'],
      { env: { CONFAB_REDIS_URL_FILE: file } });
    assert.equal(r.code, 1);
    assert.match(r.output, new RegExp(`cannot connect to Redis at 127.0.0.1:${port}`));
    const printed = await must(CONFAB, ['--set', `redis.url_file=${file}`, '--print-config']);
    assert.match(printed, /url: "\*{8}"/);
    assert.doesNotMatch(printed + r.output, /geheim/);
  });
});

describe('systemd', { skip: REFERENCE }, () => {
  test('is told of start, reload and stop, and its watchdog is fed', async () => {
    const socket = path.join(fs.mkdtempSync('/tmp/confab-notify-'), 's');
    const systemd = new Process('notified', 'python3', [path.join(ROOT, 'tests/lib/notified.py'), socket]);
    await systemd.says(/listening/);
    const node = await startNode({ env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' } });
    await systemd.says(/^READY=1$/m);
    await systemd.says(/(^WATCHDOG=1\n){3}/m);
    node.signal('SIGHUP');
    await systemd.says(/^RELOADING=1 MONOTONIC_USEC=\d+\n(WATCHDOG=1\n)*READY=1$/m);
    await node.stop();
    await systemd.says(/^STOPPING=1$/m);
    await systemd.kill9();
    fs.rmSync(path.dirname(socket), { recursive: true });
  });
});

describe('an installed confab', { skip: REFERENCE || /asan/.test(BUILD) }, () => {
  let usr;
  before(async () => {
    usr = path.join(fresh('installed'), 'usr');
    await must('make', ['install', `PREFIX=${usr}`], { name: 'install' });
  });

  test('has a unit that systemd accepts and calls well protected', async () => {
    const unit = path.join(usr, 'lib/systemd/system/confab@.service');
    const instance = path.join(path.dirname(unit), 'confab@1.service');
    fs.copyFileSync(unit, instance);
    const verified = await run('systemd-analyze', ['verify', '--man=no', instance]);
    assert.equal(verified.output.trim(), '');
    assert.equal(verified.code, 0);
    // From 0, which nothing gets through, to 10.
    const { output } = await run('systemd-analyze', ['security', '--offline=yes', '--threshold=25', instance]);
    const exposure = Number(/Overall exposure level for confab@1.service: ([\d.]+)/.exec(output)[1]);
    assert.ok(exposure <= 2.5, `exposure ${exposure}`);
    assert.match(fs.readFileSync(unit, 'utf8'), new RegExp(`^ExecStart=${usr}/bin/confab `, 'm'));
  });

  test('has manual pages without a mistake that name every option and setting', async () => {
    const page = (file) => path.join(usr, 'share/man', file);
    const pages = ['man1/confab.1', 'man1/confabctl.1', 'man5/confab.yaml.5'];
    for (const file of pages) {
      const lint = await run('mandoc', ['-T', 'lint', '-W', 'warning', page(file)]);
      assert.equal(lint.output.replace(/^mandoc: outdated.*\n?/gm, '').trim(), '');
    }
    for (const program of ['confab', 'confabctl']) {
      const help = await must(path.join(BUILD, program), ['--help']);
      const text = await must('sh', ['-c', `mandoc -T utf8 ${page(`man1/${program}.1`)} | col -b`]);
      const own = program === 'confabctl' ? ['top', 'drain', 'doctor', 'bench'] : [];
      const helps = await Promise.all(own.map((c) => must(path.join(BUILD, program), [c, '--help'])));
      for (const [option] of [help, ...helps].join('').matchAll(/(?<![-\w])--[a-z][-a-z]+/g)) {
        assert.match(text, new RegExp(`${option}\\b`), `${option} in ${program}(1)`);
      }
      for (const command of own) assert.match(text, new RegExp(`^ +${command}\\b`, 'm'));
    }
    const settings = fs.readFileSync(page(pages[2]), 'utf8');
    const printed = await must(CONFAB, ['--print-config']);
    assert.equal(count(settings, /^\.It Cm [a-z]+\.[a-z0-9_]+$/gm), count(printed, /^ {2}[a-z0-9_]+:/gm));
  });

  test('completes options, settings and commands in bash', async () => {
    const complete = async (program, ...words) => {
      const script = `PATH=${usr}/bin:$PATH
        . ${usr}/share/bash-completion/completions/${program}
        COMP_WORDS=(${[program, ...words].map((w) => `'${w}'`).join(' ')})
        COMP_CWORD=${words.length}
        _${program} ${program}; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await must('bash', ['-c', script])).trim().split('\n');
    };
    assert.deepEqual(await complete('confab', '--pri'), ['--print-config']);
    assert.deepEqual(await complete('confab', '--set', 'redis.u'), ['redis.url=', 'redis.url_file=']);
    assert.deepEqual(await complete('confabctl', 'server-'), ['server-emit']);
    assert.deepEqual(await complete('confabctl', 'emit', '--vol'), ['--volatile']);
    for (const command of ['top', 'drain', 'doctor', 'bench']) {
      assert.deepEqual(await complete('confabctl', command), [command]);
    }
    assert.deepEqual(await complete('confabctl', 'top', '--o'), ['--once']);
    assert.deepEqual(await complete('confabctl', 'bench', '--transport', 'p'), ['polling']);
  });
});
