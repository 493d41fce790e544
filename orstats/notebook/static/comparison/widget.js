import { makeComparison } from "./comparison.js";

function render({ model, el }) {
  const comparison = makeComparison((action, value = "") => model.send({ action, value }));
  const update = () => comparison.show(model.get("shown"));
  el.append(comparison.root);
  model.on("change:shown", update);
  update();
  return () => {
    comparison.dispose();
    model.off("change:shown", update);
  };
}

export default { render };
