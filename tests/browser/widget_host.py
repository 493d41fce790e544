"""A page that shows one widget's module without Jupyter, under a Content-Security-Policy.

Python is the kernel: each message of the module reaches the real widget, and its changed traits go back.
"""

import base64
import json
from dataclasses import dataclass

import anywidget

#: No inline script or style, no eval, no remote source.
STRICT = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'none'"
ADDRESS = "http://widget.test"
BODY = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Notebook</title><link rel="icon" href="data:,">
%s<body %s><main><h1>Notebook</h1><div id="host"></div></main><script type="module" src="/host.js"></script></html>"""
LINKS = '<link rel="stylesheet" href="/widget.css"><link rel="stylesheet" href="/page.css">'
HOST = """const handlers = new Map();
let state = JSON.parse(await window.toPython(JSON.stringify("state"))).state;
const fire = (name, ...args) => (handlers.get(name) || new Set()).forEach((handler) => handler(...args));
async function talk(message) {
  if (!window.silent) take(JSON.parse(await window.toPython(JSON.stringify(message))));
}
const model = {
  get: (name) => state[name],
  on: (name, handler) => handlers.set(name, (handlers.get(name) || new Set()).add(handler)),
  off: (name, handler) => handlers.get(name)?.delete(handler),
  send: talk,
};
function take(answer) {
  if (answer === null) return;
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
/** As anywidget does it: the module from a blob, the style sheet as an element. */
async function load(element) {
  if (document.querySelector("link[href='/widget.css']")) return (await import("/widget.js")).default;
  const [code, css] = JSON.parse(await window.toPython(JSON.stringify("sources")));
  const sheet = document.createElement("style");
  sheet.textContent = css;
  element.before(sheet);
  return (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
}
window.handlerCount = () => [...handlers.values()].reduce((sum, one) => sum + one.size, 0);
const el = document.getElementById("host");
window.dispose = (await load(el)).render({ model, el });
setInterval(() => talk(null), 100);  // what threads changed
"""
PAGE_CSS = """html{color-scheme:%s;background:Canvas;color:CanvasText;font:13px 'DejaVu Sans',sans-serif}
#host{height:%s;max-width:100%%} h1{font-size:14px} body{margin:8px}"""


@dataclass(frozen=True)
class Place:
    """Where a widget is shown: the policy, what the page's head has, the attributes of its body, and if it loads."""

    policy: str | None = STRICT
    head: str = LINKS
    body: str = ""
    loads: bool = True


class WidgetHost:
    """A widget's module on a page; ``received`` has its messages, ``errors`` what the browser complained of."""

    def __init__(self, page, widget, *, height="auto", dark=False, place=Place()):
        self.page, self.widget, self.received, self._sent, self._last = page, widget, [], [], ""
        widget.send = lambda content, buffers=None: self._sent.append((content, buffers or []))
        self._traits = sorted(set(widget.keys) - set(anywidget.AnyWidget().keys) - {"_esm", "_css", "_anywidget_id"})
        page.expose_function("toPython", self._receive)
        self.errors = []
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.route(f"{ADDRESS}/**", self._serve(PAGE_CSS % ("dark" if dark else "light", height), place))
        page.goto(f"{ADDRESS}/")
        if place.loads:
            page.locator("#host > *").first.wait_for()

    def _serve(self, css, place):
        body = BODY % (place.head, place.body)
        files = {"/": (body, "text/html"), "/widget.js": (self.widget._esm, "text/javascript")}
        files |= {"/host.js": (HOST, "text/javascript"), "/page.css": (css, "text/css")}
        files |= {"/widget.css": (self.widget._css, "text/css")}
        headers = {} if place.policy is None else {"Content-Security-Policy": place.policy}

        def serve(route):
            body, kind = files.get(route.request.url.removeprefix(ADDRESS), ("", "text/plain"))
            route.fulfill(body=body, content_type=f"{kind}; charset=utf-8", headers=headers)

        return serve

    def _state(self):
        """Return what the kernel would send; nothing if nothing changed."""
        state = {name: getattr(self.widget, name) for name in self._traits}
        sent, self._sent = self._sent, []
        parts = [(content, [base64.b64encode(one).decode() for one in buffers]) for content, buffers in sent]
        text = json.dumps({"state": state, "sent": parts})
        same, self._last = text == self._last, text
        return "null" if same else text

    def _receive(self, text):
        message = json.loads(text)
        if message == "sources":
            return json.dumps([self.widget._esm, self.widget._css])
        if message == "state":
            self._last = ""
        if message is None or message == "state":
            return self._state()
        self.received.append(message)
        self.widget._handle_custom_msg(message, [])
        return self._state()

    def until(self, holds):
        """Wait until something holds in Python: the module shows a choice before Python knows of it."""
        for _ in range(4500):
            if holds():
                return True
            self.page.wait_for_timeout(20)
        return False
