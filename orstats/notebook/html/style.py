"""The look of the card: the theme's own colours for text, transparent greys for boxes, two sets for the rest."""

from __future__ import annotations

from typing import Final

from orstats.text.sanitize import Html

#: Colours of card and explorer. JupyterLab, Notebook and Voilà have the first names, VS Code the second; VS Code
#: also paints the ground of widgets white in every theme, and has no say in ipywidgets' own colours: both are set here.
#: The arrow of ipywidgets' lists is black in every theme.
VARIABLES: Final = """
.orstats-card,.orstats-explorer{--os-fg:var(--jp-content-font-color1,var(--vscode-editor-foreground,inherit));
--os-quiet:var(--jp-content-font-color2,var(--vscode-descriptionForeground,#6b7280));
--os-line:var(--jp-border-color2,rgba(128,128,128,.35));--os-tint:rgba(128,128,128,.10);
--os-blue:#2563eb;--os-green:#18794e;--os-amber:#945d00;--os-red:#c4232b;--os-violet:#7c3aed;--os-grey:#6b7280;
--os-link:var(--jp-content-link-color,#2563eb);
--os-mono:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace)}
:is(body[data-jp-theme-light=false],body.theme-dark,body[data-vscode-theme-kind$=dark],
body[data-vscode-theme-kind=vscode-high-contrast]) :is(.orstats-card,.orstats-explorer){
--os-blue:#60a5fa;--os-green:#4cc38a;--os-amber:#e5a93b;--os-red:#ff8a85;--os-violet:#a78bfa;--os-grey:#9aa0a8;
--os-link:var(--jp-content-link-color,#60a5fa);color-scheme:dark;
--jp-widgets-dropdown-arrow:url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E\
%3Cpath fill='%23aaa' d='M5.2 5.9 9 9.7l3.8-3.8 1.2 1.2-4.9 5-4.9-5z'/%3E%3C/svg%3E")}
body[data-vscode-theme-kind] :is(.orstats-card,.orstats-explorer){--os-fg:var(--vscode-editor-foreground);
--os-quiet:var(--vscode-descriptionForeground);--os-line:rgba(128,128,128,.35);
--os-link:var(--vscode-textLink-foreground);--os-mono:var(--vscode-editor-font-family,monospace);
--jp-widgets-color:var(--os-fg);--jp-widgets-label-color:var(--os-fg);--jp-widgets-input-color:var(--os-fg);
--jp-widgets-input-background-color:var(--vscode-editor-background);--jp-widgets-input-border-color:var(--os-line);
--jp-ui-font-color0:var(--os-fg);--jp-ui-font-color1:var(--os-fg);--jp-ui-font-color2:var(--os-quiet);
--jp-layout-color1:var(--vscode-editor-background);--jp-layout-color2:var(--os-tint);--jp-border-color1:var(--os-line);
background:var(--vscode-editor-background);padding:6px;box-sizing:border-box}
body[data-vscode-theme-kind] .orstats-explorer .orstats-card{padding:0}
"""

_CSS: Final = """
.orstats-card{color:var(--os-fg);font-size:13px;line-height:1.45;overflow-wrap:anywhere;max-width:100%}
.orstats-card .widget-html-content,.orstats-card .jupyter-widgets.widget-html-content{line-height:1.45;
font-size:13px;color:var(--os-fg);white-space:normal;min-width:0;max-width:100%}
.orstats-card .widget-html{width:auto;min-width:0;height:auto;overflow:visible}
.orstats-card .widget-tab-contents,.orstats-card .lm-TabPanel-tabContents{padding:10px 4px!important;
overflow:visible!important;border-color:var(--os-line)}
.orstats-card .widget-tab>.lm-TabBar .lm-TabBar-tab{flex:0 0 auto}
.orstats-card .widget-tab>.lm-TabBar .lm-TabBar-content{flex-wrap:wrap}
.orstats-frame{border:1px solid var(--os-line);border-radius:8px;padding:12px 14px}
.orstats-head{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline}
.orstats-model{font-size:16px;font-weight:600}
.orstats-quiet,.orstats-card small{color:var(--os-quiet)}
.orstats-id,.orstats-mono{font-family:var(--os-mono);font-size:12px;user-select:all}
.orstats-card a{color:var(--os-link);text-decoration:underline}
.orstats-pill{display:inline-block;border-radius:10px;padding:0 8px;font-size:12px;font-weight:600;
border:1px solid currentColor}
.orstats-good{color:var(--os-green)}.orstats-bad{color:var(--os-red)}.orstats-odd{color:var(--os-amber)}
.orstats-figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:10px 22px;margin-top:10px}
.orstats-figures h4,.orstats-error h4{margin:0 0 3px;font-size:11px;font-weight:600;letter-spacing:.04em;
text-transform:uppercase;color:var(--os-quiet)}
.orstats-big{font-size:18px;font-weight:600;font-variant-numeric:tabular-nums}
.orstats-bar{display:flex;height:12px;border-radius:6px;overflow:hidden;background:var(--os-tint);margin:4px 0}
.orstats-bar i{display:block;height:100%}
.orstats-key{display:flex;flex-wrap:wrap;gap:0 12px;font-size:12px}
.orstats-key b{font-weight:600;font-variant-numeric:tabular-nums}
.orstats-key i,.orstats-dot{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:4px}
.orstats-blue{background:#3b82f6}.orstats-green{background:#22a06b}.orstats-amber{background:#d9910a}
.orstats-red{background:#e5484d}.orstats-violet{background:#8b5cf6}.orstats-grey{background:#8a8f98}
.orstats-card td.orstats-quiet{padding-right:14px;vertical-align:top}
.orstats-tall{max-height:640px;overflow:auto}
.orstats-fall{display:grid;grid-template-columns:auto auto minmax(30px,1fr) auto;
gap:2px 8px;font-size:12px;align-items:center}
.orstats-fall .orstats-track{position:relative;height:9px;background:var(--os-tint);border-radius:4px}
.orstats-fall .orstats-track i{position:absolute;top:0;height:100%;min-width:2px;border-radius:4px}
.orstats-fall b,.orstats-num{white-space:nowrap}
.orstats-num{text-align:right;font-variant-numeric:tabular-nums}
.orstats-bubble{border-left:3px solid var(--os-grey);background:var(--os-tint);border-radius:4px 8px 8px 4px;
padding:6px 12px;margin:0 0 8px;position:relative}
.orstats-role{font-size:12px;font-weight:600;margin-bottom:2px;padding-right:60px;color:var(--os-quiet)}
.orstats-bubble.orstats-user{border-color:var(--os-blue);margin-left:6%}
.orstats-bubble.orstats-assistant{border-color:var(--os-green);margin-right:6%}
.orstats-bubble.orstats-system{border-color:var(--os-violet)}
.orstats-bubble.orstats-tool{border-color:var(--os-amber);margin-right:6%}
.orstats-bubble.orstats-final{border-width:0 0 0 5px}
.orstats-card pre.orstats-source[hidden]{display:none}
.orstats-card pre.orstats-text{font-family:var(--os-mono);font-size:12px;line-height:1.45;white-space:pre-wrap;
overflow-wrap:anywhere;margin:2px 0;padding:0;background:none;border:0;color:var(--os-fg);unicode-bidi:plaintext}
.orstats-markdown>:first-child{margin-top:0}.orstats-markdown>:last-child{margin-bottom:0}
.orstats-card .orstats-markdown{overflow-x:auto}
.orstats-card .orstats-markdown p,.orstats-card .orstats-markdown ul,.orstats-card .orstats-markdown ol{margin:4px 0}
.orstats-card .orstats-markdown h1,.orstats-card .orstats-markdown h2,.orstats-card .orstats-markdown h3,
.orstats-card .orstats-markdown h4,.orstats-card .orstats-markdown h5,.orstats-card .orstats-markdown h6{
font-size:14px;font-weight:600;margin:8px 0 4px;color:inherit}
.orstats-card .orstats-markdown pre,.orstats-card .orstats-markdown code{font-family:var(--os-mono);font-size:12px;
background:var(--os-tint);color:var(--os-fg);border-radius:4px;padding:1px 4px}
.orstats-card .orstats-markdown pre{padding:6px 8px;white-space:pre-wrap}
.orstats-card .orstats-markdown pre code{background:none;padding:0}
.orstats-card .orstats-markdown table{border-collapse:collapse;margin:4px 0}
.orstats-card .orstats-markdown th,.orstats-card .orstats-markdown td{border:1px solid var(--os-line);padding:2px 8px}
.orstats-card .orstats-markdown blockquote{border-left:3px solid var(--os-line);margin:4px 0;padding-left:10px}
.orstats-call{border:1px dashed var(--os-line);border-radius:6px;padding:4px 8px;margin:4px 0}
.orstats-media{border:1px dashed var(--os-line);border-radius:6px;padding:3px 8px;margin:4px 0;font-size:12px}
.orstats-card img.orstats-image{display:block;max-width:min(100%,480px);max-height:320px;min-width:48px;
margin:4px 0;border-radius:4px;image-rendering:auto;object-fit:contain}
.orstats-notice{border-left:4px solid var(--os-grey);background:var(--os-tint);border-radius:4px;padding:8px 12px;
margin:6px 0}
.orstats-notice.orstats-warn{border-color:var(--os-amber)}.orstats-notice.orstats-error{border-color:var(--os-red)}
.orstats-wait{padding:8px;color:var(--os-quiet)}
.orstats-wheel{display:inline-block;width:11px;height:11px;margin-right:8px;border-radius:50%;vertical-align:-1px;
border:2px solid var(--os-line);border-top-color:var(--os-blue);animation:orstats-turn 1s linear infinite}
@keyframes orstats-turn{to{transform:rotate(360deg)}}
.orstats-bar,.orstats-key i,.orstats-dot,.orstats-fall .orstats-track{forced-color-adjust:none}
@media (prefers-reduced-motion:reduce){.orstats-wheel{animation:none}}
.orstats-box{position:relative}
.orstats-copy{position:absolute;top:0;right:0;font-size:11px;line-height:1;padding:3px 7px;cursor:pointer;
border:1px solid var(--os-line);border-radius:4px;background:var(--jp-layout-color1,transparent);
color:var(--os-quiet)}
.orstats-copy:hover,.orstats-copy:focus{color:var(--os-fg)}
.orstats-card mark{background:#ffd54a;color:#111}
"""


def style() -> Html:
    """Return the style sheet; all its names begin with ``orstats``."""
    return Html(f"<style>{VARIABLES}{_CSS}</style>")
