/**
 * Copy the texts next to a copy button. The modern clipboard API is not available on plain http and in some frames, so
 * the old command is tried next; if that fails, too, the text is selected for Ctrl-C.
 */
function copyTexts(button) {
  const sources = button.parentElement.querySelectorAll(".orstats-source");
  const text = Array.from(sources, (source) => source.textContent).join("\n");
  const label = (button.dataset.label ||= button.textContent);

  function report(message) {
    button.textContent = message;
    setTimeout(() => { button.textContent = label; }, 2000);
  }

  function copyByCommand() {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = "position: fixed; opacity: 0";
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
    if (!copied) getSelection().selectAllChildren(button.parentElement);
    report(copied ? "copied" : "press Ctrl-C");
  }

  if (window.isSecureContext && navigator.clipboard) {
    navigator.clipboard.writeText(text).then(() => report("copied"), copyByCommand);
  } else {
    copyByCommand();
  }
}
