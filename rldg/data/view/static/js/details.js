// Where the open episodes come from, and what validation found in them.
"use strict";

const Details = (() => {
  /** Fills the section for the episodes of a timeline; `seek(tick)` is called for a finding's step. */
  function show(timeline, sources, seek) {
    $("details").replaceChildren(
      findings(timeline, sources, seek),
      block("Provenance", true, metadata(timeline.sides)),
      ...[...new Set(timeline.sides.map((side) => sources[side.row.source]))].map((source) =>
        block(`Data set ${source.label}`, false, definitions(source.documents, { folder: source.folder, split: source.split }))));
  }

  const block = (summary, open, ...content) =>
    make("details", { open, className: "block" }, make("summary", {}, summary), ...content);

  /** One row per field of the episodes' metadata; fields in which two episodes differ are marked. */
  function metadata(sides) {
    const names = [...new Set(sides.flatMap((side) => Object.keys(side.row.metadata)))];
    if (!names.length) return make("p", { className: "hint" }, "This data set says nothing about its episodes.");
    const head = sides.length > 1
      ? [make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "field"), ...sides.map((side) => make("th", { scope: "col" }, side.name))))] : [];
    const rows = names.map((name) => {
      const values = sides.map((side) => side.row.metadata[name]);
      const differ = values.some((value) => value !== values[0]);
      return make("tr", { className: differ ? "differs" : "" }, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, shown(value))));
    });
    return make("div", { className: "scroll" }, make("table", {}, ...head, make("tbody", {}, ...rows)));
  }

  function definitions(documents, fields) {
    const entries = [...Object.entries(fields), ...Object.entries(documents)];
    return make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, shown(value))]));
  }

  /** A value for reading; JSON, also inside a text, is laid out. */
  function shown(value) {
    let content = value;
    if (typeof value === "string" && /^\s*[{[]/.test(value)) {
      try {
        content = JSON.parse(value);
      } catch {
        return value;
      }
    }
    if (content === "" || content === undefined) return "–";
    return typeof content === "object" ? make("pre", {}, JSON.stringify(content, null, 2)) : String(content);
  }

  function findings(timeline, sources, seek) {
    const ofEpisodes = timeline.sides.flatMap((side) => side.row.findings.map((finding) => ({ ...finding, side })));
    const ofSets = [...new Set(timeline.sides.map((side) => side.row.source))].flatMap((number) => sources[number].findings);
    const found = [...ofEpisodes, ...ofSets];
    if (!found.length) return "";
    const items = found.map((finding) => {
      const item = make("li", { className: finding.severity }, make("strong", {}, finding.check), ` ${finding.message} `);
      if (finding.side && finding.step !== null) {
        const several = timeline.sides.length > 1 ? ` of ${finding.side.name}` : "";
        const button = make("button", { type: "button" }, `step ${finding.step}${several}`);
        button.addEventListener("click", () => seek(Math.round(timeline.tickOf(finding.side, finding.step))));
        item.append(button);
      } else if (!finding.side) {
        item.append(make("span", { className: "hint" }, finding.episode === null ? "whole data set" : `episode ${finding.episode}`));
      }
      return item;
    });
    return block(`Validation: ${found.length} ${found.length === 1 ? "finding" : "findings"}`, true, make("ul", { className: "findings" }, ...items));
  }

  return { show };
})();
