'use strict';
// Child processes of a test. Each writes to a file of its own and dies with the
// test process, whatever ends that (the kernel sends SIGKILL to it then).

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { until, SLOW } = require('./until');

const ROOT = path.resolve(__dirname, '../..');
const BUILD = path.resolve(ROOT, process.env.BUILD || 'build');
// For e2e/rooms.test.js in e2e/rooms.
const FILE = path.resolve(process.argv[1] || 'repl');
const OUTPUT = path.join(
  process.env.TEST_OUTPUT || path.join(ROOT, 'build/test-output'),
  path.basename(path.dirname(FILE)), path.basename(FILE, '.test.js'));

// The programs that are tested may run under valgrind.
const MEMCHECK = (process.env.MEMCHECK || '').split(' ').filter(Boolean);

const SANITIZER = /ERROR: AddressSanitizer|runtime error:|LeakSanitizer/;

const running = new Set();
let started = 0;

process.on('exit', () => {
  for (const p of running) p.signal('SIGKILL');
});

class Process {
  constructor(name, command, args, { env = {}, cwd = ROOT, stdin = 'ignore' } = {}) {
    fs.mkdirSync(OUTPUT, { recursive: true });
    started += 1;
    this.name = name;
    this.log = path.join(OUTPUT, `${process.pid}-${started}-${name}.log`);
    const fd = fs.openSync(this.log, 'w');
    this.child = spawn(
      'setpriv', ['--pdeathsig', 'KILL', '--',
        ...(command.startsWith(BUILD) ? MEMCHECK : []), command, ...args],
      { cwd, env: { ...process.env, ...env }, stdio: [stdin, fd, fd] });
    fs.closeSync(fd);
    this.pid = this.child.pid;
    this.ended = null; // { code, signal } once it is
    running.add(this);
    this.exit = new Promise((resolve) => {
      const end = (code, signal) => {
        this.ended = { code, signal };
        running.delete(this);
        resolve(this.ended);
      };
      this.child.once('exit', end);
      this.child.once('error', (e) => {
        fs.appendFileSync(this.log, `${command}: ${e.message}\n`);
        end(127, null);
      });
    });
  }

  output() {
    return fs.readFileSync(this.log, 'utf8');
  }

  signal(name) {
    if (this.ended) return;
    try {
      process.kill(this.pid, name);
    } catch (e) {
      if (e.code !== 'ESRCH') throw e;
    }
  }

  // Waits until the output matches; the match is returned.
  async says(pattern, ms = 10000) {
    return until(() => {
      const m = pattern.exec(this.output());
      if (!m && this.ended) {
        throw new Error(`${this.name} ended (${JSON.stringify(this.ended)}) `
          + `before it said ${pattern}:\n${this.output().slice(-3000)}`);
      }
      return m;
    }, ms, () => `${this.name} says ${pattern}; it said:\n`
      + this.output().slice(-3000));
  }

  async exits(ms, what = 'end') {
    await until(() => this.ended, ms, `${this.name} (${this.log}) to ${what}`);
    return this.ended;
  }

  async kill9() {
    this.signal('SIGKILL');
    await this.exits(5000, 'die of SIGKILL');
  }

  // SIGTERM; anything but a clean exit in time is an error.
  async stop(ms = 10000) {
    if (!this.ended) {
      this.signal('SIGTERM');
      try {
        await this.exits(ms, 'stop after SIGTERM');
      } catch (e) {
        await this.kill9();
        throw e;
      }
      if (this.ended.code !== 0) {
        throw new Error(`${this.name} ended with ${JSON.stringify(this.ended)} `
          + `after SIGTERM, see ${this.log}:\n${this.output().slice(-3000)}`);
      }
    }
    this.checkSanitizers();
  }

  checkSanitizers() {
    const text = this.output();
    const m = SANITIZER.exec(text);
    if (m) {
      throw new Error(`${this.name}: ${text.slice(m.index, m.index + 3000)}`);
    }
  }

  descriptors() {
    return fs.readdirSync(`/proc/${this.pid}/fd`).length;
  }

  // Processor time used so far, in milliseconds.
  cpu() {
    const stat = fs.readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10; // 100 ticks a second
  }

  // Resident memory in kilobytes.
  rss() {
    const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]);
  }
}

// Runs to its end; for commands that answer and exit.
async function run(command, args, { env = {}, ms = 10000, name } = {}) {
  const p = new Process(name || path.basename(command), command, args, { env });
  const { code, signal } = await p.exits(ms).catch(async (e) => {
    await p.kill9();
    throw e;
  });
  p.checkSanitizers();
  return { code, signal, output: p.output() };
}

module.exports = { Process, run, ROOT, BUILD, OUTPUT, SLOW };
