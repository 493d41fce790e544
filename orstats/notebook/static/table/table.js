import { button, element, markDark, menu } from "./dom.js";
import { makeFilters } from "./filters.js";
import { makeGrid } from "./grid.js";
import { chart, totals } from "./summary.js";
import { save } from "./download.js";
import { showDetail } from "./detail.js";
import { makeComparison } from "../comparison/comparison.js";

const KEYS = [
  ["↑ ↓", "select a row; its card is shown"],
  ["Page Up, Page Down", "previous or next page"],
  ["Home, End", "first or last row of the page"],
  ["Enter", "load prompt and completion"],
  ["c", "keep the row to compare another with it"],
  ["/", "search"],
  ["?", "show or hide this help"],
];
/** Selecting with a held key sends one message when it is released, not one for every row. */
const SELECT_MS = 60;
const BUSY_MS = 250;
const SILENT_MS = 15_000;
/** What the page has above and below an explorer that fills it. */
const AROUND_PX = 48;
let instances = 0;

function render({ model, el }) {
  const number = ++instances;
  const view = Math.random().toString(36).slice(2);
  let sent = 0;
  let selectTimer;
  // The row that was selected here and not yet sent, and the one that Python has not yet answered for.
  let pending = null;
  let wanted = null;
  let busyTimer;
  let silentTimer;

  function send(message) {
    if (pending !== null && message.type !== "open") openPending();
    sent += 1;
    model.send({ ...message, sequence: sent, view });
    clearTimeout(busyTimer);
    clearTimeout(silentTimer);
    busyTimer = setTimeout(() => root.setAttribute("aria-busy", "true"), BUSY_MS);
    silentTimer = setTimeout(() => {
      tell("error", "The kernel does not respond. If it was restarted, run the cell again.");
    }, SILENT_MS);
  }

  /** Python handled a message: the last one of this view, or of another view of the same explorer. */
  function answered() {
    const done = model.get("done");
    if (done.view !== view || done.sequence !== sent) return;
    clearTimeout(busyTimer);
    clearTimeout(silentTimer);
    root.removeAttribute("aria-busy");
    if (pending === null) wanted = null;
    showMarks();
  }

  function tell(kind, text) {
    message.className = `orstats-message orstats-${kind}`;
    message.textContent = text;
  }

  function select(index, focus) {
    const row = grid.rows()[index];
    if (!row) return;
    const key = Number(row.dataset.key);
    wanted = key;
    grid.mark(marksHere());
    if (focus) grid.root.focus({ preventScroll: true });
    clearTimeout(selectTimer);
    pending = key;
    selectTimer = setTimeout(openPending, focus ? 0 : SELECT_MS);
    if (focus) showCard();
  }

  function openPending() {
    clearTimeout(selectTimer);
    const key = pending;
    pending = null;
    if (key !== null) send({ type: "open", key });
  }

  /** The card is below the table where there is no room for both side by side. */
  function showCard() {
    const card = el.closest(".orstats-explorer")?.querySelector(".orstats-right");
    const target = card || detail;
    target.scrollTop = 0;
    target.scrollIntoView({ block: "nearest" });
  }

  const filters = makeFilters(model.get("options"), send);
  const grid = makeGrid({ send, select, number });
  const message = element("div", { class: "orstats-message", role: "status", "aria-live": "polite" });
  const figures = element("div", { class: "orstats-totals" });
  const bars = element("div", {});
  const detail = element("div", { class: "orstats-detail", role: "region", "aria-label": "Selected generation" });
  const comparison = makeComparison((action, value = "") => send({ type: "comparison", action, value }));
  const showHere = () => showDetail(detail, model.get("detail"), send, comparison);

  const tool = (label, type, title) => button(label, () => send({ type }), { title });
  const previous = tool("↑ Previous", "previous", "Previous row, on any page");
  const next = tool("↓ Next", "next", "Next row, on any page");
  const keep = tool("Keep to compare", "keep", "Keep the selected generation to compare another with it (c)");
  const compare = tool("Compare", "compare", "Compare the selected generation with the kept one");

  const columnBoxes = element("div", { class: "orstats-boxes", role: "group", "aria-label": "Columns" });
  const usual = button("Usual columns", () => choose([]));
  const columns = menu("Columns", "Choose the columns", [columnBoxes, usual]);
  const fetchFile = (format) => () => {
    downloads.close();
    send({ type: "download", format });
  };
  const downloads = menu("Download", "Download the filtered rows, or save them", [
    button("Download CSV", fetchFile("csv")),
    button("Download Excel (.xlsx)", fetchFile("xlsx")),
    button("Save CSV in the current folder", () => {
      downloads.close();
      send({ type: "save" });
    }, { title: "Writes a file in the working directory of Python, not in this browser's downloads" }),
  ]);
  const help = element("dl", { class: "orstats-help", hidden: true, "aria-label": "Keys" },
    ...KEYS.flatMap(([keys, meaning]) => [element("dt", {}, keys), element("dd", {}, meaning)]));
  const helper = button("?", toggleHelp, { title: "Keys (?)", "aria-label": "Keys", "aria-expanded": "false" });

  const turn = (label, title, to) => button(label, () => send({ type: "page", to: to(model.get("page")) }), {
    title, "aria-label": title,
  });
  const back = turn("‹", "Previous page", (page) => page.number - 1);
  const forward = turn("›", "Next page", (page) => page.number + 1);
  const range = element("span", { class: "orstats-range", "aria-live": "polite" });
  const size = element("select", {
    "aria-label": "Rows per page", title: "Rows per page",
    onchange: () => send({ type: "size", rows: Number(size.value) }),
  }, ...model.get("options").sizes.map((rows) => element("option", { value: rows }, `${rows} rows`)));

  const root = element("div", {
      class: "orstats-master tex2jax_ignore mathjax_ignore", "data-lm-suppress-shortcuts": "true", onkeydown: onKey,
    },
    filters.root, message, figures, bars,
    element("div", { class: "orstats-tools" }, previous, next, keep, compare, columns.made, downloads.made, helper),
    help, grid.root,
    element("div", { class: "orstats-pages" }, back, range, forward, size), detail);

  function toggleHelp() {
    help.hidden = !help.hidden;
    helper.setAttribute("aria-expanded", String(!help.hidden));
  }

  function choose(names) {
    remember(model.get("options").notebook, names);
    send({ type: "columns", names });
  }

  function showColumns(hidden) {
    const page = model.get("page");
    const used = new Set(page.columns.map((column) => column.name));
    const shown = used.size - hidden;
    columns.summary.textContent = hidden ? `Columns (${shown} of ${used.size} fit)` : "Columns";
    const names = model.get("options").columns;
    if (columnBoxes.childElementCount === names.length) {
      for (const box of columnBoxes.querySelectorAll("input")) box.checked = used.has(box.value);
      return;
    }
    columnBoxes.replaceChildren(...names.map((name) => {
      const box = element("input", { type: "checkbox", value: name, onchange: chooseChecked });
      box.checked = used.has(name);
      return element("label", { class: "orstats-check", title: name }, box, name);
    }));
  }

  function chooseChecked() {
    const checked = [...columnBoxes.querySelectorAll("input:checked")].map((box) => box.value);
    const before = model.get("page").columns.map((column) => column.name);
    choose([...before.filter((name) => checked.includes(name)), ...checked.filter((name) => !before.includes(name))]);
  }

  function showPage() {
    const page = model.get("page");
    grid.show(page);
    grid.mark(marksHere());
    range.textContent = page.range;
    back.disabled = page.number === 0;
    forward.disabled = page.last;
    size.value = page.size;
  }

  const marksHere = () => ({ ...model.get("marks"), ...(wanted === null ? {} : { selected: wanted }) });

  function showMarks() {
    const marks = model.get("marks");
    grid.mark(marksHere());
    previous.disabled = !marks.has_previous;
    next.disabled = !marks.has_next;
    keep.disabled = marks.selected === null;
    keep.textContent = marks.kept_name ? `Kept …${marks.kept_name}` : "Keep to compare";
    compare.disabled = !marks.can_compare;
  }

  function showSummary() {
    const summary = model.get("summary");
    figures.replaceChildren(...totals(summary.figures));
    bars.replaceChildren(...chart(summary.chart));
    filters.show(summary.inputs);
  }

  const showMessage = () => tell(model.get("message").kind, model.get("message").text);
  let explorer = null;
  const showHeight = () => {
    explorer = el.closest(".orstats-explorer");
    const { height, fills_page: fills } = model.get("options");
    const tall = fills ? `max(500px, calc(100vh - ${AROUND_PX}px))` : `${height}px`;
    (explorer || root).style.setProperty("--os-height", tall);
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onPage = event.target === document.body;
    const typing = event.target.matches("input, select");
    const actions = typing ? {} : {
      "/": filters.focus,
      "?": toggleHelp,
      c: () => send({ type: "keep" }),
    };
    if (onPage || event.target === grid.root) {
      Object.assign(actions, {
        ArrowDown: () => step(1),
        ArrowUp: () => step(-1),
        PageDown: () => send({ type: "page", to: model.get("page").number + 1 }),
        PageUp: () => send({ type: "page", to: model.get("page").number - 1 }),
        Home: () => select(0),
        End: () => select(grid.rows().length - 1),
        Enter: () => {
          const row = grid.selected() || grid.rows()[0];
          if (!row) return;
          showCard();
          send({ type: "load", key: Number(row.dataset.key) });
        },
      });
    }
    const action = actions[event.key];
    if (!action) return;
    if (onPage) grid.root.focus({ preventScroll: true });
    action();
    // The notebook has its own uses for these keys.
    event.preventDefault();
    event.stopPropagation();
  }

  /** Where the explorer is alone on the page, its keys need no click before them. */
  function onPageKey(event) {
    if (model.get("options").fills_page && event.target === document.body) onKey(event);
  }

  function step(by) {
    const rows = grid.rows();
    const index = rows.indexOf(grid.selected());
    const to = index < 0 ? 0 : index + by;
    if (rows[to]) select(to);
    else if (index >= 0) send({ type: by > 0 ? "next" : "previous" });
  }

  function onCustom(payload, buffers) {
    if (payload.view === view && payload.type === "file") save(payload, buffers, tell);
  }

  const handlers = [
    ["change:page", showPage], ["change:marks", showMarks], ["change:summary", showSummary],
    ["change:message", showMessage], ["change:options", showHeight], ["change:done", answered],
    ["change:detail", showHere], ["msg:custom", onCustom],
  ];
  for (const [name, handler] of handlers) model.on(name, handler);
  grid.onFit(showColumns);
  const watcher = new ResizeObserver(() => {
    if (!explorer) showHeight(); // some hosts put the table into its explorer after it is made
    grid.fit();
  });
  watcher.observe(grid.root);
  document.addEventListener("keydown", onPageKey);
  const onClose = (event) => {
    if (model.get("options").fills_page && !event.persisted) endKernel();
  };
  addEventListener("pagehide", onClose);

  el.replaceChildren(root);
  markDark(root);
  showHeight();
  showSummary();
  showMessage();
  showPage();
  showMarks();
  showHere();
  const { notebook, columns: known } = model.get("options");
  const remembered = recall(notebook).filter((name) => known.includes(name));
  if (remembered.length && !model.get("page").chosen) send({ type: "columns", names: remembered });

  return () => {
    for (const [name, handler] of handlers) model.off(name, handler);
    for (const timer of [selectTimer, busyTimer, silentTimer]) clearTimeout(timer);
    watcher.disconnect();
    document.removeEventListener("keydown", onPageKey);
    removeEventListener("pagehide", onClose);
    for (const one of [filters, columns, downloads, comparison]) one.dispose();
  };
}

/** Ask Voilà to end the kernel of a closed page: each load starts another one, with the memory of the first. */
function endKernel() {
  const config = document.getElementById("jupyter-config-data");
  const { baseUrl, kernelId } = config ? JSON.parse(config.textContent) : {};
  if (kernelId) navigator.sendBeacon(`${baseUrl}voila/api/shutdown/${kernelId}${location.search}`);
}

/** The chosen columns belong to the notebook. The page's address names the one that is in front, if any. */
const memory = (notebook) => `orstats columns ${notebook || location.pathname}`;

function remember(notebook, names) {
  try {
    if (names.length) localStorage.setItem(memory(notebook), JSON.stringify(names));
    else localStorage.removeItem(memory(notebook));
  } catch {
    // No storage in this frame: the choice lasts until the cell is run again.
  }
}

function recall(notebook) {
  try {
    const names = JSON.parse(localStorage.getItem(memory(notebook)) || "[]");
    return Array.isArray(names) ? names : [];
  } catch {
    return [];
  }
}

export default { render };
