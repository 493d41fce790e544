import { element, shape } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 44;

/** Figures of the filtered rows, each a number and its unit. */
export function totals(figures) {
  return figures.map(([number, unit]) => element("div", {}, element("b", {}, number), " ", element("span", {}, unit)));
}

/** Bars of cost over time; the text next to them has what a screen reader needs. */
export function chart(costs) {
  if (!costs) return [];
  const wide = WIDTH / costs.bars.length;
  const bars = costs.bars.map(([share, about], number) => {
    const tall = share > 0 ? Math.max(share * HEIGHT, 1) : 0;
    const across = { x: (number * wide).toFixed(1), width: (wide * 0.82).toFixed(1) };
    return shape("g", {},
      shape("title", {}, about),
      shape("rect", { class: "orstats-hit", ...across, y: 0, height: HEIGHT }),
      shape("rect", { ...across, y: (HEIGHT - tall).toFixed(1), height: tall.toFixed(1) }));
  });
  const line = shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT + 1, y2: HEIGHT + 1 });
  const size = { viewBox: `0 0 ${WIDTH} ${HEIGHT + 2}`, preserveAspectRatio: "none" };
  return [
    shape("svg", { class: "orstats-chart", role: "img", "aria-label": costs.label, ...size }, ...bars, line),
    element("div", { class: "orstats-axis" },
      element("span", {}, costs.from),
      element("span", { title: costs.label }, costs.label),
      element("span", {}, costs.to)),
  ];
}
