import { button, element } from "../table/dom.js";

const SIGNS = { del: "−", ins: "+", div: "" };

/**
 * The difference of two texts, line by line: lines that resemble each other side by side, or one below the other where
 * there is no room. Signs and decorations say the same as the colours.
 */
export function difference(text, number, act) {
  const draw = (group) => (Array.isArray(group) ? apart(group) : line(group, number, act));
  return element("section", { class: "orstats-text-difference" },
    element("h3", {}, text.title, element("small", {}, text.summary)),
    element("div", { class: "orstats-lines", role: "group", "aria-label": `Differences: ${text.title}` },
      ...groups(text.rows).map(draw)));
}

/** Put neighbouring lines that resemble no line of the other side into one group. */
function groups(rows) {
  const found = [];
  for (const row of rows) {
    const alone = row.kind === "changed" && row.pieces.includes(null);
    if (!alone) found.push(row);
    else if (Array.isArray(found.at(-1))) found.at(-1).push(row);
    else found.push([row]);
  }
  return found;
}

function apart(rows) {
  const column = (tag, place) => {
    const lines = rows.filter((row) => row.pieces[place])
      .map((row) => side(tag, row.numbers[place], row.pieces[place]));
    return lines.length ? element("div", { class: "orstats-apart" }, ...lines) : blank();
  };
  return element("div", { class: "orstats-line" }, column("del", 0), column("ins", 1));
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
    side("del", row.numbers[0], left), side("ins", row.numbers[1], right));
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
