// The table of episodes: filters, sorting, counts.
"use strict";

const Table = (() => {
  const CHUNK = 300; // rows put into the page at a time
  const form = $("filters");
  const body = document.querySelector("#list tbody");
  const text = (value) => (value === undefined || value === null ? "" : String(value));
  const reason = (row) => (outcome(row) === "failure" ? text(row.metadata.failure_reason) || "unknown" : "");
  let index, events, columns, shown, limit;
  let sort = { column: null, descending: false };
  let marked = {};

  const COLUMNS = [
    { name: "Episode", value: (row) => row.number ?? Infinity },
    { name: "Data set", value: (row) => row.place, varied: true },
    { name: "Outcome", value: (row) => `${outcome(row)} ${reason(row)}` },
    { name: "Steps", value: (row) => row.steps, numeric: true },
    { name: "Marks", value: (row) => row.findings.length, numeric: true, varied: true },
    { name: "Policy", value: (row) => text(row.metadata.policy_kind), varied: true },
    { name: "Task", value: (row) => text(row.metadata.task), varied: true },
    { name: "Seed", value: (row) => row.metadata.seed ?? "", numeric: true, minor: true, varied: true },
  ];
  const CHOICES = {
    source: (row) => row.place,
    task: (row) => text(row.metadata.task),
    outcome,
    reason,
    policy: (row) => text(row.metadata.policy_kind),
  };

  const whole = () => index.episodes.filter((row) => !row.error);

  /** Shows `index`; `events.open(row)` and `events.compare(row)` are called for what is chosen. */
  function show(newIndex, newEvents) {
    [index, events] = [newIndex, newEvents];
    for (const row of index.episodes) row.haystack = [...Object.values(row.metadata), row.error].join("\n").toLowerCase();
    for (const [name, value] of Object.entries(CHOICES)) choices(name, value);
    columns = COLUMNS.filter((column) => !column.varied || new Set(whole().map(column.value)).size > 1);
    header();
    form.addEventListener("input", update);
    form.addEventListener("reset", () => setTimeout(update));
    form.addEventListener("submit", (event) => event.preventDefault());
    $("more").addEventListener("click", () => rows((limit += CHUNK)));
    update();
  }

  /** Fills a select with the values that occur; where all episodes have the same, there is nothing to choose. */
  function choices(name, value) {
    const counts = new Map();
    for (const row of index.episodes) counts.set(value(row), (counts.get(value(row)) ?? 0) + 1);
    counts.delete("");
    form.querySelector(`[data-choice=${name}]`).hidden = counts.size < (name === "reason" ? 1 : 2);
    const options = [...counts].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    form.elements[name].replaceChildren(
      new Option("all", ""), ...options.map(([option, count]) => new Option(`${option} (${count})`, option)));
  }

  function header() {
    document.querySelector("#list thead tr").replaceChildren(
      ...columns.map((column) => {
        const button = make("button", { type: "button" }, column.name);
        const cell = make("th", { scope: "col", className: classes(column) }, button);
        button.addEventListener("click", () => {
          sort = { column, descending: sort.column === column && !sort.descending };
          update();
        });
        column.cell = cell;
        return cell;
      }));
  }

  const classes = (column) => [column.numeric && "number", column.minor && "minor"].filter(Boolean).join(" ");

  function update() {
    const asked = Object.fromEntries(new FormData(form));
    const words = asked.text.toLowerCase().split(/\s+/).filter(Boolean);
    shown = index.episodes.filter((row) =>
      Object.entries(CHOICES).every(([name, value]) => !asked[name] || value(row) === asked[name])
      && words.every((word) => row.haystack.includes(word))
      && (asked.shortest === "" || row.steps >= Number(asked.shortest))
      && (asked.longest === "" || row.steps <= Number(asked.longest)));
    if (sort.column) shown.sort(compare);
    for (const column of columns) {
      const order = column !== sort.column ? "none" : sort.descending ? "descending" : "ascending";
      column.cell.setAttribute("aria-sort", order);
    }
    counts();
    rows((limit = CHUNK));
  }

  function compare(a, b) {
    const [x, y] = [a, b].map(sort.column.value);
    const order = typeof x === "number" && typeof y === "number" ? x - y || 0 : String(x).localeCompare(String(y), "en", { numeric: true });
    return sort.descending ? -order : order;
  }

  function counts() {
    const successes = shown.filter((row) => row.metadata.success === true).length;
    const steps = shown.reduce((sum, row) => sum + row.steps, 0);
    const broken = shown.filter((row) => row.error).length;
    $("counts").textContent = !index.episodes.length ? "There are no episodes here."
      : !shown.length ? `None of ${index.episodes.length} episodes matches.`
      : `${shown.length} of ${index.episodes.length} episodes: ${successes} successful, ${steps.toLocaleString("en")} steps`
        + (broken ? `, ${broken} broken` : "");
  }

  function rows() {
    body.replaceChildren(...shown.slice(0, limit).map(rowElement));
    const rest = shown.length - limit;
    $("more").hidden = rest <= 0;
    $("more").textContent = `Show ${Math.min(rest, CHUNK)} more of ${rest}`;
  }

  function rowElement(row) {
    const element = make("tr", { title: row.error ?? "" }, ...columns.map((column) =>
      make("td", { className: classes(column), title: column.varied ? String(column.value(row)) : "" }, ...cell(row, column))));
    element.addEventListener("click", () => events.open(row));
    row.element = element;
    highlight(row);
    return element;
  }

  function cell(row, column) {
    if (column.name === "Episode") return handles(row);
    if (column.name === "Outcome") return [badge(row)];
    if (column.name === "Steps" && row.error) return [];
    if (column.name === "Marks") return row.findings.length ? [`⚑ ${row.findings.length}`] : [];
    return [String(column.value(row))];
  }

  /** The buttons that open a row and that set it beside the open one. */
  function handles(row) {
    const open = make("button", { type: "button", className: "open", "aria-label": `Open episode ${title(row)}` }, title(row));
    if (row.error) return [open];
    const compare = make("button", { type: "button", className: "compare", title: "Compare with the open episode",
      "aria-label": `Compare with episode ${title(row)}` }, "⇄");
    compare.addEventListener("click", (event) => {
      event.stopPropagation();
      events.compare(row);
    });
    return [open, compare];
  }

  /** Marks the rows that are open as A and B. */
  function mark(a, b) {
    const before = Object.values(marked);
    marked = { a, b };
    for (const row of [...before, a, b]) if (row) highlight(row);
  }

  function highlight(row) {
    row.element?.classList.toggle("a", row === marked.a);
    row.element?.classList.toggle("b", row === marked.b);
    if (row === marked.a) row.element?.setAttribute("aria-current", "true");
    else row.element?.removeAttribute("aria-current");
  }

  /** The readable row that is shown `distance` rows below `row`, or undefined. */
  function neighbour(row, distance) {
    const readable = shown.filter((other) => !other.error);
    return readable[readable.indexOf(row) + distance];
  }

  return { show, mark, neighbour };
})();
