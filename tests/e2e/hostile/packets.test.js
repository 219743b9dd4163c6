'use strict';
// Hostile packets over every transport. The numbers are those of README.md.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { REFERENCE } = require('../../lib/servers');
const { CONFAB_ONLY } = require('../../lib/suite');
const { SESSIONS } = require('../../lib/session');
const { ask } = require('../../lib/clients');
const { until } = require('../../lib/until');
const { attacked, metric } = require('../../lib/hostile');

// some of these send faster than honest clients may
const server = attacked({ 'rate.connection_events': 0 });

for (const kind of SESSIONS) {
  describe(`packets over ${kind.name}`, () => {
    const joined = async () => {
      const s = await kind.open(server);
      await s.connect();
      await s.message();
      return s;
    };

    const survives = async (packets, megabytes = 40) => {
      await server.bounded(megabytes, async () => {
        const s = await joined();
        for (const p of [packets].flat()) {
          if (s.over) break;
          await s.send(p).catch(() => {});
        }
        assert.equal(await ask(server.bystander, 'echo', 1), 1);
      });
    };

    test('attack 25: nesting without end: closed', CONFAB_ONLY, async () => {
      const s = await joined();
      await s.send(`42["message",${'['.repeat(400000)}${']'.repeat(400000)}]`);
      await s.ends();
    });

    test('attack 25: nesting past the limit closes, up to it passes', CONFAB_ONLY, async () => {
      const deep = (n) => `${'['.repeat(n)}${']'.repeat(n)}`;
      let s = await joined();
      await s.send(`42["message",${deep(22)}]`);
      assert.equal(await s.message(), `42["message-back",${deep(22)}]`);
      await s.send(`42["message",${deep(30)}]`);
      await s.ends();
      s = await joined();
      await s.send(`42["message",${'{"a":'.repeat(30)}1${'}'.repeat(30)}]`);
      await s.ends();
    });

    test('attack 25: 400,000 arguments: bounded', CONFAB_ONLY, () => survives(`42["message",${'1,'.repeat(400000)}1]`));
    test('attack 25: 80,000 keys: bounded', () => survives(`42["message",{${[...Array(80000).keys()].map((i) => `"${i}":1`)}}]`));
    test('attack 25: the same key 100,000 times: bounded', () => survives(`42["message",{${'"a":1,'.repeat(100000)}"a":2}]`, 60));
    test('attack 24: an event name of 500 KB: closed', CONFAB_ONLY, async () => {
      await server.bounded(5, async () => {
        const s = await joined();
        await s.send(`42["${'n'.repeat(500000)}"]`);
        await s.ends();
      });
    });
    test('attack 25: numbers that fit nowhere: bounded', () => survives([
      '42["message",1e999,-1e999,1e-999]', `42["message",${'9'.repeat(100000)}]`,
      `42["message",0.${'9'.repeat(100000)}]`, '4299999999999999999999999999999["message"]']));
    test('attack 24: names that mean something to JavaScript: no harm', () => survives([
      '42["message",{"__proto__":{"a":1},"constructor":{"prototype":1}}]', '42["__proto__","x"]',
      '42["constructor"]', '40/__proto__', '40/constructor,']));

    test('attack 27: 10,000 unknown namespaces: each refused', async () => {
      await server.bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 10000 && !s.over; i += 100) {
          await s.send(...[...Array(100).keys()].map((n) => `40/nope${i + n},{"a":1}`));
          if (s.over) break;
          for (let n = 0; n < 100; n++) {
            const p = await s.message().catch(() => null);
            if (p === null) break;
            assert.match(p, /^44\/nope\d+,\{"message":"Invalid namespace"\}$/);
          }
        }
      });
    });

    test('attack 27: a namespace name of 500 KB: refused or closed', async () => {
      await server.bounded(20, async () => {
        const s = await joined();
        await s.send(`40/${'n'.repeat(500000)}`);
        await until(() => s.over || s.packets.length, 5000, 'an answer or the end');
      });
    });

    test('attack 27: a hundred pending admissions: bounded', CONFAB_ONLY, async () => {
      await server.bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 100; i++) await s.send(`40/slow,{"key":"flood ${i}"}`).catch(() => {});
        s.destroy();
        for (let i = 0; i < 100; i++) await ask(server.bystander, 'release', `flood ${i}`);
      });
    });

    test('attack 28: 10,000 rooms: the first 256', CONFAB_ONLY, async () => {
      await server.bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 10000; i += 100) {
          await s.send(...[...Array(100).keys()].map((n) => `42${i + n}["join","room ${i + n}"]`));
          for (let n = 0; n < 100; n++) await s.message();
        }
        await s.send('421["in-room","room 1"]');
        assert.equal(await s.message(), '431[true]');
        await s.send('421["in-room","room 9999"]');
        assert.equal(await s.message(), '431[false]');
      });
    });

    test('attack 19: 10,000 pongs that nobody asked for: ignored', async () => {
      await server.bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 100; i++) await s.send(...Array(100).fill('3'));
        await s.send('421["echo",1]');
        assert.equal(await s.message(), '431[1]');
      });
    });

    test('attack 26: 10,000 answers that nobody asked for: ignored', async () => {
      await server.bounded(20, async () => {
        const s = await joined();
        for (let i = 0; i < 100; i++) await s.send(...[...Array(100).keys()].map((n) => `43${i * 100 + n}["x"]`));
        await s.send('421["echo",1]');
        assert.equal(await s.message(), '431[1]');
      });
    });

    test('attack 22: attachments together larger than a message may be: closed', CONFAB_ONLY, async () => {
      const s = await joined();
      const places = [...Array(10).keys()].map((i) => `{"_placeholder":true,"num":${i}}`);
      await s.send(`4510-["message",${places}]`);
      for (let i = 0; i < 10 && !s.over; i++) await s.send(Buffer.alloc(250000)).catch(() => {});
      await s.ends();
    });

    test('attack 22: 100 connections that wait for attachments that never come: bounded', async () => {
      await server.bounded(40, async () => {
        for (let i = 0; i < 100; i++) {
          const s = await joined();
          await s.send('4510-["message",{"_placeholder":true,"num":9}]');
          await s.send(Buffer.alloc(10000));
        }
      });
    });

    // Each ends the session, as the official server has it.
    const closes = {
      'attack 21: 5,999,999,999 attachments': ['455999999999-["message",{"_placeholder":true,"num":0}]'],
      'attack 21: eleven attachments': ['4511-["message"]'],
      'attack 21: -1 attachments': ['45-1-["message"]'],
      'attack 22: text instead of the attachment': ['451-["message",{"_placeholder":true,"num":0}]', '42["message",1]'],
      'attack 22: an attachment that nobody announced': [Buffer.from([1])],
      'attack 23: placeholder -1': ['451-["message",{"_placeholder":true,"num":-1}]', Buffer.from([1])],
      'attack 23: placeholder 1e9': ['451-["message",{"_placeholder":true,"num":1e9}]', Buffer.from([1])],
      'attack 23: placeholder "0"': ['451-["message",{"_placeholder":true,"num":"0"}]', Buffer.from([1])],
      'attack 23: placeholder past the end': ['451-["message",{"_placeholder":true,"num":1}]', Buffer.from([1])],
      'attack 24: an event name that is an object': ['42[{"toString":"x"}]'],
      'attack 24: an event name that is null': ['42[null]'],
      'attack 24: the reserved name "connect"': ['42["connect"]'],
      'attack 24: the reserved name "disconnect"': ['42["disconnect"]'],
      'attack 24: the reserved name "connect_error"': ['42["connect_error"]'],
      'attack 24: the reserved name "disconnecting"': ['42["disconnecting"]'],
      'attack 24: the reserved name "newListener"': ['42["newListener"]'],
      'attack 24: the reserved name "removeListener"': ['42["removeListener"]'],
      'attack 26: a negative ack id': ['42-1["echo"]'],
      'attack 26: a broken ack id': ['421.5["echo"]'],
    };
    for (const [name, packets] of Object.entries(closes)) {
      test(`${name}: closed`, async () => {
        await server.bounded(2, async () => {
          const s = await joined();
          for (const p of packets) await s.send(p).catch(() => {});
          await s.ends();
        });
      });
    }

    test('attack 23: the same placeholder twice: the same data twice', async () => {
      const s = await joined();
      const place = '{"_placeholder":true,"num":0}';
      await s.send(`451-1["echo",${place},${place}]`);
      await s.send(Buffer.from([7]));
      assert.match(await s.message(), /^46[12]-1\[\{"_placeholder":true,"num":0\},\{"_placeholder":true,"num":[01]\}\]$/);
      assert.deepEqual(await s.message(), Buffer.from([7]));
    });

    test('attack 24: a number as event name: no event of ours, the session stays', async () => {
      const s = await joined();
      await s.send('42[5,"x"]', '421["echo",1]');
      assert.equal(await s.message(), '431[1]');
    });

    test('attack 24: __proto__ and constructor are names like others', async () => {
      const s = await joined();
      await s.send('42["__proto__",{"polluted":1}]', '42["constructor"]', '42["hasOwnProperty"]', '42["toString"]', '421["echo",1]');
      assert.equal(await s.message(), '431[1]');
    });

    test('attack 25: values are passed on as they were written', CONFAB_ONLY, async () => {
      const s = await joined();
      const values = '[1e999,-1e999,9007199254740993,123456789012345678901234567890,0.1000000000000000055,'
        + '{"a":1,"a":2},"\\ud800",{"__proto__":{"a":1}}]';
      await s.send(`421["echo",${values}]`);
      assert.equal(await s.message(), `431[${values}]`);
    });

    test('attack 25: 10 million elements: not taken at all', CONFAB_ONLY, async () => {
      await server.bounded(5, async () => {
        const s = await joined();
        const r = await s.send(`42["message",[${'1,'.repeat(10000000)}1]]`).catch(() => null);
        if (kind.name === 'polling') assert.equal(r?.status ?? 413, 413);
        else await s.ends();
      });
    });

    test('attack 26: ack id 2^64: closed', CONFAB_ONLY, async () => {
      const s = await joined();
      await s.send('4218446744073709551616["echo"]');
      await s.ends();
    });

    test('attack 26: the same answer twice: heard once, the other counted', CONFAB_ONLY, async () => {
      const before = await metric(server, 'confab_ack_unknown_total');
      const s = await joined();
      await s.send('421["ask",5000,"question"]');
      const got = [await s.message(), await s.message()].sort();
      const id = /^42(\d+)\["question"\]$/.exec(got[0])?.[1];
      assert.ok(id, got.join());
      await s.send(`43${id}["first"]`, `43${id}["second"]`, '43999["x"]');
      assert.equal(await s.message(), '42["asked",true,"first"]');
      await s.send('421["echo",1]');
      assert.equal(await s.message(), '431[1]');
      assert.equal(await metric(server, 'confab_ack_unknown_total') - before, 2);
    });

    test('attack 26: 2,000 questions of the server left open: 1,000 are kept', CONFAB_ONLY, async () => {
      await server.bounded(5, async () => {
        const s = await joined();
        let codes = 0;
        for (let i = 0; i < 2000; i += 100) {
          await s.send(...[...Array(100).keys()].map((n) => `42${i + n}["ask",60000,"q"]`));
          for (let left = 100; left > 0;) {
            const p = await s.message();
            if (!p.startsWith('43')) continue;
            left -= 1;
            if (!p.endsWith('[0]')) codes += 1;
          }
        }
        assert.equal(codes, 1000);
      });
    });

    test('attack 27: the seventeenth namespace: refused with a reason', CONFAB_ONLY, async () => {
      await server.bounded(5, async () => {
        const s = await joined();
        for (let i = 1; i < 30; i++) {
          const answer = await s.connect(`/dyn-${i}`);
          if (i < 16) {
            assert.match(answer, /^40/);
            await s.message(); // the greeting
          } else {
            assert.match(answer, /^44\/dyn-\d+,\{"message":".*namespaces/);
          }
        }
      });
    });

    test('attack 28: room names that are too long or not text: refused', CONFAB_ONLY, async () => {
      const s = await joined();
      await s.send(`421["join","${'r'.repeat(129)}"]`);
      assert.match(await s.message(), /^431\[-\d+\]$/);
      await s.send(`422["join","${'r'.repeat(128)}"]`);
      assert.equal(await s.message(), '432[0]');
    });

    test('attack 29: rooms named *, a#b#, with a newline or like another namespace hold their own members', async () => {
      const names = ['*', '?', '[a]', 'a#b#', '#', 'socket.io#/admin#', '/custom', 'a\\nb', 'a\\u0000b', '\\r\\nFLUSHALL\\r\\n'];
      const s = await joined();
      const t = await joined();
      await t.send('420["join","a"]');
      await t.message();
      let id = 0;
      for (const name of names) {
        await s.send(`42${++id}["join","${name}"]`);
        const r = await s.message();
        if (!REFERENCE && r !== `43${id}[0]`) continue; // refused
        await s.send(`42${++id}["broadcast",{"rooms":["${name}"],"event":"only"},${id}]`);
        const got = [await s.message(), await s.message()].sort();
        assert.deepEqual(got, [`42["only",${id}]`, `43${id}[0]`].sort());
      }
      await t.send('429["echo","nothing came"]');
      assert.equal(await t.message(), '439["nothing came"]');
    });
  });
}
