import { button, element } from "./dom.js";

/**
 * The selected generation, for hosts that show this module but no other widgets: its facts and its messages as text; or
 * its comparison with another one.
 */
export function showDetail(place, detail, send, comparison) {
  place.hidden = !detail.title && !detail.comparison;
  if (detail.comparison) {
    if (!place.contains(comparison.root)) place.replaceChildren(comparison.root);
    return comparison.show(detail.comparison);
  }
  if (!detail.title) return place.replaceChildren();
  const facts = detail.sections.flatMap(([title, pairs]) => [
    element("h3", {}, title),
    element("dl", { class: "orstats-facts" },
      ...pairs.flatMap(([label, text]) => [element("dt", {}, label), element("dd", {}, text)])),
  ]);
  const turns = detail.turns.flatMap(([title, text]) => [
    element("h3", {}, title), element("pre", { class: "orstats-text", dir: "auto", tabindex: "0" }, text),
  ]);
  const load = button(detail.loading ? "Loading…" : "Load prompt and completion", () => send({ type: "load" }));
  load.disabled = detail.loading;
  place.replaceChildren(
    element("h2", {}, detail.title),
    ...(detail.problem ? [element("div", { class: "orstats-message orstats-warn" }, detail.problem)] : []),
    ...(detail.loaded ? turns : [load]),
    ...facts);
  return undefined;
}
