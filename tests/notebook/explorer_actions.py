"""What a person does in the explorer, and what it shows them."""

import ipywidgets as widgets


def shown(explorer):
    return explorer.panel.children[0]


def press(explorer, kind, **message):
    """Send a message as the browser does."""
    explorer.table.receive({"type": kind, **message})


def fill_in(explorer, **inputs):
    """Type into the filters; lists by the text of their option."""
    for name, options in (("model", "models"), ("provider", "providers"), ("status", "statuses")):
        if name in inputs:
            texts = [text.rpartition(" (")[0] for text in explorer.table.options[options]]
            inputs[name] = str(texts.index(inputs[name]))
    press(explorer, "filter", inputs=inputs)


def texts(explorer, column):
    """Return what the cells of a column show."""
    place = [one["name"] for one in explorer.table.page["columns"]].index(column)
    return [row["cells"][place][0] for row in explorer.table.page["rows"]]


def html_of(widget):
    own = widget.value if isinstance(widget, widgets.HTML) else ""
    return own + "".join(html_of(child) for child in getattr(widget, "children", ()))
