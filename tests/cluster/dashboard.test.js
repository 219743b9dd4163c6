'use strict';
// What operators look at: the dashboard's queries, in a real Prometheus that reads
// a real cluster, find what they ask for.

const { describe, test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { startCluster } = require('../lib/cluster');
const { Process, run, ROOT, OUTPUT } = require('../lib/process');
const { freePort } = require('../lib/servers');
const { MODES, connect, closeAll } = require('../lib/clients');
const { until } = require('../lib/until');

const OBSERVABILITY = path.join(ROOT, 'deploy/observability');
const dashboard = JSON.parse(fs.readFileSync(path.join(OBSERVABILITY, 'dashboards/confab.json')));
const panels = dashboard.panels.filter((p) => p.type !== 'row');
// What Grafana puts in the place of its variables.
const RANGE = '10s';
const filled = (expr) => expr.replaceAll('$__rate_interval', RANGE).replaceAll('$instance', '.*');

// The configuration of the compose file, with addresses in the place of its names.
function configuration(targets) {
  let text = fs.readFileSync(path.join(OBSERVABILITY, 'prometheus.yml'), 'utf8');
  for (const [job, list] of Object.entries(targets)) {
    const found = new RegExp(`(job_name: ${job}\\n)    dns_sd_configs:\\n(      .*\\n)+`);
    assert.match(text, found);
    text = text.replace(found, `$1    static_configs: [{targets: [${list.map((t) => `'${t}'`)}]}]\n`);
  }
  return text.replace(/scrape_interval: .*/, 'scrape_interval: 500ms').replace(/scrape_timeout: .*/, 'scrape_timeout: 500ms');
}

describe('the dashboard', () => {
  let cluster;
  let prometheus;
  let talking;
  const query = async (expr) => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(expr)}`);
    const { status, data, error } = await answer.json();
    assert.equal(status, 'success', `${expr}: ${error}`);
    return data.result;
  };

  before(async () => {
    cluster = await startCluster({ name: 'observed' });
    const targets = {
      confab: cluster.nodes.map((n) => n.metricsAddress),
      haproxy: [`127.0.0.1:${cluster.balancer.stats}`],
    };
    fs.mkdirSync(OUTPUT, { recursive: true });
    const file = path.join(OUTPUT, `${process.pid}-prometheus.yml`);
    fs.writeFileSync(file, configuration(targets));
    const port = await freePort();
    prometheus = new Process('prometheus', 'prometheus', [
      `--config.file=${file}`, `--storage.tsdb.path=${OUTPUT}/${process.pid}-tsdb`,
      `--web.listen-address=127.0.0.1:${port}`]);
    prometheus.url = `http://127.0.0.1:${port}`;
    const all = [];
    for (const mode of [...MODES, ...MODES]) all.push(await connect(cluster.url, '/', mode));
    talking = setInterval(() => {
      for (const s of all) s.emit('chat message', 'hello');
    }, 50);
    // a rate takes two samples
    await until(async () => (await query(`count(rate(confab_events_in_total[${RANGE}]))`).catch(() => []))[0]?.value[1] === '3',
      20000, 'Prometheus knows all nodes');
  });
  after(async () => {
    clearInterval(talking);
    closeAll();
    await prometheus?.stop();
    await cluster?.stop();
  });

  test('Prometheus reads all nodes and the balancer', async () => {
    const up = await query('up');
    assert.deepEqual(up.map((u) => u.metric.job).sort(), ['confab', 'confab', 'confab', 'haproxy']);
    for (const u of up) assert.equal(u.value[1], '1', JSON.stringify(u.metric));
  });

  for (const panel of panels) {
    test(`shows ${panel.title}`, async () => {
      for (const { expr, legendFormat } of panel.targets) {
        const found = await until(async () => {
          const r = await query(filled(expr));
          return r.length && r;
        }, 5000, `${expr} finds something`);
        // the words of the legend are there
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          for (const series of found) assert.ok(series.metric[label], `${expr}: ${label}`);
        }
      }
    });
  }

  test('what it shows is what happens', async () => {
    const value = async (title) => {
      const panel = panels.find((p) => p.title === title);
      return Number((await query(filled(panel.targets[0].expr)))[0].value[1]);
    };
    assert.equal(await value('Nodes in rotation'), 3);
    await until(async () => await value('Events and deliveries') > 90, 15000, 'six clients say twenty things a second each');
    const sessions = await query(filled(panels.find((p) => p.title === 'Sessions by transport').targets[0].expr));
    assert.deepEqual(Object.fromEntries(sessions.map((s) => [s.metric.transport, s.value[1]])), { polling: '2', websocket: '4' });
  });

  test('its list of nodes is that of Prometheus', async () => {
    const [, metric, label] = /^label_values\((.*), (\w+)\)$/.exec(dashboard.templating.list[0].query.query);
    assert.deepEqual((await query(metric)).map((s) => s.metric[label]).sort(), cluster.nodes.map((n) => n.metricsAddress).sort());
  });
});

test('the configuration of the compose file is valid', async () => {
  const { code, output } = await run('promtool', ['check', 'config', path.join(OBSERVABILITY, 'prometheus.yml')]);
  assert.equal(code, 0, output);
});

test('panels do not overlap, and have numbers of their own', () => {
  const taken = new Set();
  for (const { gridPos: { x, y, w, h } } of dashboard.panels) {
    assert.ok(x + w <= 24);
    for (let i = x; i < x + w; i++) {
      for (let j = y; j < y + h; j++) {
        assert.ok(!taken.has(`${i},${j}`), `${i},${j}`);
        taken.add(`${i},${j}`);
      }
    }
  }
  assert.equal(new Set(dashboard.panels.map((p) => p.id)).size, dashboard.panels.length);
});
