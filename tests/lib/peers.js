'use strict';
// Clients of several kinds behind one interface, so that one script can be run
// with all of them:
//   open({ url, mode, namespaces, auth, reconnection }) -> opened
//   opened.emit/ask(namespace, event, ...args), opened.take(namespace, event),
//   opened.close()
// "connect", "connect_error" and "disconnect" are taken like events. A question
// of the server ("question") is answered with its arguments, the last one first.

const { spawn, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { Inbox } = require('./clients');
const { within, until } = require('./until');

const BROWSER_ARGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
const HEARD = ['auth', 'message-back', 'asked', 'to-room', 'vol', 'bye', 'connect', 'connect_error', 'disconnect'];

// Keeps what was heard until a test takes it, for each namespace.
class Heard {
  constructor() {
    this.inboxes = {};
  }

  of(namespace) {
    this.inboxes[namespace] ||= new Inbox({ onAny() {} });
    return this.inboxes[namespace];
  }

  hear(namespace, event, args) {
    this.of(namespace).all.push({ event, args });
  }

  take(namespace, event, ms) {
    return this.of(namespace).take(event, ms);
  }

  count(namespace, event) {
    return this.of(namespace).count(event);
  }
}

// ---- socket.io-client, any version -------------------------------------------

class JavaScriptClient extends Heard {
  constructor(module, { url, mode, namespaces, auth, reconnection }) {
    super();
    this.sockets = {};
    // revision 3 has no auth: applications use the query
    this.legacy = module.protocol < 5;
    const query = this.legacy ? { query: auth } : {};
    this.manager = new module.Manager(url, {
      autoConnect: false, reconnection, reconnectionDelay: 50, reconnectionDelayMax: 200, ...mode.options, ...query,
    });
    for (const namespace of namespaces) this.add(this.manager.socket(namespace, { auth, ...query }), namespace);
    for (const s of Object.values(this.sockets)) s.connect();
  }

  add(socket, namespace) {
    this.sockets[namespace] = socket;
    for (const event of HEARD) {
      socket.on(event, (...args) => {
        this.hear(namespace, event,
          event === 'connect_error' ? [{ message: args[0].message, data: args[0].data }] : args);
      });
    }
    // what revision 3 calls a refusal
    if (this.legacy) socket.on('error', (data) => this.hear(namespace, 'connect_error', [{ message: 'not authorized', data }]));
    socket.on('question', (...args) => args.pop()(...args.reverse()));
  }

  emit(namespace, event, ...args) {
    this.sockets[namespace].emit(event, ...args);
  }

  // The first argument of the answer, or all when there are several.
  ask(namespace, event, ...args) {
    return within(new Promise((resolve) => {
      this.sockets[namespace].emit(event, ...args, (...answer) => {
        resolve(answer.length > 1 ? answer : answer[0]);
      });
    }), 10000, `an answer to ${event}`);
  }

  close() {
    this.manager.reconnection(false);
    for (const s of Object.values(this.sockets)) s.close();
    this.manager.engine?.close();
  }
}

// ---- python-socketio -----------------------------------------------------------

const encode = (v) => {
  if (Buffer.isBuffer(v)) return { $bytes: v.toString('base64') };
  if (Array.isArray(v)) return v.map(encode);
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, encode(x)]));
  return v;
};
const decode = (v) => {
  if (Array.isArray(v)) return v.map(decode);
  if (v && typeof v === 'object') {
    if ('$bytes' in v) return Buffer.from(v.$bytes, 'base64');
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, decode(x)]));
  }
  return v;
};

// The interpreter of the distribution, whose packages these are.
const PYTHON = '/usr/bin/python3';

class PythonClient extends Heard {
  constructor(options) {
    super();
    this.waiting = new Map();
    this.errors = '';
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', PYTHON, path.join(__dirname, 'client.py')]);
    this.child.stderr.on('data', (d) => { this.errors += d; });
    this.child.stdin.on('error', () => {});
    let rest = '';
    this.child.stdout.on('data', (d) => {
      const lines = (rest + d).split('\n');
      rest = lines.pop();
      for (const line of lines) this.line(JSON.parse(line));
    });
    this.opened = this.command('open', {
      url: options.url, namespaces: options.namespaces, auth: options.auth,
      reconnection: options.reconnection, transports: options.mode.options.transports,
    });
    this.opened.catch(() => {}); // refusals are heard as "connect_error"
  }

  line(m) {
    if (m.heard) {
      this.hear(m.namespace, m.heard, decode(m.args));
      return;
    }
    const { resolve, reject } = this.waiting.get(m.id);
    this.waiting.delete(m.id);
    if (m.error) reject(new Error(m.error));
    else resolve(decode(m.value));
  }

  command(name, more) {
    const id = this.next = (this.next || 0) + 1;
    return within(new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.child.stdin.write(`${JSON.stringify({ do: name, id, client: 'c', ...encode(more) })}\n`);
    }), 20000, () => `python does ${name}; ${this.errors}`);
  }

  emit(namespace, event, ...args) {
    return this.command('emit', { namespace, event, args });
  }

  ask(namespace, event, ...args) {
    return this.command('ask', { namespace, event, args });
  }

  async close() {
    await this.command('close', {}).catch(() => {});
    this.child.kill('SIGKILL');
    await until(() => this.child.exitCode !== null || this.child.signalCode, 5000, 'python ends');
  }
}

function python() {
  const version = execFileSync(PYTHON,
    ['-c', 'import importlib.metadata as m; print(m.version("python-socketio"))'], { encoding: 'utf8' });
  return { name: `python-socketio ${version.trim()}`, reasons: false, ordered: false, open: (options) => new PythonClient(options) };
}

// ---- a browser ------------------------------------------------------------------

// Runs in the page, where the served bundle has made `io`.
function inPage({ url, transport, namespaces, auth, reconnection, heard }) {
  const encoded = (v) => {
    if (v instanceof ArrayBuffer) return { $bytes: btoa(Array.from(new Uint8Array(v), (c) => String.fromCharCode(c)).join('')) };
    if (Array.isArray(v)) return v.map(encoded);
    if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, encoded(x)]));
    return v;
  };
  const decoded = (v) => {
    if (Array.isArray(v)) return v.map(decoded);
    if (v && typeof v === 'object') {
      if ('$bytes' in v) return Uint8Array.from(atob(v.$bytes), (c) => c.charCodeAt(0));
      return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, decoded(x)]));
    }
    return v;
  };
  const manager = new window.io.Manager(url, {
    autoConnect: false, reconnection, reconnectionDelay: 50, reconnectionDelayMax: 200, ...transport });
  const sockets = {};
  for (const namespace of namespaces) {
    const s = sockets[namespace] = manager.socket(namespace, { auth });
    for (const event of heard) {
      s.on(event, (...args) => window.hear(namespace, event,
        encoded(event === 'connect_error' ? [{ message: args[0].message, data: args[0].data }]
          : event === 'disconnect' ? [args[0]] : args)));
    }
    s.on('question', (...args) => args.pop()(...args.reverse()));
    s.connect();
  }
  window.peer = {
    emit: (namespace, event, args) => { sockets[namespace].emit(event, ...decoded(args)); },
    ask: (namespace, event, args) => new Promise((resolve) => {
      sockets[namespace].emit(event, ...decoded(args), (...answer) => resolve(encoded(answer.length > 1 ? answer : answer[0])));
    }),
  };
}

class BrowserClient extends Heard {
  async open(browser, { url, mode, namespaces, auth, reconnection }) {
    this.page = await browser.newPage();
    await this.page.exposeFunction('hear', (namespace, event, args) => this.hear(namespace, event, decode(args)));
    await this.page.goto(`${url}/fixture.txt`);
    await this.page.addScriptTag({ url: '/socket.io/socket.io.js' });
    await this.page.evaluate(inPage, { url, transport: mode.options, namespaces, auth, reconnection, heard: HEARD });
    return this;
  }

  call(what, namespace, event, args) {
    return within(this.page.evaluate(([w, n, e, a]) => window.peer[w](n, e, a), [what, namespace, event, encode(args)]),
      10000, `the browser's ${event}`).then(decode);
  }

  emit(namespace, event, ...args) {
    return this.call('emit', namespace, event, args);
  }

  ask(namespace, event, ...args) {
    return this.call('ask', namespace, event, args);
  }

  close() {
    return this.page.close();
  }
}

// One browser for all pages; `end` closes it.
function browser() {
  let launched;
  const launch = () => {
    launched ||= require('playwright-core').chromium.launch({ executablePath: '/usr/bin/chromium', args: BROWSER_ARGS });
    return launched;
  };
  return {
    name: 'Chromium', reasons: true, ordered: true,
    open: async (options) => new BrowserClient().open(await launch(), options),
    end: async () => { if (launched) await (await launched).close(); },
  };
}

// ---- all of them ----------------------------------------------------------------

function javascript(module, protocol3 = false) {
  const m = require(module);
  const { version } = JSON.parse(fs.readFileSync(require.resolve(`${module}/package.json`), 'utf8'));
  return {
    name: `socket.io-client ${version}`, reasons: true, ordered: true, protocol3,
    open: (options) => new JavaScriptClient(m, options),
  };
}

const PEERS = [
  javascript('socket.io-client'),
  javascript('socket.io-client-40'),
  javascript('socket.io-client-3'),
  // speaks revision 3 of the protocol: switched on where the server admits it
  javascript('socket.io-client-2', true),
  python(),
  browser(),
];

module.exports = { PEERS };
