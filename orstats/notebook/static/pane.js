import { isDark } from "./dark.js";

/**
 * Show the HTML parts of a pane, and report what is done in it. The HTML is made and checked in Python; here no text of
 * a record becomes HTML. Buttons carry data-action and data-value, so no part needs a handler of its own.
 */
const SEARCH_DELAY_MS = 300;

/** Copy the texts of a box. Without the clipboard API (plain http, some frames) the old command is tried next. */
function copyTexts(button) {
  const box = button.closest(".orstats-box");
  const text = Array.from(box.querySelectorAll(".orstats-source"), (source) => source.textContent).join("\n");
  const label = (button.dataset.label ||= button.textContent);

  function report(message) {
    button.textContent = message;
    setTimeout(() => { button.textContent = label; }, 2000);
  }

  function copyByCommand() {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "orstats-offscreen";
    button.after(area);
    area.select();
    let copied = false;
    try {
      copied = document.execCommand("copy");
    } catch {
      // Not allowed here.
    }
    area.remove();
    button.focus();
    if (!copied) getSelection().selectAllChildren(box);
    report(copied ? "copied" : "press Ctrl-C");
  }

  if (window.isSecureContext && navigator.clipboard) {
    navigator.clipboard.writeText(text).then(() => report("copied"), copyByCommand);
  } else {
    copyByCommand();
  }
}

/** Describe the control that has the focus, so that it can be focused again after its part was replaced. */
function focused(part) {
  const active = part.getRootNode().activeElement;
  if (!active?.dataset?.action || !part.contains(active)) return null;
  return `[data-action="${CSS.escape(active.dataset.action)}"][data-value="${CSS.escape(active.dataset.value ?? "")}"]`;
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "orstats-card";
  root.tabIndex = -1;
  el.append(root);
  const shown = new Map();
  const started = new WeakMap();
  let delay;

  function update() {
    const parts = model.get("parts");
    for (const [name, { element }] of shown) {
      if (name in parts) continue;
      const hadFocus = element.contains(element.getRootNode().activeElement);
      element.remove();
      shown.delete(name);
      if (hadFocus) root.focus({ preventScroll: true });
    }
    let previous = null;
    for (const [name, html] of Object.entries(parts)) {
      if (!shown.has(name)) {
        const element = document.createElement("section");
        element.dataset.part = name;
        shown.set(name, { element, html: null });
      }
      const part = shown.get(name);
      if (part.html !== html) {
        const control = focused(part.element);
        part.element.innerHTML = html;
        part.html = html;
        if (control) {
          // Where the pressed button is gone, the next key must not go to the page.
          const next = part.element.querySelector(control) ?? part.element.querySelector("[data-action]") ?? root;
          next.focus({ preventScroll: true });
        }
      }
      const place = previous ? previous.nextSibling : root.firstChild;
      if (place !== part.element) root.insertBefore(part.element, place);
      previous = part.element;
    }
  }

  function jump(name) {
    const target = shown.get(name)?.element;
    if (!target) return;
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  }

  function act(control) {
    const { action, value = "" } = control.dataset;
    if (action === "copy") copyTexts(control);
    else if (action === "jump") jump(value);
    else if (action === "feedback") {
      const form = control.closest(".orstats-form");
      const [category, comment] = ["select", "textarea"].map((name) => form.querySelector(name));
      if (category.reportValidity()) model.send({ action, value: category.value, comment: comment.value });
    } else model.send({ action, value });
  }

  function onClick(event) {
    const control = event.target.closest?.("[data-action]");
    if (control && root.contains(control)) act(control);
  }

  function onInput(event) {
    if (event.target.dataset.action !== "search") return;
    clearTimeout(delay);
    delay = setTimeout(() => model.send({ action: "search", value: event.target.value }), SEARCH_DELAY_MS);
  }

  /** Count the seconds since each waiting notice appeared. */
  function tick() {
    for (const clock of root.querySelectorAll(".orstats-clock")) {
      if (!started.has(clock)) started.set(clock, performance.now());
      const from = Number(clock.dataset.value) || 0;
      clock.textContent = `${Math.floor(from + (performance.now() - started.get(clock)) / 1000)} s`;
    }
    root.classList.toggle("orstats-dark", isDark(root));
  }

  root.addEventListener("click", (event) => {
    if (event.target.dataset.action !== "search") onClick(event);
  });
  root.addEventListener("input", onInput);
  model.on("change:parts", update);
  update();
  requestAnimationFrame(tick);
  const timer = setInterval(tick, 1000);
  return () => {
    clearInterval(timer);
    clearTimeout(delay);
    model.off("change:parts", update);
  };
}

export default { render };
