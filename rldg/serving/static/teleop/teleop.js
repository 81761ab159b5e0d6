// Tells the server twenty times a second what the hand does, and shows what it answers.
"use strict";

const PERIOD = 50; // ms between two messages
const PATIENCE = 1000; // ms until an answer counts as lost
const SLOW = 0.25; // share of the speed while Shift is held
// Key -> axis of the base frame and sign, for a person who faces the robot (`rldg.policies.keyboard` has the same).
const AXES = {
  w: [0, -1], s: [0, 1], d: [1, 1], a: [1, -1], e: [2, 1], q: [2, -1],
  o: [3, -1], u: [3, 1], k: [4, 1], i: [4, -1], j: [5, 1], l: [5, -1],
};
// What is shown of the pose: name, axis of the base frame, sign and scale, so that the keys of that name count up.
const DEGREES = 180 / Math.PI;
const POSE = [
  ["Away", 0, -1000, "mm"], ["Right", 1, 1000, "mm"], ["Up", 2, 1000, "mm"],
  ["Roll", 3, -DEGREES, "°"], ["Pitch", 4, DEGREES, "°"], ["Yaw", 5, DEGREES, "°"],
];
const TENTHS = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "negative" });
const GRIPPER = { c: -1, v: 1 };
const WORDS = { Enter: "begin", 1: "success", 2: "failure", 3: "discard", " ": "stop" };
const PHASES = { idle: "resetting", ready: "ready: Record begins", recording: "recording" };

const $ = (id) => document.getElementById(id);
const held = new Set(); // keys and buttons
let slow = false;
let words = [];
let status = {};

function hand() {
  const twist = [0, 0, 0, 0, 0, 0];
  let gripper = 0;
  const speed = Number($("speed").value) * (slow ? SLOW : 1);
  for (const key of held) {
    if (key in AXES) twist[AXES[key][0]] += AXES[key][1] * speed;
    if (key in GRIPPER) gripper += GRIPPER[key];
  }
  return { twist, gripper, word: words[0] ?? "" };
}

/** A word goes out at once, and again until it was heard. */
function say(word) {
  if (word === "stop") { held.clear(); words = [word]; } else words.push(word);
  mark();
}

function hold(key, down) {
  if (down) held.add(key); else held.delete(key);
  mark();
}

function mark() {
  for (const button of document.querySelectorAll("[data-key]")) button.classList.toggle("held", held.has(button.dataset.key));
}

function showCameras(names) {
  if (names.join() === [...$("cameras").children].map((figure) => figure.dataset.camera).join()) return;
  $("cameras").replaceChildren(...names.map((name) => {
    const figure = document.createElement("figure");
    const image = document.createElement("img");
    const caption = document.createElement("figcaption");
    figure.dataset.camera = image.alt = caption.textContent = name;
    figure.append(image, caption);
    return figure;
  }));
}

function showPose(pose) {
  $("pose").replaceChildren(...POSE.map(([name, axis, scale, unit]) => {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = name;
    value.textContent = `${TENTHS.format(scale * pose[axis])} ${unit}`;
    value.dataset.pose = name.toLowerCase();
    row.append(term, value);
    return row;
  }));
}

let pictured = "";
function showPictures() {
  const moment = `${status.episode}-${status.phase}-${status.step}`;
  if (moment === pictured) return;
  pictured = moment;
  for (const image of document.querySelectorAll("#cameras img")) {
    if (image.complete) image.src = `cameras/${encodeURIComponent(image.alt)}.jpg?at=${moment}`;
  }
}

function show(latency) {
  $("phase").textContent = PHASES[status.phase] ?? status.phase;
  $("phase").className = status.phase;
  if (status.instruction) $("instruction").textContent = status.instruction;
  $("latency").textContent = `${latency.toFixed(0)} ms`;
  const recording = status.phase === "recording";
  for (const button of document.querySelectorAll("[data-word]")) {
    button.disabled = button.dataset.word === "begin" ? status.phase !== "ready" : !recording;
  }
  for (const button of document.querySelectorAll(".gripper")) button.hidden = status.gripper === "fixed";
  if (status.step === undefined) return;
  $("episode").textContent = status.episode;
  $("step").textContent = `${status.step} / ${status.horizon}`;
  $("time").textContent = `${(status.step / status.rate).toFixed(1)} s`;
  const meter = $("force-bar");
  meter.max = status.force_limit;
  [meter.low, meter.high, meter.value] = [0.5 * status.force_limit, 0.8 * status.force_limit, status.force];
  $("force-text").textContent = `${status.force.toFixed(1)} of ${status.force_limit} N`;
  showPose(status.pose);
  showCameras(status.cameras);
  showPictures();
}

async function tell() {
  const said = hand();
  const started = performance.now();
  try {
    const answer = await fetch("hand", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(said),
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) throw new Error(await answer.text());
    status = await answer.json();
    if (said.word && said.word === words[0]) words.shift();
    show(performance.now() - started);
  } catch {
    $("phase").textContent = "no connection";
    $("phase").className = "lost";
  }
  setTimeout(tell, Math.max(0, PERIOD - (performance.now() - started)));
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  slow = event.shiftKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in AXES || key in GRIPPER) hold(key, true);
  else if (key in WORDS && !event.repeat) say(WORDS[key]);
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => {
  slow = event.shiftKey;
  hold(event.key.toLowerCase(), false);
});
const rest = () => { held.clear(); mark(); };
addEventListener("blur", rest);
document.addEventListener("visibilitychange", rest);
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    hold(button.dataset.key, true);
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    button.addEventListener(kind, () => hold(button.dataset.key, false));
  }
}
for (const button of document.querySelectorAll("[data-word]")) {
  button.addEventListener("click", () => { say(button.dataset.word); button.blur(); });
}
$("speed").addEventListener("input", () => { $("speed-text").textContent = `${Math.round(100 * $("speed").value)} %`; });
tell();
