# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An enrolment sheet on a phone, on a screen and on paper, in the light and in the dark."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import preloaded
from ansible_collections.fleet.auth.plugins.plugin_utils import _languages, _printing
from browser import decoded
from login import sheets

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles" / "twofactor" / "templates" / "sheet.html.j2"
PICTURES = ROOT / "build" / "browser"

# Viewports in CSS pixels, and whether it is a touch screen: the narrowest phone in use, a usual phone, a monitor.
DEVICES: dict[str, dict[str, t.Any]] = {
    "small phone": {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True},
    "phone": {
        "viewport": {"width": 360, "height": 800},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
    "screen": {"viewport": {"width": 1280, "height": 900}},
}


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The contents of a sheet."""

    user: str = "alice"
    host: str = "web1"
    issuer: str = "Example"
    secret: str = "NBSWY3DPFQQHO33SNRSCC3DPNZTWK4RB"
    digits: int = 6
    interval: int = 30
    codes: tuple[str, ...] = ()
    """The recovery codes that are left, from a set of ten."""
    device: str = ""
    help: str = ""
    language: str = "en"

    @property
    def variables(self) -> dict[str, t.Any]:
        """The variables of the template."""
        numbers = range(11 - len(self.codes), 11)
        enrolment = {
            "user": self.user,
            "device": self.device,
            "secret": self.secret,
            "interval": self.interval,
            "digits": self.digits,
            "recovery_codes": [
                {"number": number, "code": code} for number, code in zip(numbers, self.codes, strict=True)
            ],
        }
        return {
            "enrolment": enrolment,
            "place": self.host,
            "texts": _languages.texts(self.language),
            "twofactor_issuer": self.issuer,
            "twofactor_help": self.help,
        }


SHEETS = {
    "plain": Sheet(help="Questions? Come to room 2.14, or write to it@example.com."),
    "bare": Sheet(issuer="", host="web2"),
    "hostile": Sheet(
        user="o'neil",
        host='web"3<b>&amp;',
        issuer='<script>alert(1)</script> & "Söhne" 100%',
        help="<img src=x onerror=alert(1)> & see https://example.com/?a=1&b=<2>",
    ),
    "seven": Sheet(host="web4", digits=7, device="tablet", codes=("1234567", "7654321")),
    "sixty": Sheet(host="web5", interval=60),
    "full": Sheet(
        user="a-rather-long-account-name.of.somebody@department",
        host="database-replica-17.europe-west.internal.example.com",
        issuer="The Example Company of North Rhine-Westphalia",
        secret="NBSWY3DPFQQHO33SNRSCC3DPNZTWK4RBNBSWY3DPFQQHO33SNRSA",
        digits=8,
        interval=60,
        codes=tuple(f"{number * 7919 % 10**8:08d}" for number in range(1, 11)),
        help="The help desk is in room 2.14, Monday to Friday from 8 to 17 h.\nTelephone 0123 456789, "
        "it@example.com\nhttps://intranet.example.com/how-to/two-factor-login",
    ),
}

TRANSLATED = {
    language: dataclasses.replace(SHEETS["full"], language=language, host=f"{language}.{SHEETS['full'].host}")
    for language in _languages.known()
    if language != "en"
}

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.template:
        src: {template}
        dest: "{{{{ sheet }}}}"
        mode: "0600"
"""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All sheets, rendered by Ansible as the role does it."""
    folder = tmp_path_factory.mktemp("sheets")
    made = {**SHEETS, **TRANSLATED}
    found = {name: folder / f"{name}.html" for name in made}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {sheet.host: {**sheet.variables, **local, "sheet": str(found[name])} for name, sheet in made.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(PLAY.format(template=TEMPLATE))
    words = ["ansible-playbook", "-i", "hosts.json", "play.yml"]
    done = preloaded.run(*words, cwd=folder, ANSIBLE_INVENTORY_ENABLED="ansible.builtin.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return found


class Opened(t.NamedTuple):
    """A page in the browser, its network requests, and the browser's messages about it."""

    page: Page
    requests: list[str]
    complaints: list[str]


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Path]) -> Iterator[t.Callable[..., Opened]]:
    contexts = []

    def opened(name: str, device: str = "screen", **options: t.Any) -> Opened:
        context = browser.new_context(**DEVICES[device], **options)
        contexts.append(context)
        page = context.new_page()
        requests: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(pages[name].as_uri())
        return Opened(page, requests, complaints)

    yield opened
    for context in contexts:
        context.close()


ALL = pytest.mark.parametrize("name", SHEETS)
COLOURS = pytest.mark.parametrize("colours", ["light", "dark"])


@ALL
@COLOURS
@pytest.mark.parametrize("device", DEVICES)
def test_qr_code_is_read_and_nothing_has_to_be_scrolled_sideways(
    open_page: t.Callable[..., Opened], pages: dict[str, Path], name: str, device: str, colours: str
) -> None:
    page = open_page(name, device, color_scheme=colours).page
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = page.screenshot(full_page=True, path=PICTURES / f"{name} {device} {colours}.png".replace(" ", "-"))
    assert decoded(picture) == [sheets.uri(pages[name])]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@ALL
@pytest.mark.parametrize("paper", ["A4", "Letter"])
@COLOURS
def test_prints_on_one_page_black_on_white(
    open_page: t.Callable[..., Opened], pages: dict[str, Path], tmp_path: Path, name: str, paper: str, colours: str
) -> None:
    page = open_page(name, color_scheme=colours).page
    pdf = page.pdf(format=paper)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    printed = tmp_path / "sheet.pdf"
    printed.write_bytes(pdf)
    target = PICTURES / f"{name}-{paper}-{colours}"
    PICTURES.mkdir(parents=True, exist_ok=True)
    subprocess.run(["pdftoppm", "-png", "-singlefile", "-r", "110", str(printed), str(target)], check=True)
    assert decoded(target.with_name(f"{target.name}.png").read_bytes()) == [sheets.uri(pages[name])]
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("language", TRANSLATED)
def test_fits_a_phone_and_one_printed_page_in_each_language(
    open_page: t.Callable[..., Opened], pages: dict[str, Path], language: str
) -> None:
    page, _requests, complaints = open_page(language, "small phone", color_scheme="dark")
    assert page.locator("html").get_attribute("lang") == language
    picture = page.screenshot(full_page=True, path=PICTURES / f"full-{language}.png")
    assert decoded(picture) == [sheets.uri(pages[language])]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1
    assert complaints == []


def test_pdf_of_all_has_a_page_each_and_reads_no_file(pages: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "private").write_text("private")
    thief = f'<link rel="attachment" href="{(tmp_path / "private").as_uri()}"><p>hello'
    names = ["plain", "full", *TRANSLATED]
    pdf = tmp_path / "sheets.pdf"
    pdf.write_bytes(_printing.printed([*(pages[name].read_text() for name in names), thief]))
    listed = subprocess.run(["pdfdetach", "-list", str(pdf)], capture_output=True, text=True, check=True)
    assert listed.stdout.startswith("0 embedded files")
    subprocess.run(["pdftoppm", "-png", "-r", "110", str(pdf), str(tmp_path / "page")], check=True)
    printed = sorted(tmp_path.glob("page-*.png"))
    assert len(printed) == len(names) + 1
    for picture, name in zip(printed, names, strict=False):
        assert decoded(picture.read_bytes()) == [sheets.uri(pages[name])]


@ALL
def test_loads_nothing_and_runs_nothing(open_page: t.Callable[..., Opened], pages: dict[str, Path], name: str) -> None:
    page, requests, complaints = open_page(name)
    assert requests == [pages[name].as_uri()]
    assert complaints == []
    assert page.locator("script, img, link, iframe, object, b").count() == 0


@ALL
def test_says_for_whom_and_where_it_is_and_what_to_do(
    open_page: t.Callable[..., Opened], pages: dict[str, Path], name: str
) -> None:
    sheet, page = SHEETS[name], open_page(name).page
    entry_in_app = sheets.totp(pages[name])
    account = f"{sheet.user}@{sheet.host}" + (f" ({sheet.device})" if sheet.device else "")
    device = f", for the device {sheet.device}" if sheet.device else ""
    assert page.locator("h1").inner_text().split() == f"{sheet.user} on {sheet.host}{device}".split()
    assert page.title() == f"Two-factor login for {sheet.user} on {sheet.host}"
    entry, codes, key = page.locator("dl > div").all()
    assert entry.locator("dd").all_inner_texts() == ([sheet.issuer, account] if sheet.issuer else [account])
    assert codes.locator("dd").inner_text() == f"{sheet.digits} digits, a new one every {sheet.interval} seconds"
    groups = key.locator("span").all_inner_texts()
    assert "".join(groups) == sheet.secret
    assert {len(group) for group in groups[:-1]} == {4}
    assert page.locator(".steps li").count() == 3
    assert key.locator(".note").inner_text() == "Letters O and I, never the digits 0 and 1."
    assert re.search(r"Made on \d{4}-\d\d-\d\d\.$", page.locator(".what").inner_text())
    assert "If the phone is lost, tell whoever gave you this sheet" in page.locator(".lost").inner_text()
    assert (entry_in_app.name, entry_in_app.issuer or "") == (account, sheet.issuer)
    assert (entry_in_app.secret, entry_in_app.digits, entry_in_app.interval) == (
        sheet.secret,
        sheet.digits,
        sheet.interval,
    )


@ALL
def test_has_recovery_codes_and_help_if_there_are_any(open_page: t.Callable[..., Opened], name: str) -> None:
    sheet, page = SHEETS[name], open_page(name).page
    assert page.locator(".codes").count() == bool(sheet.codes)
    numbered = [f"{code['number']}.{code['code']}" for code in sheet.variables["enrolment"]["recovery_codes"]]
    assert page.locator(".codes li").all_inner_texts() == numbered
    assert ("Keep the recovery codes" in page.locator(".steps").inner_text()) == bool(sheet.codes)
    assert page.locator("footer").count() == bool(sheet.help)
    if sheet.help:
        assert page.locator("footer").inner_text() == sheet.help


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("plain", None),
        ("seven", "show 6 digits whatever .* Check that yours shows 7 digits, or use another app"),
        ("sixty", "show a new code every 30 seconds whatever .* shows each code for 60 seconds, or use another app"),
        ("full", "digits or a new code every 30 seconds .* 8 digits, and each code for 60 seconds, or use another app"),
    ],
)
def test_warns_if_an_app_may_not_support_the_codes(
    open_page: t.Callable[..., Opened], name: str, warning: str | None
) -> None:
    care = open_page(name).page.locator(".care")
    assert care.count() == (warning is not None)
    if warning:
        assert re.search(warning, " ".join(care.inner_text().split()))


def test_offers_to_open_the_app_only_on_a_phone(open_page: t.Callable[..., Opened], pages: dict[str, Path]) -> None:
    on_phone = open_page("plain", "phone").page.locator("a.here")
    assert on_phone.is_visible()
    assert on_phone.get_attribute("href") == sheets.uri(pages["plain"])
    assert not open_page("plain", "screen").page.locator("a.here").is_visible()


@ALL
@COLOURS
def test_qr_code_stays_dark_on_white_with_its_quiet_zone(
    open_page: t.Callable[..., Opened], name: str, colours: str
) -> None:
    page = open_page(name, color_scheme=colours).page
    assert page.locator(".qr").evaluate("element => getComputedStyle(element).backgroundColor") == "rgb(255, 255, 255)"
    light, dark = page.locator(".qr svg path").all()
    assert (light.get_attribute("fill"), dark.get_attribute("stroke")) == ("#fff", "#000")
    box, frame = light.bounding_box(), page.locator(".qr svg").bounding_box()
    assert box == frame


CONTRAST = """() => {
  const luminance = colour => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = element => {
    const colour = element ? getComputedStyle(element).backgroundColor : "rgb(255, 255, 255)";
    return colour === "rgba(0, 0, 0, 0)" ? background(element.parentElement) : colour;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest("svg")) continue;
    const [low, high] = [luminance(getComputedStyle(element).color), luminance(background(element))].sort();
    found.push([(high + 0.05) / (low + 0.05), texts.currentNode.data.trim()]);
  }
  return found;
}"""


@COLOURS
def test_all_text_has_the_contrast_of_wcag_aa(open_page: t.Callable[..., Opened], colours: str) -> None:
    found = open_page("full", "phone", color_scheme=colours).page.evaluate(CONTRAST)
    assert len(found) > 30
    assert [text for contrast, text in found if contrast < 4.5] == []
