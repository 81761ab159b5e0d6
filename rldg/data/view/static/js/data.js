// Fetches what the page shows: from the server as JSON and bytes, in an exported folder as scripts that hand them over.
"use strict";

const Data = (() => {
  const KEPT = 8; // episodes that stay in memory
  const TIMEOUT = 60_000; // milliseconds
  const exported = document.documentElement.dataset.source === "files";
  const received = new Map();
  const episodes = new Map(); // "source/number" -> promise, the longest unused first

  window.receive = (name, content) => received.set(name, content);

  /** Runs the script that hands `name` over, and gives what it handed over. */
  function script(name) {
    return new Promise((resolve, reject) => {
      const element = make("script", { src: `data/${name}.js` });
      const ended = (settle, value) => {
        element.remove();
        received.delete(name);
        settle(value);
      };
      element.onload = () => ended(resolve, received.get(name));
      element.onerror = () => ended(reject, new Error(`data/${name}.js is missing`));
      document.head.append(element);
    });
  }

  async function answer(path) {
    const response = await fetch(`data/${path}`, { signal: AbortSignal.timeout(TIMEOUT) });
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    throw new Error(said.error ?? `the server answered ${response.status} to ${path}`);
  }

  const json = async (name) => (exported ? script(name) : (await answer(`${name}.json`)).json());

  async function bytes(name) {
    if (!exported) return (await answer(`${name}.bin`)).arrayBuffer();
    return Uint8Array.from(atob(await script(name)), (character) => character.charCodeAt(0)).buffer;
  }

  /** Gives each camera a function that decodes its picture of a step. */
  function withPictures(episode, frames) {
    let offset = 0;
    for (const camera of episode.cameras) {
      const starts = camera.sizes.map((size) => (offset += size) - size);
      camera.picture = async (step) => {
        if (!(step in starts)) throw new Error("the camera has fewer pictures than the episode steps");
        return createImageBitmap(new Blob([new Uint8Array(await frames, starts[step], camera.sizes[step])]));
      };
    }
    return episode;
  }

  async function load(key) {
    const frames = bytes(`${key}/frames`);
    frames.catch(() => {}); // each picture that is asked for says so
    return withPictures(await json(`${key}/episode`), frames);
  }

  /** An episode with its plots and cameras, from memory if it was seen lately. */
  function episode(row) {
    const key = `${row.source}/${row.number}`;
    const promise = episodes.get(key) ?? load(key);
    episodes.delete(key);
    episodes.set(key, promise);
    promise.catch(() => episodes.delete(key));
    if (episodes.size > KEPT) episodes.delete(episodes.keys().next().value);
    return promise;
  }

  return { index: () => json("index"), episode };
})();
