/* The chat page. The events it speaks are listed in server/app/chat.h.
 *
 * The model is plain objects (state); views read it and write the document; the
 * outbox and the connection change it. All text goes in as textContent. */
'use strict';

(() => {
  const DEFAULT_ROOM = 'lobby';
  const TEXT_BYTES = 16 * 1024;
  const ACK_MS = 10000;
  const RETRY_MS = { first: 500, longest: 8000 };
  const GIVING_UP = 5; // attempts until it counts as disconnected
  const ROOMS_EVERY_MS = 10000;
  const TYPING = { every: 2000, idle: 3000, shown: 5000 };
  const SAME_GROUP_MS = 5 * 60 * 1000;
  const KEPT = { most: 600, least: 500 }; // messages per room

  // ---- small things ---------------------------------------------------------

  const $ = (id) => document.getElementById(id);

  /* A new element: make('p', 'text', 'hello') or with children. */
  function make(tag, className, ...content) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...content);
    return node;
  }

  function button(label, onClick) {
    const node = make('button', '', label);
    node.type = 'button';
    node.addEventListener('click', onClick);
    return node;
  }

  const stored = {
    get(area, key) {
      try { return JSON.parse(area().getItem(key)); } catch (e) { return null; }
    },
    set(area, key, value) {
      try { area().setItem(key, JSON.stringify(value)); } catch (e) { /* not kept, then */ }
    },
  };
  const device = () => localStorage;
  const tab = () => sessionStorage;

  function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(15));
    return btoa(String.fromCharCode(...bytes));
  }

  /* Without blanks at both ends, as the server takes names. */
  function trimmed(name) {
    const blanks = '[\\s\\u00ad\\u200b-\\u200f\\u205f-\\u2064\\u3164]+';
    return name.replace(new RegExp(`^${blanks}|${blanks}$`, 'g'), '');
  }

  const bytesOf = (text) => new TextEncoder().encode(text).length;
  const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;
  const shortened = (name) => (name.length > 24 ? `${Array.from(name).slice(0, 23).join('')}…` : name);
  const isString = (v) => typeof v === 'string';
  /* A keyboard is likely, so that focus does not bring one onto the screen. */
  const hasKeyboard = () => matchMedia('(hover: hover) and (pointer: fine)').matches;

  const clock = new Intl.DateTimeFormat([], { timeStyle: 'short' });
  const date = new Intl.DateTimeFormat([], { weekday: 'long', day: 'numeric', month: 'long' });
  const dayOf = (at) => new Date(at).toDateString();

  function dayName(at) {
    const yesterday = new Date();
    yesterday.setDate(yesterday.getDate() - 1);
    if (dayOf(at) === dayOf(Date.now())) return 'Today';
    return dayOf(at) === yesterday.toDateString() ? 'Yesterday' : date.format(at);
  }

  function dress(avatar, name) {
    let hash = 0;
    for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 65521;
    avatar.style.setProperty('--hue', Math.round(hash * 137.5) % 360);
    avatar.textContent = (Array.from(name)[0] || '?').toLocaleUpperCase();
    return avatar;
  }

  function avatarOf(name) {
    const node = make('span', 'avatar');
    node.setAttribute('aria-hidden', 'true');
    return dress(node, name);
  }

  // ---- state ------------------------------------------------------------------

  const state = {
    name: stored.get(device, 'confab.name') || '',
    rooms: new Map(), // the joined ones, by name: see newRoom
    counts: [],       // {room, count} of the cluster
    current: null,    // a joined room, or null
    outbox: [],       // own messages that nobody acknowledged, in order
  };

  function newRoom(name) {
    return {
      name,
      items: [],          // messages and notices: see addMessage, addNotice
      byId: new Map(),    // message id -> item
      people: new Map(),  // socket id -> name
      count: 0,
      typing: new Map(),  // name -> timer
      unread: 0,
      draft: '',
    };
  }

  const nameOf = (username) => (isString(username) && username ? username : 'Guest');
  const isRead = (room) => room === state.current && !document.hidden;

  function saveRooms() {
    stored.set(tab, 'confab.rooms', {
      joined: [...state.rooms.keys()],
      current: state.current && state.current.name,
    });
  }

  // ---- view: messages ---------------------------------------------------------

  const log = $('log');
  let following = true; // the end of the log is in sight

  function toEnd() {
    log.scrollTop = log.scrollHeight;
    following = true;
    $('jump').hidden = true;
  }

  function dayLine(at) {
    return make('li', 'day', dayName(at));
  }

  function stateLine(item) {
    if (item.state === 'pending') return [socket.connected ? 'Sending…' : 'Waiting for the connection'];
    if (item.state !== 'failed') return [];
    return [
      `Not sent: ${item.error}`,
      button('Retry', () => retry(item)),
      button('Discard', () => discard(item)),
    ];
  }

  function showState(item) {
    if (!item.node) return;
    item.node.dataset.state = item.state;
    item.node.querySelector('.state').replaceChildren(...stateLine(item));
  }

  function messageLine(item, isFirst) {
    const time = make('time', '', clock.format(item.at));
    const meta = make('p', isFirst ? 'meta' : 'meta hidden');
    const who = make('bdi', item.mine ? 'who hidden' : 'who', item.mine ? 'You' : item.username);
    const text = make('p', 'text', item.text);
    const node = make('li', 'message');
    time.dateTime = new Date(item.at).toISOString();
    meta.append(who, time);
    text.title = time.textContent;
    node.classList.toggle('first', isFirst);
    node.classList.toggle('mine', item.mine);
    node.dataset.id = item.id;
    if (isFirst && !item.mine) node.append(avatarOf(item.username));
    node.append(make('div', 'body', meta, text, make('p', 'state')));
    item.node = node;
    showState(item);
    return node;
  }

  /* The lines for an item that stands after `before`. */
  function linesOf(item, before) {
    const lines = [];
    const newDay = !before || dayOf(before.at) !== dayOf(item.at);
    if (newDay) lines.push(dayLine(item.at));
    if (item.notice) {
      item.node = make('li', 'notice', item.notice);
      lines.push(item.node);
    } else {
      const goesOn = !newDay && !before.notice && before.mine === item.mine &&
        before.username === item.username && item.at - before.at < SAME_GROUP_MS;
      lines.push(messageLine(item, !goesOn));
    }
    return lines;
  }

  /* Shows the whole room anew, which is not to be read aloud. */
  function showMessages() {
    const room = state.current;
    const items = room ? room.items : [];
    log.setAttribute('aria-live', 'off');
    $('messages').replaceChildren(...items.reduce(
      (all, item, i) => all.concat(linesOf(item, items[i - 1])), []));
    showEmpty();
    toEnd();
    setTimeout(() => log.setAttribute('aria-live', 'polite'), 100);
  }

  function showEmpty() {
    let text = '';
    if (!state.current) text = 'You are in no room. Choose one from the list, or open your own.';
    else if (!state.current.items.length) text = 'Nothing here yet. Say hello.';
    $('empty').textContent = text;
  }

  function showItem(room, item) {
    if (room !== state.current) return;
    $('messages').append(...linesOf(item, room.items[room.items.length - 2]));
    showEmpty();
    if (following || item.mine) toEnd();
    else if (!item.notice) $('jump').hidden = false;
  }

  function addItem(room, item) {
    room.items.push(item);
    if (item.id) room.byId.set(item.id, item);
    if (room.items.length <= KEPT.most) {
      showItem(room, item);
      return;
    }
    for (const old of room.items.splice(0, room.items.length - KEPT.least)) room.byId.delete(old.id);
    if (room === state.current) showMessages();
  }

  /* What happened in the room. The newest about a person replaces the one just
   * before it, so that a bad line does not fill the log. */
  function addNotice(room, notice, about) {
    const last = room.items[room.items.length - 1];
    if (last && last.notice && about && last.about === about) {
      last.notice = notice;
      if (last.node) last.node.textContent = notice;
    } else {
      addItem(room, { notice, about, at: Date.now() });
    }
  }

  // ---- view: the rest ---------------------------------------------------------

  const roomLines = new Map(); // room name -> li, kept so that focus stays

  function roomLine(name) {
    const line = make('li');
    const go = button('', () => openRoom(name));
    const label = make('bdi', 'name', name);
    const badge = make('span', 'badge');
    const count = make('span', 'count');
    line.dataset.room = name;
    go.append(label, badge, count);
    line.append(go);
    roomLines.set(name, line);
    return line;
  }

  function fillRoomLine(line, name, count) {
    const room = state.rooms.get(name);
    const unread = room ? room.unread : 0;
    const [label, badge, number] = line.firstChild.children;
    line.dataset.joined = Boolean(room);
    line.dataset.unread = unread;
    line.firstChild.setAttribute('aria-current', Boolean(room && room === state.current));
    line.firstChild.setAttribute('aria-label', `${name}, ${plural(count, 'person', 'people')}` +
      (room ? '' : ', not joined') + (unread ? `, ${unread} unread` : ''));
    label.classList.toggle('unread-name', unread > 0);
    badge.hidden = !unread;
    badge.textContent = unread > 99 ? '99+' : unread;
    number.hidden = unread > 0;
    number.textContent = count || '';
  }

  function showRooms() {
    const counts = new Map(state.counts.map((c) => [c.room, c.count]));
    const names = [...state.rooms.keys()];
    const others = state.counts.map((c) => c.room).filter((name) => !state.rooms.has(name));
    const lines = names.concat(others).map((name) => {
      const line = roomLines.get(name) || roomLine(name);
      const room = state.rooms.get(name);
      fillRoomLine(line, name, room ? room.count : counts.get(name));
      line.dataset.firstOther = name === others[0] && names.length > 0;
      return line;
    });
    for (const [name, line] of roomLines) if (!lines.includes(line)) roomLines.delete(name);
    const list = $('rooms');
    const same = list.children.length === lines.length && lines.every((l, i) => list.children[i] === l);
    if (!same) {
      const focused = document.activeElement;
      list.replaceChildren(...lines);
      if (lines.some((line) => line.contains(focused))) focused.focus();
    }
    showUnread();
  }

  function showUnread() {
    const unread = [...state.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
    const elsewhere = unread - (state.current ? state.current.unread : 0);
    document.title = (unread ? `(${unread}) ` : '') +
      (state.current ? `#${state.current.name} · confab` : 'confab');
    $('unread-total').hidden = !elsewhere;
    $('unread-total').textContent = elsewhere > 99 ? '99+' : elsewhere;
    $('rooms-toggle').setAttribute('aria-label', elsewhere ? `Rooms, ${elsewhere} unread` : 'Rooms');
  }

  function showRoomHead() {
    const room = state.current;
    $('room-title').textContent = room ? `# ${room.name}` : 'No room';
    $('room-count').textContent = room && room.count ? plural(room.count, 'person', 'people') : '';
    $('leave').hidden = !room;
    $('message-input').disabled = !room;
    $('message-input').placeholder = room ? `Message #${shortened(room.name)}` : 'Join a room to write';
  }

  function personLine([id, username]) {
    const line = make('li', '', avatarOf(username), make('bdi', '', username));
    if (id === socket.id) line.append(make('span', 'you', 'you'));
    line.dataset.id = id;
    return line;
  }

  function showPeople() {
    const room = state.current;
    const people = room ? [...room.people] : [];
    people.sort((a, b) => (b[0] === socket.id) - (a[0] === socket.id) || a[1].localeCompare(b[1]));
    $('people').replaceChildren(...people.map(personLine));
    const more = room ? room.count - people.length : 0;
    $('people-more').textContent = people.length && more > 0 ? `and ${more} more` : '';
    $('people-toggle').setAttribute('aria-label', `People${room ? `, ${room.count} here` : ''}`);
  }

  function showTyping() {
    const names = state.current ? [...state.current.typing.keys()] : [];
    let text = '';
    if (names.length === 1) text = `${names[0]} is typing…`;
    else if (names.length === 2) text = `${names[0]} and ${names[1]} are typing…`;
    else if (names.length) text = `${names.length} people are typing…`;
    $('typing').textContent = text;
    $('typing').dataset.count = names.length;
  }

  function showName() {
    $('me').hidden = !state.name;
    $('me-name').textContent = state.name;
    dress($('me').querySelector('.avatar'), state.name);
  }

  function showStatus(what, text, detail) {
    const node = $('status');
    node.dataset.state = what;
    if ($('status-text').textContent !== text) $('status-text').textContent = text;
    $('status-detail').textContent = detail || '';
  }

  function showRoom() {
    showRooms();
    showRoomHead();
    showMessages();
    showPeople();
    showTyping();
    showSend();
  }

  // ---- rooms ------------------------------------------------------------------

  function setCount(room, count) {
    room.count = count;
    if (room === state.current) {
      showRoomHead();
      showPeople();
    }
    showRooms();
  }

  async function fetchPeople(room) {
    const answer = await request('who', room.name);
    if (!Array.isArray(answer.people)) return;
    room.people = new Map(answer.people.map((p) => [p.id, nameOf(p.username)]));
    setCount(room, answer.count);
  }

  async function fetchRooms() {
    const answer = await request('rooms');
    if (!Array.isArray(answer.rooms)) return;
    state.counts = answer.rooms;
    showRooms();
    // a count that does not fit the people known says that news were missed
    for (const { room: name, count } of answer.rooms) {
      const room = state.rooms.get(name);
      if (room && (room.count !== count || (room.people.size !== count && room.people.size < 200))) {
        fetchPeople(room);
      }
    }
  }

  /* Joins, on the server; false when that was refused. A lost connection is no
   * refusal: the next one joins again. */
  async function join(room) {
    const who = request('join room', room.name);
    fetchPeople(room);
    const answer = await who;
    if (!answer.refused) return true;
    dropRoom(room);
    $('room-error').textContent = `Could not join ${room.name}: ${answer.error}`;
    return false;
  }

  function openRoom(name) {
    let room = state.rooms.get(name);
    if (!room) {
      room = newRoom(name);
      state.rooms.set(name, room);
      if (isOnline()) join(room).then(fetchRooms);
    }
    $('room-error').textContent = '';
    switchTo(room);
    closePanels();
    if (hasKeyboard()) $('message-input').focus();
  }

  function switchTo(room) {
    const input = $('message-input');
    stopTyping();
    if (state.current) state.current.draft = input.value;
    state.current = room || null;
    if (room && !document.hidden) room.unread = 0;
    input.value = room ? room.draft : '';
    fitInput();
    saveRooms();
    showRoom();
  }

  /* Forgets the room, with what was not sent to it yet. */
  function dropRoom(room) {
    state.rooms.delete(room.name);
    state.outbox = state.outbox.filter((item) => item.room !== room);
    if (room === state.current) switchTo([...state.rooms.values()][0]);
    else showRooms();
    saveRooms();
  }

  function leaveRoom(room) {
    dropRoom(room);
    if (isOnline()) request('leave room', room.name).then(fetchRooms);
  }

  // ---- what others do ---------------------------------------------------------

  function onMessage(m) {
    const room = m && isString(m.room) && isString(m.message) && state.rooms.get(m.room);
    if (!room) return;
    const known = isString(m.id) ? room.byId.get(m.id) : null;
    if (known) { // one's own, or sent once more after a broken connection
      if (known.mine) settle(known, 'sent');
      return;
    }
    const username = nameOf(m.username);
    setTyping(room, username, false);
    if (!isRead(room)) {
      room.unread++;
      showRooms();
    }
    addItem(room, {
      id: isString(m.id) ? m.id : newId(),
      username, text: m.message, at: Date.now(), mine: false, state: 'sent',
    });
  }

  function onPresence(p) {
    const room = p && state.rooms.get(p.room);
    if (!room) return;
    const name = nameOf(p.username);
    const before = room.people.get(p.id);
    const gone = p.what === 'leave' || p.what === 'lost';
    if (gone) room.people.delete(p.id);
    else room.people.set(p.id, name);
    if (gone) setTyping(room, name, false);
    setCount(room, p.count);
    if (p.id === socket.id) return;
    if (p.what === 'enter') addNotice(room, `${name} joined`, name);
    else if (p.what === 'leave') addNotice(room, `${name} left`, name);
    else if (p.what === 'lost') addNotice(room, `${name} lost the connection`, name);
    else if (before && before !== name) addNotice(room, `${before} is now ${name}`, name);
  }

  function setTyping(room, name, is) {
    clearTimeout(room.typing.get(name));
    if (is) room.typing.set(name, setTimeout(() => setTyping(room, name, false), TYPING.shown));
    else if (!room.typing.delete(name)) return;
    if (room === state.current) showTyping();
  }

  function onTyping(is, t) {
    const room = t && isString(t.room) && state.rooms.get(t.room);
    if (room) setTyping(room, nameOf(t.username), is);
  }

  // ---- outbox -----------------------------------------------------------------

  /* An own message is pending until the server answers or the message itself
   * comes back. A lost connection leaves it in the outbox, which the next
   * connection sends again in order; its id lets receivers drop a repetition. */

  function post(room, text) {
    const item = {
      id: newId(), room, text, username: state.name, at: Date.now(),
      mine: true, state: 'pending', sentOn: 0,
    };
    state.outbox.push(item);
    addItem(room, item);
    flush();
  }

  function settle(item, to, error) {
    if (item.state === to) return;
    item.state = to;
    item.error = error;
    state.outbox = state.outbox.filter((other) => other !== item);
    showState(item);
  }

  function transmit(item) {
    const on = connection.number;
    item.sentOn = on;
    request('chat message', { room: item.room.name, message: item.text, id: item.id })
      .then((answer) => {
        if (item.state !== 'pending' || item.sentOn !== on) return;
        if (answer.ok) settle(item, 'sent');
        else if (answer.refused) settle(item, 'failed', answer.error);
        else if (on === connection.number && socket.connected) settle(item, 'failed', 'no answer');
      });
  }

  function flush() {
    if (!isOnline()) return;
    for (const item of state.outbox) {
      if (item.sentOn !== connection.number) transmit(item);
      showState(item);
    }
  }

  function remove(item) {
    item.room.items = item.room.items.filter((other) => other !== item);
    item.room.byId.delete(item.id);
    if (item.room === state.current) showMessages();
  }

  function retry(item) {
    remove(item);
    Object.assign(item, { state: 'pending', at: Date.now(), sentOn: 0 });
    state.outbox.push(item);
    addItem(item.room, item);
    flush();
    $('message-input').focus();
  }

  function discard(item) {
    remove(item);
    $('message-input').focus();
  }

  // ---- connection -------------------------------------------------------------

  /* The client's own reconnection is off: this one shows the time left, can be
   * hurried, and also comes back when the server ended the connection. */
  const socket = typeof io === 'function'
    ? io({ autoConnect: false, reconnection: false, timeout: 8000 }) : null;
  const connection = { number: 0, attempts: 0, timer: 0, retryAt: 0, node: '', transport: '' };

  const isOnline = () => Boolean(socket && socket.connected && state.name);

  const wordsOf = (answer) => (answer.error === 'rate_limited'
    ? `too much at once; wait ${Math.ceil(answer.retry_after_ms / 1000)} s` : answer.error);

  /* The server's answer; {error}, with `refused` when it said so itself. */
  function request(event, ...args) {
    return new Promise((resolve) => {
      if (!socket.connected) {
        resolve({ error: 'not connected' });
        return;
      }
      socket.timeout(ACK_MS).emit(event, ...args, (error, answer) => {
        if (error) resolve({ error: error.message });
        else if (answer && answer.error) resolve({ error: wordsOf(answer), refused: true });
        else resolve(answer || {});
      });
    });
  }

  function showConnection() {
    const c = connection;
    const node = $('status');
    const left = Math.ceil((c.retryAt - Date.now()) / 1000);
    node.dataset.transport = socket.connected ? c.transport : '';
    node.dataset.node = socket.connected ? c.node : '';
    $('banner').hidden = socket.connected || (!c.number && c.attempts < 2);
    $('try-now').hidden = !c.timer;
    if (socket.connected) {
      showStatus('connected', 'Connected', [c.transport, c.node].filter(Boolean).join(' · '));
      return;
    }
    const what = c.attempts >= GIVING_UP ? 'disconnected' : c.number ? 'reconnecting' : 'connecting';
    const text = { connecting: 'Connecting', reconnecting: 'Reconnecting', disconnected: 'Disconnected' }[what];
    const when = c.timer && left > 0 ? `next attempt in ${left} s` : c.attempts > 1 ? `attempt ${c.attempts}` : '';
    showStatus(what, text, when);
    $('banner-text').textContent = c.timer && left > 0
      ? `Offline. Next attempt in ${left} s.` : 'Offline. Reconnecting…';
  }

  function connect() {
    clearInterval(connection.timer);
    connection.timer = 0;
    connection.attempts++;
    socket.connect();
    showConnection();
  }

  /* Half of each delay is chance: not everyone comes back at the same moment. */
  function connectLater() {
    const c = connection;
    const longest = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** c.attempts);
    c.retryAt = Date.now() + longest * (0.5 + Math.random() / 2);
    clearInterval(c.timer);
    c.timer = setInterval(() => {
      if (Date.now() >= c.retryAt) connect();
      else showConnection();
    }, 200);
    showConnection();
  }

  function hurry() {
    if (connection.timer) connect();
  }

  /* Says who is there and where, then what waits: a connection keeps order. */
  function introduce() {
    if (isOnline()) {
      request('add user', state.name).then((answer) => {
        if (!answer.refused) return;
        state.name = '';
        askName(answer.error);
      });
      for (const room of state.rooms.values()) join(room);
      flush();
    }
    fetchRooms();
  }

  function onConnect() {
    const c = connection;
    const engine = socket.io.engine;
    const again = c.number > 0;
    c.number++;
    c.attempts = 0;
    c.node = '';
    c.transport = engine.transport.name;
    engine.on('upgrade', (transport) => {
      c.transport = transport.name;
      showConnection();
    });
    showConnection();
    request('hello').then((answer) => {
      if (!answer.node || engine !== socket.io.engine) return;
      c.node = answer.node;
      showConnection();
    });
    if (again) {
      for (const room of state.rooms.values()) {
        addNotice(room, 'You are back. What was said meanwhile is not shown.', state);
      }
    }
    introduce();
  }

  function onDisconnect() {
    for (const room of state.rooms.values()) {
      for (const name of [...room.typing.keys()]) setTyping(room, name, false);
    }
    state.outbox.forEach(showState);
    connectLater();
  }

  function listen() {
    socket.on('connect', onConnect);
    socket.on('disconnect', onDisconnect);
    socket.on('connect_error', connectLater);
    socket.on('chat message', onMessage);
    socket.on('presence', onPresence);
    socket.on('typing', (t) => onTyping(true, t));
    socket.on('stop typing', (t) => onTyping(false, t));
    $('try-now').addEventListener('click', hurry);
    window.addEventListener('online', hurry);
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      hurry();
      if (state.current) state.current.unread = 0;
      showRooms();
    });
    setInterval(() => {
      if (socket.connected && !document.hidden) fetchRooms();
    }, ROOMS_EVERY_MS);
  }

  // ---- name -------------------------------------------------------------------

  function askName(error) {
    $('name-input').value = state.name;
    $('name-error').textContent = error || '';
    $('name-cancel').hidden = !state.name || Boolean(error);
    if (!$('name-dialog').open) $('name-dialog').showModal();
    $('name-input').select();
  }

  async function onName(event) {
    event.preventDefault();
    const name = trimmed($('name-input').value);
    const isFirst = !state.name || !isOnline();
    let problem = '';
    if (!name) problem = 'Please enter a name.';
    else if (bytesOf(name) > 64) problem = 'This name is too long.';
    else if (!isFirst) {
      const answer = await request('rename', name);
      if (answer.refused) problem = answer.error;
    }
    $('name-error').textContent = problem;
    if (problem) return;
    state.name = name;
    stored.set(device, 'confab.name', name);
    $('name-dialog').close();
    showName();
    if (isFirst) introduce();
    if (hasKeyboard()) $('message-input').focus();
  }

  function setUpName() {
    $('name-form').addEventListener('submit', onName);
    $('me').addEventListener('click', () => askName());
    $('name-cancel').addEventListener('click', () => $('name-dialog').close());
    $('name-dialog').addEventListener('cancel', (event) => {
      if ($('name-cancel').hidden) event.preventDefault();
    });
  }

  // ---- writing ----------------------------------------------------------------

  const typing = { room: null, saidAt: 0, timer: 0 };

  function startTyping() {
    const now = Date.now();
    clearTimeout(typing.timer);
    typing.timer = setTimeout(stopTyping, TYPING.idle);
    if (!isOnline() || (typing.room === state.current && now - typing.saidAt < TYPING.every)) return;
    typing.room = state.current;
    typing.saidAt = now;
    socket.emit('typing', { room: typing.room.name });
  }

  function stopTyping() {
    clearTimeout(typing.timer);
    if (typing.room && isOnline() && state.rooms.has(typing.room.name)) {
      socket.emit('stop typing', { room: typing.room.name });
    }
    typing.room = null;
  }

  function fitInput() {
    const input = $('message-input');
    input.style.height = 'auto';
    input.style.height = `${input.scrollHeight + 2}px`;
    input.style.overflowY = input.scrollHeight > input.clientHeight + 4 ? 'auto' : 'hidden';
  }

  function showSend() {
    $('send').disabled = !state.current || !$('message-input').value.trim();
  }

  function onSend(event) {
    event.preventDefault();
    const input = $('message-input');
    const text = input.value.trim();
    if (!text || !state.current) return;
    const over = bytesOf(text) - TEXT_BYTES;
    $('message-error').textContent = over > 0
      ? `This message is too long by ${plural(over, 'byte', 'bytes')}.` : '';
    if (over > 0) return;
    input.value = '';
    stopTyping();
    post(state.current, text);
    fitInput();
    showSend();
    input.focus();
  }

  function onInput() {
    $('message-error').textContent = '';
    fitInput();
    showSend();
    if ($('message-input').value.trim()) startTyping();
    else stopTyping();
  }

  function setUpWriting() {
    $('message-form').addEventListener('submit', onSend);
    $('message-input').addEventListener('input', onInput);
    $('message-input').addEventListener('keydown', (event) => {
      // Enter also ends the composition of a character
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      onSend(event);
    });
    log.addEventListener('scroll', () => {
      following = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
      if (following) $('jump').hidden = true;
    }, { passive: true });
    // also when what stands below the log, or in it, takes more room
    const resized = new ResizeObserver(() => following && toEnd());
    resized.observe(log);
    resized.observe($('messages'));
    $('jump').addEventListener('click', () => {
      toEnd();
      log.focus({ preventScroll: true });
    });
  }

  // ---- panels and keys --------------------------------------------------------

  const panels = ['rooms', 'people'];

  function openPanel(which) {
    for (const name of panels) {
      const open = name === which;
      $(`${name}-panel`).classList.toggle('open', open);
      $(`${name}-toggle`).setAttribute('aria-expanded', open);
    }
    $('scrim').hidden = !which;
  }

  function closePanels() {
    const open = panels.find((name) => $(`${name}-panel`).classList.contains('open'));
    if (!open) return;
    openPanel(null);
    $(`${open}-toggle`).focus();
  }

  function moveInRooms(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const lines = [...$('rooms').querySelectorAll('button')];
    const at = lines.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    lines[(at + step + lines.length) % lines.length].focus();
  }

  function setUpPanels() {
    for (const name of panels) {
      const panel = $(`${name}-panel`);
      panel.tabIndex = -1;
      $(`${name}-toggle`).addEventListener('click', () => {
        openPanel(name);
        panel.focus();
        if (socket.connected) fetchRooms();
      });
      panel.querySelector('.close').addEventListener('click', closePanels);
    }
    $('scrim').addEventListener('click', closePanels);
    $('rooms').addEventListener('keydown', moveInRooms);
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') closePanels();
    });
    $('leave').addEventListener('click', () => state.current && leaveRoom(state.current));
    $('room-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const name = trimmed($('room-input').value);
      const tooLong = bytesOf(name) > 128;
      $('room-error').textContent = tooLong ? 'This name is too long.' : '';
      if (!name || tooLong) return;
      $('room-input').value = '';
      openRoom(name);
    });
  }

  /* Phones that lay the keyboard over the page tell only here how much is left. */
  function setUpHeight() {
    const view = window.visualViewport;
    if (!view) return;
    const fit = () => {
      if (view.scale > 1.01) return; // zoomed by hand
      const covered = view.height < window.innerHeight - 1;
      document.documentElement.style.setProperty('--height', covered ? `${view.height}px` : '');
      if (covered) window.scrollTo(0, 0);
    };
    view.addEventListener('resize', fit);
    fit();
  }

  // ---- start ------------------------------------------------------------------

  /* The rooms that this tab was in before it was loaded anew. */
  function recall() {
    const saved = stored.get(tab, 'confab.rooms');
    const known = saved && Array.isArray(saved.joined);
    const names = known ? saved.joined.filter(isString) : [DEFAULT_ROOM];
    for (const name of names) state.rooms.set(name, newRoom(name));
    state.current = state.rooms.get(known ? saved.current : DEFAULT_ROOM) || null;
  }

  function start() {
    setUpName();
    setUpWriting();
    setUpPanels();
    setUpHeight();
    showName();
    if (!socket) {
      showStatus('disconnected', 'The client library did not load', '');
      return;
    }
    recall();
    showRoom();
    listen();
    connect();
    if (!state.name) askName();
  }

  start();
})();
