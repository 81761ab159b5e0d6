// Plots under the pictures; two episodes share one plot, the second one dashed. A click or a drag moves the slider.
"use strict";

const Plots = (() => {
  const HEIGHT = 170; // pixels, legend not counted
  const chosen = new Map(); // title -> whether it is to be seen; kept from episode to episode
  let drawn = []; // of uPlot
  let current = null;

  /** Draws the plots of the episodes in `timeline`; `seek(tick)` is called when one is clicked. */
  function show(timeline, seek) {
    current = { timeline, seek };
    chooser();
    redraw();
  }

  const offered = () => {
    const plots = new Map();
    for (const { episode } of current.timeline.sides) {
      for (const plot of episode.plots) if (!plots.has(plot.title)) plots.set(plot.title, plot);
    }
    return [...plots.values()];
  };
  const visible = (plot) => chosen.get(plot.title) ?? plot.shown;

  function chooser() {
    $("chooser").querySelector("div").replaceChildren(...offered().map((plot) => {
      const box = make("input", { type: "checkbox", checked: visible(plot) });
      box.addEventListener("change", () => {
        chosen.set(plot.title, box.checked);
        redraw();
      });
      return make("label", {}, box, plot.title);
    }));
  }

  function redraw() {
    for (const plot of drawn) plot.destroy();
    drawn = [];
    if (!current) return;
    const plots = offered().filter(visible);
    const figures = plots.map((plot) => make("figure", {},
      make("figcaption", {}, plot.title, plot.unit ? make("span", {}, ` [${plot.unit}]`) : "")));
    $("plots").replaceChildren(...figures);
    drawn = plots.map((plot, i) => draw(plot, figures[i]));
    cursor(current.timeline.tick);
  }

  function draw(plot, figure) {
    const { timeline } = current;
    const tables = [];
    const series = [{}];
    for (const side of timeline.sides) {
      const lines = side.episode.plots.find((other) => other.title === plot.title)?.lines;
      if (!lines) continue;
      tables.push([Array.from({ length: side.episode.steps }, (_, step) => timeline.tickOf(side, step)), ...lines.map((line) => line.values)]);
      lines.forEach((line, i) => series.push({
        label: timeline.sides.length > 1 ? `${line.label} ${side.name}` : line.label,
        stroke: colour(`--line-${(i % 6) + 1}`),
        width: 1.5,
        dash: side.name === "B" ? [5, 4] : undefined,
        points: { show: side.episode.steps === 1 },
        value: (_, y) => number(y),
      }));
    }
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const chart = new uPlot({
      width: Math.max(figure.clientWidth, 200),
      height: HEIGHT,
      series,
      scales: { x: { time: false, range: [0, Math.max(timeline.ticks - 1, 1)] }, y: { range } },
      axes: [
        { ...axis, size: 28, ...quarters(timeline), values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) || timeline.aligned ? timeline.label(tick) : "")) },
        { ...axis, size: 56 },
      ],
      cursor: { y: false, drag: { x: false, y: false }, bind: silent, points: { size: 5 } },
      hooks: { drawClear: [shade] },
    }, uPlot.join(tables), figure);
    scrub(chart);
    return chart;
  }

  /** In normalised time the axis counts quarters, not ticks. */
  function quarters(timeline) {
    return timeline.aligned ? { splits: () => [0, 0.25, 0.5, 0.75, 1].map((share) => share * (timeline.ticks - 1)) } : {};
  }

  /** Bounds of the y axis, also where a line is flat or has no values. */
  function range(_, low, high) {
    if (low === null) return [0, 1];
    return low === high ? [low - 1, high + 1] : uPlot.rangeNum(low, high, 0.1, true);
  }

  function number(y) {
    if (y === null || y === undefined) return "–";
    return y !== 0 && Math.abs(y) < 0.001 ? y.toExponential(1) : y.toPrecision(3);
  }

  // The cursor is the slider's: uPlot's own, which follows the pointer, stays out.
  const none = () => null;
  const silent = { mousedown: none, mouseup: none, click: none, dblclick: none, mousemove: none, mouseleave: none, mouseenter: none };

  function scrub(chart) {
    const seek = (event) => {
      const left = event.clientX - chart.over.getBoundingClientRect().left;
      current.seek(Math.round(chart.posToVal(left, "x")));
    };
    chart.over.addEventListener("pointerdown", (event) => {
      chart.over.setPointerCapture(event.pointerId);
      seek(event);
    });
    chart.over.addEventListener("pointermove", (event) => event.buttons && seek(event));
  }

  /** Behind the lines: where a person had taken over, and the steps that validation marked. */
  function shade(chart) {
    const { timeline } = current;
    const { ctx, bbox } = chart;
    const x = (tick) => chart.valToPos(tick, "x", true);
    ctx.save();
    for (const mark of timeline.marks()) {
      ctx.fillStyle = colour(`--${mark.kind}`);
      ctx.globalAlpha = mark.kind === "intervention" ? 0.18 : 0.5;
      const width = mark.kind === "intervention" ? x(mark.to) - x(mark.from) : 2;
      ctx.fillRect(x(mark.from), bbox.top, Math.max(width, 2), bbox.height);
    }
    ctx.restore();
  }

  /** Moves the cursors of all plots. */
  function cursor(tick) {
    for (const chart of drawn) chart.setCursor({ left: chart.valToPos(tick, "x"), top: 0 }, false);
  }

  function resize() {
    for (const chart of drawn) {
      const width = chart.root.parentElement.clientWidth;
      if (width > 0 && width !== chart.width) chart.setSize({ width, height: HEIGHT });
    }
    if (current) cursor(current.timeline.tick);
  }

  new ResizeObserver(resize).observe($("plots"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  return { show, cursor };
})();
