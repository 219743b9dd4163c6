'use strict';
// The table as a picture: what an operation costs beside the floor, and the
// growth curves.

const WIDTH = 980;
const COLORS = { confab: '#0b6e4f', node: '#c8553d', floor: '#555', budget: '#1d4e89' };

const escape = (text) => String(text).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
const text = (x, y, words, more = '') => `<text x="${x}" y="${y}" ${more}>${escape(words)}</text>`;
const line = (x1, y1, x2, y2, color, more = '') => `<line x1="${x1}" y1="${y1}" x2="${x2}" `
  + `y2="${y2}" stroke="${color}" ${more}/>`;
const dot = (x, y, color, filled = true) => `<circle cx="${x}" cy="${y}" r="4.5" stroke="${color}" `
  + `stroke-width="1.5" fill="${filled ? color : '#fff'}"/>`;

const logScale = (low, high, from, to) => (v) => {
  const part = Math.log(v / low) / Math.log(high / low);
  return Math.round((from + Math.min(1, Math.max(0, part)) * (to - from)) * 10) / 10;
};
const short = (v) => (v >= 1e3 ? `${v / 1e3}k` : String(v));

// A line for each row: confab (with least and greatest), Node.js, the budgets.
function lines(rows, top, { title, ticks, of, label }) {
  const left = 330;
  const bottom = top + 24 + rows.length * 20;
  const x = logScale(ticks[0], ticks.at(-1), left, WIDTH - 30);
  const out = [text(20, top, title, 'class="h"')];
  for (const v of ticks) {
    out.push(line(x(v), top + 14, x(v), bottom, v === 1 ? COLORS.floor : '#e4e4e4'));
    out.push(text(x(v), bottom + 16, short(v), 'class="t" text-anchor="middle"'));
  }
  rows.forEach((r, i) => {
    const y = top + 30 + i * 20;
    const [own, node] = of(r);
    out.push(text(left - 12, y + 4, label(r), 'class="t" text-anchor="end"'));
    for (const b of r.budgets.filter((each) => r[each.of] === own)) {
      out.push(line(x(b.most), y - 8, x(b.most), y + 8, COLORS.budget, 'stroke-width="2.5"'));
    }
    out.push(line(x(own.min), y, x(own.max), y, COLORS.confab, 'stroke-width="2"'));
    if (node) out.push(dot(x(node.median), y, COLORS.node, false));
    out.push(dot(x(own.median), y, COLORS.confab));
  });
  return { svg: out, bottom: rows.length ? bottom + 30 : top };
}

function costs(list, top) {
  return lines(list.filter((r) => r.of_floor && r.plot), top, {
    title: 'Cost as a multiple of the floor (log scale; less is better)',
    ticks: [0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    of: (r) => [r.of_floor, r.node_of_floor],
    label: (r) => `${r.plot}: ${r.label.replace(/, us.*/, '')}`,
  });
}

function memory(list, top) {
  return lines(list.filter((r) => r.confab && r.plot === 'Memory'), top, {
    title: 'Memory of an idle connection, bytes (log scale)',
    ticks: [100, 300, 1000, 3000, 10000, 30000],
    of: (r) => [r.confab, r.node], label: (r) => r.label,
  });
}

// The curves of one series in a box; both axes logarithmic.
function curve(rows, title, [left, top, width, height]) {
  const points = (name) => rows.filter((r) => r[name]).map((r) => [r.x, r[name].median]);
  const all = [...points('confab'), ...points('node')];
  const power = (v, round) => 10 ** round(Math.log10(v));
  const ys = all.map(([, y]) => y);
  const xs = all.map(([x]) => x);
  const low = power(Math.min(...ys), Math.floor);
  const high = Math.max(low * 10, power(Math.max(...ys), Math.ceil));
  const x = logScale(Math.min(...xs), Math.max(...xs), left + 10, left + width - 10);
  const y = logScale(low, high, top + height, top);
  const out = [text(left, top - 14, title, 'class="h"')];
  for (let v = low; v <= high * 1.01; v *= 10) {
    out.push(line(left, y(v), left + width, y(v), '#e4e4e4'));
    out.push(text(left - 6, y(v) + 4, short(Number(v.toPrecision(1))), 'class="t" text-anchor="end"'));
  }
  for (const v of new Set(xs)) {
    out.push(text(x(v), top + height + 16, short(v), 'class="t" text-anchor="middle"'));
  }
  for (const name of ['node', 'confab']) {
    const path = points(name).map(([px, py]) => `${x(px)},${y(py)}`);
    out.push(`<polyline points="${path.join(' ')}" fill="none" stroke="${COLORS[name]}" stroke-width="1.5"/>`);
    out.push(...points(name).map(([px, py]) => dot(x(px), y(py), COLORS[name], name === 'confab')));
  }
  return out;
}

function curves(list, top) {
  const titles = {
    members: 'us per delivery / members', nodes: 'us per broadcast / nodes', rooms: 'us per join / rooms',
  };
  const present = Object.keys(titles).filter((s) => list.some((r) => r.series === s));
  const svg = present.flatMap((series, i) => curve(list.filter((r) => r.series === series),
    titles[series], [60 + i * 310, top + 20, 250, 150]));
  return { svg, bottom: present.length ? top + 215 : top };
}

function legend(versions) {
  const y = 30;
  return [
    text(20, y, `confab beside Node.js ${versions.node}, socket.io ${versions['socket.io']}`, 'class="title"'),
    dot(26, y + 24, COLORS.confab), text(38, y + 28, 'confab, least to greatest', 'class="t"'),
    dot(216, y + 24, COLORS.node, false), text(228, y + 28, 'Node.js', 'class="t"'),
    line(306, y + 16, 306, y + 32, COLORS.budget, 'stroke-width="2.5"'), text(316, y + 28, 'budget', 'class="t"'),
    line(386, y + 16, 386, y + 32, COLORS.floor), text(396, y + 28, 'floor: the system calls alone', 'class="t"'),
  ];
}

// The picture of the rows of report.js.
exports.plot = (list, versions) => {
  const first = costs(list, 96);
  const second = memory(list, first.bottom + 20);
  const third = curves(list, second.bottom + 20);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${third.bottom}" `
    + `viewBox="0 0 ${WIDTH} ${third.bottom}">
<style>text{font-family:sans-serif;fill:#222}.t{font-size:11px}.h{font-size:13px;font-weight:bold}`
    + `.title{font-size:16px;font-weight:bold}</style>
<rect width="100%" height="100%" fill="#fff"/>
${[...legend(versions), ...first.svg, ...second.svg, ...third.svg].join('\n')}
</svg>
`;
};
