import { isDark } from "../dark.js";

/**
 * Make elements. Text becomes text nodes, never markup, because every text of a record is untrusted.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function button(label, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, label);
}

export function shape(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button that opens a panel below it; Escape and a click elsewhere close it. */
export function menu(label, title, contents) {
  const summary = element("summary", { title }, label);
  const panel = element("div", { class: "orstats-panel" }, ...contents);
  const made = element("details", { class: "orstats-menu" }, summary, panel);
  const close = () => { made.open = false; };
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !made.open) return;
    close();
    summary.focus();
    event.stopPropagation();
  });
  made.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !made.contains(event.relatedTarget)) close();
  });
  const outside = (event) => {
    if (!event.composedPath().includes(made)) close();
  };
  document.addEventListener("pointerdown", outside);
  return { made, summary, panel, close, dispose: () => document.removeEventListener("pointerdown", outside) };
}

/** The style sheet cannot see every page's theme. */
export function markDark(root) {
  root.classList.toggle("orstats-dark", isDark(root));
}
