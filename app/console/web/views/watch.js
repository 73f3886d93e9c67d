// One watch: its answer, why it is so, what would make it firm, and what it rests on.

import { ask } from "../api.js";
import { command, count, el, facts, fill, note, number, save, seconds, share, table, verdict, when, word } from "../dom.js";

export const title = "Watch";

export async function show(root, { id }, { signal }) {
  if (!id) {
    fill(root, el("h1", {}, "Watch"), note("", "No watch is named.", el("p", {}, el("a", { href: "#/watches" }, "See all watches"))));
    return;
  }
  fill(root, el("p", {}, el("a", { href: "#/watches" }, "← Watches")), el("h1", {}, title));
  const found = await ask("watch", { id }, signal);
  const { answer } = found;
  const whole = answer.watched_ms + answer.missing_ms;
  fill(root,
    el("p", {}, el("a", { href: "#/watches" }, "← Watches")),
    el("h1", { class: "name" }, answer.watch_id),
    el("p", {}, verdict(answer.answer, true)),
    el("p", {}, found.words),
    found.advice ? note("bad", found.advice) : null,
    facts(
      answer.vulnerabilities.length && ["Watched for", answer.vulnerabilities.join(", ")],
      ["Since", when(answer.since, true)],
      ["Hits", number(answer.hits)],
      answer.hits && ["Hits whose name is sure", number(answer.confirmed_hits)],
      answer.hits && ["Last seen", when(answer.last_seen, true)],
      ["Nodes", number(answer.nodes)],
      ["Node-time vouched for", whole ? share(answer.watched_ms, whole) : "–"],
      ["All nodes complete for", seconds(answer.complete_s)],
      answer.snapshot && ["Snapshot of the symbol store", el("span", { class: "name" }, answer.snapshot)]),
    el("h2", {}, answer.answer === "Hit" ? "What to know about it" : "Why, and what would make it firm"),
    found.reasons.length ? table("Reasons", [
      { head: "Reason", row: true, cell: (one) => one.words },
      { head: "What to do", cell: (one) => one.remedy },
    ], found.reasons) : el("p", {}, answer.answer === "Hit" ? "Nothing puts it in doubt." : "No reason is given."),
    answer.reasons_more ? el("p", { class: "soft" }, `and ${count(answer.reasons_more, "more reason", "more reasons")}`) : null,
    answer.gaps.length ? [table("Longest gaps", [
      { head: "Node", row: true, cell: (gap) => (gap.cluster ? `${gap.cluster}/` : "") + (gap.node || "any node") },
      { head: "Cause", cell: (gap) => gap.cause },
      { head: "From", cell: (gap) => when(gap.from) },
      { head: "To", cell: (gap) => when(gap.to) },
      { head: "Events lost", number: true, cell: (gap) => (gap.events_lost === null ? "not counted" : number(gap.events_lost)) },
    ], answer.gaps), answer.gaps_more ? el("p", { class: "soft" }, `and ${count(answer.gaps_more, "gap", "gaps")} more`) : null] : null,
    answer.symbols.length ? table("Symbols that count as this function", [
      { head: "Symbol", row: true, name: true, cell: (one) => el("a", { class: "name", href: `#/symbol?id=${encodeURIComponent(one.symbol_id)}` }, one.symbol_id) },
      { head: "Hits", number: true, cell: (one) => number(one.hits) },
      { head: "Last seen", cell: (one) => when(one.last_seen) },
    ], answer.symbols) : null,
    answer.images.length ? table("Images in which it was hit", [
      { head: "Image", row: true, name: true, cell: (one) => one.image_name || one.image_id },
      { head: "Last seen", cell: (one) => when(one.last_seen) },
    ], answer.images) : null,
    el("h2", {}, "Evidence"),
    answer.events.length ? [table("Events that were hits", [
      { head: "Event", row: true, name: true, cell: (one) => el("a", { href: `#/audit?event=${encodeURIComponent(one.event_id)}` }, one.event_id) },
      { head: "Time", cell: (one) => when(one.time) },
      { head: "Raw record", number: true, cell: (one) => `${one.partition}:${one.offset}` },
    ], answer.events), command(`callstream replay --verify MANIFEST --event ${word(answer.events[0].event_id)}`)] : el("p", {}, "The answer cites no event: it rests on coverage and on the files of the symbol store."),
    el("h2", {}, "Export"),
    el("p", {}, el("button", { type: "button", on: { click: () => save("watch.json", JSON.stringify(found, null, 1), "application/json") } }, "Save this answer as JSON")),
    el("p", {}, "For scanners, as a VEX document whose statements you word in a file:"),
    command("callstream export --format openvex --vex FILE --output vex.json"));
}
