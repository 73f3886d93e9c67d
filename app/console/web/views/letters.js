// What stages refused, by reason, with the command that tries it again.

import { ask } from "../api.js";
import { command, count, el, fill, note, number, table, when, word } from "../dom.js";

export const title = "Dead letters";

export async function show(root, _parameters, { signal }) {
  const found = await ask("letters", {}, signal);
  fill(root,
    el("h1", {}, "Dead letters"),
    el("p", {}, "Records that a stage could not process: where they are and why, never what they hold. After a fix they can be sent through again."),
    found.kinds.length ? [
      el("p", { class: "soft" }, `${count(found.letters, "event", "events")} in ${count(found.kinds.length, "kind", "kinds")}`, found.left_out ? `; ${number(found.left_out)} more are not told apart` : ""),
      found.kinds.map(kind),
      el("h2", {}, "Which of them have a call by now"),
      el("p", {}, "A later pass of a stage may have made a call of an event. To know that, the calls have to be looked for:"),
      command("callstream dead-letters list"),
    ] : note("", "There are no dead letters: no stage refused a record."));
}

function kind(one) {
  const retry = `callstream dead-letters retry --stage ${word(one.stage)} --reason ${word(one.reason)}`;
  return el("section", {},
    el("h2", {}, `${one.stage}: ${one.reason}`, one.error_class ? ` (${one.error_class})` : ""),
    table(`Dead letters of ${one.stage}, ${one.reason}`, [
      { head: "Events", number: true, cell: () => number(one.letters) },
      { head: "Sent again", number: true, cell: () => number(one.sent_again) },
      { head: "Not sent again", number: true, cell: () => el("span", { class: one.open ? "bad" : null }, number(one.open)) },
      { head: "First received", cell: () => when(one.first_ms) },
      { head: "Last received", cell: () => when(one.last_ms) },
    ], [one]),
    el("details", {}, el("summary", {}, "Positions of some"), el("ul", {}, one.positions.map(([topic, partition, offset]) => el("li", { class: "name" }, `${topic} ${partition}:${offset}`)))),
    el("p", {}, "See which would pass under the present settings, then send them again:"),
    command(`${retry} --dry-run`), command(retry));
}
