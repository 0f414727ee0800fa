
// Milliseconds between looks.
const REST = 10000;

async function open() {
  draw(await api("GET", "console"));
  show("console", true);
  setTimeout(() => again(), REST);
}

async function again() {
  try {
    if (!document.hidden) draw(await api("GET", "console"));
    trouble("");
  } catch (error) {
    trouble(error.message);
    if (error.status === 401 || error.status === 403) { location.reload(); return; }
  }
  setTimeout(() => again(), REST);
}

function cells(...texts) {
  return el("tr", {}, ...texts.map((text, at) => at ? el("td", {}, text) : el("td", { class: "words" }, text)));
}

function time(seconds) {
  return new Date(1000 * seconds).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

// Within a day the time is enough, and seconds tell parts of a minute apart.
function timeWithin(seconds, windows) {
  const span = windows[windows.length - 1].ended - windows[0].began;
  return span > 86400 ? time(seconds) : new Date(1000 * seconds).toLocaleTimeString();
}

function draw(found) {
  $("summary").textContent = "The latest " + count(found.decisions) + " decisions, of " + count(found.entries)
    + " entries in the log; looked at " + new Date().toLocaleTimeString() + " and again every ten seconds. Nothing can be changed here.";
  $("alerts").replaceChildren(...(found.alerts.length
    ? found.alerts.map((each) => el("li", {}, each.text))
    : [el("li", {}, "Nothing to report: no change beyond chance, and the learner is at work.")]));
  drawModels(found);
  drawRewards(found);
  drawTraffic(found);
  drawPropensities(found.propensities);
  drawGroups(found.groups);
  show("studies-section", found.studies.length > 0);
  $("studies").replaceChildren(...found.studies.map((study) => {
    const lead = study.belief.options.slice().sort((a, b) => b.first - a.first)[0];
    return cells(study.name + ": " + study.question, count(study.belief.answers), count(study.belief.people),
      study.belief.answers ? lead.text : "–", study.belief.answers ? percent(lead.first) : "–");
  }));
}

function drawModels(found) {
  $("models").replaceChildren(...found.models.models.map((model) => {
    const mode = model.mode === "live" ? (model.is_apprentice ? "yes, as an apprentice" : "yes") : "no, a shadow";
    const row = cells(model.name, mode, model.config.rule, percent(model.config.floor), count(model.rewards),
      count(model.columns), count(model.unusable_feedback));
    if (model.mode === "live") row.children[1].className = "tag-live";
    return row;
  }));
  const idle = found.learner_idle_seconds;
  $("behind").textContent = (idle === null ? "No learner has read the log yet." : "The learner last read the log " + fixed(idle, 0) + " s ago.")
    + (found.behind ? " The deciding belief was published " + count(found.behind) + " entries of the log ago." : "");
}

// From data to 0..1, with round ends.
function scaleOf(values) {
  const known = values.filter((value) => value !== null);
  let low = Math.min(...known), high = Math.max(...known);
  if (!(high > low)) { low -= 0.5; high += 0.5; }
  const step = Math.pow(10, Math.floor(Math.log10(high - low)));
  low = Math.floor(low / step) * step;
  high = Math.ceil(high / step) * step;
  const scale = (x) => (x - low) / (high - low);
  const digits = Math.max(0, 1 - Math.floor(Math.log10(high - low)));
  scale.ticks = [0, 0.5, 1].map((place) => [place, fixed(low + place * (high - low), digits)]);
  return scale;
}

const ends = (rows) => rows.flatMap((row) => [row.reward, row.low, row.high]);
const figure = (row) => row.reward === null ? "no reward yet"
  : fixed(row.reward, 3) + (row.low === null ? "" : " (" + fixed(row.low, 3) + " to " + fixed(row.high, 3) + ")");

function drawRewards(found) {
  const windows = found.windows, all = found.rewarded;
  $("reward-takeaway").textContent = all
    ? count(all) + " of " + count(found.decisions) + " decisions have a reward of what was shown first so far."
    : "No reward of what was shown first has come yet.";
  $("rewards").replaceChildren();
  if (!all) return;
  const scale = scaleOf(ends(windows));
  for (const row of windows) $("rewards").append(...intervalRow(timeWithin(row.began, windows), scale, row.reward, row.low, row.high, figure(row)));
  $("rewards").append(...axisRow(scale.ticks, "reward"));
}

function drawTraffic(found) {
  const last = found.windows[found.windows.length - 1];
  const facts = [
    ["decisions read", count(found.decisions)],
    ["feedback joined", Object.entries(found.feedback).map(([kind, num]) => count(num) + " " + kind).join(", ") || "none"],
    ["feedback that waits for its event", count(found.waiting)],
    ["entries that cannot be read", count(found.unread.decisions + found.unread.feedback)],
    ["decisions a minute, lately", last && last.a_minute !== null ? last.a_minute < 10 ? fixed(last.a_minute, 1) : count(Math.round(last.a_minute)) : "–"],
    ["latest decision", last ? time(last.ended) : "–"],
  ];
  $("traffic").replaceChildren(...facts.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
}

function drawPropensities(found) {
  $("bars").replaceChildren();
  $("bar-names").replaceChildren();
  if (!found) { $("propensity-takeaway").textContent = "No decision among several options yet."; return; }
  $("propensity-takeaway").textContent = "Half of what was shown first had a probability of " + percent(found.median)
    + " or more; no option ever had less than " + percent(found.least)
    + ". To judge a policy that shows all options alike, the log is worth " + percent(found.effective) + " of its size.";
  const most = Math.max(...found.counts, 1);
  found.counts.forEach((num, at) => {
    const name = Math.round(100 * found.edges[at]) + "–" + Math.round(100 * found.edges[at + 1]) + " %";
    const bar = el("div", { title: name + ": " + count(num) });
    bar.style.height = 100 * num / most + "%";
    $("bars").append(bar);
    $("bar-names").append(el("span", {}, name));
  });
  $("bars").setAttribute("aria-label", found.counts.map((num, at) =>
    count(num) + " between " + percent(found.edges[at]) + " and " + percent(found.edges[at + 1])).join(", "));
}

function drawGroups(groups) {
  $("groups").replaceChildren();
  const worse = groups.filter((group) => group.is_worse);
  $("groups-takeaway").textContent = !groups.length
    ? "No group of 30 rewarded decisions: groups are what the context says in words."
    : worse.length ? worse[0].group + ": " + fixed(worse[0].reward, 3) + " a decision, surely less than everybody."
      : "No group fares worse than everybody beyond chance.";
  if (!groups.length) return;
  const scale = scaleOf(ends(groups));
  for (const row of groups) $("groups").append(...intervalRow(row.group + " (" + count(row.rewards) + ")", scale, row.reward, row.low, row.high, figure(row)));
  $("groups").append(...axisRow(scale.ticks, "reward"));
}

withKey(open);
