
let study = null, asked = null, before = null, isBusy = false;
const personPlace = "penchant-person";

function person() {
  return $("person").value.trim() || null;
}

function startPerson() {
  let name = localStorage.getItem(personPlace);
  if (!name) {
    name = "guest-" + Array.from(crypto.getRandomValues(new Uint8Array(5)), (b) => b.toString(16).padStart(2, "0")).join("");
  }
  $("person").value = name;
  localStorage.setItem(personPlace, name);
  $("person").addEventListener("change", () => localStorage.setItem(personPlace, $("person").value.trim()));
}

async function open() {
  const found = (await api("GET", "studies")).studies;
  const wanted = location.hash.slice(1);
  const named = found.find((each) => each.name === wanted);
  if (named || found.length === 1) return begin((named || found[0]).name);
  show("choose", true);
  if (!found.length) $("choose-title").textContent = "There is nothing to be asked about yet.";
  $("studies").replaceChildren(...found.map((each) =>
    el("button", { type: "button", onclick: () => run(() => begin(each.name)) }, each.question)));
}

async function begin(name) {
  study = name;
  show("choose", false);
  await ask();
}

async function ask() {
  asked = await api("POST", "studies/" + encodeURIComponent(study) + "/questions", { person: person() });
  $("reason").value = "";
  $("study-name").textContent = "Study: " + study;
  show("study-name", true);
  $("question").textContent = asked.question;
  $("chance").textContent = "This question had a chance of " + percent(asked.probability)
    + " of being asked; its answer is expected to settle " + (asked.gain > 0 ? asked.gain.toPrecision(2) + " nats of the order."
      : "nothing by itself: it counts beside your further ones.");
  $("answer").replaceChildren(...kinds[asked.kind]());
  drawBelief(asked.belief);
  show("asking", true);
  show("who", true);
  $("question").focus({ preventScroll: true });
}

// One thing at a time; what goes wrong is told, and the question stays.
async function run(act) {
  if (isBusy) return;
  isBusy = true;
  for (const button of document.querySelectorAll("#answer button")) button.disabled = true;
  try {
    await act();
    trouble("");
  } catch (error) {
    trouble(error.message);
  } finally {
    isBusy = false;
    for (const button of document.querySelectorAll("#answer button")) button.disabled = false;
    if (asked && asked.kind === "ranking") refreshOrder();
  }
}

function answer(kind, value, told) {
  return run(async () => {
    const reason = $("reason").value.trim(), place = "studies/" + encodeURIComponent(study) + "/answers";
    await api("POST", place, { event_id: asked.event_id, kind, value, feedback_id: "answer" });
    if (reason) await api("POST", place, { event_id: asked.event_id, kind: "text", value: reason, feedback_id: "reason" });
    before = asked.belief || null;
    await ask();
    $("said").textContent = "Kept: " + told + ". Here is the next question.";
  });
}

function how(told, keys) {
  $("how").replaceChildren(told, el("span", { class: "keys" }, keys && " " + keys));
}

const kinds = {
  pair() {
    how("Choose one.", "Keys: ← and → for the left and the right one, = for about the same.");
    const card = (option, key) => el("button", {
      type: "button", class: "card", onclick: () => answer("pick", option.id, option.text),
    }, el("span", {}, option.text), el("kbd", { "aria-hidden": "true" }, key));
    const [first, second] = asked.options;
    return [
      el("div", { class: "cards" }, card(first, "←"), card(second, "→")),
      el("div", { class: "row" },
        el("button", { type: "button", onclick: () => answer("pick", null, "about the same") }, "About the same ", el("kbd", { "aria-hidden": "true" }, "=")),
        el("button", { type: "button", onclick: () => run(ask) }, "Ask me something else")),
    ];
  },

  ranking() {
    how("Put them in order, the best on top: drag them by the dots, or use the buttons.", "Keys: Tab to one of them, then ↑ and ↓.");
    const list = el("ol", { class: "order", id: "order" });
    for (const option of asked.options) list.append(orderItem(option));
    setTimeout(refreshOrder);
    return [list, el("div", { class: "row" },
      el("button", { type: "button", class: "primary", onclick: () => answer("ranking", order(), "your order") }, "This is my order"),
      el("button", { type: "button", onclick: () => run(ask) }, "Ask me something else"))];
  },

  rating() {
    const [option] = asked.options;
    how("From 1, the worst, to " + asked.levels + ", the best.", "Keys: the number, then Enter.");
    const levels = el("div", { class: "levels" });
    for (let level = 1; level <= asked.levels; level++) {
      levels.append(el("label", {}, el("input", { type: "radio", name: "level", value: level, onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); rate(); } } }), String(level)));
    }
    return [
      el("p", { class: "proposal" }, option.text),
      el("fieldset", {}, el("legend", {}, "How good is it?"), levels),
      el("div", { class: "row" },
        el("button", { type: "button", class: "primary", onclick: rate }, "This is my rating"),
        el("button", { type: "button", onclick: () => run(ask) }, "Ask me something else")),
    ];
  },

  edit() {
    const [option] = asked.options;
    how("Change the text until you would take it as it is; what you changed is shown below.", "");
    const changes = el("div", { class: "diff", id: "diff", "aria-live": "off" });
    const field = el("textarea", { id: "edited", rows: 5, oninput: () => drawDiff(option.text, field.value, changes) });
    field.value = option.text;
    drawDiff(option.text, field.value, changes);
    return [
      el("label", { for: "edited" }, "The text, to be edited"), field,
      el("h3", {}, "Your changes"), changes,
      el("div", { class: "row" },
        el("button", { type: "button", class: "primary", onclick: () => answer("edit", { before: option.text, after: field.value }, "your text") }, "This is how it should be"),
        el("button", { type: "button", onclick: () => run(ask) }, "Ask me something else")),
    ];
  },
};

function rate() {
  const chosen = document.querySelector("input[name=level]:checked");
  if (!chosen) { trouble("Choose a number first."); return; }
  answer("rating", Number(chosen.value), chosen.value + " of " + asked.levels);
}

// Ranking: by pointer (mouse, finger, pen), by keys, and by buttons.
function order() {
  return Array.from(document.querySelectorAll("#order li"), (item) => item.optionId);
}

function orderItem(option) {
  const move = (step) => () => { moveItem(item, step); };
  const item = el("li", {
    tabindex: 0, onkeydown: (event) => {
      if (event.target !== item || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
      event.preventDefault();
      moveItem(item, event.key === "ArrowUp" ? -1 : 1);
    }, onpointerdown: (event) => drag(event, item),
  }, el("i", { class: "handle", "aria-hidden": "true" }, "⠿"), el("span", {}, option.text),
    el("button", { type: "button", "aria-label": "Move up: " + option.text, onclick: move(-1) }, "↑"),
    el("button", { type: "button", "aria-label": "Move down: " + option.text, onclick: move(1) }, "↓"));
  item.optionId = option.id;
  item.optionText = option.text;
  return item;
}

function moveItem(item, step) {
  const other = step < 0 ? item.previousElementSibling : item.nextElementSibling;
  if (!other || isBusy) return;
  const focused = document.activeElement;
  if (step < 0) other.before(item); else other.after(item);
  refreshOrder();
  (item.contains(focused) && !focused.disabled ? focused : item).focus();
  tellPlace(item);
}

function tellPlace(item) {
  const items = Array.from($("order").children);
  $("said").textContent = item.optionText + " is now at place " + (items.indexOf(item) + 1) + " of " + items.length + ".";
}

function refreshOrder() {
  const items = Array.from($("order") ? $("order").children : []);
  items.forEach((item, at) => {
    const [up, down] = item.querySelectorAll("button");
    up.disabled = at === 0;
    down.disabled = at === items.length - 1;
  });
}

function drag(event, item) {
  if (event.target.closest("button") || event.button > 0 || isBusy) return;
  // A finger beside the handle scrolls the page.
  if (event.pointerType === "touch" && !event.target.closest(".handle")) return;
  event.preventDefault();
  item.classList.add("dragged");
  const follow = (moved) => {
    for (const other of $("order").children) {
      const box = other.getBoundingClientRect();
      if (other === item || moved.clientY < box.top || moved.clientY > box.bottom) continue;
      const isBelow = item.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
      const middle = (box.top + box.bottom) / 2;
      if (isBelow && moved.clientY > middle) other.after(item);
      else if (!isBelow && moved.clientY < middle) other.before(item);
      break;
    }
  };
  const drop = () => {
    item.classList.remove("dragged");
    for (const end of ["pointerup", "pointercancel"]) document.removeEventListener(end, drop);
    document.removeEventListener("pointermove", follow);
    refreshOrder();
    tellPlace(item);
  };
  // Of the document: an item that changes its place loses the pointer that it had captured.
  document.addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, drop);
}

// Words kept, taken out and put in: the longest common subsequence of words and spaces.
function drawDiff(from, to, place) {
  const old = from.split(/(\s+)/), now = to.split(/(\s+)/);
  if (old.length * now.length > 4e6) { place.textContent = to; return; }
  const length = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      length[i][j] = old[i] === now[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const parts = [];
  const add = (name, text) => {
    const last = parts[parts.length - 1];
    if (last && last[0] === name) last[1] += text; else parts.push([name, text]);
  };
  let i = 0, j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) { add("span", old[i]); i++; j++; }
    else if (i < old.length && (j === now.length || length[i + 1][j] >= length[i][j + 1])) add("del", old[i++]);
    else add("ins", now[j++]);
  }
  place.replaceChildren(...parts.filter((part) => part[1]).map(([name, text]) => el(name, {}, text)));
}

function drawBelief(belief) {
  show("belief", Boolean(belief));
  if (!belief) return;
  const options = belief.options.slice().sort((a, b) => b.share - a.share);
  const top = belief.top || 1, goal = top > 1 ? "among the first " + top : "the first";
  const lead = options.slice().sort((a, b) => b.first - a.first)[0];
  const from = count(belief.answers) + (belief.answers === 1 ? " answer" : " answers");
  let told = "Nobody has answered yet.";
  if (belief.answers) told = "After " + from + ", " + lead.text + " is " + goal + " with a probability of " + percent(lead.first) + ".";
  if (belief.is_settled) told += " That is as good as settled; more answers are still welcome.";
  $("takeaway").textContent = told;
  const was = before ? Object.fromEntries(before.options.map((each) => [each.id, each])) : {};
  const rows = $("rows");
  rows.replaceChildren();
  for (const each of options) {
    rows.append(...intervalRow(each.text, (x) => x, each.share, each.low, each.high,
      percent(each.share) + " (" + Math.round(100 * each.low) + " to " + Math.round(100 * each.high) + ")", was[each.id]));
  }
  rows.append(...axisRow([[0, "0 %"], [0.5, "50 %"], [1, "100 %"]], "prefer it to an average one"));
}

document.addEventListener("keydown", (event) => {
  // A key that is held down answers once.
  if (!asked || isBusy || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (["TEXTAREA", "INPUT"].includes(event.target.tagName) && event.target.type !== "radio") return;
  if (asked.kind === "pair") {
    const at = { ArrowLeft: 0, ArrowRight: 1 }[event.key];
    if (at !== undefined) { event.preventDefault(); document.querySelectorAll(".card")[at].click(); }
    else if (event.key === "=") document.querySelector("#answer .row button").click();
  } else if (asked.kind === "rating" && event.key >= "1" && event.key <= String(Math.min(9, asked.levels))) {
    const radio = document.querySelectorAll("input[name=level]")[Number(event.key) - 1];
    radio.checked = true;
    radio.focus();
  }
});
$("reason-form").addEventListener("submit", (event) => event.preventDefault());
startPerson();
withKey(open);
