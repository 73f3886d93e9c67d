// What one or two policies let out of events that you paste. Nothing of it is stored.

import { ask, tryOut } from "../api.js";
import { count, el, fill, note, number, share, speak, table } from "../dom.js";

export const title = "Privacy";

const SAMPLE = '{"process_exec":{"process":{"exec_id":"c2FtcGxlOjE6MQ==","pid":4242,"uid":1000,"cwd":"/home/alice/work","binary":"/usr/bin/curl","arguments":"--user alice:s3cr3t-Pa55 https://api.example.org/v1?token=9f8e7d6c5b4a39281706","start_time":"2026-01-31T12:00:00Z"}},"node_name":"worker-3","time":"2026-01-31T12:00:00.000000001Z"}';
const OWN = "own";

export async function show(root, _parameters, context) {
  const { policies } = await ask("policies", {}, context.signal);
  const answer = el("div", {});
  const events = el("textarea", { id: "events", spellcheck: "false", autocomplete: "off" });
  const first = editor("Policy", policies, Object.keys(policies)[0]);
  const second = editor("Compare with", { "": "", ...policies }, "");
  const run = async (event) => {
    event?.preventDefault();
    fill(answer, el("p", { class: "soft", role: "status" }, "Trying…"));
    try {
      const found = await tryOut({ events: events.value, policies: [first.text(), second.text()].filter(Boolean) });
      fill(answer, found.policies.length > 1 ? compared(found) : explained(found));
      speak(`${count(found.events.length, "event", "events")} tried`);
    } catch (error) {
      context.failed(fill(answer), error);
    }
  };
  const workloads = el("div", {});
  fill(root,
    el("h1", {}, "Privacy"),
    el("p", {}, "Paste events, and see field by field what leaves the pipeline and by which rule. They are sent to the console's server, which forgets them. Names that a policy turns into pseudonyms are masked here, because the pipeline's key is not used."),
    el("form", { on: { submit: run }, "aria-label": "Try-out", class: "stack" },
      el("div", { class: "drop", on: dropped(events) },
        el("label", { for: "events" }, "Events: lines of Tetragon's JSON export, such as of tetra getevents"), events,
        el("div", { class: "bar" }, el("button", { type: "button", on: { click: () => { events.value = SAMPLE; } } }, "Put in a sample"), el("label", {}, "or read a file", el("input", { type: "file", on: { change: (event) => read(event.target.files, events) } })))),
      el("div", { class: "columns" }, first.root, second.root),
      el("button", { class: "first" }, "Try")),
    answer,
    el("h2", {}, "Workloads that put secrets into arguments"),
    el("p", {}, "Whoever is on the node can read the arguments of a process. The calls that have a mask among them are counted, in the newest calls."),
    el("p", {}, el("button", { type: "button", on: { click: () => countWorkloads(workloads, context) } }, "Count them")), workloads);
}

function editor(label, policies, chosen) {
  const names = { "": "nothing", [OWN]: "a policy of my own" };
  const text = el("textarea", { spellcheck: "false", "aria-label": `${label}: its text`, hidden: true });
  const choice = el("select", {}, [...Object.keys(policies), OWN].map((name) => el("option", { value: name, selected: name === chosen }, names[name] || `built-in: ${name}`)));
  const edit = el("button", { type: "button" }, "Edit");
  const use = () => {
    const isOwn = choice.value === OWN;
    text.hidden = !isOwn;
    edit.hidden = isOwn || choice.value === "";
  };
  choice.addEventListener("change", use);
  edit.addEventListener("click", () => {
    text.value = policies[choice.value] || "";
    choice.value = OWN;
    use();
    text.focus();
  });
  use();
  return { root: el("div", {}, el("div", { class: "bar" }, el("label", {}, label, choice), edit), el("div", { class: "drop-text", on: dropped(text) }, text)), text: () => (choice.value === OWN ? text.value : policies[choice.value] || "") };
}

function dropped(text) {
  return {
    dragover: (event) => { event.preventDefault(); event.currentTarget.classList.add("over"); },
    dragleave: (event) => event.currentTarget.classList.remove("over"),
    drop: (event) => { event.preventDefault(); event.currentTarget.classList.remove("over"); read(event.dataTransfer.files, text); },
  };
}

async function read(files, text) {
  if (files.length) text.value = (await Promise.all([...files].map((file) => file.text()))).join("\n");
}

const FATES = { kept: ["good", "leaves unchanged"], redacted: ["doubt", "leaves redacted"], withheld: ["bad", "does not leave"] };

function fate(one) {
  if (!one) return "–";
  const [cls, text] = FATES[one.fate] || ["", one.fate];
  return el("span", { class: cls }, text);
}

function rules(one) {
  return one && one.rules.length ? one.rules.map(([rule, times]) => (times > 1 ? `${rule} ×${times}` : rule)).join(", ") : "–";
}

function left(one) {
  return one && one.left !== null ? el("span", { class: "name" }, one.left) : "–";
}

function becomes(one) {
  return [fate(one), one && one.left !== null ? el("div", {}, left(one)) : null, one && one.rules.length ? el("div", { class: "soft small" }, rules(one)) : null];
}

function explained(found) {
  const [policy] = found.policies;
  return [el("h2", {}, `Under ${policy.name}`), el("p", { class: "soft small" }, "Policy ", el("code", {}, policy.policy_id)), found.events.map(({ number: at, by_policy: [story] }) => {
    if (story.reason) return note(story.is_refused ? "bad" : "", `Event ${at} ${story.reason}`);
    const counts = Object.keys(FATES).map((kind) => `${story.fields.filter((one) => one.fate === kind).length} ${FATES[kind][1]}`).join(", ");
    return el("section", {}, el("h3", {}, `Event ${at}: ${story.probe_type}`), el("p", { class: "soft" }, counts), table(`Fields of event ${at}`, [
      { head: "Field", row: true, name: true, cell: (one) => one.field },
      { head: "What becomes of it", cell: fate },
      { head: "Rule", cell: rules },
      { head: "What leaves", name: true, cell: left },
    ], story.fields), story.dropped.length ? el("p", { class: "small" }, "Has no place in a call, and is dropped before the filter: ", el("span", { class: "name" }, story.dropped.join(", "))) : null);
  })];
}

function compared(found) {
  const [one, other] = found.policies;
  const rows = [];
  const notes = [];
  for (const { number: at, by_policy: [left_, right] } of found.events) {
    if (left_.reason || right.reason) {
      notes.push(`Event ${at}: ${left_.reason || "leaves"} under ${one.name}, ${right.reason || "leaves"} under ${other.name}`);
      continue;
    }
    const fields = new Map();
    for (const field of left_.fields) fields.set(field.field, [field, null]);
    for (const field of right.fields) fields.set(field.field, [fields.get(field.field)?.[0] ?? null, field]);
    for (const [name, [a, b]] of fields) if (a?.fate !== b?.fate || a?.left !== b?.left) rows.push({ at, name, a, b });
  }
  return [el("h2", {}, `${one.name} and ${other.name}`), notes.length ? note("", ...notes) : null,
    rows.length ? table(`${count(rows.length, "field differs", "fields differ")} in ${count(found.events.length, "event", "events")}`, [
      { head: "Event", number: true, cell: (row) => row.at },
      { head: "Field", row: true, name: true, cell: (row) => row.name },
      { head: `Under ${one.name}`, cell: (row) => becomes(row.a) },
      { head: `Under ${other.name}`, cell: (row) => becomes(row.b) },
    ], rows) : el("p", {}, "The two policies let out the same of these events.")];
}

async function countWorkloads(root, { signal, failed }) {
  fill(root, el("p", { class: "soft", role: "status" }, "Reading the newest calls…"));
  try {
    const found = await ask("workloads", {}, signal);
    const read = `${count(found.read.records, "call was", "calls were")} read${found.read.is_cut ? ", the newest ones" : ", all that there are"}.`;
    fill(root, found.rows.length ? table(`Programs with secrets among their arguments. ${read}`, [
      { head: "Program", row: true, name: true, cell: (row) => row.binary || "–" },
      { head: "Workload", name: true, cell: (row) => [row.namespace, row.workload].filter(Boolean).join("/") || "a process of the node" },
      { head: "Calls with a secret", number: true, cell: (row) => number(row.with_secrets) },
      { head: "Of its calls", number: true, cell: (row) => share(row.with_secrets, row.calls) },
    ], found.rows) : note("", `No call has a secret among its arguments. ${read}`));
  } catch (error) {
    if (error.name !== "AbortError") failed(fill(root), error);
  }
}
