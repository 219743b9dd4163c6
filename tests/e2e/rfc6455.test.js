'use strict';
// The WebSocket protocol (RFC 6455) against a server that echoes: framing,
// control frames, fragments, text, closing. What is wrong must be refused with
// the right code, bad text at its first wrong byte, and nothing else may be.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { startEcho } = require('../lib/servers');
const { serving, CONFAB_ONLY } = require('../lib/suite');
const { frame } = require('../lib/raw');
const { SLOW } = require('../lib/until');
const {
  text, binary, ping, pong, more, close, closeBody, OPEN, OPCODE, pieces, fragments,
  unfinished, is, closed, expect, send, leaves, opened, play, cases,
} = require('../lib/echo');

const SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536];
const BYTES = Buffer.from([...Array(256).keys()]);

// Every byte value in turn.
const data = (n) => Buffer.alloc(n, BYTES);
const letters = (n) => Buffer.alloc(n, 'abcdefghijklmnopqrstuvwxyz');
const of = (kind, n) => (kind === 'text' ? letters(n) : data(n));

describe('RFC 6455', CONFAB_ONLY, () => {
  const server = serving(startEcho);

  // ---- framing --------------------------------------------------------------

  const whole = {};
  for (const kind of ['text', 'binary']) {
    for (const n of SIZES) {
      const f = frame(OPCODE[kind], of(kind, n));
      whole[`${kind} of ${n} bytes`] = [f, is(kind, of(kind, n))];
      for (const size of n > 1000 ? [997, 2048] : [1, 3]) {
        whole[`${kind} of ${n} bytes, written ${size} bytes at a time`] = [
          pieces(f, size), is(kind, of(kind, n))];
      }
      whole[`${kind} of ${n} bytes, the header apart`] = [
        [f.subarray(0, 1), f.subarray(1, f.length - n), f.subarray(f.length - n)],
        is(kind, of(kind, n))];
    }
    whole[`twenty of ${kind} in one write`] = [
      Buffer.concat([...Array(20).keys()].map((i) => frame(OPCODE[kind], `no ${i}`))),
      ...[...Array(20).keys()].map((i) => is(kind, `no ${i}`))];
  }
  cases(server, 'a message in one frame', whole);

  // A length in more bytes than it needs, or with its highest bit set.
  const oddLengths = {};
  const mask = [1, 2, 3, 4];
  const encoded = (first, ...length) =>
    Buffer.concat([Buffer.from([first, ...length, ...mask]), Buffer.alloc(300)]);
  for (const first of [0x81, 0x82]) {
    const kind = first === 0x81 ? 'text' : 'binary';
    oddLengths[`${kind}: 0 in two bytes`] = [encoded(first, 0xfe, 0, 0), closed(1002)];
    oddLengths[`${kind}: 125 in two bytes`] = [encoded(first, 0xfe, 0, 125), closed(1002)];
    oddLengths[`${kind}: 125 in eight bytes`] = [
      encoded(first, 0xff, 0, 0, 0, 0, 0, 0, 0, 125), closed(1002)];
    oddLengths[`${kind}: 65535 in eight bytes`] = [
      encoded(first, 0xff, 0, 0, 0, 0, 0, 0, 255, 255), closed(1002)];
    oddLengths[`${kind}: beyond 63 bits`] = [
      encoded(first, 0xff, 128, 0, 0, 0, 0, 0, 0, 1), closed(1002, 1009)];
    oddLengths[`${kind}: more than is allowed`] = [
      encoded(first, 0xff, 0, 0, 0, 0, 4, 0, 0, 1), closed(1009)];
  }
  cases(server, 'a length that is written wrongly', oddLengths);

  const unmasked = {};
  for (const opcode of [1, 2, 8, 9, 10]) {
    for (const n of [0, 5]) {
      unmasked[`opcode ${opcode}, ${n} bytes`] = [
        frame(opcode, opcode === 8 && n ? closeBody(1000, 'bye') : letters(n), { mask: false }), closed(1002)];
    }
  }
  cases(server, 'a frame without a mask', unmasked);

  // ---- ping and pong --------------------------------------------------------

  const pings = {
    'ten pings in one write get ten pongs in order': [
      Buffer.concat([...Array(10).keys()].map((i) => ping(`ping ${i}`))),
      ...[...Array(10).keys()].map((i) => is('pong', `ping ${i}`))],
    'ten pings, written byte by byte': [
      [...Array(10).keys()].flatMap((i) => pieces(ping(`ping ${i}`), 1)),
      ...[...Array(10).keys()].map((i) => is('pong', `ping ${i}`))],
    'a pong that nobody asked for': [pong('unasked'), text('x'), is('text', 'x')],
    'an empty pong that nobody asked for': [pong(''), text('x'), is('text', 'x')],
    'a pong that nobody asked for before a ping': [
      [pong('unasked'), ping('asked')], is('pong', 'asked')],
    'a ping of 126 bytes': [ping(data(126)), closed(1002)],
    'a pong of 126 bytes': [pong(data(126)), closed(1002)],
    'a ping of 126 bytes, only its header': [ping('', { length: 126 }), closed(1002)],
    'a ping of 65536 bytes': [ping(data(65536)), closed(1002)],
    'a ping in fragments': [[ping('a', OPEN), more('b')], closed(1002)],
    'a pong in fragments': [[pong('a', OPEN), more('b')], closed(1002)],
    'a ping, text and a ping': [
      Buffer.concat([ping('1'), text('x'), ping('2')]), is('pong', '1'), is('text', 'x'), is('pong', '2')],
  };
  for (const n of [0, 1, 8, 124, 125]) {
    pings[`a ping of ${n} bytes`] = [ping(data(n)), is('pong', data(n))];
    pings[`a ping of ${n} bytes, written byte by byte`] = [
      pieces(ping(data(n)), 1), is('pong', data(n))];
    pings[`a pong of ${n} bytes`] = [pong(data(n)), ping(''), is('pong')];
  }
  cases(server, 'ping and pong', pings);

  // ---- reserved bits and opcodes ----------------------------------------------

  const reserved = {};
  const frames = {
    text: [1, 'x'], binary: [2, 'x'], ping: [9, 'x'], pong: [10, 'x'],
    close: [8, closeBody(1000)], 'empty text': [1, ''], 'empty ping': [9, ''],
  };
  for (let rsv = 1; rsv < 8; rsv++) {
    for (const [name, [opcode, body]] of Object.entries(frames)) {
      reserved[`reserved bits ${rsv} in ${name}`] = [
        [text('before'), frame(opcode, body, { rsv }), text('after')],
        is('text', 'before'), closed(1002)];
    }
    reserved[`reserved bits ${rsv} in a continuation`] = [
      [text('x', OPEN), more('y', { rsv })], closed(1002)];
    reserved[`reserved bits ${rsv} in text, written byte by byte`] = [
      pieces(text('x', { rsv }), 1), closed(1002)];
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    for (const body of ['', 'x']) {
      const name = `opcode ${opcode}, ${body.length} bytes`;
      reserved[name] = [frame(opcode, body), closed(1002)];
      reserved[`${name}, between messages`] = [
        [text('before'), frame(opcode, body), text('after')], is('text', 'before'), closed(1002)];
      reserved[`${name}, within a message`] = [
        [text('x', OPEN), frame(opcode, body), more('y')], closed(1002)];
    }
    reserved[`opcode ${opcode}, written byte by byte`] = [pieces(frame(opcode, 'x'), 1), closed(1002)];
  }
  cases(server, 'what is reserved', reserved);

  // ---- fragments --------------------------------------------------------------

  const f = {};
  for (const kind of ['text', 'binary']) {
    const start = kind === 'text' ? text : binary;
    const other = kind === 'text' ? binary : text;
    Object.assign(f, {
      [`${kind} in two`]: [[start('one', OPEN), more('two')], is(kind, 'onetwo')],
      [`${kind} in two, written byte by byte`]: [
        pieces(Buffer.concat([start('one', OPEN), more('two')]), 1), is(kind, 'onetwo')],
      [`${kind} in two, in one write`]: [
        Buffer.concat([start('one', OPEN), more('two')]), is(kind, 'onetwo')],
      [`${kind} with a ping in between`]: [
        [start('one', OPEN), ping('now'), more('two')], is('pong', 'now'), is(kind, 'onetwo')],
      [`${kind} with a ping in between, answered at once`]: [
        start('one', OPEN), ping('now'), is('pong', 'now'), more('two'), is(kind, 'onetwo')],
      [`${kind} with a ping in between, in one write`]: [
        Buffer.concat([start('one', OPEN), ping('now'), more('two')]),
        is('pong', 'now'), is(kind, 'onetwo')],
      [`${kind} with a ping in between, written byte by byte`]: [
        pieces(Buffer.concat([start('one', OPEN), ping('now'), more('two')]), 1),
        is('pong', 'now'), is(kind, 'onetwo')],
      [`${kind} with a pong in between`]: [
        [start('one', OPEN), pong('now'), more('two')], is(kind, 'onetwo')],
      [`${kind} in five with pings of 125 bytes in between`]: [
        [start('1', OPEN), more('2', OPEN), ping(data(125)), more('3', OPEN), more('4', OPEN),
          ping(data(125)), more('5')],
        is('pong', data(125)), is('pong', data(125)), is(kind, '12345')],
      [`${kind} in empty fragments`]: [
        [start('', OPEN), more('', OPEN), more('')], is(kind, '')],
      [`${kind} with empty fragments around it`]: [
        [start('', OPEN), more('middle', OPEN), more('')], is(kind, 'middle')],
      [`${kind} with a close in between`]: [
        [start('one', OPEN), close(1000), more('two')], closed(1000)],
      [`a continuation that ends nothing, then ${kind}`]: [
        [more('x'), start('y')], closed(1002)],
      [`a continuation that begins nothing, then ${kind}`]: [
        [more('x', OPEN), start('y')], closed(1002)],
      [`an empty continuation of nothing, then ${kind}`]: [[more(''), start('y')], closed(1002)],
      [`a continuation after ${kind} in one frame`]: [
        [start('x'), more('y')], is(kind, 'x'), closed(1002)],
      [`a continuation after ${kind} in two`]: [
        [start('x', OPEN), more('y'), more('z')], is(kind, 'xy'), closed(1002)],
      [`an open continuation after ${kind} in two, in one write`]: [
        Buffer.concat([start('x', OPEN), more('y'), more('z', OPEN)]), is(kind, 'xy'), closed(1002)],
      [`${kind} inside ${kind}`]: [[start('x', OPEN), start('y')], closed(1002)],
      [`other data inside ${kind}`]: [[start('x', OPEN), other('y')], closed(1002)],
      [`an open frame of other data inside ${kind}`]: [[start('x', OPEN), other('y', OPEN)], closed(1002)],
      [`${kind} that begins after a ping inside ${kind}`]: [
        [start('x', OPEN), ping('1'), start('y')], is('pong', '1'), closed(1002)],
      [`${kind} inside an empty open frame`]: [[start('', OPEN), start('y')], closed(1002)],
      [`two of ${kind} in fragments, one behind the other`]: [
        Buffer.concat([...fragments(kind, 'first message', 4), ...fragments(kind, 'second', 2)]),
        is(kind, 'first message'), is(kind, 'second')],
    });
    for (const n of [65536, 200000]) {
      for (const size of [1300, 4096, 65535]) {
        f[`${kind} of ${n} bytes in fragments of ${size}`] = [
          fragments(kind, of(kind, n), size), is(kind, of(kind, n))];
      }
    }
    f[`${kind} of 1000 bytes in fragments of 1`] = [
      Buffer.concat(fragments(kind, of(kind, 1000), 1)), is(kind, of(kind, 1000))];
    f[`${kind} of 65536 bytes in fragments of 1300, written 997 bytes at a time`] = [
      pieces(Buffer.concat(fragments(kind, of(kind, 65536), 1300)), 997), is(kind, of(kind, 65536))];
    f[`${kind} in fragments with a ping behind each`] = [
      Buffer.concat(fragments(kind, 'abcdefgh', 1).flatMap((x, i) => [x, ping(`p${i}`)])),
      ...[...Array(7).keys()].map((i) => is('pong', `p${i}`)), is(kind, 'abcdefgh'), is('pong', 'p7')];
  }
  cases(server, 'fragments', f);

  // ---- text -------------------------------------------------------------------

  const wellFormed = {
    'nothing': '', 'one letter': 'x', 'two bytes each': 'äöüß', 'three bytes each': '世界€',
    'four bytes each': '😀🏳️‍🌈𝄞', 'all lengths mixed': 'aé€😀aé€😀',
    'U+0000': '\0', 'U+007F': '\x7f', 'U+0080': '\x80', 'U+07FF': '\u07ff',
    'U+0800': '\u0800', 'U+0FFF': '\u0fff', 'U+1000': '\u1000', 'U+CFFF': '\ucfff',
    'U+D000': '\ud000', 'U+D7FF': '\ud7ff', 'U+E000': '\ue000', 'U+FEFF, a byte order mark': '\ufeffx',
    'U+FFFD': '\ufffd', 'U+FFFE': '\ufffe', 'U+FFFF': '\uffff', 'U+10000': '\u{10000}',
    'U+3FFFF': '\u{3ffff}', 'U+40000': '\u{40000}', 'U+FFFFF': '\u{fffff}',
    'U+100000': '\u{100000}', 'U+10FFFF': '\u{10ffff}',
  };
  for (let plane = 1; plane <= 16; plane++) {
    for (const low of [0xfffe, 0xffff]) {
      const c = plane * 65536 + low;
      wellFormed[`the noncharacter U+${c.toString(16).toUpperCase()}`] = String.fromCodePoint(c);
    }
  }
  const good = {};
  for (const [name, s] of Object.entries(wellFormed)) {
    const b = Buffer.from(s);
    good[name] = [text(b), is('text', b)];
    good[`${name}, in fragments of a byte`] = [fragments('text', b, 1), is('text', b)];
    good[`${name}, written byte by byte`] = [pieces(text(b), 1), is('text', b)];
    if (b.length > 1) {
      good[`${name}, cut at every place`] = pieces(b, 1).slice(1).flatMap((_, i) => [
        [text(b.subarray(0, i + 1), OPEN), more('', OPEN), more(b.subarray(i + 1))], is('text', b)]);
    }
  }
  const long = Buffer.from('κόσμε 世界 😀 '.repeat(3000));
  good['a long text, written 997 bytes at a time'] = [pieces(text(long), 997), is('text', long)];
  good['a long text in fragments of 7'] = [Buffer.concat(fragments('text', long, 7)), is('text', long)];
  good['a character that ends behind a ping'] = [
    [text(Buffer.from([0xe2, 0x82]), OPEN), ping('x'), more(Buffer.from([0xac]))],
    is('pong', 'x'), is('text', '€')];
  good['binary data need not be text'] = [binary(Buffer.from([0xff, 0xc0, 0x80])),
    is('binary', Buffer.from([0xff, 0xc0, 0x80]))];
  good['a ping need not be text'] = [ping(Buffer.from([0xff])), is('pong', Buffer.from([0xff]))];
  cases(server, 'text that is UTF-8', good);

  const bytes = (...b) => Buffer.from(b);
  const malformed = {
    'over two bytes: U+002F': bytes(0xc0, 0xaf), 'over three bytes: U+002F': bytes(0xe0, 0x80, 0xaf),
    'over four bytes: U+002F': bytes(0xf0, 0x80, 0x80, 0xaf),
    'over five bytes: U+002F': bytes(0xf8, 0x80, 0x80, 0x80, 0xaf),
    'over six bytes: U+002F': bytes(0xfc, 0x80, 0x80, 0x80, 0x80, 0xaf),
    'over two bytes: U+0000': bytes(0xc0, 0x80), 'over three bytes: U+0000': bytes(0xe0, 0x80, 0x80),
    'over four bytes: U+0000': bytes(0xf0, 0x80, 0x80, 0x80),
    'over two bytes: U+007F': bytes(0xc1, 0xbf), 'over three bytes: U+07FF': bytes(0xe0, 0x9f, 0xbf),
    'over four bytes: U+FFFF': bytes(0xf0, 0x8f, 0xbf, 0xbf),
    'over five bytes: U+1FFFFF': bytes(0xf8, 0x87, 0xbf, 0xbf, 0xbf),
    'over six bytes: U+3FFFFFF': bytes(0xfc, 0x83, 0xbf, 0xbf, 0xbf, 0xbf),
    'beyond: U+110000': bytes(0xf4, 0x90, 0x80, 0x80), 'beyond: U+1FFFFF': bytes(0xf7, 0xbf, 0xbf, 0xbf),
    'beyond: U+200000': bytes(0xf8, 0x88, 0x80, 0x80, 0x80),
    'beyond: U+3FFFFFF': bytes(0xfb, 0xbf, 0xbf, 0xbf, 0xbf),
    'beyond: U+4000000': bytes(0xfc, 0x84, 0x80, 0x80, 0x80, 0x80),
    'beyond: U+7FFFFFFF': bytes(0xfd, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf),
    'surrogates in a pair': bytes(0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80),
    'the last surrogates in a pair': bytes(0xed, 0xaf, 0xbf, 0xed, 0xbf, 0xbf),
    'a letter inside a character': bytes(0xe2, 0x82, 0x41),
    'a character inside a character': bytes(0xe2, 0xc3, 0xa9),
    'all continuations': bytes(...[...Array(64).keys()].map((i) => 0x80 + i)),
    'a continuation too many': bytes(0xe2, 0x82, 0xac, 0xac),
    'latin-1': Buffer.from('na\u00efve', 'latin1'), 'utf-16': Buffer.from('\u20ac!', 'utf16le'),
    'good text around it': Buffer.concat([Buffer.from('κόσμε'), bytes(0xed, 0xa0, 0x80), Buffer.from('edited')]),
    'good text before it': Buffer.concat([Buffer.from('κόσμε'.repeat(20)), bytes(0xff)]),
    '0xfe 0xff': bytes(0xfe, 0xff), '0xff 0xfe': bytes(0xff, 0xfe),
  };
  for (const b of [0x80, 0xbf, 0xc0, 0xc1, 0xf5, 0xf6, 0xf7, 0xf8, 0xfb, 0xfc, 0xfd, 0xfe, 0xff]) {
    malformed[`0x${b.toString(16)} alone`] = bytes(b);
  }
  for (let n = 2; n <= 7; n++) malformed[`${n} continuations`] = Buffer.alloc(n, bytes(0x80, 0xbf));
  for (let b = 0xc2; b < 0xf5; b++) malformed[`0x${b.toString(16)} before a space`] = bytes(b, 0x20);
  for (const s of [0xd800, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff]) {
    malformed[`the surrogate U+${s.toString(16).toUpperCase()}`] = bytes(0xed, 0x80 | ((s >> 6) & 63), 0x80 | (s & 63));
  }

  // Index of the first byte that no character can have there.
  function firstWrong(b) {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    for (let i = 0; i < b.length; i++) {
      try {
        decoder.decode(b.subarray(i, i + 1), { stream: true });
      } catch {
        return i;
      }
    }
    return -1;
  }

  describe('text that is not UTF-8', () => {
    for (const [name, b] of Object.entries(malformed)) {
      const at = firstWrong(b);
      assert.ok(at >= 0, name);
      test(name, () => play(server, [text(b), closed(1007)]));
      test(`${name}, in fragments of a byte`, () => play(server, [fragments('text', b, 1), closed(1007)]));
      test(`${name}: refused at byte ${at}, in a frame that goes on`, () => play(server, [
        unfinished(b.subarray(0, at + 1), 1000), closed(1007)]));
      test(`${name}: refused at byte ${at} and no sooner, in fragments`, () => play(server, [
        [text(b.subarray(0, at), OPEN), ping('still fine')], is('pong', 'still fine'),
        more(b.subarray(at, at + 1), OPEN), closed(1007)]));
    }
  });

  const cutOff = {};
  for (const c of ['é', '€', '😀']) {
    const b = Buffer.from(c);
    for (let n = 1; n < b.length; n++) {
      const part = b.subarray(0, n);
      const name = `${n} of ${b.length} bytes`;
      cutOff[name] = [text(part), closed(1007)];
      cutOff[`${name}, behind other text`] = [
        text(Buffer.concat([Buffer.from('text '), part])), closed(1007)];
      cutOff[`${name}, in the last fragment`] = [[text('text ', OPEN), more(part)], closed(1007)];
      cutOff[`${name}, then an empty last fragment`] = [[text(part, OPEN), more('')], closed(1007)];
      cutOff[`${name}, then text that cannot follow`] = [[text(part, OPEN), more('x', OPEN)], closed(1007)];
      cutOff[`${name} is not carried into the next message`] = [
        [text(part, OPEN), more(b.subarray(n)), text('next')], is('text', c), is('text', 'next')];
    }
  }
  cases(server, 'text that ends inside a character', cutOff);

  // ---- closing ----------------------------------------------------------------

  const closing = {
    'without a code': [close(), closed(1005)],
    'written byte by byte': [pieces(close(1000, 'good bye'), 1), closed(1000)],
    'after a message': [[text('last'), close(1000)], is('text', 'last'), closed(1000)],
    'after a message, in one write': [
      Buffer.concat([text('last'), close(1000)]), is('text', 'last'), closed(1000)],
    'after a message of 256 KiB': [
      Buffer.concat([binary(data(262144)), close(1000)]), is('binary', data(262144)), closed(1000)],
    'before a ping': [Buffer.concat([close(1000), ping('x')]), closed(1000)],
    'before text': [Buffer.concat([close(1000), text('x')]), closed(1000)],
    'before another close': [Buffer.concat([close(1000), close(1001)]), closed(1000)],
    'before what is no frame': [Buffer.concat([close(1000), data(256)]), closed(1000)],
    'before text, in another write': [[close(1000), text('x')], closed(1000)],
    'with one byte': [frame(8, 'x'), closed(1002)],
    'with one zero byte': [frame(8, Buffer.alloc(1)), closed(1002)],
    'with the longest reason': [close(1000, 'r'.repeat(123)), closed(1000)],
    'with a reason that is too long': [close(1000, 'r'.repeat(124)), closed(1002)],
    'with a reason in several alphabets': [close(1000, 'κόσμε 世界 😀'), closed(1000)],
    'in fragments': [[frame(8, closeBody(1000), OPEN), more('x')], closed(1002)],
    'within a message, its rest unsent': [[text('x', OPEN), close(1001)], closed(1001)],
  };
  for (const [name, b] of Object.entries(malformed)) {
    closing[`with a reason that is no UTF-8: ${name}`] = [
      frame(8, closeBody(1000, b.subarray(0, 123))), closed(1007)];
  }
  closing['with a reason that ends inside a character'] = [
    frame(8, closeBody(1000, Buffer.from('€').subarray(0, 2))), closed(1007)];
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    3000, 3001, 3999, 4000, 4001, 4999]) {
    closing[`with code ${code}`] = [close(code), closed(code)];
    closing[`with code ${code} and a reason`] = [close(code, 'why'), closed(code)];
  }
  for (const code of [0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1100, 1999, 2000, 2999, 5000,
    5001, 32768, 65535]) {
    closing[`with code ${code}, which none may send`] = [close(code), closed(1002)];
    closing[`with code ${code}, which none may send, and a reason`] = [close(code, 'why'), closed(1002)];
  }
  cases(server, 'closing', closing);

  test('the reason comes back, too', async () => {
    await play(server, [close(4000, 'as agreed'), is('close', closeBody(4000, 'as agreed'))]);
  });

  // ---- size -------------------------------------------------------------------

  // Plays it and tells how much the server worked for it.
  async function worked(steps) {
    const begin = server.process.cpu();
    await play(server, steps);
    return server.process.cpu() - begin;
  }

  const MIB = 1 << 20;
  const large = {
    '16 MiB in one frame': [16 * MIB, Infinity, 65536],
    '16 MiB in fragments of 64 bytes': [16 * MIB, 64, 65536],
    '16 MiB in fragments of 64 bytes, written 997 bytes at a time': [16 * MIB, 64, 997],
    '16 MiB in fragments of 64 KiB': [16 * MIB, 65536, 65536],
    '256 KiB in fragments of a byte': [MIB / 4, 1, 65536],
    '64 KiB in fragments of a byte, written 3 bytes at a time': [MIB / 16, 1, 3],
    '64 KiB written byte by byte': [MIB / 16, Infinity, 1],
  };
  describe('large messages cost what they weigh', () => {
    for (const kind of ['text', 'binary']) {
      for (const [name, [n, size, write]] of Object.entries(large)) {
        test(`${kind}: ${name}`, { timeout: 120000 }, async () => {
          const sent = Buffer.concat(size === Infinity
            ? [frame(OPCODE[kind], of(kind, n))] : fragments(kind, of(kind, n), size));
          const ms = await worked([pieces(sent, write), is(kind, of(kind, n))]);
          assert.ok(ms < 3000 * SLOW, `${ms} ms of processor time`);
        });
      }
    }

    test('the largest message of all, and not one byte more', { timeout: 120000 }, async () => {
      const ws = await opened(server);
      await send(ws, binary(Buffer.alloc(MIB)));
      await expect(ws, is('binary', Buffer.alloc(MIB)));
      await send(ws, binary('', { fin: false }));
      for (let i = 0; i < 64; i++) await send(ws, more(Buffer.alloc(MIB), OPEN));
      await send(ws, more('x'));
      await expect(ws, closed(1009));
    });
  });

  test('one that sends and does not read is not read from for ever', async () => {
    const ws = await opened(server);
    ws.socket.pause();
    const begin = server.process.rss();
    const message = binary(data(65536));
    for (let i = 0; i < 1000; i++) ws.write(message);
    const other = await opened(server);
    await send(other, text('x'));
    await expect(other, is('text', 'x'));
    await leaves(other);
    if (SLOW === 1) assert.ok(server.process.rss() - begin < 32 * 1024);
    ws.socket.resume();
    for (let i = 0; i < 1000; i++) await expect(ws, is('binary', data(65536)));
    await leaves(ws);
  });
});
