// Copyright (c) 2026 the fleet.auth contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

"use strict";

const at = id => document.getElementById(id);
const LABELS = {
    "enrol": "Set up two-factor login", "renew": "Set up a new phone",
    "device": "Add a spare device", "recovery-codes": "New recovery codes",
};

const LOST = { ok: false, message: "The connection was lost. Nothing was changed; press Cancel, and start again." };
const UNANSWERED = {
    ok: false,
    message: "The connection was lost. Reload the page to see what was done, and keep the old key until a new one has worked.",
};

// The prefix of PatternFly's class names in this Cockpit. In the oldest version, an input field has the class itself.
const root = getComputedStyle(document.documentElement);
const PF = root.getPropertyValue("--pf-t--global--spacer--md")
    ? "pf-v6-"
    : root.getPropertyValue("--pf-v5-global--spacer--md") ? "pf-v5-" : "pf-";
document.querySelectorAll("[class*='pf-v6-']").forEach(element => {
    element.className = element.className.replaceAll("pf-v6-", PF);
});
if (PF === "pf-")
    at("code").parentElement.replaceWith(Object.assign(at("code"), { className: "pf-c-form-control" }));

// Requests and answers, one line of JSON each. A pending action ends with the connection.
class Helper {
    constructor() {
        this.waiting = [];
        this.rest = "";
        this.channel = cockpit.channel({ payload: "stream", unix: "/run/fleet-auth/self-service.sock" });
        this.channel.addEventListener("message", (_event, data) => this.receive(data));
        this.channel.addEventListener("close", () => {
            this.closed = true;
            this.waiting.splice(0).forEach(answer => answer(UNANSWERED));
        });
    }

    receive(data) {
        const lines = (this.rest + data).split("\n");
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
            this.channel.send(JSON.stringify(request) + "\n");
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
    ["key", "copied"].forEach(id => { at(id).textContent = ""; });
    at("open").removeAttribute("href");
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
        button.addEventListener("click", () => what === "enrol" ? enrol(state.invited) : authorise(what));
        return button;
    }));
    show("facts", "actions");
}

function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
}

function ask(label, button, then, ...beside) {
    at("label").textContent = label;
    at("submit").textContent = button;
    Object.assign(at("code"), { value: "", inputMode: "numeric", autocomplete: "one-time-code", maxLength: 9 });
    submit = then;
    show("ask", ...beside);
    at("code").focus();
}

function invite() {
    complain("");
    at("state").textContent = LABELS.enrol;
    ask("Your invitation", "Continue", invitation => begin("enrol", "", invitation));
    Object.assign(at("code"), { inputMode: "text", autocomplete: "off", maxLength: 40 });
}

function enrol(invited) {
    return invited ? invite() : begin("enrol", "");
}

function authorise(what) {
    complain("");
    at("state").textContent = LABELS[what];
    ask("A code that your app shows now, or a recovery code", "Continue", code => begin(what, code));
}

async function begin(what, code, invitation = "") {
    complain("");
    const answer = await helper.ask({ do: "begin", what, place: "cockpit", code, invitation });
    if (!answer.ok) {
        complain(answer.message);
        at("code").value = "";
    } else if (answer.secret) {
        at("state").textContent = what === "renew"
            ? "Two steps. Your old phone works until the second one is done."
            : "Two steps. The new key is valid once the second one is done.";
        at("how").textContent = answer.picture
            ? "Open your authenticator app, add an account, and scan this picture."
            : "Open your authenticator app, add an account, and type in the key.";
        at("typed").textContent = answer.picture ? "If you cannot scan it, type in this key:" : "The key:";
        at("qr").replaceChildren(...answer.picture ? [picture(answer.picture)] : []);
        at("key").textContent = answer.secret.match(/.{1,4}/g).join(" ");
        Object.assign(at("open"), { href: answer.uri, target: "_top" });
        at("copied").textContent = "";
        ask("The code", "Verify", prove, "secret");
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
    at("state").textContent = "Done. One thing is left: keep these codes.";
    at("codes").replaceChildren(...codes.map(code => element("li", code)));
    show("recovery");
    at("kept").focus();
}

// As an image, the SVG can only be shown: no script in it runs, and it fetches nothing.
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
    submit(at("code").value.replace(/\s/g, ""));
});
at("cancel").addEventListener("click", () => {
    helper.channel.close();
    helper = new Helper();
    home();
});
at("copy").addEventListener("click", async () => {
    const key = at("key").textContent.replace(/\s/g, "");
    try {
        await navigator.clipboard.writeText(key);
    } catch {
        // Without https, or if the browser refuses, the key is selected, so that it can be copied by hand.
        getSelection().selectAllChildren(at("key"));
        document.execCommand("copy");
    }
    at("copied").textContent = "Copied. Clear the clipboard once it is in your app.";
});
at("kept").addEventListener("click", home);
home();
