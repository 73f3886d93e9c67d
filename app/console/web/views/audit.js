// A manifest and a key, checked in this browser; and where an event is.

import { ask } from "../api.js";
import { command, el, facts, fill, note, number, speak, table, when, word } from "../dom.js";
import { check, envelopeOf, EvidenceError, publicKey } from "../evidence.js";

export const title = "Audit";

export async function show(root, parameters, context) {
  const answer = el("div", {});
  const found = el("div", {});
  const files = { manifest: null, envelope: null, key: null };
  const run = async () => {
    if (!files.manifest) return;
    try {
      const key = files.key ? await publicKey(files.key) : null;
      const envelope = files.envelope ? envelopeOf(files.envelope) : null;
      fill(answer, said(await check(files.manifest, key, envelope), Boolean(key)));
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      fill(answer, note("bad", el("p", { class: "verdict bad large" }, "✗ Not proved"), error.message));
    }
    speak(answer.querySelector(".verdict")?.textContent || "");
  };
  const take = async (list) => {
    for (const file of list) {
      const text = await file.text();
      if (text.includes("-----BEGIN")) files.key = text;
      else if (text.includes('"payloadType"')) files.envelope = text;
      else [files.manifest, files.envelope] = [text, list.length > 1 ? files.envelope : null];
    }
    await run();
  };
  const drop = {
    dragover: (event) => { event.preventDefault(); event.currentTarget.classList.add("over"); },
    dragleave: (event) => event.currentTarget.classList.remove("over"),
    drop: (event) => { event.preventDefault(); event.currentTarget.classList.remove("over"); take(event.dataTransfer.files); },
  };
  const input = el("input", { name: "event", value: parameters.event || "", class: "wide", autocomplete: "off", spellcheck: "false", required: true, pattern: "[0-9a-fA-F]{32}", title: "32 hexadecimal digits" });
  const look = async (event) => {
    event?.preventDefault();
    const id = input.value.trim();
    context.remember({ event: id });
    fill(found, el("p", { class: "soft", role: "status" }, "Reading the newest calls…"));
    try {
      fill(found, place(await ask("event", { id }, context.signal), id));
    } catch (error) {
      if (error.name !== "AbortError") context.failed(fill(found), error);
    }
  };
  fill(root,
    el("h1", {}, "Audit"),
    el("p", {}, "Check the manifest of a run against its own digest and against a key. It happens in this browser: the files are sent nowhere."),
    el("div", { class: "drop", on: drop },
      el("p", {}, "Drop a manifest, its signature and a public key here, or choose them:"),
      el("div", { class: "bar" },
        el("label", {}, "Manifest (manifest.json)", el("input", { type: "file", accept: ".json", on: { change: (event) => take(event.target.files) } })),
        el("label", {}, "Signature (manifest.dsse.json)", el("input", { type: "file", accept: ".json", on: { change: (event) => take(event.target.files) } })),
        el("label", {}, "Public key (PEM)", el("input", { type: "file", on: { change: (event) => take(event.target.files) } })))),
    answer,
    el("h2", {}, "Find an event"),
    el("p", {}, "By the event id of a call, among the newest calls. Whoever may read the raw topic or has the archive finds an older one with ", el("code", {}, "callstream replay --verify MANIFEST --event ID"), "."),
    el("form", { role: "search", "aria-label": "Event", on: { submit: look } }, el("label", {}, "Event id", input), el("button", { class: "first" }, "Find")), found);
  if (parameters.event) await look();
}

function said({ isIntact, digest, signature, members }, hasKey) {
  const value = (name) => members.get(name)?.value;
  const isGood = isIntact && signature !== "wrong" && signature !== "other document";
  const lines = [
    isIntact ? "The document is as it was sealed: its digest matches its content." : "The document was changed: its digest does not match its content.",
    {
      none: hasKey ? "Without its signature the key proves nothing: add manifest.dsse.json." : "Without a signature anybody could have made it: add manifest.dsse.json.",
      unchecked: "It is signed. To know by whom, add the signer's public key, which you have from elsewhere.",
      valid: "The signature is that of the key that you gave: whoever has its private key stands for every word of it.",
      wrong: "The signature is not of the key that you gave, or was changed.",
      "other document": "The signature is of another document, or the document was changed.",
    }[signature],
  ];
  const large = !isGood ? ["bad", "✗ Not proved"] : signature === "valid" ? ["good", "✓ Intact, and signed with this key"] : ["doubt", "? Intact, and nobody stands for it yet"];
  const source = value("input")?.source;
  const books = value("books");
  return [
    note(isGood ? "" : "bad", el("p", { class: `verdict large ${large[0]}` }, large[1]), ...lines),
    el("h3", {}, "What this does not prove"),
    el("p", {}, "That the run really makes these results. Only the program with the archive proves that, by making them again:"),
    command("callstream replay --verify MANIFEST --public-key KEY"),
    facts(
      ["Kind", `${value("kind") ?? "unknown"}, format ${value("format") ?? "?"}`],
      ["Digest", el("span", { class: "name" }, digest)],
      source && ["Made from", `${source.kind ?? ""} ${source.topic ?? ""}`],
      value("output") && ["Digest of its calls", el("span", { class: "name" }, value("output").calls)],
      value("program")?.version && ["Program", value("program").version]),
    Array.isArray(value("input")?.partitions) ? table("What went in", [
      { head: "Partition", row: true, number: true, cell: (one) => String(one.partition) },
      { head: "First offset", number: true, cell: (one) => number(Number(one.first)) },
      { head: "Next offset", number: true, cell: (one) => number(Number(one.next)) },
      { head: "Records", number: true, cell: (one) => number(Number(one.records)) },
    ], value("input").partitions) : null,
    books ? el("details", {}, el("summary", {}, "Books"), el("pre", {}, JSON.stringify(books, (_name, one) => (typeof one === "bigint" ? Number(one) : one), 1))) : null,
  ];
}

function place(found, id) {
  const read = `${number(found.read.records)} calls were read${found.read.is_cut ? ", the newest ones" : ", all that there are"}.`;
  const further = [el("p", {}, "Its raw record and its place in the proof:"), command(`callstream replay --verify MANIFEST --event ${word(id)}`)];
  if (!found.call) return note("", `No call among them has this event id. ${read}`, ...further);
  const { call } = found;
  const top = call.stack_frames.map((frame) => frame.symbol || frame.symbol_hint || frame.module);
  return [note("", `Found at partition ${found.partition}, offset ${number(found.offset)} of runtime.calls. ${read}`), facts(
    ["Time", when(call.timestamp, true)],
    ["Probe", call.probe_type],
    ["Program", el("span", { class: "name" }, call.process.binary || "–")],
    ["Arguments, as they left", el("span", { class: "name" }, call.process.arguments || "–")],
    ["Where", [call.node_name, call.namespace, call.workload || call.pod_name].filter(Boolean).join(" / ") || "–"],
    ["Privacy policy", el("span", { class: "name" }, call.redaction?.policy_id || "–")],
    ["Raw record", `${call.source.topic} ${call.source.partition}:${call.source.offset}`],
    top.length && ["Stack, innermost first", el("ol", {}, top.map((name) => el("li", { class: "name" }, name)))]), ...further];
}
