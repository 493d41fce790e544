/**
 * Handle a click or a key in the explorer's table. Both act on the widgets around the table (the lists of rows and of
 * columns, the page buttons), which also serve keyboards and front ends without scripts, and which Python observes.
 */
function onTableEvent(region, event) {
  const explorer = region.closest(".orstats-explorer");
  if (!explorer) return;
  const find = (selector) => explorer.querySelector(selector);
  const rows = find(".orstats-pick select");
  const columns = find(".orstats-sort select");

  // Jupyter takes a little while to answer: look for its answer 40 times, every 50 ms.
  function poll(attempt, left = 40) {
    if (!attempt() && left > 0) setTimeout(() => poll(attempt, left - 1), 50);
  }

  function choose(list, index) {
    list.selectedIndex = index;
    list.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // A new page or order is a new table. Focus it, or the next key would go to the notebook.
  function focusNextTable() {
    poll(() => {
      const next = find(".orstats-scroll");
      if (next === region) return false;
      if (next && document.activeElement === document.body) next.focus({ preventScroll: true });
      return true;
    });
  }

  // The card of the selected row may not have arrived yet.
  function loadContent() {
    const row = region.querySelectorAll("tbody tr")[rows.selectedIndex - 1];
    if (!row) return;
    poll(() => {
      const card = find(".orstats-right .orstats-card");
      const icon = card?.querySelector("button .fa-download, button .fa-refresh");
      if (!icon || card.querySelector(".orstats-id")?.textContent !== row.lastElementChild.title) return false;
      icon.closest("button").click();
      return true;
    });
  }

  function onClick() {
    const head = event.target.closest("th[data-sort]");
    const row = event.target.closest("tr[data-row]");
    if (head && columns) {
      focusNextTable();
      if (columns.selectedIndex === Number(head.dataset.sort)) {
        find(".orstats-turn-order").click();
      } else {
        choose(columns, Number(head.dataset.sort));
        region.focus({ preventScroll: true });
      }
    } else if (row && rows) {
      choose(rows, Number(row.dataset.row) + 1);
      region.focus({ preventScroll: true });
    }
  }

  function onKey() {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter") {
      loadContent();
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      focusNextTable();
      find(event.key === "PageDown" ? ".orstats-page-next" : ".orstats-page-back").click();
    } else if (step) {
      const last = rows.options.length - 1;
      const index = Math.max(1, Math.min(last, rows.selectedIndex + step));
      if (last > 0 && index !== rows.selectedIndex) choose(rows, index);
    } else {
      return;
    }
    // The notebook has its own uses for these keys.
    event.preventDefault();
    event.stopPropagation();
  }

  if (event.type === "click") onClick();
  else onKey();
}
