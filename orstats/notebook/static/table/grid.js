import { button, element } from "./dom.js";

/** So many characters of the end of a text stay visible: ids and models begin alike. */
const TAIL = 6;
/** Narrower than this, models are shown without their vendor. */
const VENDOR_PX = 230;
/** In a narrow pane, models have at least this width, which distinguishes them. */
const LEAST_GROWING_PX = 100;
/** The left and right padding of a cell. */
const PADDING_PX = 12;
/** The mark of a kept row, in its first cell. */
const MARK_PX = 8;
/** Where a time's year and day end: a narrow table leaves out the year or, where years differ, the time of day. */
const YEAR = 5;
const DAY = 10;

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
    const years = new Set([...body.querySelectorAll(".orstats-year")].map((year) => year.textContent));
    table.classList.toggle("orstats-years", years.size > 1);
    fit();
    if (focused) root.focus({ preventScroll: true });
  }

  function heading(column, page) {
    const sorted = page.sort === column.name;
    const arrow = sorted ? (page.descending ? " ▾" : " ▴") : "";
    const name = column.label.slice(0, column.label.length - column.zone.length);
    const sort = button(name, () => send({ type: "sort", column: column.name }), { title: column.title });
    if (column.zone) sort.append(element("span", { class: "orstats-zone" }, column.zone));
    sort.append(arrow);
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
    if (column.zone && text.length > YEAR) {
      return element("td", properties, element("bdi", {},
        element("span", { class: "orstats-year" }, text.slice(0, YEAR)), text.slice(YEAR, DAY),
        element("span", { class: "orstats-clock" }, text.slice(DAY))));
    }
    if (!column.cut || text.length <= TAIL * 2) return element("td", properties, element("bdi", {}, text));
    const vendor = isModel ? text.slice(0, text.indexOf("/") + 1) : "";
    const letters = Array.from(text.slice(vendor.length));
    return element("td", properties, element("bdi", {},
      vendor ? element("span", { class: "orstats-vendor" }, vendor) : null,
      element("span", { class: "orstats-start" }, letters.slice(0, -TAIL).join("")),
      element("span", { class: "orstats-end" }, letters.slice(-TAIL).join(""))));
  }

  /**
   * Hide the least important columns where there is no room, unless the reader chose the columns. Before the last of
   * them, the others become as narrow as their texts. The column that sorts the table is hidden last.
   */
  function fit() {
    const room = root.clientWidth;
    const columns = shown.columns;
    const visible = new Set(columns);
    const needed = (column) => column.width;
    let least = (column) => column.least;
    const total = (width) => [...visible].reduce((sum, column) => sum + width(column), 0);
    for (const row of [head, ...body.rows]) for (const cell of row.cells) cell.hidden = false;
    table.classList.remove("orstats-narrow");
    if (room && !shown.chosen) {
      const sorts = (column) => Number(column.name === shown.sort);
      const optional = columns.filter((one) => one.rank).sort((a, b) => sorts(a) - sorts(b) || b.rank - a.rank);
      // The first two go where a model would be cut, the others only where it would be unreadable.
      const isWide = () => total(optional[0].rank > 4 ? needed : least) > room;
      while (optional.length > 1 && isWide()) visible.delete(optional.shift());
      if (total(least) > room) {
        table.classList.add("orstats-narrow");
        const widths = new Map([...visible].map((column) => [column, narrowest(column)]));
        least = (column) => widths.get(column);
        if (optional.length && total(least) > room) visible.delete(optional[0]);
      }
    }
    hidden = columns.length - visible.size;
    table.style.minWidth = `${total(shown.chosen ? needed : least)}px`;
    columns.forEach((column, place) => {
      const isVisible = visible.has(column);
      head.cells[place].hidden = !isVisible;
      head.cells[place].style.width = column.grows || !isVisible ? "" : `${least(column)}px`;
      for (const row of body.rows) row.cells[place].hidden = !isVisible;
    });
    const model = columns.findIndex((column) => column.name === "model");
    table.classList.toggle("orstats-no-vendor", model >= 0 && head.cells[model].offsetWidth < VENDOR_PX);
    keepTails();
    onFit(hidden);
  }

  /** The width of a column in a narrow pane: what its texts on this page need, where they cannot be cut. */
  function narrowest(column) {
    if (column.grows) return LEAST_GROWING_PX;
    if (column.cut) return column.width;
    const place = shown.columns.indexOf(column);
    const range = document.createRange();
    const widths = [head.cells[place].firstChild, ...[...body.rows].map((row) => row.cells[place])].map((text) => {
      range.selectNodeContents(text);
      return range.getBoundingClientRect().width;
    });
    return Math.min(column.width, Math.ceil(Math.max(...widths)) + PADDING_PX + (place ? 0 : MARK_PX));
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
