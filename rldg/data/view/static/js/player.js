// Pictures and controls of the open episodes: one slider for all cameras, of one episode or of two.
"use strict";

const Player = (() => {
  const DEFAULT_RATE = 10; // steps per second where the data set does not say
  let timeline, panes;
  let playing = false;
  let position = 0; // in ticks, with a fraction while playing
  let before; // time of the last animation frame [ms]

  /** Shows the episodes of a timeline. */
  function open(newTimeline) {
    pause();
    timeline = newTimeline;
    panes = timeline.sides.map(pane);
    $("panes").replaceChildren(...panes.map((one) => one.element));
    $("slider").max = timeline.ticks - 1;
    for (const element of document.querySelectorAll("[data-compare]")) element.hidden = timeline.sides.length < 2;
    strips();
    Plots.show(timeline, seek);
    seek(timeline.tick);
  }

  function pane(side) {
    const { row, episode, name } = side;
    const cameras = new Cameras(episode);
    const state = make("p", { className: "state" });
    const heading = make("h2", {},
      timeline.sides.length > 1 ? make("span", { className: `side ${name.toLowerCase()}` }, name) : "",
      `Episode ${title(row)} `, badge(row),
      make("small", {}, [row.place, row.metadata.task, row.metadata.policy_kind, `${episode.steps} steps`].filter(Boolean).join(" · ")));
    const none = episode.cameras.length ? "" : make("p", { className: "hint" }, "This data set has no pictures.");
    return { side, cameras, state, element: make("article", {}, heading, cameras.element, none, state) };
  }

  /** Instruction, reward and flags of a step, as one line. */
  function stateText(side, step) {
    const { texts, flags, plots } = side.episode;
    const instruction = texts.language_instruction?.[step];
    const reward = plots.find((plot) => plot.title === "reward")?.lines[0].values[step];
    const on = Object.keys(flags).filter((name) => flags[name].includes(step)).map((name) => name.replace("is_", ""));
    return [`step ${step}`, instruction && `“${instruction}”`, reward ? `reward ${reward}` : "", ...on].filter(Boolean).join(" · ");
  }

  function strips() {
    const place = (tick) => `${(100 * tick) / Math.max(timeline.ticks - 1, 1)}%`;
    const marks = timeline.marks();
    $("strips").replaceChildren(...timeline.sides.map((side) => make("div", {}, ...marks
      .filter((mark) => mark.side === side)
      .map((mark) => make("i", { className: mark.kind, title: mark.text, style: { left: place(mark.from), width: place(mark.to - mark.from) } })))));
  }

  /** Goes to a tick: slider, clock, pictures and plots. */
  function seek(tick) {
    if (!timeline) return;
    position = timeline.tick = Math.max(0, Math.min(timeline.ticks - 1, tick));
    $("slider").value = timeline.tick;
    const seconds = timeline.rate && !timeline.aligned ? ` · ${(timeline.tick / timeline.rate).toFixed(1)} s` : "";
    $("clock").textContent = timeline.aligned ? timeline.label(timeline.tick) : `${timeline.tick} / ${timeline.ticks - 1}${seconds}`;
    $("slider").setAttribute("aria-valuetext", $("clock").textContent);
    for (const one of panes) {
      const step = timeline.stepOf(one.side, timeline.tick);
      one.cameras.show(step);
      one.state.textContent = stateText(one.side, step);
    }
    Plots.cursor(timeline.tick);
  }

  /** Pauses and goes some ticks on, or back. */
  function step(distance) {
    pause();
    seek(timeline.tick + distance);
  }

  function toggle() {
    if (playing) return pause();
    if (timeline.tick === timeline.ticks - 1) seek(0);
    playing = true;
    label();
    before = performance.now();
    requestAnimationFrame(advance);
  }

  function pause() {
    playing = false;
    label();
  }

  function label() {
    $("play").textContent = playing ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  function advance(now) {
    if (!playing) return;
    const exact = position + ((now - before) / 1000) * (timeline.rate ?? DEFAULT_RATE) * Number($("speed").value);
    before = now;
    if (Math.floor(exact) !== timeline.tick) seek(Math.floor(exact));
    if (timeline.tick === timeline.ticks - 1) return pause();
    position = exact;
    requestAnimationFrame(advance);
  }

  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => step(-1));
  $("forth").addEventListener("click", () => step(1));
  $("slider").addEventListener("input", () => {
    pause();
    seek(Number($("slider").value));
  });

  return { open, seek, step, toggle, get timeline() { return timeline; } };
})();
