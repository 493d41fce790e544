import js from "@eslint/js";
import globals from "globals";

const SET_AS_MARKUP = ["innerHTML", "outerHTML", "insertAdjacentHTML", "write"];

export default [
  js.configs.recommended,
  {
    languageOptions: { globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "consistent-return": "error",
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-shadow": ["error", { builtinGlobals: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
      "max-len": ["error", { code: 120 }],
      "no-restricted-properties": ["error", ...SET_AS_MARKUP.map((property) => ({
        property, message: "The text of a record is untrusted: make elements and text nodes (dom.js).",
      }))],
    },
  },
  // It shows HTML that Python made and escaped.
  { files: ["**/static/pane.js"], rules: { "no-restricted-properties": "off" } },
];
