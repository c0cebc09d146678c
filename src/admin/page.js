// The live part of the operator's page, and what needs the token. Everything from outside is put in
// as text. The token is kept in this page's memory alone: it is gone with the page.
"use strict";

const EVERY = 2000;
const KEPT = 60;
const $ = (id) => document.getElementById(id);

// ---- figures ----

function parse(text) {
  const series = new Map();
  for (const line of text.split("\n")) {
    const at = line.lastIndexOf(" ");
    if (line && line[0] !== "#") series.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return series;
}

function sum(series, family, wanted = () => true) {
  let total = 0;
  for (const [name, value] of series) {
    if ((name === family || name.startsWith(family + "{")) && wanted(name)) total += value;
  }
  return total;
}

function rate(now, then, seconds, family, wanted) {
  return Math.max(0, sum(now, family, wanted) - sum(then, family, wanted)) / seconds;
}

function mean(now, then, family) {
  const count = sum(now, family + "_count") - sum(then, family + "_count");
  const time = sum(now, family + "_sum") - sum(then, family + "_sum");
  return count > 0 ? (1000 * time) / count : 0;
}

const is5xx = (name) => /status="5/.test(name);
const plots = {
  requests: (now, then, s) => rate(now, then, s, "cloakroom_requests_total"),
  errors: (now, then, s) => rate(now, then, s, "cloakroom_requests_total", is5xx),
  latency: (now, then) => mean(now, then, "cloakroom_request_duration_seconds"),
  backend: (now, then) => mean(now, then, "cloakroom_backend_duration_seconds"),
  writes: (now, then, s) => rate(now, then, s, "cloakroom_session_writes_total"),
  store: (now, then) => mean(now, then, "cloakroom_store_duration_seconds"),
  flight: (now) => sum(now, "cloakroom_requests_in_flight"),
  connections: (now) => sum(now, "cloakroom_connections_active"),
};
const kept = Object.fromEntries(Object.keys(plots).map((name) => [name, []]));

function draw(name, value) {
  const values = kept[name];
  values.push(value);
  if (values.length > KEPT) values.shift();
  const svg = document.querySelector(`[data-plot="${name}"]`);
  if (!svg) return;
  const most = Math.max(...values, 1e-9);
  const points = values.map((v, i) => `${(300 * (KEPT - values.length + i)) / (KEPT - 1)},${58 - (56 * v) / most}`);
  let line = svg.querySelector("polyline");
  if (!line) line = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
  line.setAttribute("points", points.join(" "));
  const digits = value > 0 && value < 10 ? 2 : 0;
  document.querySelector(`[data-value="${name}"]`).textContent = `${value.toFixed(digits)} ${svg.dataset.unit}`;
}

function say(text, isBad) {
  const live = $("live");
  // A screen reader speaks on each change: only what is news is one.
  if (live.textContent !== text) live.textContent = text;
  live.className = isBad ? "bad" : "";
}

let last = null;
async function look() {
  try {
    const answer = await fetch("/metrics", { cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const now = parse(await answer.text());
    const at = performance.now();
    if (last) {
      const seconds = Math.max(0.001, (at - last.at) / 1000);
      for (const [name, figure] of Object.entries(plots)) draw(name, figure(now, last.series, seconds));
    }
    for (const cell of document.querySelectorAll("[data-series]")) {
      const value = now.get(cell.dataset.series);
      if (value !== undefined) cell.textContent = value.toLocaleString("en");
    }
    last = { series: now, at };
    say("live, every 2 seconds", false);
  } catch {
    say("no answer: the figures stand still", true);
  }
  setTimeout(look, EVERY);
}

// ---- with the token ----

let token = null;

async function ask(method, target, body) {
  const answer = await fetch(target, {
    method,
    body,
    cache: "no-store",
    credentials: "omit",
    headers: { Authorization: `Bearer ${token}` },
  });
  const json = await answer.json().catch(() => ({ error: `the answer was ${answer.status}` }));
  if (!answer.ok) throw new Error(json.error);
  return json;
}

function element(name, text, parent) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function report(id, text, isBad) {
  $(id).textContent = text;
  $(id).className = isBad ? "bad" : "";
}

function on(form, id, act) {
  $(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await act();
    } catch (error) {
      report(id, error.message, true);
    }
  });
}

async function end(target, what) {
  if (!window.confirm(`End ${what}? Whoever uses it is logged out at once.`)) return;
  try {
    const { ended } = await ask("DELETE", target);
    await list();
    report("sessions-said", ended === null ? "Revoked." : `Ended: ${ended}.`, false);
  } catch (error) {
    report("sessions-said", error.message, true);
  }
  $("sessions-said").focus();
}

const words = (time) => (time ? new Date(time).toLocaleString() : "–");
let subject = "";

async function list() {
  const target = `/sessions?subject=${encodeURIComponent(subject)}`;
  const { sessions, more } = await ask("GET", target);
  const rows = $("sessions").tBodies[0];
  rows.replaceChildren();
  for (const session of sessions) {
    const row = element("tr", undefined, rows);
    const id = element("th", session.id, row);
    id.scope = "row";
    id.className = "mono";
    const times = [["begun", session.start], ["last saved", session.seen], ["ends", session.expires]];
    for (const [label, time] of times) element("td", words(time), row).dataset.label = label;
    element("td", `${session.bytes} bytes`, row);
    const button = element("button", "End", element("td", undefined, row));
    button.type = "button";
    button.className = "end";
    button.setAttribute("aria-label", `End session ${session.id}`);
    button.addEventListener("click", () => end(`/sessions/${session.id}`, `session ${session.id}`));
  }
  $("sessions").hidden = sessions.length === 0;
  $("end-all").hidden = sessions.length === 0;
  const count = sessions.length === 1 ? "1 session" : `${sessions.length} sessions`;
  report("sessions-said", more ? `${count} are shown, and there are more.` : `${count}.`, false);
}

const verdicts = {
  valid: "A good session: the app is shown what is in it.",
  expired: "Its time is over: to the app there is no session.",
  not_yet_valid: "It is not valid yet: look at the clocks.",
  bad_signature: "No key of this sidecar made it, or somebody changed it.",
  malformed: "This is no token, or one that nobody should accept.",
  unknown_key: "A key made it that this sidecar does not have.",
  wrong_claim: "It was made for somebody else: issuer, audience or times do not fit.",
  too_large: "It is longer than session.max_cookie_bytes allows.",
  revoked: "It was revoked.",
  gone: "The session has ended: it was logged out, ended by an operator, or ran out.",
  unavailable: "The store does not answer: whether the session is still there is not known.",
  unknown_store: "Its session is in a store, and this sidecar has none.",
};

function explain(said) {
  const rows = $("token-facts").tBodies[0];
  rows.replaceChildren();
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  for (const [name, value] of Object.entries(said)) {
    if (value === null) continue;
    const row = element("tr", undefined, rows);
    element("th", name, row).scope = "row";
    const cell = element("td", text(value), row);
    cell.className = "mono";
  }
  $("token-facts").hidden = false;
  const verdict = verdicts[said.outcome] || said.outcome;
  report("token-said", verdict, said.outcome !== "valid");
}

function operate() {
  on("enter", "enter-said", async () => {
    token = $("secret").value.trim();
    try {
      // Nothing to explain, but an answer only for who has the token.
      await ask("POST", "/tokens/explain", "x");
    } catch (error) {
      token = null;
      throw error;
    }
    $("secret").value = "";
    $("enter").hidden = true;
    $("with-token").hidden = false;
    report("enter-said", "The token is right. It is forgotten when this page is left.", false);
    $("subject").focus();
  });
  on("find", "sessions-said", async () => {
    subject = $("subject").value;
    await list();
  });
  on("inspect", "token-said", async () => {
    explain(await ask("POST", "/tokens/explain", $("token").value));
    $("token").value = "";
  });
  $("end-all").addEventListener("click", () =>
    end(`/sessions?subject=${encodeURIComponent(subject)}`, `all sessions of ${subject}`)
  );
  $("operate").hidden = false;
}

$("plots").hidden = false;
if ($("operate")) operate();
look();
