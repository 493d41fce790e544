"""A page that shows the explorer's module without Jupyter, under a strict Content-Security-Policy.

Python is the kernel: each message of the module is handled by a real ``TableView``, and the changed traits go back.
"""

import base64
import json

from orstats.notebook.module import script, style_sheet

#: No inline script or style, no eval, no remote source.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'none'"
ADDRESS = "http://explorer.test"
TRAITS = ("options", "page", "marks", "summary", "message", "detail", "done")
BODY = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Explorer</title>
<link rel="stylesheet" href="/table.css"><link rel="stylesheet" href="/page.css">
<main><h1>Notebook</h1><div id="host"></div></main><script type="module" src="/host.js"></script></html>"""
HOST = """import module from "/table.js";
const handlers = new Map();
let state = JSON.parse(await window.toPython("null")).state;
const fire = (name, ...args) => (handlers.get(name) || new Set()).forEach((handler) => handler(...args));
const model = {
  get: (name) => state[name],
  on: (name, handler) => handlers.set(name, (handlers.get(name) || new Set()).add(handler)),
  off: (name, handler) => handlers.get(name)?.delete(handler),
  send: async (message) => { if (!window.silent) take(JSON.parse(await window.toPython(JSON.stringify(message)))); },
};
function take(answer) {
  const before = state;
  state = answer.state;
  for (const name of Object.keys(state)) {
    if (JSON.stringify(before[name]) !== JSON.stringify(state[name])) fire(`change:${name}`);
  }
  for (const [payload, buffers] of answer.sent) {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    fire("msg:custom", payload, buffers.map((one) => new DataView(bytes(one).buffer)));
  }
}
window.handlerCount = () => [...handlers.values()].reduce((sum, one) => sum + one.size, 0);
window.takeFromPython = (text) => take(JSON.parse(text));
window.dispose = module.render({ model, el: document.getElementById("host") });
"""
PAGE_CSS = """html{color-scheme:%s;background:Canvas;color:CanvasText;font:13px 'DejaVu Sans',sans-serif}
#host{height:%dpx;max-width:100%%} h1{font-size:14px} body{margin:8px}"""


class TableHost:
    """The module on a page; ``received`` has its messages."""

    def __init__(self, page, table, *, height=640, dark=False):
        self.page, self.table, self.received, self._sent = page, table, [], []
        table.send = lambda content, buffers=None: self._sent.append((content, buffers or []))
        page.expose_function("toPython", self._receive)
        self.errors = []
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.route(f"{ADDRESS}/**", self._serve(PAGE_CSS % ("dark" if dark else "light", height)))
        page.goto(f"{ADDRESS}/")
        page.locator(".orstats-master").wait_for()

    def _serve(self, css):
        files = {"/": (BODY, "text/html"), "/table.js": (script(), "text/javascript")}
        files |= {"/host.js": (HOST, "text/javascript"), "/page.css": (css, "text/css")}
        files |= {"/table.css": (style_sheet(), "text/css")}

        def serve(route):
            body, kind = files.get(route.request.url.removeprefix(ADDRESS), ("", "text/plain"))
            route.fulfill(body=body, content_type=kind, headers={"Content-Security-Policy": POLICY})

        return serve

    def state(self):
        """Return what the kernel would send."""
        state = {name: getattr(self.table, name) for name in TRAITS}
        sent, self._sent = self._sent, []
        parts = [(content, [base64.b64encode(one).decode() for one in buffers]) for content, buffers in sent]
        return json.dumps({"state": state, "sent": parts})

    def _receive(self, text):
        message = json.loads(text)
        if message is not None:
            self.received.append(message)
            self.table.receive(message)
        return self.state()

    def until(self, holds):
        """Wait until something holds in Python: the module shows a choice before Python knows of it."""
        for _ in range(4500):
            if holds():
                return True
            self.page.wait_for_timeout(20)
        return False

    def refresh(self):
        """Show what changed in Python without a message of the module."""
        self.page.evaluate("text => window.takeFromPython(text)", self.state())
