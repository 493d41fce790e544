import { button, element } from "./dom.js";

/** Wait this long after the last key before a filter is applied. */
const PAUSE_MS = 250;

/**
 * The row of filters. Every change is sent to Python as the texts of all inputs; Python reads numbers and times.
 */
export function makeFilters(options, send) {
  let timer;
  const apply = () => {
    clearTimeout(timer);
    send({ type: "filter", inputs: inputs() });
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(apply, PAUSE_MS);
  };

  const typed = (label, placeholder, css) =>
    element("input", {
      type: "text", placeholder, "aria-label": label, title: label, class: css,
      autocomplete: "off", spellcheck: "false",
      oninput: soon,
      onkeydown: (event) => { if (event.key === "Enter") apply(); },
    });
  const choice = (label, any, values) =>
    element("select", { "aria-label": label, title: label, onchange: apply },
      element("option", { value: "" }, any),
      ...values.map((value, number) => element("option", { value: number }, value)));

  const fields = {
    text: typed("Search in ids, users, sessions and models", "search id, user, session, model", "orstats-search"),
    model: choice("Model", "any model", options.models),
    provider: choice("Provider", "any provider", options.providers),
    status: choice("Status", "any status", options.statuses),
    cost_min: typed("Minimum cost in US dollars", "$ from", "orstats-cost"),
    cost_max: typed("Maximum cost in US dollars", "$ to", "orstats-cost"),
    since: typed(`Created at or after this time (${options.zone}), such as 2026-03-01 or 2026-03-01 14:30`,
      "YYYY-MM-DD HH:MM", "orstats-time"),
    until: typed(`Created before this time (${options.zone}), such as 2026-03-01 or 2026-03-01 14:30`,
      "YYYY-MM-DD HH:MM", "orstats-time"),
  };
  fields.text.type = "search";
  const contents = element("input", { type: "checkbox", onchange: apply });

  function inputs() {
    const texts = Object.entries(fields).map(([name, field]) => [name, field.value]);
    return { ...Object.fromEntries(texts), contents: contents.checked };
  }

  /** Show what Python applied, but never under the hands of someone who is typing. */
  function show(applied) {
    for (const [name, field] of Object.entries(fields)) {
      if (field !== field.getRootNode().activeElement && field.value !== applied[name]) field.value = applied[name];
    }
    contents.checked = applied.contents;
  }

  function clear() {
    for (const field of Object.values(fields)) field.value = "";
    contents.checked = false;
    apply();
  }

  /** A day from the browser's calendar, written as an ISO date whatever the browser's language. */
  function picker(field, label) {
    const calendar = element("input", {
      type: "date", tabindex: "-1", "aria-hidden": "true", class: "orstats-calendar",
      onchange: () => {
        field.value = calendar.value;
        apply();
      },
    });
    const open = () => {
      calendar.value = /^\d{4}-\d{2}-\d{2}/.test(field.value) ? field.value.slice(0, 10) : options.latest_day;
      if (calendar.showPicker) calendar.showPicker();
      else calendar.focus();
    };
    const opener = button("▾", open, { "aria-label": label, title: label, class: "orstats-pick-day" });
    return element("span", { class: "orstats-joined" }, field, opener, calendar);
  }

  const range = ([label, start]) => button(label, () => {
    fields.since.value = start;
    fields.until.value = "";
    apply();
  }, { title: `The last ${label} up to the newest generation` });

  const root = element("div", { class: "orstats-filters", role: "search", "aria-label": "Filters" },
    fields.text,
    options.has_archive ? element("label", { class: "orstats-check" }, contents, "and stored texts") : null,
    fields.model, fields.provider, fields.status,
    element("span", { class: "orstats-group" }, fields.cost_min, fields.cost_max),
    element("span", { class: "orstats-group" },
      element("span", { class: "orstats-quiet" }, `${options.zone} from`), picker(fields.since, "Pick the first day"),
      element("span", { class: "orstats-quiet" }, "to"), picker(fields.until, "Pick the day after the last")),
    element("span", { class: "orstats-group orstats-ranges" }, ...options.ranges.map(range)),
    button("Clear", clear, { title: "Clear all filters" }));
  return { root, show, clear, focus: () => fields.text.focus(), dispose: () => clearTimeout(timer) };
}
