// Small helpers to make and find elements.
"use strict";

/** The element with an id. */
const $ = (id) => document.getElementById(id);

/** An element with properties (`dataset` and `style` are merged) and children; text children stay text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset" || name === "style") Object.assign(element[name], value);
    else if (name.startsWith("aria-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** The resolved value of one of the style sheet's colours, which canvases need. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A row's short name, as people would say it. */
const title = (row) => `#${row.number ?? "?"}`;

/** "success", "failure", "broken", or "unjudged" where the data set does not say. */
function outcome(row) {
  if (row.error) return "broken";
  if (row.metadata.success === undefined) return "unjudged";
  return row.metadata.success ? "success" : "failure";
}

/** The outcome of an episode as a coloured label; a failure is called by its reason. */
function badge(row) {
  const kind = outcome(row);
  const reason = kind === "failure" ? row.metadata.failure_reason : "";
  return make("span", { className: `badge ${kind}`, title: reason ? `${kind}: ${reason}` : kind }, String(reason || kind));
}
