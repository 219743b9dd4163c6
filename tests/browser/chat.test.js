'use strict';
// The chat page in a browser, against a cluster: what people see and do,
// across nodes, also when one of them is killed.

const { describe, test, before, after, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');
const { startCluster } = require('../lib/cluster');
const { startNode } = require('../lib/servers');
const { until, SLOW } = require('../lib/until');

const SHOTS = process.env.TEST_OUTPUT || path.resolve(__dirname, '../../build/test-output');
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const ARGS = [
  '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-quic',
];

let cluster;
let browser;
const contexts = new Set();
const mistakes = []; // exceptions, and what the content security policy refused

before(async () => {
  fs.mkdirSync(SHOTS, { recursive: true });
  cluster = await startCluster({ nodes: 3 });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS });
});

afterEach(async () => {
  for (const context of contexts) await context.close();
  contexts.clear();
  assert.deepEqual(mistakes.splice(0), []);
});

after(async () => {
  if (browser) await browser.close();
  if (cluster) await cluster.stop();
});

// ---- what a person does -----------------------------------------------------

async function open(options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', ...DESKTOP, ...options });
  contexts.add(context);
  const page = await context.newPage();
  page.setDefaultTimeout(10000 * SLOW);
  page.on('pageerror', (e) => mistakes.push(e.message));
  page.on('console', (m) => {
    if (/Content.Security.Policy/i.test(m.text())) mistakes.push(m.text());
  });
  if (options.prepare) await options.prepare(page);
  await page.goto(options.at || cluster.url);
  return page;
}

async function join(page, room) {
  if (await page.isVisible('#rooms-toggle')) await page.click('#rooms-toggle');
  await page.fill('#room-input', room);
  await page.press('#room-input', 'Enter');
  await shows(page, '#room-title', `# ${room}`);
}

async function enter(name, room, options) {
  const page = await open(options);
  await page.fill('#name-input', name);
  await page.press('#name-input', 'Enter');
  await page.waitForSelector('#status[data-state="connected"]');
  if (room) await join(page, room);
  return page;
}

async function say(page, text) {
  await page.fill('#message-input', text);
  await page.press('#message-input', 'Enter');
}

// ---- what a person sees -----------------------------------------------------

const texts = (page, selector) => page.$$eval(selector, (all) => all.map((n) => n.textContent));
const said = (page) => texts(page, '#messages li .text');
const people = (page) => texts(page, '#people li bdi');
const nodeOf = (page) => page.getAttribute('#status', 'data-node');

async function shows(page, selector, text) {
  let seen;
  await until(async () => {
    seen = (await texts(page, selector)).join('|');
    return seen === text;
  }, 8000, () => `${selector} shows "${text}", not "${seen}"`);
}

async function sees(page, read, expected) {
  let seen;
  await until(async () => {
    seen = await read(page);
    return JSON.stringify(seen) === JSON.stringify(expected);
  }, 10000, () => `${JSON.stringify(expected)}, not ${JSON.stringify(seen)}`);
}

const allSent = (page) => page.waitForFunction(() =>
  document.querySelectorAll('#messages li[data-state]:not([data-state="sent"])').length === 0);

// A page whose connection is on another node than that of `other`.
async function enterElsewhere(other, name, room, options) {
  const here = await nodeOf(other);
  for (let i = 0; i < 12; i++) {
    const page = await enter(name, room, options);
    await page.waitForSelector('#status[data-node]:not([data-node=""])');
    if (cluster.nodes.length < 2 || await nodeOf(page) !== here) return page;
    contexts.delete(page.context());
    await page.context().close();
  }
  throw new Error(`the balancer uses ${here} alone`);
}

let unique = 0;
const newRoom = (what) => `${what} ${process.pid}-${unique++}`;

// ---- tests ------------------------------------------------------------------

describe('two people', () => {
  test('meet in a room and talk', async () => {
    const room = newRoom('talk');
    const ann = await enter('Ann', room);
    const bob = await enterElsewhere(ann, 'Bob', room);
    await sees(ann, people, ['Ann', 'Bob']);
    await sees(bob, people, ['Bob', 'Ann']);

    await say(ann, 'Hello Bob');
    await sees(bob, said, ['Hello Bob']);
    await say(bob, 'Hello Ann');
    await sees(ann, said, ['Hello Bob', 'Hello Ann']);
    await allSent(ann);
    const own = ann.locator('#messages li', { hasText: 'Hello Bob' });
    assert.match(await own.getAttribute('class'), /\bmine\b/);
    assert.doesNotMatch(await ann.locator('#messages li', { hasText: 'Hello Ann' })
      .getAttribute('class'), /\bmine\b/);

    await bob.close();
    await sees(ann, people, ['Ann']);
  });

  test('see each other type', async () => {
    const room = newRoom('typing');
    const ann = await enter('Ann', room);
    const bob = await enterElsewhere(ann, 'Bob', room);
    await sees(bob, people, ['Bob', 'Ann']);
    await ann.type('#message-input', 'so');
    await shows(bob, '#typing', 'Ann is typing…');
    await shows(ann, '#typing', '');
    await ann.press('#message-input', 'Enter');
    await shows(bob, '#typing', '');
    await sees(bob, said, ['so']);
  });

  test('see what is unread in other rooms, and leave', async () => {
    const [first, second] = [newRoom('first'), newRoom('second')];
    const ann = await enter('Ann', first);
    const bob = await enter('Bob', first);
    await join(ann, second);
    await say(bob, 'are you there?');
    await ann.waitForSelector(`#rooms li[data-room="${first}"][data-unread="1"]`);
    assert.match(await ann.title(), /^\(1\)/);
    await ann.click(`#rooms li[data-room="${first}"] button`);
    await sees(ann, said, ['are you there?']);
    await ann.waitForSelector(`#rooms li[data-room="${first}"][data-unread="0"]`);

    await ann.click('#leave');
    await sees(bob, people, ['Bob']);
    await ann.waitForSelector(`#rooms li[data-room="${first}"][data-joined="false"]`);
    await say(bob, 'gone already?');
    await ann.click(`#rooms li[data-room="${first}"] button`);
    await sees(bob, people, ['Bob', 'Ann']);
    assert.deepEqual(await said(ann), []);
  });

  test('see a changed name', async () => {
    const room = newRoom('names');
    const ann = await enter('Ann', room);
    const bob = await enterElsewhere(ann, 'Bob', room);
    await ann.click('#me');
    await ann.fill('#name-input', 'Anna');
    await ann.press('#name-input', 'Enter');
    await sees(bob, people, ['Bob', 'Anna']);
    await say(ann, 'me again');
    await shows(bob, '#messages li .who', 'Anna');
  });
});

test('a page comes back with its name and rooms when it is loaded again', async () => {
  const room = newRoom('again');
  const ann = await enter('Ann', room);
  await ann.reload();
  await sees(ann, people, ['Ann']);
  await shows(ann, '#room-title', `# ${room}`);
  assert.equal(await ann.isVisible('#name-dialog'), false);
});

test('the connection is upgraded, and the page says so', async () => {
  const page = await open();
  await page.waitForSelector('#status[data-state="connected"][data-transport="websocket"]');
  await page.waitForSelector('#status[data-node]:not([data-node=""])');
  const node = await nodeOf(page);
  assert.ok(cluster.nodes.some((n) => n.name === node), `${node} is a node of the cluster`);
});

test('whatever is written stays text', async () => {
  const attack = '<img src=x onerror="window.hit = 1">';
  const room = `${attack} ${unique++}`;
  const lines = [
    attack,
    '<script>window.hit = 1</script>',
    '"quotes" & \'apostrophes\' &amp; &lt;',
    '](javascript:alert(1)) {{7*7}} ${7*7}',
    'ünïcødé 漢字 👩‍👩‍👧 \u202eback\u202c wards',
    'two\nlines',
    'x'.repeat(5000),
  ];
  const ann = await enter('<b>Ann</b>', room);
  const bob = await enter('</bdi><i>Bob', room);
  await sees(ann, people, ['<b>Ann</b>', '</bdi><i>Bob']);
  for (const line of lines) await say(ann, line);
  await sees(bob, said, lines);
  await sees(ann, said, lines);
  for (const page of [ann, bob]) {
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.equal(await page.locator('#app img, #app i, #app b, #app script').count(), 0);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, 'nothing makes the page wider than the window');
  }
});

test('a message without an answer is marked, and can be sent again', async () => {
  const room = newRoom('mute');
  let mute = false;
  const ann = await enter('Ann', room, {
    prepare: (page) => page.routeWebSocket(/\/socket\.io\//, (client) => {
      const server = client.connectToServer();
      client.onMessage((m) => {
        if (!mute || !String(m).includes('chat message')) server.send(m);
      });
    }),
  });
  const bob = await enter('Bob', room);
  await ann.waitForSelector('#status[data-transport="websocket"]');
  mute = true;
  await say(ann, 'lost');
  await ann.waitForSelector('#messages li[data-state="pending"]');
  await ann.waitForSelector('#messages li[data-state="failed"]', { timeout: 15000 * SLOW });
  mute = false;
  await ann.click('#messages li[data-state="failed"] button >> text=Retry');
  await ann.waitForSelector('#messages li[data-state="sent"]');
  await sees(bob, said, ['lost']);
  await sees(ann, said, ['lost']);
});

test('who writes too fast is told how long to wait, and can send it again', async () => {
  const node = await startNode({ set: { 'rate.room_events': 1, 'rate.room_burst': 3 } });
  try {
    const ann = await enter('Ann', 'busy', { at: node.url });
    for (let i = 0; i < 5; i++) await say(ann, `line ${i}`);
    await ann.waitForSelector('#messages li[data-state="failed"]');
    assert.match((await texts(ann, '#messages li[data-state="failed"]'))[0],
      /Not sent: too much at once; wait [12] s/);
    await until(async () => {
      const again = await ann.$('#messages li[data-state="failed"] button >> text=Retry');
      if (again) await again.click();
      return !again && (await texts(ann, '#messages li[data-state="pending"]')).length === 0;
    }, 10000, 'all are sent in the end');
    await allSent(ann);
  } finally {
    await node.stop();
  }
});

test('the keyboard is enough', async () => {
  const room = newRoom('keys');
  const page = await open();
  await page.waitForSelector('#status[data-state="connected"]');
  await page.keyboard.press('Escape'); // without a name there is no way around
  assert.equal(await page.isVisible('#name-input'), true);
  await page.keyboard.type('Kay');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'message-input');
  await page.focus('#room-input');
  await page.keyboard.type(room);
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'message-input');
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await sees(page, said, ['one\ntwo']);

  const roomOf = () => page.evaluate(() => document.activeElement.closest('li')?.dataset.room);
  await page.focus(`#rooms li[data-room="${room}"] button`);
  await page.keyboard.press('ArrowUp');
  assert.equal(await roomOf(), 'lobby');
  await page.keyboard.press('ArrowDown');
  assert.equal(await roomOf(), room);
});

test('on a phone, rooms and people are in drawers', async () => {
  const room = newRoom('phone');
  const page = await enter('Pia', room, PHONE);
  await page.waitForSelector('#rooms-panel', { state: 'hidden' });
  const closings = [
    () => page.keyboard.press('Escape'),
    () => page.click('#people-panel .close'),
    () => page.mouse.click(20, 400), // beside the drawer
  ];
  for (const close of closings) {
    await page.click('#people-toggle');
    await page.waitForSelector('#people li', { state: 'visible' });
    await close();
    await page.waitForSelector('#people li', { state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'people-toggle');
  }
  await page.click('#rooms-toggle');
  await page.click('#rooms li[data-room="lobby"] button');
  await page.waitForSelector('#rooms-panel', { state: 'hidden' });
  await shows(page, '#room-title', '# lobby');
  for (const selector of ['#message-input', '#room-input', '#name-input']) {
    const size = await page.$eval(selector, (n) => parseFloat(getComputedStyle(n).fontSize));
    assert.ok(size >= 16, `${selector} does not make the phone zoom in`);
  }
});

describe('when a node is killed, its pages come back, and what was written arrives once', () => {
  // where WebSocket is blocked, as by some proxies, the page stays with polling
  const noWebSocket = (page) => page.routeWebSocket(/\/socket\.io\//, (ws) => ws.close());

  for (const [transport, options] of [['websocket', {}], ['polling', { prepare: noWebSocket }]]) {
    test(`over ${transport}`, async () => {
      const room = newRoom('kill');
      const ann = await enter('Ann', room, options);
      await ann.waitForSelector(`#status[data-transport="${transport}"][data-node]:not([data-node=""])`);
      const bob = await enterElsewhere(ann, 'Bob', room);
      await sees(ann, people, ['Ann', 'Bob']);
      await say(ann, 'before');
      await sees(bob, said, ['before']);

      const name = await nodeOf(ann);
      const victim = cluster.nodes.find((n) => n.name === name);
      assert.ok(victim, `${name} is a node of the cluster`);
      // one message is on its way in this very moment
      await Promise.all([victim.kill9(), say(ann, 'at the moment')]);
      await say(ann, 'meanwhile 1');
      await say(ann, 'meanwhile 2');

      await ann.waitForSelector(
        `#status[data-state="connected"]:not([data-node="${name}"]):not([data-node=""])`,
        { timeout: 20000 * SLOW });
      const all = ['before', 'at the moment', 'meanwhile 1', 'meanwhile 2'];
      await sees(bob, said, all);
      await sees(ann, said, all);
      await allSent(ann);
      await sees(bob, people, ['Bob', 'Ann']);
      await sees(ann, people, ['Ann', 'Bob']);

      await say(bob, 'welcome back');
      await sees(ann, said, [...all, 'welcome back']);
      await sees(bob, said, [...all, 'welcome back']);
    });
  }
});

test('it looks as it should', async () => {
  const room = 'design';
  const ann = await enter('Ann', room, { colorScheme: 'light' });
  const bob = await enter('Bob Marlowe', room, { colorScheme: 'dark' });
  const zoe = await enter('Zoë', room, { ...PHONE, colorScheme: 'light' });
  const kim = await enter('Kim', room, { ...PHONE, colorScheme: 'dark' });
  await say(ann, 'Good morning! Is everybody on the new cluster?');
  await sees(bob, said, ['Good morning! Is everybody on the new cluster?']);
  await say(bob, 'Yes. I took a node down a minute ago and nobody noticed.');
  await say(zoe, 'Here, on the phone.');
  await bob.type('#message-input', 'And');
  for (const page of [ann, zoe, kim]) await shows(page, '#typing', 'Bob Marlowe is typing…');
  const shot = (page, name) => page.screenshot({ path: path.join(SHOTS, `chat-${name}.png`) });
  await shot(ann, 'desktop-light');
  await shot(bob, 'desktop-dark');
  await shot(zoe, 'phone-light');
  await shot(kim, 'phone-dark');
});
