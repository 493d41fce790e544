import { button, element, markDark } from "../table/dom.js";
import { difference } from "./difference.js";

const SIDES = ["kept", "selected"];

/** Show what Python sends about two generations. `act` sends an action and its value. */
export function makeComparison(act) {
  const root = element("div", {
    class: "orstats-comparison tex2jax_ignore mathjax_ignore", role: "region", "aria-label": "Comparison",
    tabindex: "-1", "data-lm-suppress-shortcuts": "true", onkeydown: onKey,
  });
  let timer;
  let equalOpen = false;

  function show(data) {
    clearInterval(timer);
    const active = root.getRootNode().activeElement;
    const had = root.contains(active) && (active.dataset.key || "");
    root.replaceChildren(
      button("← Back to the card", () => act("back"), { "data-key": "back", title: "Back to the card (Escape)" }),
      heads(data.heads), figures(data.figures), status(data.status),
      ...(data.texts.length ? [legend()] : []),
      ...data.texts.map((text, number) => difference(text, number, act)),
      ...facts(data));
    markDark(root);
    // Where the pressed button is gone, the next key must not go to the page.
    if (had !== false) (root.querySelector(`[data-key="${CSS.escape(had)}"]`) || root).focus({ preventScroll: true });
  }

  /** Why there is no text yet, and what can be done. */
  function status(found) {
    const kind = `orstats-problem ${found.failed ? "orstats-failed" : ""}`.trim();
    const notices = (found.problems || []).map((text) => element("div", { class: kind, role: "alert" }, text));
    if (found.note) notices.push(element("div", { class: "orstats-problem", role: "status" }, found.note));
    if (found.waiting) {
      const clock = element("span", { "aria-hidden": "true" });
      const from = performance.now() - found.elapsed * 1000;
      const tick = () => { clock.textContent = ` ${Math.floor((performance.now() - from) / 1000)} s`; };
      tick();
      timer = setInterval(tick, 1000);
      notices.push(element("div", { class: "orstats-waiting", role: "status" },
        element("span", { class: "orstats-spin" }), found.waiting, clock));
      notices.push(button("Cancel", () => act("cancel"), { "data-key": "load" }));
    }
    if (found.button) notices.push(button(found.button, () => act("load"), { "data-key": "load" }));
    return element("div", { class: "orstats-state" }, ...notices);
  }

  function facts(data) {
    const equal = element("details", { ontoggle: () => { equalOpen = equal.open; } },
      element("summary", { "data-key": "equal" }, `${data.equal.length} equal facts`), table(data.equal));
    equal.open = equalOpen;
    return [
      element("h3", {}, "Other facts", element("small", {}, `${data.facts.length} differ`)),
      ...(data.facts.length ? [table(data.facts)] : []),
      ...(data.equal.length ? [equal] : []),
    ];
  }

  function onKey(event) {
    if (event.key !== "Escape" || event.ctrlKey || event.metaKey || event.altKey) return;
    act("back");
    event.preventDefault();
    event.stopPropagation();
  }

  return { root, show, dispose: () => clearInterval(timer) };
}

function heads(both) {
  return element("div", { class: "orstats-heads" }, ...both.map((one, place) =>
    element("div", { class: `orstats-head-${SIDES[place]}` },
      element("b", {}, SIDES[place]), " ", element("bdi", {}, one.model), " ",
      element("span", { class: `orstats-${one.kind}` }, one.status),
      element("div", { class: "orstats-quiet" }, element("bdi", { class: "orstats-code" }, one.id), " ",
        element("span", {}, one.time)))));
}

function figures(rows) {
  const heading = ["figure", ...SIDES, "difference"];
  return element("table", { class: "orstats-figures-compared" },
    element("caption", {}, "Figures, and by how much the selected one differs from the kept one"),
    element("thead", {}, element("tr", {}, ...heading.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map(([label, kept, selected, change, share, verdict]) =>
      element("tr", { class: verdict ? `orstats-${verdict}` : null },
        element("th", { scope: "row" }, label),
        element("td", {}, kept), element("td", {}, selected),
        element("td", { class: "orstats-change", title: verdict },
          element("span", {}, change), " ", element("span", { class: "orstats-share" }, share))))));
}

function table(rows) {
  return element("table", { class: "orstats-facts-compared" },
    element("thead", {}, element("tr", {}, ...["fact", ...SIDES].map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map(([label, ...texts]) => element("tr", {},
      element("th", { scope: "row" }, label), ...texts.map((text) => element("td", { dir: "auto" }, text))))));
}

function legend() {
  return element("p", { class: "orstats-quiet" },
    element("del", {}, element("b", {}, "− only in the kept one")), " ",
    element("ins", {}, element("b", {}, "+ only in the selected one")));
}
