// The elements of a flame graph. Their ids begin with "flame-": a page has one flame graph at a time.
const element = (tag, properties, ...inside) => {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) if (value !== false) one.setAttribute(name, value === true ? "" : value);
  one.append(...inside);
  return one;
};
const named = (id, tag, properties, ...inside) => element(tag, { id: `flame-${id}`, ...properties }, ...inside);
const button = (id, text, properties) => named(id, "button", { type: "button", ...properties }, text);
const choice = (id, label, options) => element("label", {}, `${label} `, named(id, "select", {}, ...options.map(([value, text]) => named(`${id}-${value}`, "option", { value }, text))));
const keysSaid = [
  ["↑"], " caller, ", ["↓"], " widest callee, ", ["←"], " ", ["→"], " beside, ", ["Enter"], " or click zooms in, ", ["Esc"], " zooms out, ", ["Home"],
  " shows all, ", ["/"], " searches, ", ["n"], " and ", ["p"], " go to the next and the previous find, ", ["r"], " reverses, ", ["s"],
  " shows callers and callees of the frame. The address keeps what is shown.",
];

const skeleton = () => [
  named("facts", "ul"),
  element("div", { class: "bar" },
    element("label", {}, "Search ", named("search", "input", { type: "search", autocomplete: "off", spellcheck: "false", placeholder: "function, file or build id  ( / )" })),
    named("found", "output", { for: "flame-search" }),
    element("span", { class: "grow" }),
    button("only", "Zoom to finds", { "aria-pressed": "false", disabled: true }),
    button("out", "Zoom out"),
    button("reset", "Show all")),
  element("div", { class: "bar second" },
    choice("view", "Show", [["calls", "Callers above what they call"], ["callers", "Reversed: who reaches what ran last"], ["both", "Callers and callees of the chosen frame"]]),
    choice("group", "Group by", [["none", "executed file"], ["namespace", "namespace"], ["pod", "pod"], ["image", "image"]]),
    button("windows", "Widths of the base window", { "aria-pressed": "false", hidden: true }),
    button("mangled", "Mangled names", { "aria-pressed": "false" }),
    element("span", { class: "grow" }),
    button("svg", "Save as SVG"),
    button("png", "Save as PNG")),
  named("stage", "div", {},
    named("graph", "canvas", { tabindex: "0", role: "application", "aria-roledescription": "flame graph", "aria-label": "Call stacks: callers above, what they called below; as wide as the events", "aria-describedby": "flame-keys" })),
  named("detail", "section", { "aria-label": "Frame" },
    named("name", "p", {}, "Point at a frame, or move with the arrow keys."),
    named("more", "p"),
    button("open", "Open this function", { hidden: true })),
  named("spoken", "p", { class: "unseen", role: "status", "aria-live": "polite" }),
  element("section", { "aria-label": "How sure a name is" }, named("legend", "ul")),
  named("keys", "p", {}, ...keysSaid.map((part) => (Array.isArray(part) ? element("kbd", {}, ...part) : part))),
  element("section", {},
    named("table-title", "h2", {}, "Functions"),
    named("table-note", "p"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "flame-table-title" },
      element("table", {},
        element("thead", {}, element("tr", {}, 
          element("th", { scope: "col" }, "Function"),
          ...["Own events", "With callees"].map((text) => element("th", { scope: "col", class: "number" }, text)),
          named("difference", "th", { scope: "col", class: "number", hidden: true }, "Difference"),
          ...["Name is", "File"].map((text) => element("th", { scope: "col" }, text)))),
        named("rows", "tbody"))),
    button("longer", "Show more", { hidden: true })),
];
