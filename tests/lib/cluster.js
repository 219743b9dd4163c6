'use strict';
// Redis, a balancer and nodes, as `make cluster` runs them, on ports of their own.

const fs = require('node:fs');
const path = require('node:path');
const { metricsOf } = require('./metrics');
const { Process, ROOT, BUILD, OUTPUT } = require('./process');
const { figureAt } = require('./balancer');
const { AT_ONCE } = require('./servers');
const { until, SLOW } = require('./until');

let clusters = 0;

const alive = (pid) => {
  try {
    // a zombie is dead
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

// One of the processes of the script, known by the files that it keeps.
class Member {
  constructor(directory, name, port, adminPort) {
    this.directory = directory;
    this.name = name;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    if (adminPort) this.admin = `http://127.0.0.1:${adminPort}`;
  }

  get pid() {
    return Number(fs.readFileSync(path.join(this.directory, `${this.name}.pid`), 'utf8'));
  }

  // Where Prometheus finds it.
  get metricsAddress() {
    return new URL(this.admin || this.url).host;
  }

  log() {
    return fs.readFileSync(path.join(this.directory, `${this.name}.log`), 'utf8');
  }

  async kill9() {
    const { pid } = this;
    process.kill(pid, 'SIGKILL');
    await until(() => !alive(pid), 5000, `${this.name} dies`);
  }

  // Has it back, with the same name and port.
  async restart() {
    this.again = new Process(`${this.name}-again`, path.join(this.directory, `${this.name}.start`), []);
    await this.serves();
  }

  // Presence has found that many other nodes.
  knows(peers, ms = 10000) {
    return until(async () => (await metricsOf(this)).presence_peers === peers, ms, `${this.name} knows ${peers} others`);
  }

  serves(ms = 20000) {
    return until(async () => {
      try {
        return (await fetch(`${this.url}/readyz`)).ok;
      } catch {
        return false;
      }
    }, ms, `${this.name} is ready`);
  }
}

class Redis extends Member {
  constructor(directory, port) {
    super(directory, 'redis', port);
    this.url = `redis://127.0.0.1:${port}`;
  }

  serves(ms = 10000) {
    const { Connection } = require('./raw');
    return until(async () => {
      const c = new Connection({ port: this.port });
      try {
        c.write('PING\r\n');
        return String(await c.upTo('\r\n', 1000)) === '+PONG\r\n';
      } catch {
        return false;
      } finally {
        c.destroy();
      }
    }, ms, 'redis answers');
  }
}

class Balancer extends Member {
  constructor(directory, name, port, stats) {
    super(directory, name, port);
    this.stats = stats;
  }

  // A column of HAProxy's statistics, of a frontend, backend or server.
  figure(proxy, server, column) {
    return figureAt(this.stats, proxy, server, column);
  }

  // A new process takes over. The old one keeps the connections it has, until
  // BALANCER_HARD_STOP.
  async reload() {
    const began = this.log().length;
    process.kill(this.pid, 'SIGUSR2');
    await until(() => /Loading success/.test(this.log().slice(began)), 10000, () => `it has reloaded: ${this.log()}`);
  }
}

// set: "section.key" -> value, for every node; env: for the script.
async function startCluster({ nodes = 3, set = {}, redisUrl, name = 'cluster', env = {} } = {}) {
  clusters += 1;
  const directory = path.join(OUTPUT, `${process.pid}-${name}-${clusters}`);
  fs.mkdirSync(directory, { recursive: true });
  const script = new Process(name, path.join(ROOT, 'deploy/cluster.sh'), [], {
    env: {
      NODES: String(nodes), PORT: '0', BUILD, CLUSTER_DIR: directory,
      START_SECONDS: String(30 * SLOW), STOP_SECONDS: '20',
      NODE_ARGS: Object.entries({ ...AT_ONCE, ...set }).map(([k, v]) => `--set ${k}=${v}`).join(' '),
      ...(redisUrl ? { REDIS_URL: redisUrl } : {}), ...env,
    },
  });
  const ready = await script.says(/^ready url=(\S+) nodes=(\S+) redis=(\S+) balancer=(\d+) stats=(\S+)/m, 40000);
  const cluster = {
    script,
    directory,
    url: ready[1],
    port: Number(new URL(ready[1]).port),
    nodes: ready[2].split(',').map((n) => {
      const [node, , port, adminPort] = n.split(':');
      return new Member(directory, node, Number(port), Number(adminPort));
    }),
    redis: ready[3] === 'none' ? null : new Redis(directory, Number(ready[3])),
    balancer: new Balancer(directory, env.BALANCER || 'haproxy', Number(new URL(ready[1]).port), ready[5]),

    // Those that still live must end well.
    async stop() {
      await script.stop(30000);
      for (const m of [...cluster.nodes, cluster.redis]) {
        if (m?.again && !m.again.ended) await m.again.kill9();
      }
      for (const n of cluster.nodes) {
        const report = /ERROR: AddressSanitizer|runtime error:|LeakSanitizer/.exec(n.log());
        if (report) throw new Error(`${n.name}: ${n.log().slice(report.index, report.index + 3000)}`);
      }
    },
  };
  // A node is ready before it has heard from the others.
  for (const n of cluster.nodes) await n.knows(nodes - 1);
  return cluster;
}

module.exports = { startCluster };
