// Brings the parts together: what is open, its address, the keyboard.
"use strict";

(() => {
  let index;
  let open = { a: null, b: null }; // rows
  let request = 0;

  async function start() {
    index = await Data.index();
    labelSources();
    for (const row of index.episodes) {
      row.key = `${row.source}/${row.number}`;
      row.place = index.sources.length > 1 ? index.sources[row.source].label : "";
    }
    Table.show(index, { open: (row) => show(row, open.b), compare: (row) => (open.a ? show(open.a, row) : show(row, null)) });
    fromAddress();
    addEventListener("hashchange", fromAddress);
  }

  /** Names each data set by what in its folder's name is its own, and by its split where there are several. */
  function labelSources() {
    const folders = [...new Set(index.sources.map((source) => source.folder))].map((folder) => folder.split("/"));
    let shared = 0;
    while (folders.length > 1 && folders.every((parts) => parts.length > shared + 1 && parts[shared] === folders[0][shared])) shared += 1;
    for (const source of index.sources) {
      const splits = index.sources.filter((other) => other.folder === source.folder).length;
      source.label = source.folder.split("/").slice(shared).join("/") + (splits > 1 ? ` (${source.split})` : "");
    }
    $("sources").textContent = folders.map((parts) => parts.join("/")).join(", ");
  }

  /** Opens one episode, or two side by side; of several asked for in short order the last one wins. */
  async function show(a, b) {
    const mine = ++request;
    const broken = [a, b].find((row) => row?.error);
    if (broken) return say(broken.error);
    if (b === a) b = null;
    say("");
    let episodes;
    try {
      episodes = await Promise.all([a, b].filter(Boolean).map(Data.episode));
    } catch (error) {
      if (mine === request) say(`Episode ${title(a)}${b ? ` or ${title(b)}` : ""} cannot be shown: ${error.message}`);
      return;
    }
    if (mine !== request) return;
    const tick = b && open.a === a ? Player.timeline?.tick ?? 0 : 0;
    open = { a, b };
    $("welcome").hidden = true;
    $("player").hidden = false;
    const sides = episodes.map((episode, i) => ({ name: "AB"[i], row: [a, b][i], episode }));
    arrange(sides, tick);
    Table.mark(a, b);
    toAddress();
  }

  function arrange(sides, tick) {
    const timeline = new Timeline(sides, $("align").value === "time");
    timeline.tick = tick;
    Player.open(timeline);
    Details.show(timeline, index.sources, Player.seek);
  }

  function say(message) {
    $("message").textContent = message;
    $("message").hidden = !message;
  }

  // The address names what is open, so that it can be passed on, bookmarked and gone back to.
  function toAddress() {
    const parts = [`a=${open.a.key}`, ...(open.b ? [`b=${open.b.key}`] : [])];
    const address = `#${parts.join("&")}`;
    if (address !== location.hash) history.pushState(null, "", address);
  }

  function fromAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const [a, b] = ["a", "b"].map((side) => index.episodes.find((row) => row.key === asked.get(side)));
    if (a && (a !== open.a || (b ?? null) !== open.b)) show(a, b ?? null);
  }

  const KEYS = {
    " ": () => Player.toggle(),
    ArrowLeft: () => Player.step(-1),
    ArrowRight: () => Player.step(1),
    Home: () => Player.step(-Infinity),
    End: () => Player.step(Infinity),
    ArrowUp: () => move(-1),
    ArrowDown: () => move(1),
  };

  function move(distance) {
    const row = Table.neighbour(open.a, distance);
    if (row) show(row, open.b);
  }

  addEventListener("keydown", (event) => {
    const action = KEYS[event.key];
    if (!action || !open.a || event.altKey || event.ctrlKey || event.metaKey) return;
    const { target } = event;
    if (target.matches("input:not([type=range], [type=checkbox]), select, textarea")) return;
    if (event.key === " " && target.matches("button, summary, [type=checkbox]") && !target.closest("tr.a")) return;
    event.preventDefault();
    action();
  });

  $("single").addEventListener("click", () => show(open.a, null));
  $("align").addEventListener("change", () => arrange(Player.timeline.sides, 0));

  start().catch((error) => say(`The page cannot be filled: ${error.message}`));
})();
