// <llm-usage-card>: a user's usage, and what is left of the limits. It keeps nothing: each card asks for itself.

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host { display: block; font: 15px/1.45 system-ui, sans-serif; color: var(--llm-usage-ink, light-dark(#1b2230, #e8ecf2)); }
.card { background: var(--llm-usage-paper, light-dark(#ffffff, #1d2229)); border: 1px solid light-dark(#c9d0da, #3a4350);
  border-radius: 0.6rem; padding: 1rem; max-width: 26rem; }
.head { display: flex; justify-content: space-between; align-items: center; gap: 0.5rem; }
h2 { font-size: 1.05rem; margin: 0; }
button { font: inherit; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: 0.4rem;
  padding: 0.25rem 0.6rem; min-height: 2.2rem; cursor: pointer; }
button:focus-visible { outline: 3px solid var(--llm-usage-accent, light-dark(#1d5fbf, #7db2ff)); outline-offset: 2px; }
.soft { color: light-dark(#4d5869, #aab4c3); font-size: 0.88rem; margin: 0.15rem 0; }
.note { border: 1px solid; border-radius: 0.4rem; padding: 0.4rem 0.6rem; margin: 0.6rem 0; font-weight: 600; }
.wrong, .exceeded { color: light-dark(#a32323, #ff9d94); }
.near { color: light-dark(#7a5600, #e6cc5c); }
.row { display: flex; justify-content: space-between; gap: 1rem; margin-top: 0.7rem; }
.bar { height: 0.5rem; border-radius: 0.25rem; overflow: hidden; background: light-dark(#dfe4ec, #3a4350); }
.bar > div { height: 100%; background: light-dark(#1c6b3c, #7fd3a0); }
.bar.warm > div { background: light-dark(#8a6d00, #e6cc5c); }
.bar.hot > div { background: light-dark(#a32323, #ff9d94); }
dl { display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem; margin: 0.9rem 0 0; }
dt { color: light-dark(#4d5869, #aab4c3); font-size: 0.88rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
`);

const WINDOWS = [["per_minute", "Per minute"], ["per_day", "Per day"]];

/** 999, 1.2K, 3.4M: as people say numbers. */
export function short(number) {
  if (number < 1000) return String(number);
  if (number < 999_950) return (number / 1000).toFixed(1) + "K";
  return (number / 1_000_000).toFixed(1) + "M";
}

export class LLMUsageCardElement extends HTMLElement {
  static observedAttributes = ["src", "refresh", "heading"];
  #root = this.attachShadow({ mode: "open" });
  #asking = null;
  #timer = null;
  #token = null;
  #state = { kind: "loading" };
  #visible = () => (document.hidden ? this.#pause() : this.reload());

  get src() { return this.getAttribute("src") || "/api/llm/usage/summary"; }
  set src(value) { this.setAttribute("src", value); }
  get refresh() { return this.hasAttribute("refresh") ? Number(this.getAttribute("refresh")) : 30; }
  set refresh(value) { this.setAttribute("refresh", String(value)); }
  get heading() { return this.getAttribute("heading") || "LLM API Usage"; }
  set heading(value) { this.setAttribute("heading", value); }
  get token() { return this.#token; }
  /** A text, or what gives one. Another one is another user: what was shown is gone at once. */
  set token(value) {
    if (value === this.#token) return;
    this.#token = value;
    this.#forget();
  }

  connectedCallback() {
    this.#root.adoptedStyleSheets = [STYLE];
    document.addEventListener("visibilitychange", this.#visible);
    this.#draw();
    this.reload();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#visible);
    this.#pause();
    this.#state = { kind: "loading" };
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.isConnected) return;
    if (name === "src") this.#forget();
    else if (name === "refresh") this.reload();
    else this.#draw();
  }

  /** Ask now; a question that is under way is given up. */
  async reload() {
    this.#pause();
    if (!this.isConnected || document.hidden) return;
    const asking = (this.#asking = new AbortController());
    try {
      const token = typeof this.#token === "function" ? await this.#token() : this.#token;
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      if (asking.signal.aborted) return;
      const options = { headers, credentials: "same-origin", cache: "no-store", signal: asking.signal };
      const response = await fetch(this.src, options);
      if (!response.ok) throw new Error(response.status === 401 ? "you are not logged in" : `the answer is ${response.status}`);
      const body = await response.json();
      if (!body?.summary?.rate_limits) throw new Error("the answer is no summary");
      if (asking !== this.#asking) return;
      this.#state = { kind: "shown", summary: body.summary };
      this.dispatchEvent(new CustomEvent("llm-usage", { detail: body.summary }));
    } catch (error) {
      if (asking !== this.#asking || error.name === "AbortError") return;
      this.#state = { kind: "error", message: error.message };
      this.dispatchEvent(new CustomEvent("llm-usage-error", { detail: error }));
    }
    this.#asking = null;
    this.#draw();
    if (this.refresh > 0) this.#timer = setTimeout(() => this.reload(), Math.max(1, this.refresh) * 1000);
  }

  #forget() {
    this.#pause();
    this.#state = { kind: "loading" };
    if (this.isConnected) {
      this.#draw();
      this.reload();
    }
  }

  #pause() {
    this.#asking?.abort();
    this.#asking = null;
    clearTimeout(this.#timer);
  }

  #draw() {
    const card = element("section", { class: "card", "aria-busy": String(this.#state.kind === "loading") });
    const heading = element("h2", { id: "title" }, this.heading);
    const button = element("button", { type: "button" }, "Refresh");
    button.addEventListener("click", () => this.reload());
    card.setAttribute("aria-labelledby", "title");
    const head = element("div", { class: "head" });
    head.append(heading, button);
    card.append(head);
    if (this.#state.kind === "loading") card.append(element("p", { class: "soft", role: "status" }, "Loading …"));
    else if (this.#state.kind === "error")
      card.append(element("p", { class: "note wrong", role: "alert" }, `Usage is not known now: ${this.#state.message}.`));
    else card.append(...shown(this.#state.summary));
    const focused = this.#root.activeElement?.tagName === "BUTTON";
    this.#root.replaceChildren(card);
    if (focused) button.focus();
  }
}

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function shown(summary) {
  const parts = [];
  const limits = WINDOWS.map(([key, title]) => [title, summary.rate_limits[key]]).filter(([, limit]) => limit);
  const over = limits.find(([, limit]) => !limit.can_call);
  const near = limits.find(([, limit]) => limit.limit_value && used(limit) >= 80);
  if (over) parts.push(element("p", { class: "note exceeded", role: "alert" }, `Rate Limit Exceeded: again at ${at(over[1].reset_at)}`));
  else if (near) parts.push(element("p", { class: "note near", role: "status" }, `Approaching Rate Limit: ${Math.floor(used(near[1]))} % used`));
  for (const [title, limit] of limits) parts.push(...row(title, limit));
  const sums = element("dl");
  for (const [title, amounts] of [["Today", summary.today], ["This month", summary.this_month]]) {
    const pair = element("div");
    pair.append(element("dt", {}, title), element("dd", {}, `${short(amounts.calls)} calls, ${short(amounts.tokens)} tokens`));
    sums.append(pair);
  }
  return [...parts, sums];
}

function row(title, limit) {
  const line = element("div", { class: "row" });
  if (limit.limit_value === null) {
    line.append(element("span", {}, title), element("span", {}, `${limit.current_count}, no limit`));
    return [line];
  }
  const share = used(limit);
  line.append(element("span", {}, title), element("span", {}, `${limit.remaining} left`));
  const bar = element("div", {
    class: `bar ${share >= 90 ? "hot" : share >= 70 ? "warm" : ""}`,
    role: "progressbar",
    "aria-label": title,
    "aria-valuenow": String(Math.min(100, Math.round(share))),
    "aria-valuemin": "0",
    "aria-valuemax": "100",
  });
  const filled = element("div");
  filled.style.width = `${Math.min(100, share)}%`;
  bar.append(filled);
  const told = `${limit.current_count} of ${limit.limit_value} (${share.toFixed(1)} %), resets at ${at(limit.reset_at)}`;
  return [line, bar, element("p", { class: "soft" }, told)];
}

function used(limit) {
  return limit.limit_value ? (100 * limit.current_count) / limit.limit_value : 100;
}

function at(text) {
  const moment = new Date(text);
  const today = moment.toDateString() === new Date().toDateString();
  return today ? moment.toLocaleTimeString() : moment.toLocaleString();
}

if (!customElements.get("llm-usage-card")) customElements.define("llm-usage-card", LLMUsageCardElement);
