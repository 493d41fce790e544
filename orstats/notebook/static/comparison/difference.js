import { button, element } from "../table/dom.js";

const SIGNS = { del: "−", ins: "+", div: "" };

/**
 * The difference of two texts, line by line: both sides of a row next to each other, or below each other where there is
 * no room. Signs and decorations say the same as the colours.
 */
export function difference(text, number, act) {
  const rows = text.rows.map((row) => line(row, number, act));
  return element("section", { class: "orstats-text-difference" },
    element("h3", {}, text.title, element("small", {}, text.summary)),
    element("div", { class: "orstats-lines", role: "group", "aria-label": `Differences: ${text.title}` }, ...rows));
}

function line(row, number, act) {
  if (row.kind === "fold") {
    const lines = row.lines === 1 ? "line" : "lines";
    const some = row.next < row.lines ? `Show ${row.next} of ${row.lines.toLocaleString("en")}` : `Show ${row.lines}`;
    return wide(button(`⋯ ${some} unchanged ${lines}`, () => act("unfold", `${number}:${row.stretch}`),
      { class: "orstats-fold", "data-key": `unfold ${number}:${row.stretch}` }));
  }
  if (row.kind === "more") {
    return wide(
      element("span", {}, `The first ${row.lines.toLocaleString("en")} rows are shown. `),
      button("Show more", () => act("more", String(number)), { "data-key": `more ${number}` }));
  }
  const [left, right] = row.pieces;
  if (row.kind === "same") {
    return element("div", { class: "orstats-line" },
      side("div", row.numbers[0], left), side("div", row.numbers[1], left, "orstats-again"));
  }
  return element("div", { class: "orstats-line" },
    left ? side("del", row.numbers[0], left) : blank(), right ? side("ins", row.numbers[1], right) : blank());
}

const wide = (...children) => element("div", { class: "orstats-wide" }, ...children);
const blank = () => element("div", { class: "orstats-side orstats-blank", "aria-hidden": "true" });

function side(tag, number, pieces, also = "") {
  const said = element("span", { class: "orstats-said", dir: "auto" },
    ...pieces.map(([text, differs]) => (differs ? element("b", {}, text) : text)));
  return element(tag, { class: `orstats-side ${also}`.trim(), "aria-hidden": also ? "true" : null },
    element("span", { class: "orstats-number", "aria-hidden": "true" }, number),
    element("span", { class: "orstats-sign" }, SIGNS[tag]), said);
}
