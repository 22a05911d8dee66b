// Copyright (c) 2026 the fleet.auth contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

"use strict";

const js = require("@eslint/js");
const globals = require("globals");

module.exports = [
    js.configs.recommended,
    {
        files: ["**/*.cjs"],
        languageOptions: { sourceType: "commonjs", globals: globals.node },
    },
    {
        // Scripts of pages in Cockpit. Cockpit provides the global `cockpit`.
        files: ["roles/**/*.js"],
        languageOptions: { sourceType: "script", globals: { ...globals.browser, cockpit: "readonly" } },
    },
    {
        linterOptions: { reportUnusedDisableDirectives: "error" },
        rules: {
            "eqeqeq": "error",
            "no-var": "error",
            "prefer-const": "error",
            "strict": ["error", "global"],
        },
    },
];
