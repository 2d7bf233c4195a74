// Numbers and times as people read them. A figure that nobody knows is a dash, never 0.

const whole = new Intl.NumberFormat("en-US");

export function count(number) {
  return number === null || number === undefined ? "–" : whole.format(number);
}

/** Dollars: cents, and as many more places as a small amount needs; `text` is exact. */
export function money(text) {
  if (text === null || text === undefined) return "–";
  const amount = Number(text);
  if (amount === 0 || amount >= 1) return "$" + amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  if (amount >= 0.01) return "$" + amount.toFixed(4);
  return "$" + text.replace(/0+$/, "");
}

export function change(now, before) {
  if (before === null || before === undefined || now === null || Number(before) === 0) return "–";
  const share = (100 * (Number(now) - Number(before))) / Number(before);
  return (share > 0 ? "+" : "") + share.toFixed(1) + " %";
}

export function share(part, all) {
  return part === null || !Number(all) ? "–" : ((100 * Number(part)) / Number(all)).toFixed(1) + " %";
}

export function moment(text, zone) {
  return new Date(text).toLocaleString("sv-SE", { timeZone: zone, timeZoneName: "short" });
}

export function name(parts) {
  const said = parts.filter((part) => part !== "");
  return said.length ? said.join(parts.length === 2 && /^\d+$/.test(parts[1]) ? ":" : " ") : "(none)";
}
