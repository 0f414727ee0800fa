"""The pages `/ask` and `/console` as people meet them, in headless Chromium where there is one."""

import itertools
import json
import os
import re
import urllib.error
import urllib.request

import numpy as np
import pytest

pytest.importorskip("msgspec")
pytest.importorskip("uvicorn")

from penchant.serving.client import DecisionClient
from penchant.serving.event_store import EventStore
from penchant.serving.keys import add_key
from penchant.serving.studies import kept_question
from serving.browser import DESK, PHONE, Browser, chromium
from serving.running import Service

# What a page must show as it is: were any of it markup, a script would have run.
HOSTILE = "<img src=x onerror=\"document.title='broken'\">'&{{7*7}}"
SENTENCES = {
    "oak": "The oak lamp, warm light, heavy foot", "brass": "The brass lamp with a green shade",
    HOSTILE: "A lamp called " + HOSTILE, "paper": "The paper lamp",
}  # fmt: skip
look = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed to look with")


def study(*kinds, **further):
    return {
        "question": "Which lamp would you put on your desk?", "kinds": list(kinds),
        "options": [{"id": name, "text": text} for name, text in SENTENCES.items()], **further,
    }  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    store = EventStore(folder / "log.db")
    keys = {role: add_key(store, role, role) for role in ("admin", "ask", "analyst", "app")}
    store.close()
    running = Service(folder / "log.db")
    running.keys = keys
    yield running
    running.stop()


@pytest.fixture
def client(service):
    made = DecisionClient(service.url, service.keys["admin"])
    yield made
    made.close()


names = (f"study-{at}" for at in itertools.count())


@pytest.fixture
def page(tmp_path):
    opened = []

    def made(screen=DESK):
        opened.append(Browser(tmp_path / f"profile {len(opened)}", screen))
        return opened[-1]

    yield made
    for browser in opened:
        browser.close()


def enter(browser, service, address, role):
    """Opens a page and pastes a key."""
    browser.open(service.url + address)
    browser.until("!document.getElementById('login').hidden")
    browser.run("document.getElementById('key').focus()")
    browser.type(service.keys[role])
    browser.press("Enter")


def asked(browser):
    """The question on the page, once it is another one than before."""
    before = getattr(browser, "event", None)
    browser.event = browser.until(
        f"asked && !isBusy && asked.event_id !== {json.dumps(before)} && asked.event_id"
    )
    return browser.run("asked")


def kept(service, event):
    """Question and answers to it, as the log has them."""
    store = EventStore(service.database, for_reading=True)
    ((answer,),) = store.fetch(
        "SELECT answer FROM entries WHERE event_id = ? AND entry_id = ''", event
    )
    said = store.fetch(
        "SELECT kind, body FROM entries WHERE event_id = ? AND entry_id <> ''", event
    )
    store.close()
    return kept_question(answer), {kind: json.loads(body)["value"] for kind, body in said}


def whole(browser):
    """Nothing hangs over the screen's right edge, nothing failed, nothing foreign was asked for."""
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.run("document.title") != "broken"
    # A key that is refused is told by the browser, too; that is no fault of the page.
    assert [each for each in browser.complaints() if " 401 " not in each] == []


def keep_picture(browser, name):
    if os.environ.get("PENCHANT_PICTURES"):
        browser.picture(os.path.join(os.environ["PENCHANT_PICTURES"], name + ".png"))


@look
def test_a_pair_is_chosen_with_the_arrows_and_the_belief_sharpens(service, client, page):
    name = next(names)
    client.put_study(name, study("pair"))
    browser = page()
    enter(browser, service, f"/ask#{name}", "ask")
    at_first = client.study(name)["belief"]
    for number in range(6):
        question = asked(browser)
        assert browser.run("document.querySelectorAll('.card').length") == 2
        shown = browser.run("[...document.querySelectorAll('.card span')].map(e => e.textContent)")
        assert shown == [each["text"] for each in question["options"]]
        places = [list(SENTENCES).index(each["id"]) for each in question["options"]]
        browser.press("ArrowLeft" if places[0] < places[1] else "ArrowRight")
        browser.until(f"asked.belief.answers === {number + 1}")
        said, answers = kept(service, question["event_id"])
        assert answers == {"pick": question["options"][places.index(min(places))]["id"]}
        assert said.ranking == [each["id"] for each in question["options"]]
        assert said.question.probability == question["probability"]
        assert set(said.probabilities.values()) == {0.5}
    # A key that is held down answers no further question.
    browser.hold("ArrowLeft")
    assert client.study(name)["belief"]["answers"] == 6
    belief = browser.run("asked.belief")
    first = max(belief["options"], key=lambda each: each["share"])
    assert first["id"] == "oak"
    assert "After 6 answers, The oak lamp" in browser.run("takeaway.textContent")
    wide = [each["high"] - each["low"] for each in belief["options"]]
    assert np.mean(wide) < np.mean([each["high"] - each["low"] for each in at_first["options"]])
    assert browser.run("document.querySelectorAll('#rows .dot').length") == 4
    assert HOSTILE in browser.run("document.body.innerText")
    whole(browser)
    keep_picture(browser, "ask_pair")
    # The key is nowhere in an address, and nothing but this service was asked.
    requested = [url for url in browser.requested() if not url.startswith(("data:", "about:"))]
    assert all(url.startswith(service.url) for url in requested)
    assert not any("penchant_" in url for url in requested)


@look
def test_a_list_is_put_in_order_by_mouse_keys_and_buttons(service, client, page):
    name = next(names)
    client.put_study(name, study("ranking", explored=1.0))
    browser = page()
    enter(browser, service, f"/ask#{name}", "ask")
    question = asked(browser)
    browser.run("document.getElementById('order').scrollIntoView()")
    start = browser.run("order()")
    assert start == [each["id"] for each in question["options"]]
    browser.drag("#order li:nth-child(1)", "#order li:nth-child(3)")
    dragged = [start[1], start[2], start[0], start[3]]
    assert browser.run("order()") == dragged
    browser.run("document.querySelector('#order li:nth-child(4)').focus()")
    browser.press("ArrowUp", "ArrowUp")
    moved = [dragged[0], dragged[3], dragged[1], dragged[2]]
    assert browser.run("order()") == moved
    assert "is now at place 2 of 4" in browser.run("said.textContent")
    browser.run("document.querySelector('#order li:nth-child(1) button:last-child').click()")
    final = [moved[1], moved[0], moved[2], moved[3]]
    whole(browser)
    keep_picture(browser, "ask_ranking")
    browser.run("[...document.querySelectorAll('#answer .primary')][0].click()")
    asked(browser)
    assert kept(service, question["event_id"])[1] == {"ranking": final}


@look
def test_a_finger_drags_on_a_phone(service, client, page):
    name = next(names)
    client.put_study(name, study("ranking"))
    browser = page(PHONE)
    enter(browser, service, f"/ask#{name}", "ask")
    asked(browser)
    start = browser.run("order()")
    browser.run("document.getElementById('order').scrollIntoView()")
    browser.swipe("#order li:nth-child(1) .handle", "#order li:nth-child(3)")
    browser.until(f"order()[2] === {json.dumps(start[0])} && !document.querySelector('.dragged')")
    # Beside the handle a finger scrolls, and moves nothing.
    browser.swipe("#order li:nth-child(1) span", "#order li:nth-child(3)")
    assert browser.run("order()") == [start[1], start[2], start[0], start[3]]
    # Buttons are large enough for a finger.
    assert browser.run("Math.min(...[...document.querySelectorAll('#asking button')].map(e => "
                       "Math.min(e.offsetHeight, e.offsetWidth)))") >= 44  # fmt: skip
    whole(browser)
    keep_picture(browser, "ask_ranking_phone")


@look
def test_a_rating_by_keys_with_a_reason_and_markup_in_the_text(service, client, page):
    name = next(names)
    client.put_study(name, study("rating", levels=7))
    browser = page(PHONE)
    enter(browser, service, f"/ask#{name}", "ask")
    question = asked(browser)
    browser.run("document.getElementById('reason').focus()")
    browser.type("5 because of <b>the foot</b>")
    browser.run("document.activeElement.blur()")
    # Nothing is chosen by what was typed as a reason.
    assert browser.run("document.querySelector('input[name=level]:checked')") is None
    browser.press("6")
    keep_picture(browser, "ask_rating_phone")
    whole(browser)
    browser.press("Enter")
    asked(browser)
    _, answers = kept(service, question["event_id"])
    assert answers == {"rating": 6, "text": "5 because of <b>the foot</b>"}
    assert browser.run("document.getElementById('reason').value") == ""


@look
def test_an_edit_shows_what_was_changed(service, client, page):
    name = next(names)
    client.put_study(name, study("edit"))
    browser = page()
    enter(browser, service, f"/ask#{name}", "ask")
    question = asked(browser)
    ((option),) = question["options"]
    before = option["text"]
    browser.run("edited.focus(); edited.setSelectionRange(0, 1)")
    browser.type("<i>Quite</i> t")
    after = browser.run("edited.value")
    assert after == "<i>Quite</i> t" + before[1:]
    ends = "[...document.querySelectorAll('#diff NAME')].map(e => e.textContent).join('')"
    kept_words = "[...diff.childNodes].filter(e => e.tagName !== 'NAME')"
    assert browser.run(ends.replace("NAME", "ins")).startswith("<i>Quite</i>")
    for gone, text in (("INS", before), ("DEL", after)):
        script = kept_words.replace("NAME", gone) + ".map(e => e.textContent).join('')"
        assert browser.run(script) == text
    whole(browser)
    keep_picture(browser, "ask_edit")
    browser.run("document.querySelector('#answer .primary').click()")
    asked(browser)
    answers = kept(service, question["event_id"])[1]
    assert answers == {"edit": {"before": before, "after": after}}


@look
@pytest.mark.parametrize("kind", ["pair", "ranking", "rating", "edit"])
def test_everything_on_the_page_is_reached_with_tab_and_has_a_name(service, client, page, kind):
    name = next(names)
    client.put_study(name, study(kind))
    browser = page()
    enter(browser, service, f"/ask#{name}", "ask")
    asked(browser)
    nameless = browser.run(
        "[...document.querySelectorAll('button, input, textarea')].filter(e => "
        "e.offsetParent && !(e.innerText || e.ariaLabel || (e.labels && e.labels.length)))"
        ".map(e => e.outerHTML)"
    )
    assert nameless == []
    met = set()
    for _ in range(30):
        browser.press("Tab")
        met.add(browser.run("document.activeElement.innerText || document.activeElement.id"))
    assert any("Ask me something else" in each for each in met)
    assert "reason" in met


@look
def test_a_wrong_key_and_a_key_of_another_role_open_nothing(service, page):
    browser = page()
    # An address that says no study's name opens the page all the same.
    browser.open(service.url + "/ask#100%")
    browser.until("!document.getElementById('login').hidden")
    browser.run("document.getElementById('key').focus()")
    # What no header can hold is no service that is away.
    browser.type("penchant_…")
    browser.press("Enter")
    browser.until("document.getElementById('trouble').textContent.includes('opens nothing')")
    assert not browser.run("document.getElementById('login').hidden")
    browser.run("document.getElementById('trouble').textContent = ''")
    browser.run("document.getElementById('key').focus()")
    browser.type("penchant_000000000000_" + "0" * 64)
    browser.press("Enter")
    browser.until("document.getElementById('trouble').textContent.includes('opens nothing')")
    assert browser.run("document.getElementById('asking').hidden")
    assert browser.run("sessionStorage.getItem('penchant-key')") is None
    browser.run("document.getElementById('key').focus()")
    browser.type(service.keys["analyst"])
    browser.press("Enter")
    browser.until("document.getElementById('trouble').textContent.includes('may not ask')")
    keep_picture(browser, "ask_login")


@look
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_the_console_shows_what_happens_and_changes_nothing(service, client, page, screen):
    chance = np.random.default_rng(0)
    for at in range(240):
        device = HOSTILE if at % 3 else "desk"
        said = client.rank(
            {"a": {"p": 1.0}, "b": {"p": -1.0}, "c": {}}, person=f"p{at % 40}",
            context={"device": device, "evening": at > 180}, event_id=f"{screen['width']}-{at}",
        )  # fmt: skip
        mean = 0.7 if device == "desk" else 0.2
        client.reward(said.event_id, float(chance.random() < mean))
    browser = page(screen)
    enter(browser, service, "/console", "analyst")
    browser.until("!document.getElementById('console').hidden")
    text = browser.run("document.body.innerText")
    assert "default" in text
    assert "thompson" in text
    assert "evening = True" in text
    assert "device = " + HOSTILE in browser.run("document.getElementById('groups').innerText")
    assert "surely less than everybody" in browser.run(
        "document.getElementById('groups-takeaway').textContent"
    )
    assert browser.run("document.querySelectorAll('#rewards .dot').length") >= 20
    assert browser.run("[...document.querySelectorAll('button')].filter(e => e.offsetParent)") == []
    whole(browser)
    keep_picture(browser, f"console_{screen['width']}")


def fetched(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as said:
            return said.status, said.headers, said.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.mark.parametrize("address", ["/ask", "/console"])
def test_a_page_loads_nothing_and_allows_only_its_own_script(service, address):
    status, headers, text = fetched(service.url + address)
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert not re.search(
        r"(src|href)=|@import|url\(|style=|onclick=", text.partition("<script>")[0]
    )
    assert "innerHTML" not in text


def test_other_methods_of_a_page_and_data_without_a_key_are_refused(service):
    assert fetched(service.url + "/v1/console")[0] == 401
    assert fetched(service.url + "/v1/studies")[0] == 401
    ask = {"Authorization": f"Bearer {service.keys['ask']}"}
    assert fetched(service.url + "/v1/console", **ask)[0] == 403
    assert fetched(service.url + "/v1/models", **ask)[0] == 403
    assert fetched(service.url + "/v1/studies", **ask)[0] == 200
    told = ask | {"Content-Type": "application/json"}
    request = urllib.request.Request(service.url + "/ask", b"{}", told, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 405
    refused.value.close()
