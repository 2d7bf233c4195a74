// The page: what is asked stands in its address, so that a view can be shared; what comes is drawn.

import { bars, line } from "./charts.js";
import { change, count, moment, money, name, share } from "./format.js";
import { nothing, put, table } from "./tables.js";

const API = new URL(document.querySelector('meta[name="llmguard-api"]')?.content ?? "../api/llm/usage/", document.baseURI);
const FIELDS = ["since", "until", "time_zone", "user", "service", "feature", "provider", "model", "environment"];
const form = document.getElementById("asked"), login = document.getElementById("login");
const main = document.getElementById("figures"), status = document.getElementById("status");
let shown = null, view = fromAddress(), asking = new AbortController(), cursor = null, calls = [];

function fromAddress() {
  const given = new URLSearchParams(location.search);
  const found = { since: "30d", time_zone: "", by: "model", measure: "cost", status: "" };
  for (const [key, value] of given) if (value) found[key] = value;
  return completed(found);
}

function completed(found) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  return { ...found, since: found.since || "30d", time_zone: found.time_zone || zone };
}

/** The zone that times are shown in: a browser may not know one that the server knows. */
function zone() {
  try {
    new Intl.DateTimeFormat("en", { timeZone: view.time_zone });
    return view.time_zone;
  } catch {
    return "UTC";
  }
}

function address(path, more = {}, without = []) {
  const url = new URL(path, API);
  for (const field of FIELDS) if (view[field] && !without.includes(field)) url.searchParams.set(field, view[field]);
  for (const [key, value] of Object.entries(more)) for (const each of [value].flat()) url.searchParams.append(key, each);
  return url;
}

class Refused extends Error {}

async function ask(url) {
  const key = sessionStorage.getItem("llmguard_key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch(url, { headers, credentials: "same-origin", signal: asking.signal, cache: "no-store" });
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) throw new Refused(body.detail ?? "an API key is needed");
  if (!response.ok) throw new Error(body.detail ?? `the answer is ${response.status}`);
  return body;
}

async function show() {
  asking.abort();
  asking = new AbortController();
  const mine = asking;
  main.setAttribute("aria-busy", "true");
  say("Asking …");
  try {
    const found = await gather();
    if (mine !== asking) return;
    login.hidden = true;
    shown = found;
    draw(found);
    say(`As of ${moment(new Date().toISOString(), zone())}.`);
  } catch (error) {
    if (error.name === "AbortError" || mine !== asking) return;
    login.hidden = !(error instanceof Refused || sessionStorage.getItem("llmguard_key"));
    document.getElementById("more").hidden = true;
    shown = null;
    say(`No figures: ${error.message}.`, true);
    for (const each of document.querySelectorAll("main .scroll, main .chart, #tiles")) each.replaceChildren();
  } finally {
    if (mine === asking) main.setAttribute("aria-busy", "false");
  }
}

async function gather() {
  const whole = await ask(address("totals", { by: view.by, compare: "true" }));
  const past = whole.before ? address("totals", { by: "day", since: whole.before.since, until: whole.before.until }, ["since", "until"]) : null;
  const [days, earlier, stacked, bill, unpriced, limits, logs] = await Promise.all([
    ask(address("totals", { by: "day" })),
    past ? ask(past) : { totals: [] },
    ask(address("totals", { by: ["day", view.by] })),
    ask(address("totals", { by: ["day", "model"] })),
    ask(address("unpriced")),
    ask(address("limits", {}, FIELDS)),
    ask(address("logs", { limit: 50, ...(view.status ? { status: view.status } : {}) })),
  ]);
  return { whole, days, earlier, stacked, bill, unpriced, limits, logs };
}

function draw(found) {
  tiles(found.whole.total);
  charts(found);
  limitsTable(found.limits);
  unpricedTable(found.unpriced);
  billTable(found.bill);
  calls = [];
  moreCalls(found.logs);
}

function charts(found) {
  const days = daysOf(found.whole.period, found.days.totals);
  overTime(days, found);
  parts(days, found.whole, found.stacked);
}

function tiles(total) {
  const past = total.before ?? {};
  const told = [
    ["Spend", money(total.cost), change(total.cost, past.cost)],
    ["Calls", count(total.calls), change(total.calls, past.calls)],
    ["Tokens", count(total.tokens), change(total.tokens, past.tokens)],
    ["Errors", count(total.errors), change(total.errors, past.errors)],
    ["Calls without a price", count(total.unpriced_calls), change(total.unpriced_calls, past.unpriced_calls)],
  ];
  put("tiles", ...told.map(([title, value, difference]) => {
    const tile = document.createElement("div");
    const head = document.createElement("dt"), amount = document.createElement("dd"), since = document.createElement("dd");
    head.textContent = title;
    amount.textContent = value;
    since.textContent = `${difference} against the period before`;
    tile.append(head, amount, since);
    return tile;
  }));
}

const DAY = 86400000;

/** Every day of the period in its zone, also those without calls. */
function daysOf(period, totals) {
  const first = period.since ? local(period.since) : totals[0]?.key[0][0];
  const last = period.until ? local(new Date(Date.parse(period.until) - 1).toISOString()) : local(new Date().toISOString());
  const found = [];
  for (let at = Date.parse(first); at <= Date.parse(last) && found.length < 4000; at += DAY) found.push(dayOf(at));
  return found;
}

function local(text) {
  return new Date(text).toLocaleDateString("sv-SE", { timeZone: zone() });
}

function dayOf(at) {
  return new Date(at).toISOString().slice(0, 10);
}

function overTime(days, found) {
  const [values, past] = [found.days, found.earlier].map((each) => new Map(each.totals.map((one) => [one.key[0][0], amount(one)])));
  const of = (map, day) => (map.has(day) ? map.get(day) : 0);  // what nobody knows stays null; a day without calls is 0
  const now = days.map((day) => of(values, day));
  const back = found.whole.before ? Date.parse(days[0]) - Date.parse(local(found.whole.before.since)) : null;
  const before = days.map((day) => (back === null ? null : of(past, dayOf(Date.parse(day) - back))));
  line(document.getElementById("line"), days, now, before, view.measure);
  put("line-table", found.days.totals.length ? table("By day", [
    { title: "Day", of: (each) => each.key[0][0] },
    ...AMOUNTS,
  ], found.days.totals, address("totals", { by: "day", format: "csv" })) : nothing("There are no calls in this period."));
}

const AMOUNTS = [
  { title: "Calls", of: (each) => count(each.calls), number: true },
  { title: "Errors", of: (each) => count(each.errors), number: true },
  { title: "Tokens", of: (each) => count(each.tokens), number: true },
  { title: "Spend", of: (each) => money(each.cost), number: true },
  { title: "Without a price", of: (each) => count(each.unpriced_calls), number: true },
];

function amount(each) {
  return view.measure === "cost" ? (each.cost === null ? null : Number(each.cost)) : each.tokens;
}

function parts(all, whole, stacked) {
  const largest = whole.totals.slice(0, 5).map((each) => JSON.stringify(each.key[0]));
  const series = [...largest, "others"].map((key) => ({
    name: key === "others" ? "others" : name(JSON.parse(key)),
    key,
    values: all.map(() => 0),
  }));
  for (const each of stacked.totals) {
    const key = JSON.stringify(each.key[1]);
    const part = series.find((one) => one.key === (largest.includes(key) ? key : "others"));
    const place = all.indexOf(each.key[0][0]);
    if (place >= 0) part.values[place] += amount(each) ?? 0;
  }
  bars(document.getElementById("bars"), all, series.filter((each) => each.values.some((value) => value > 0)), view.measure);
  put("parts-table", whole.totals.length ? table(`By ${view.by}`, [
    { title: view.by === "line" ? "line of code" : view.by, of: (each) => name(each.key[0]) },
    ...AMOUNTS,
    { title: "Share", of: (each) => share(each.cost, whole.total.cost), number: true },
    { title: "Change", of: (each) => change(each.cost, each.before?.cost), number: true },
  ], whole.totals, address("totals", { by: view.by, format: "csv" })) : nothing("There are no calls in this period."));
}

function limitsTable(found) {
  const rows = [...found.limits, ...found.stopped.map((stop) => ({ limit: `Stopped: ${stop.stopped}`, reason: stop.reason }))];
  const isOver = (each) => each.value !== undefined && Number(each.used) >= Number(each.value);
  put("limits-table", rows.length ? table("Limits", [
    { title: "Limit", of: (each) => each.limit },
    { title: "Used", of: (each) => each.used ?? "–", number: true, over: isOver },
    { title: "Left", of: (each) => (each.value === undefined ? "–" : String(Math.max(0, Number(each.value) - Number(each.used)))), number: true },
    { title: "State", of: (each) => (each.value === undefined ? each.reason || "stopped" : isOver(each) ? "exceeded" : "open"), over: isOver },
    { title: "Resets", of: (each) => (each.resets_at ? moment(each.resets_at, zone()) : "–") },
  ], rows) : nothing("No limit is enforced."));
}

function unpricedTable(found) {
  put("unpriced-table", found.models.length ? table("Models whose price is not known", [
    { title: "Model", of: (each) => name([each.provider, each.model]) },
    { title: "Calls", of: (each) => count(each.calls), number: true },
  ], found.models) : nothing("Every call has a price."));
}

function billTable(found) {
  put("bill-table", found.totals.length ? table("By day and model", [
    { title: "Day", of: (each) => each.key[0][0] },
    { title: "Model", of: (each) => name(each.key[1]) },
    { title: "Calls", of: (each) => count(each.calls), number: true },
    { title: "Tokens in", of: (each) => count(each.prompt_tokens), number: true },
    { title: "Tokens out", of: (each) => count(each.completion_tokens), number: true },
    { title: "Spend", of: (each) => money(each.cost), number: true },
  ], found.totals.slice(-60).reverse(), address("totals", { by: ["day", "model"], format: "csv" })) : nothing("There are no calls in this period."));
}

function moreCalls(page) {
  calls.push(...page.logs);
  cursor = page.next_cursor;
  document.getElementById("more").hidden = cursor === null;
  const csv = address("logs", { format: "csv", ...(view.status ? { status: view.status } : {}) });
  put("calls-table", calls.length ? table(`${count(calls.length)} of ${count(page.total)} calls, newest first`, [
    { title: "When", of: (row) => moment(row.created_at, zone()) },
    { title: "Model", of: (row) => name([row.provider ?? "", row.model ?? ""]) },
    { title: "Service", of: (row) => row.service_name ?? "–" },
    { title: "User", of: (row) => row.user_id ?? "–" },
    { title: "Line", of: (row) => (row.code_file ? `${row.code_file}:${row.code_line}` : "–") },
    { title: "Status", of: (row) => (row.error_type ? `${row.status}: ${row.error_type}` : row.status), over: (row) => row.status === "error" },
    { title: "ms", of: (row) => count(row.duration_ms), number: true },
    { title: "Tokens", of: (row) => count(row.tokens_used), number: true },
    { title: "Cost", of: (row) => money(row.total_cost), number: true },
  ], calls, csv) : nothing("There are no such calls."));
}

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}

function go(changes) {
  view = completed({ ...view, ...changes });
  const url = new URL(location);
  url.search = new URLSearchParams(Object.entries(view).filter(([, value]) => value !== "")).toString();
  history.pushState(null, "", url);
  reflect();
  show();
}

function reflect() {
  for (const field of FIELDS) if (form.elements[field]) form.elements[field].value = view[field] ?? "";
  if (form.elements.since.value === "") {
    form.elements.since.append(new Option(view.since, view.since));
    form.elements.since.value = view.since;
  }
  document.getElementById("filters").open = FIELDS.slice(3).some((field) => view[field]);
  for (const [data, value] of [["by", view.by], ["measure", view.measure], ["status", view.status]])
    for (const button of document.querySelectorAll(`[data-${data}]`))
      button.setAttribute("aria-pressed", String(button.dataset[data] === value));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(Object.fromEntries(new FormData(form)));
});
login.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = new FormData(login).get("key").trim();
  login.reset();
  if (!/^[\x21-\x7e]+$/.test(key)) {
    say("No figures: that is no API key.", true);
    return;
  }
  sessionStorage.setItem("llmguard_key", key);
  show();
});
document.getElementById("refresh").addEventListener("click", show);
document.getElementById("more").addEventListener("click", async ({ currentTarget: button }) => {
  const mine = asking;
  button.disabled = true;
  try {
    const page = await ask(address("logs", { limit: 50, cursor, ...(view.status ? { status: view.status } : {}) }));
    if (mine === asking) moreCalls(page);
  } catch (error) {
    if (error.name !== "AbortError") say(`No figures: ${error.message}.`, true);
  } finally {
    button.disabled = false;
  }
});
let resizing = null;
window.addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => shown && charts(shown), 150);
});
// A link cannot carry a key: with one, its file is fetched, and handed over.
main.addEventListener("click", async (event) => {
  const link = event.target.closest("a[href]");
  if (!link || !sessionStorage.getItem("llmguard_key")) return;
  event.preventDefault();
  try {
    const response = await fetch(link.href, { headers: { Authorization: `Bearer ${sessionStorage.getItem("llmguard_key")}` } });
    if (!response.ok) throw new Error(`the answer is ${response.status}`);
    const file = document.createElement("a");
    file.href = URL.createObjectURL(await response.blob());
    file.download = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "usage.csv";
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 60000);
  } catch (error) {
    say(`No file: ${error.message}.`, true);
  }
});
for (const data of ["by", "measure", "status"])
  for (const button of document.querySelectorAll(`[data-${data}]`))
    button.addEventListener("click", () => go({ [data]: button.dataset[data] }));
window.addEventListener("popstate", () => { view = fromAddress(); reflect(); show(); });
reflect();
show();
