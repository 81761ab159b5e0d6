// The time that the open episodes share: the slider has one tick per step of the longer one.
"use strict";

class Timeline {
  /** `sides` hold `name`, `row` and `episode`; `aligned` stretches both to the same duration instead of step by step. */
  constructor(sides, aligned) {
    this.sides = sides;
    this.aligned = aligned && sides.length > 1;
    this.ticks = Math.max(1, ...sides.map((side) => side.episode.steps));
    this.rate = sides[0].episode.rate; // steps per second, or null
    this.tick = 0;
  }

  /** The step of an episode that is seen at a tick; a shorter one stays at its last. */
  stepOf(side, tick) {
    const last = Math.max(side.episode.steps - 1, 0);
    if (!this.aligned) return Math.min(tick, last);
    return this.ticks === 1 ? 0 : Math.round((tick / (this.ticks - 1)) * last);
  }

  /** The tick, not always a whole one, at which a step is reached. */
  tickOf(side, step) {
    if (!this.aligned || side.episode.steps < 2) return step;
    return (step / (side.episode.steps - 1)) * (this.ticks - 1);
  }

  /** How a tick reads on axes and in legends. */
  label(tick) {
    return this.aligned ? `${Math.round((100 * tick) / (this.ticks - 1))} %` : String(tick);
  }

  /** What happens when: interventions as stretches, findings of validation at their steps. */
  marks() {
    return this.sides.flatMap((side) => [
      ...runs(side.episode.flags.is_intervention ?? []).map(([first, last]) => ({
        side, kind: "intervention", text: `intervention, steps ${first} to ${last}`,
        from: this.tickOf(side, first), to: this.tickOf(side, last),
      })),
      ...side.row.findings.filter((finding) => finding.step !== null).map((finding) => ({
        side, kind: "finding", text: `${finding.check}: ${finding.message}`,
        from: this.tickOf(side, finding.step), to: this.tickOf(side, finding.step),
      })),
    ]);
  }
}

/** Increasing numbers as stretches [first, last] without a gap. */
function runs(numbers) {
  const found = [];
  for (const number of numbers) {
    if (found.length && number === found.at(-1)[1] + 1) found.at(-1)[1] = number;
    else found.push([number, number]);
  }
  return found;
}
