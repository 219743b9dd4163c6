'use strict';
// Numbered messages, and what became of each. A stream is what one publisher
// says in one room; a message of it is "publisher/room/number", numbers start
// with 1. Every member of a room is to hear all of them once and in order.

class Tally {
  constructor() {
    this.streams = new Map(); // "publisher/room" -> [{ at, ok }], the first unused
    this.members = []; // { name, node, rooms, heard: "publisher/room" -> [{ n, at }] }
  }

  // The next message of a stream, as text; `pad` makes it longer.
  next(publisher, room, pad = '') {
    const key = `${publisher.name}/${room}`;
    if (!this.streams.has(key)) this.streams.set(key, { publisher, room, sent: [null] });
    const { sent } = this.streams.get(key);
    sent.push({ at: Date.now(), ok: true, from: publisher.node });
    return `${key}/${sent.length - 1}${pad}`;
  }

  entry(text) {
    const [, key, n] = /^([^/]*\/[^/]*)\/(\d+)/.exec(text);
    return this.streams.get(key).sent[Number(n)];
  }

  // The server has not said that it took the message.
  unsure(text) {
    this.entry(text).ok = false;
  }

  member(member, rooms) {
    const m = { member, rooms, heard: new Map() };
    this.members.push(m);
    return m;
  }

  hear(m, text) {
    const found = /^([^/]*\/[^/]*)\/(\d+)/.exec(text);
    if (!found || !this.streams.has(found[1])) return;
    if (!m.heard.has(found[1])) m.heard.set(found[1], []);
    m.heard.get(found[1]).push({ n: Number(found[2]), at: Date.now() });
  }

  // All have heard the last message of every stream.
  done() {
    return this.members.every((m) => this.of(m).every(([key, { sent }]) =>
      sent.length === 1 || m.heard.get(key)?.some((h) => h.n === sent.length - 1)));
  }

  of(m) {
    return [...this.streams].filter(([, s]) => m.rooms.includes(s.room));
  }

  // Numbers of messages, and of deliveries: one message to each member.
  result() {
    const r = {
      sent: 0, accepted: 0, expected: 0, delivered: 0, doubled: 0, reordered: 0,
      // { publisher, room, n, at, ok, from, member }, and when the member heard
      // the one before and the one after
      lost: [],
    };
    for (const { sent } of this.streams.values()) {
      r.sent += sent.length - 1;
      r.accepted += sent.filter((e) => e?.ok).length;
    }
    for (const m of this.members) {
      for (const [key, { publisher, room, sent }] of this.of(m)) {
        const heardAt = new Map();
        let highest = 0;
        for (const { n, at } of m.heard.get(key) || []) {
          if (heardAt.has(n)) r.doubled += 1;
          else if (n < highest) r.reordered += 1;
          if (!heardAt.has(n)) heardAt.set(n, at);
          highest = Math.max(highest, n);
        }
        r.expected += sent.length - 1;
        r.delivered += heardAt.size;
        let before = 0;
        let gap = [];
        for (let n = 1; n < sent.length; n++) {
          if (heardAt.has(n)) {
            for (const l of gap) l.after = heardAt.get(n);
            gap = [];
            before = heardAt.get(n);
          } else {
            gap.push({ publisher, room, n, ...sent[n], member: m.member, before, after: Infinity });
            r.lost.push(gap.at(-1));
          }
        }
      }
    }
    return r;
  }
}

// Losses as messages: each once, however many members missed it.
const messages = (lost) => new Set(lost.map((l) => `${l.publisher.name}/${l.room}/${l.n}`)).size;

module.exports = { Tally, messages };
