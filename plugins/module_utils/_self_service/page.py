# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page in Cockpit on which people enrol themselves: what its files hold."""

from __future__ import annotations

from .. import _places as places

_MANIFEST = """\
{
    "requires": {"cockpit": "265"},
    "menu": {
        "index": {
            "label": "Two-factor login",
            "order": 95,
            "keywords": [{"matches": ["totp", "2fa", "two-factor", "code", "phone"]}]
        }
    },
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'"
}
"""

# Classes are PatternFly's as Cockpit's own pages have them; page.js brings them to the version of this host.
_INDEX = """\
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Two-factor login</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="stylesheet" href="../users/users.css">
  <link rel="stylesheet" href="page.css">
  <script src="../base1/cockpit.js"></script>
  <script src="page.js" defer></script>
</head>
<body class="pf-m-redhat-font">
  <div class="pf-v6-c-page pf-m-no-sidebar">
    <main class="pf-v6-c-page__main-container pf-v6-c-page__main">
      <section class="pf-v6-c-page__main-section">
        <div id="card" class="pf-v6-c-card">
          <div class="pf-v6-c-card__title"><h1 class="pf-v6-c-card__title-text">Two-factor login</h1></div>
          <div class="pf-v6-c-card__body pf-v6-l-stack pf-m-gutter">
            <p id="state" role="status"></p>
            <div id="alert" class="pf-v6-c-alert pf-m-inline pf-m-danger" role="alert" hidden>
              <p id="error" class="pf-v6-c-alert__title"></p>
            </div>
            <ul id="facts" class="pf-v6-c-list pf-m-plain" role="list" hidden></ul>
            <section id="secret" hidden aria-labelledby="scan">
              <h2 id="scan" class="pf-v6-c-title pf-m-md">Scan this with your app</h2>
              <div id="qr"></div>
              <p>The key, to be typed where nothing can be scanned:</p>
              <code id="key"></code>
            </section>
            <form id="ask" class="pf-v6-c-form" hidden>
              <div class="pf-v6-c-form__group">
                <label for="code" class="pf-v6-c-form__label">
                  <span id="label" class="pf-v6-c-form__label-text"></span>
                </label>
                <div id="field" class="pf-v6-c-form__group-control">
                  <span class="pf-v6-c-form-control">
                    <input id="code" inputmode="numeric" autocomplete="one-time-code" maxlength="9" required>
                  </span>
                </div>
              </div>
              <div class="pf-v6-c-form__group pf-m-action">
                <div class="pf-v6-c-form__actions">
                  <button type="submit" class="pf-v6-c-button pf-m-primary">Continue</button>
                  <button type="button" id="cancel" class="pf-v6-c-button pf-m-link">Cancel</button>
                </div>
              </div>
            </form>
            <section id="recovery" hidden aria-labelledby="keep">
              <h2 id="keep" class="pf-v6-c-title pf-m-md">Recovery codes</h2>
              <p>Keep them on paper. Each is good once, in this order. They are not shown again.</p>
              <ol id="codes"></ol>
              <button type="button" id="kept" class="pf-v6-c-button pf-m-primary">I have kept them</button>
            </section>
            <div id="actions" class="pf-v6-l-flex" hidden></div>
          </div>
        </div>
      </section>
    </main>
  </div>
</body>
</html>
"""

_STYLE = """\
[hidden] { display: none !important; }
#card { max-width: 40rem; }
#field { max-width: 12rem; }
#qr { margin-block: 0.5rem; max-width: 17rem; }
#qr img { display: block; width: 100%; }
#key, #codes { font-family: monospace; }
#codes { columns: 2; list-style: decimal inside; margin-block: 1rem; max-width: 20rem; }
"""

_SCRIPT = """\
"use strict";

const at = id => document.getElementById(id);
const LABELS = {
    "enrol": "Set up two-factor login", "renew": "Set up a new phone",
    "device": "Add a spare device", "recovery-codes": "New recovery codes",
};

const LOST = { ok: false, message: "The connection was lost. Nothing has changed; cancel, and begin anew." };
const UNANSWERED = { ok: false, message: "The connection was lost. Keep the old key until the new one has worked." };

// How PatternFly's names begin in the version that this Cockpit has; in the oldest one a field has its class itself.
const root = getComputedStyle(document.documentElement);
const PF = root.getPropertyValue("--pf-t--global--spacer--md")
    ? "pf-v6-"
    : root.getPropertyValue("--pf-v5-global--spacer--md") ? "pf-v5-" : "pf-";
document.querySelectorAll("[class*='pf-v6-']").forEach(element => {
    element.className = element.className.replaceAll("pf-v6-", PF);
});
if (PF === "pf-")
    at("code").parentElement.replaceWith(Object.assign(at("code"), { className: "pf-c-form-control" }));

// Requests and answers, a line of JSON each. What is pending there ends with the connection.
class Helper {
    constructor() {
        this.waiting = [];
        this.rest = "";
        this.channel = cockpit.channel({ payload: "stream", unix: "@SOCKET@" });
        this.channel.addEventListener("message", (_event, data) => this.receive(data));
        this.channel.addEventListener("close", () => {
            this.closed = true;
            this.waiting.splice(0).forEach(answer => answer(UNANSWERED));
        });
    }

    receive(data) {
        const lines = (this.rest + data).split("\\n");
        this.rest = lines.pop();
        lines.forEach(line => this.waiting.shift()?.(JSON.parse(line)));
    }

    ask(request) {
        return new Promise(resolve => {
            if (this.closed) {
                resolve(LOST);
                return;
            }
            this.waiting.push(resolve);
            this.channel.send(JSON.stringify(request) + "\\n");
        });
    }
}

let helper = new Helper();
let submit = null;

function show(...shown) {
    ["actions", "facts", "ask", "secret", "recovery"].forEach(id => { at(id).hidden = !shown.includes(id); });
}

function forget() {
    ["qr", "codes"].forEach(id => at(id).replaceChildren());
    at("key").textContent = "";
    at("code").value = "";
    complain("");
}

function complain(message) {
    at("error").textContent = message;
    at("alert").hidden = !message;
}

async function home() {
    forget();
    if (helper.closed)
        helper = new Helper();
    const state = await helper.ask({ do: "status" });
    if (!state.ok) {
        at("state").textContent = "";
        complain(state.message);
        show();
        return;
    }
    at("state").textContent = state.message;
    const facts = state.enrolled
        ? [`Spare devices: ${state.devices.length}`, `Recovery codes left: ${state.recovery_codes_left}`]
        : [];
    at("facts").replaceChildren(...facts.map(text => element("li", text)));
    at("actions").replaceChildren(...state.may.map(what => {
        const button = element("button", LABELS[what]);
        button.type = "button";
        button.dataset.what = what;
        button.className = `${PF}c-button ${what === "enrol" ? "pf-m-primary" : "pf-m-secondary"}`;
        button.addEventListener("click", () => what === "enrol" ? begin(what, "") : authorise(what));
        return button;
    }));
    show("facts", "actions");
}

function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
}

function ask(label, then, ...beside) {
    at("label").textContent = label;
    at("code").value = "";
    submit = then;
    show("ask", ...beside);
    at("code").focus();
}

function authorise(what) {
    complain("");
    at("state").textContent = LABELS[what];
    ask("A code that your app shows now, or a recovery code", code => begin(what, code));
}

async function begin(what, code) {
    complain("");
    const answer = await helper.ask({ do: "begin", what, code });
    if (!answer.ok) {
        complain(answer.message);
        at("code").value = "";
    } else if (answer.secret) {
        at("state").textContent = "Nothing has changed yet: it counts once a code of it was right.";
        at("scan").textContent = answer.picture ? "Scan this with your app" : "Type this into your app";
        at("qr").replaceChildren(...answer.picture ? [picture(answer.picture)] : []);
        at("key").textContent = answer.secret.match(/.{1,4}/g).join(" ");
        ask("The code that your app shows for it", prove, "secret");
    } else {
        done(answer.recovery_codes);
    }
}

async function prove(code) {
    complain("");
    const answer = await helper.ask({ do: "prove", code });
    if (answer.ok)
        done(answer.recovery_codes);
    else
        complain(answer.message);
    at("code").value = "";
}

function done(codes) {
    if (!codes.length) {
        home();
        return;
    }
    forget();
    at("state").textContent = "Done.";
    at("codes").replaceChildren(...codes.map(code => element("li", code)));
    show("recovery");
    at("kept").focus();
}

// What a picture's file holds does nothing but be seen: no script of it runs, and it fetches nothing.
function picture(svg) {
    const image = document.createElement("img");
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    image.alt = "QR code of the key";
    return image;
}

function theme() {
    const style = localStorage.getItem("shell:style") || "auto";
    const dark = style === "dark" || (style === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    ["pf-theme-dark", "pf-v6-theme-dark"].forEach(name => document.documentElement.classList.toggle(name, dark));
}

theme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
window.addEventListener("storage", theme);
window.addEventListener("cockpit-style", theme);
at("ask").addEventListener("submit", event => {
    event.preventDefault();
    submit(at("code").value.replace(/\\s/g, ""));
});
at("cancel").addEventListener("click", () => {
    helper.channel.close();
    helper = new Helper();
    home();
});
at("kept").addEventListener("click", home);
home();
""".replace("@SOCKET@", places.SELF_SERVICE_SOCKET)

FILES = {
    "manifest.json": _MANIFEST,
    "index.html": _INDEX,
    "page.css": _STYLE,
    "page.js": _SCRIPT,
}
"""What each file of the page holds."""
