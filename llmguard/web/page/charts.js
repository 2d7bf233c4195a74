// A line over time (uPlot), and stacked bars (SVG). Each stands beside a table that says the same.

import { count, money } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

function color(variable) {
  const probe = document.createElement("span");
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** This period and the one before, day by day. */
export function line(element, days, now, before, measure) {
  element.replaceChildren();
  if (days.length < 2) return;
  const ink = color("--soft");
  const text = (value) => (value === null || value === undefined ? "–" : measure === "cost" ? money(String(value)) : count(value));
  const most = Math.max(...now, ...before.map((value) => value ?? 0));
  const tick = (value) => (measure === "cost" && most >= 0.1 ? "$" + value.toFixed(2) : text(value));
  const axis = { stroke: ink, grid: { stroke: color("--edge"), width: 0.5 }, ticks: { stroke: color("--edge"), width: 0.5 } };
  new uPlot(
    {
      width: Math.max(280, element.clientWidth),
      height: 240,
      scales: { x: { time: true }, y: { range: (_, least, most) => [0, most > 0 ? most * 1.05 : 1] } },
      series: [
        { value: (_, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(0, 10)), label: "day" },
        { label: "this period", stroke: color("--accent"), width: 2, value: (_, value) => text(value) },
        { label: "period before", stroke: ink, width: 1.5, dash: [6, 4], value: (_, value) => text(value) },
      ],
      axes: [axis, { ...axis, size: 80, values: (_, ticks) => ticks.map(tick) }],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
    },
    [days.map((day) => Date.parse(day + "T00:00:00Z") / 1000), now, before],
    element,
  );
  element.firstElementChild.setAttribute("role", "img");
  element.firstElementChild.setAttribute("aria-label", "A line by day; the table below says the same");
}

/** Shares of a whole, each day: `series` are {name, values} objects, the largest first. */
export function bars(element, days, series, measure) {
  element.replaceChildren();
  if (!days.length) return;
  const width = Math.max(280, element.clientWidth), height = 200, foot = 20;
  const sums = days.map((_, place) => series.reduce((sum, each) => sum + each.values[place], 0));
  const most = Math.max(...sums) || 1;
  const step = width / days.length;
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${width} ${height + foot}`);
  picture.setAttribute("width", "100%");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "Bars by day; the tables say the same");
  days.forEach((day, place) => {
    let top = height;
    series.forEach((each, part) => {
      const size = (each.values[place] / most) * (height - 10);
      if (size <= 0) return;
      top -= size;
      const bar = document.createElementNS(SVG, "rect");
      const box = { x: place * step + 1, y: top, width: Math.max(1, step - 2), height: size };
      for (const [name, value] of Object.entries(box)) bar.setAttribute(name, value.toFixed(2));
      bar.setAttribute("class", `part${Math.min(part, 5)}`);
      const title = document.createElementNS(SVG, "title");
      const amount = measure === "cost" ? money(String(each.values[place])) : count(each.values[place]);
      title.textContent = `${day}: ${each.name}: ${amount}`;
      bar.append(title);
      picture.append(bar);
    });
    if (place % Math.ceil(days.length / 8) === 0) {
      const label = document.createElementNS(SVG, "text");
      label.setAttribute("x", (place * step).toFixed(2));
      label.setAttribute("y", String(height + 15));
      label.textContent = day.slice(5);
      picture.append(label);
    }
  });
  const legend = document.createElement("ul");
  legend.className = "legend";
  series.forEach((each, part) => {
    const item = document.createElement("li");
    const mark = document.createElementNS(SVG, "svg");
    mark.setAttribute("width", "12");
    mark.setAttribute("height", "12");
    mark.setAttribute("aria-hidden", "true");
    const box = document.createElementNS(SVG, "rect");
    box.setAttribute("width", "12");
    box.setAttribute("height", "12");
    box.setAttribute("class", `part${Math.min(part, 5)}`);
    mark.append(box);
    item.append(mark, each.name.slice(0, 60));
    legend.append(item);
  });
  element.append(picture, legend);
}
