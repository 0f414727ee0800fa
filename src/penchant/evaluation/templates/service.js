"use strict";
// Whatever comes from the service is set as text, never as markup.
const $ = (id) => document.getElementById(id);
const show = (id, is) => { $(id).hidden = !is; };

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const fixed = (value, digits) =>
  value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
const percent = (share) => share === null ? "–"
  : share > 0.995 && share < 1 ? "over 99\u00a0%" : share < 0.005 && share > 0 ? "under 1\u00a0%"
  : Math.round(100 * share) + "\u00a0%";
const count = (number) => number.toLocaleString("en");

function trouble(text) {
  $("trouble").textContent = text;
  show("trouble", Boolean(text));
}

class Refused extends Error {
  constructor(status, told) { super(told); this.status = status; }
}

// The key is in this tab's memory alone: never in an address, a cookie or another tab.
const keyPlace = "penchant-key";

async function api(method, path, document) {
  const headers = {};
  const key = sessionStorage.getItem(keyPlace);
  // What no header can hold would look like a service that is away.
  if (key && !/^[!-~]+$/.test(key)) throw new Refused(401, "A key has letters, digits and _ alone.");
  if (key) headers["Authorization"] = "Bearer " + key;
  if (document !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch("/v1/" + path, {
      method, headers, credentials: "omit", cache: "no-store", redirect: "error",
      body: document === undefined ? undefined : JSON.stringify(document),
    });
  } catch (error) {
    throw new Refused(0, "The service cannot be reached. Nothing was lost: try again.");
  }
  let told = {};
  try { told = await answer.json(); } catch (error) { /* told by the status below */ }
  if (!answer.ok) throw new Refused(answer.status, told.error || "The service said " + answer.status + ".");
  return told;
}

// Runs `open`, asking for a key until one will do.
function withKey(open) {
  const attempt = async () => {
    try {
      await open();
      show("login", false);
      trouble("");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const isKey = error.status === 401 || error.status === 403;
      const had = sessionStorage.getItem(keyPlace);
      show("login", isKey);
      if (isKey && !had) { trouble(""); $("key").focus(); }
      else if (error.status === 401) trouble("This key opens nothing here. Paste another one.");
      else trouble((isKey ? "This key does not fit: " : "") + error.message);
      if (isKey) sessionStorage.removeItem(keyPlace);
    }
  };
  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(keyPlace, $("key").value.trim());
    $("key").value = "";
    attempt();
  });
  attempt();
}

// One line of a chart of intervals: a label, a track from 0 to 1, a figure.
function intervalRow(label, scale, value, low, high, figure, was) {
  const at = (x) => (100 * scale(x)).toFixed(2) + "%";
  const told = label + ": " + figure;
  const marks = svg("svg", { role: "img", "aria-label": told });
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    marks.append(svg("line", { class: "grid", x1: 100 * tick + "%", x2: 100 * tick + "%", y1: 0, y2: "100%" }));
  }
  if (was) marks.append(svg("g", { class: "quiet" }, svg("line", { class: "interval", x1: at(was.low), x2: at(was.high), y1: "78%", y2: "78%" })));
  if (low !== null && high !== null) marks.append(svg("line", { class: "interval", x1: at(low), x2: at(high), y1: "50%", y2: "50%" }));
  if (value !== null) marks.append(svg("circle", { class: "dot", cx: at(value), cy: "50%", r: 5.5 }));
  return [
    el("div", { class: "label" }, label),
    el("div", { class: "cell" }, el("div", { class: "track" }, marks), el("span", { class: "figure wide" }, figure)),
  ];
}

function axisRow(ticks, name) {
  const axis = el("div", { class: "axis", "aria-hidden": "true" });
  for (const [place, text] of ticks) {
    const tick = el("span", {}, text);
    tick.style.left = 100 * place + "%";
    axis.append(tick);
  }
  axis.append(el("em", {}, name));
  return [el("div", { class: "corner" }), el("div", { class: "cell" }, axis, el("span", { class: "figure wide" }))];
}
