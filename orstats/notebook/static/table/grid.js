import { button, element } from "./dom.js";

/** So many characters of the end of a text stay visible: ids and models begin alike. */
const TAIL = 6;
/** Narrower than this, models are shown without their vendor. */
const VENDOR_PX = 230;
/** No table is narrower: it scrolls sideways instead. */
const LEAST_PX = 380;

/**
 * The table of one page. A click or a key selects a row: it is marked immediately, and Python opens its card.
 */
export function makeGrid({ send, select, number }) {
  const head = element("tr", { role: "row" });
  const body = element("tbody", { role: "rowgroup" });
  const table = element("table", { class: "orstats-grid", role: "presentation" },
    element("thead", { role: "rowgroup" }, head), body);
  const empty = element("div", { class: "orstats-none", hidden: true });
  const root = element("div", {
    class: "orstats-scroll", tabindex: "0", role: "grid", "aria-label": "Generations",
    "data-lm-suppress-shortcuts": "true",
    onclick: (event) => {
      const row = event.target.closest("tbody tr");
      if (row) select([...body.rows].indexOf(row), true);
    },
  }, table, empty);
  let shown = { columns: [], rows: [] };
  let hidden = 0;
  let onFit = () => {};

  function show(page) {
    const focused = document.activeElement && root.contains(root.getRootNode().activeElement) &&
      root.getRootNode().activeElement !== root;
    shown = page;
    head.replaceChildren(...page.columns.map((column) => heading(column, page)));
    body.replaceChildren(...page.rows.map((row, index) => line(row, page, index)));
    table.hidden = page.rows.length === 0;
    empty.hidden = page.rows.length > 0;
    empty.replaceChildren(...page.empty.map((text) => element("div", {}, text)));
    if (page.empty.length > 1) {
      empty.append(button("Clear all filters", () => send({ type: "clear" })));
    }
    // A grid must have rows.
    root.setAttribute("role", page.rows.length ? "grid" : "region");
    if (page.rows.length) root.setAttribute("aria-rowcount", page.total + 1);
    else root.removeAttribute("aria-rowcount");
    root.scrollTop = 0;
    fit();
    if (focused) root.focus({ preventScroll: true });
  }

  function heading(column, page) {
    const sorted = page.sort === column.name;
    const arrow = sorted ? (page.descending ? " ▾" : " ▴") : "";
    const sort = button(column.label + arrow, () => send({ type: "sort", column: column.name }),
      { title: column.title });
    const order = sorted ? (page.descending ? "descending" : "ascending") : "none";
    return element("th", {
      role: "columnheader", scope: "col", "aria-sort": order, class: column.numeric ? "orstats-num" : "",
      "data-column": column.name,
    }, sort);
  }

  function line(row, page, index) {
    return element("tr", {
      role: "row", id: `orstats-${number}-${index}`, "aria-rowindex": page.start + index + 2, "data-key": row.key,
    }, ...row.cells.map((cell, place) => entry(cell, page.columns[place])));
  }

  function entry([text, title, kind], column) {
    const css = [column.numeric ? "orstats-num" : "", kind ? `orstats-${kind}` : ""].join(" ").trim();
    const properties = { role: "gridcell", class: css, title: title || (column.numeric ? null : text) };
    const isModel = column.name === "model";
    if (!column.cut || text.length <= TAIL * 2) return element("td", properties, element("bdi", {}, text));
    const vendor = isModel ? text.slice(0, text.indexOf("/") + 1) : "";
    const letters = Array.from(text.slice(vendor.length));
    return element("td", properties, element("bdi", {},
      vendor ? element("span", { class: "orstats-vendor" }, vendor) : null,
      element("span", { class: "orstats-start" }, letters.slice(0, -TAIL).join("")),
      element("span", { class: "orstats-end" }, letters.slice(-TAIL).join(""))));
  }

  /** Hide the least important columns where there is no room, unless the reader chose the columns. */
  function fit() {
    const room = root.clientWidth;
    const columns = shown.columns;
    const visible = new Set(columns);
    const needed = () => [...visible].reduce((sum, column) => sum + column.width, 0);
    const least = () => [...visible].reduce((sum, column) => sum + column.least, 0);
    if (room && !shown.chosen) {
      const optional = columns.filter((one) => one.rank && one.name !== shown.sort).sort((a, b) => b.rank - a.rank);
      // The last two go where a model would be cut, the others only where it would be unreadable.
      const wide = () => optional.length && (optional[0].rank > 4 ? needed() : least()) > room;
      while (wide()) visible.delete(optional.shift());
    }
    hidden = columns.length - visible.size;
    table.style.minWidth = `${shown.chosen ? needed() : Math.min(least(), Math.max(room, LEAST_PX))}px`;
    columns.forEach((column, place) => {
      const isVisible = visible.has(column);
      head.cells[place].hidden = !isVisible;
      head.cells[place].style.width = column.grows ? "" : `${column.width}px`;
      for (const row of body.rows) row.cells[place].hidden = !isVisible;
    });
    const model = columns.findIndex((column) => column.name === "model");
    table.classList.toggle("orstats-no-vendor", model >= 0 && head.cells[model].offsetWidth < VENDOR_PX);
    keepTails();
    onFit(hidden);
  }

  /** Leave room for the vendor and the end of each text, whose letters differ in width: only the start is cut. */
  function keepTails() {
    const widths = [...body.querySelectorAll(".orstats-start")].map((start) =>
      [...start.parentNode.children].reduce((sum, part) =>
        (part === start ? sum : sum + part.getBoundingClientRect().width), 0));
    body.querySelectorAll(".orstats-start").forEach((start, place) => {
      if (widths[place]) start.style.setProperty("--os-rest", `${Math.ceil(widths[place])}px`);
    });
  }

  function mark(marks) {
    [...body.rows].forEach((row) => {
      const key = Number(row.dataset.key);
      const kept = key === marks.kept;
      row.setAttribute("aria-selected", String(key === marks.selected));
      row.classList.toggle("orstats-kept", kept);
      if (kept) row.setAttribute("aria-description", "kept for comparison");
      else row.removeAttribute("aria-description");
    });
    const row = selected();
    if (row) {
      root.setAttribute("aria-activedescendant", row.id);
      keepVisible(row);
    } else root.removeAttribute("aria-activedescendant");
  }

  function keepVisible(row) {
    const top = row.offsetTop - head.offsetHeight;
    if (top < root.scrollTop) root.scrollTop = top;
    else if (row.offsetTop + row.offsetHeight > root.scrollTop + root.clientHeight) {
      root.scrollTop = row.offsetTop + row.offsetHeight - root.clientHeight;
    }
  }

  const selected = () => body.querySelector("tr[aria-selected=true]");
  return {
    root, show, mark, fit, selected,
    rows: () => [...body.rows],
    onFit: (handler) => { onFit = handler; },
  };
}
