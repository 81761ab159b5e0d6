// The pictures of one episode: all cameras change together.
"use strict";

class Cameras {
  constructor(episode) {
    this.cameras = episode.cameras;
    this.asked = -1;
    this.views = this.cameras.map((camera) => {
      const canvas = make("canvas", { role: "img" });
      return { canvas, figure: make("figure", {}, canvas, make("figcaption", {}, camera.name)) };
    });
    this.element = make("div", { className: "cameras" }, ...this.views.map((view) => view.figure));
  }

  /** Draws the pictures of a step once all are decoded, unless another step was asked for meanwhile. */
  async show(step) {
    if (step === this.asked) return;
    this.asked = step;
    const pictures = await Promise.all(this.cameras.map((camera) => camera.picture(step).catch(() => null)));
    if (step === this.asked) {
      this.views.forEach((view, i) => {
        draw(view.canvas, pictures[i]);
        view.canvas.setAttribute("aria-label", `${this.cameras[i].name}, step ${step}`);
        view.canvas.dataset.step = step;
      });
    }
    for (const picture of pictures) picture?.close();
  }
}

function draw(canvas, picture) {
  const context = canvas.getContext("2d");
  if (picture) {
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      [canvas.width, canvas.height] = [picture.width, picture.height];
    }
    context.drawImage(picture, 0, 0);
    return;
  }
  context.fillStyle = "#777";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.fillText("broken picture", canvas.width / 2, canvas.height / 2, canvas.width);
}
