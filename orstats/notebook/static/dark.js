/** The lightness of a computed colour, from 0 to 1, and its opacity. */
function lightness(colour) {
  const [kind, inside = ""] = colour.split(/[()]/);
  // The name of a colour space may have digits: color(display-p3 1 1 1).
  const values = kind === "color" ? inside.slice(inside.indexOf(" ")) : inside;
  const [first, second, third, alpha = 1] = (values.match(/-?[\d.]+(e-?\d+)?/g) ?? []).map(Number);
  if (/^ok/.test(kind)) return [first, alpha];
  if (/^l/.test(kind)) return [first / 100, alpha];
  return [(first * 0.3 + second * 0.59 + third * 0.11) / (kind === "color" ? 1 : 255), alpha];
}

/** Whether an element stands on a dark background or, where none is painted, has light text. */
export function isDark(element) {
  for (let one = element; one; one = one.parentElement ?? one.getRootNode().host) {
    const [light, alpha] = lightness(getComputedStyle(one).backgroundColor);
    if (light >= 0 && alpha > 0.5) return light < 0.43;
  }
  return lightness(getComputedStyle(element).color)[0] > 0.5;
}
