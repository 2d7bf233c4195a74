// Tables out of rows. What rows hold is text, never markup.

/** A table: `columns` are {title, of, number, over} objects, `of` gives the text of a row. */
export function table(caption, columns, rows, csv) {
  const element = document.createElement("table");
  const head = element.createCaption();
  head.textContent = caption + " ";
  if (csv) {
    const link = document.createElement("a");
    link.href = csv;
    link.textContent = "as CSV";
    link.setAttribute("aria-label", `${caption} as CSV`);
    head.append(link);
  }
  const titles = element.createTHead().insertRow();
  for (const column of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = column.title;
    if (column.number) cell.className = "number";
    titles.append(cell);
  }
  const body = element.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    columns.forEach((column, place) => {
      const cell = document.createElement(place === 0 ? "th" : "td");
      if (place === 0) cell.scope = "row";
      cell.textContent = shortened(column.of(row));
      cell.className = [column.number ? "number" : "", column.over && column.over(row) ? "over" : ""].join(" ").trim();
      line.append(cell);
    });
  }
  return element;
}

export function put(id, ...elements) {
  document.getElementById(id).replaceChildren(...elements);
}

export function nothing(text) {
  const element = document.createElement("p");
  element.className = "nothing";
  element.textContent = text;
  return element;
}

/** Control characters are shown, and a text that fills the page is cut. */
function shortened(text) {
  const said = String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
  return said.length > 200 ? said.slice(0, 200) + "…" : said;
}
