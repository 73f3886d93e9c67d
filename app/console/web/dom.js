// Elements out of data. Text of any origin becomes text nodes only, with characters that cannot be seen made visible.

const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

export function visible(text) {
  return String(text).replace(UNSEEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

// An element; `on` has listeners, all other properties are attributes, and false, null or undefined leaves one out.
export function el(name, properties, ...children) {
  const made = document.createElement(name);
  set(made, properties);
  add(made, children);
  return made;
}

export function svg(name, properties, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(made, properties);
  add(made, children);
  return made;
}

function set(made, properties) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : visible(value));
  }
}

export function add(made, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : visible(child));
  }
  return made;
}

export function fill(made, ...children) {
  made.replaceChildren();
  return add(made, children);
}

// Numbers and times are written here, because a browser takes longer to load its own formats than to show a view.
function grouped(whole) {
  return `${whole < 0 ? "−" : ""}${String(Math.abs(whole)).replace(/\B(?=(\d{3})+$)/g, ",")}`;
}

export function number(value) {
  if (value === null || value === undefined) return "–";
  const tenths = Math.round(value * 10) / 10;
  return Math.abs(value) < 10 && !Number.isInteger(tenths) ? String(tenths) : grouped(Math.round(value));
}

export function count(value, one, many) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function share(part, of) {
  return of ? `${Math.floor((100 * part) / of)} %` : "–";
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 120) return `${number(value)} s`;
  if (value < 7200) return `${number(value / 60)} min`;
  return value < 172800 ? `${number(value / 3600)} h` : `${number(value / 86400)} days`;
}

function clock(moment) {
  return `${moment.toISOString().slice(0, 10)} ${moment.toISOString().slice(11, 19)}`;
}

// A time in UTC, with the time of this place beside it. Takes milliseconds, or text as the server writes it.
export function when(value, isInline) {
  const moment = typeof value === "number" ? new Date(value) : new Date(Date.parse(value));
  if (value === null || value === undefined || Number.isNaN(moment.getTime())) return value === null || value === undefined ? "never" : visible(value);
  const here = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
  const local = moment.getTimezoneOffset() && !Number.isNaN(here.getTime()) ? `${clock(here)} here` : null;
  return el("time", { datetime: moment.toISOString(), class: isInline ? "inline" : null }, `${clock(moment)} UTC`, local && el("span", { class: "local" }, local));
}

// A table. `columns` are {head, cell, number, name, row}: `row` marks the cell that names the row.
export function table(caption, columns, rows) {
  const cls = (column) => [column.number && "number", column.name && "name"].filter(Boolean).join(" ") || null;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {},
      el("caption", {}, el("span", {}, caption)),
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", class: cls(column) }, column.head)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, columns.map((column) => el(column.row ? "th" : "td", { class: cls(column), scope: column.row ? "row" : null }, column.cell(row))))))));
}

export function facts(...pairs) {
  return el("dl", {}, pairs.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

export function note(kind, ...children) {
  return el("div", { class: `note ${kind || ""}`, role: kind === "bad" ? "alert" : null }, children.map((child) => (child instanceof Node ? child : el("p", {}, child))));
}

// A text as one word of a shell, whatever is in it.
export function word(text) {
  return /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`;
}

// A command to copy. Its parts that come from data must be words.
export function command(text) {
  const copied = el("span", { class: "small soft", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      fill(copied, "copied");
    } catch {
      fill(copied, "select it and copy it by hand");
    }
  };
  return el("div", { class: "command" }, el("code", {}, text), el("button", { type: "button", "aria-label": `Copy: ${text}`, on: { click: copy } }, "Copy"), copied);
}

export function speak(text) {
  fill(document.getElementById("spoken"), text);
}

export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const VERDICTS = {
  Hit: ["bad", "● Hit"], NeverHit: ["good", "✓ Never hit"], NeverEntered: ["good", "✓ Never entered"], NotSeen: ["doubt", "? Not seen"], Unknown: ["doubt", "? No answer yet"],
  trusted: ["good", "✓ Trusted"], "not-trusted": ["bad", "✗ Not trusted"], unknown: ["doubt", "? Unknown"],
};

export function verdict(kind, isLarge) {
  const [cls, text] = VERDICTS[kind] || ["doubt", visible(kind)];
  return el("span", { class: `verdict ${cls} ${isLarge ? "large" : ""}` }, text);
}
