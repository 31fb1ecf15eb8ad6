// Chooses the two runs of a task that are compared.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  /** The address of a comparison; the map index is the last part of this page's folder. */
  function compare(before, now) {
    const parts = window.location.pathname.split("/");
    // …/dagRuns/<run>/tasks/<task>/<map index>/compare
    parts[parts.length - 5] = encodeURIComponent(now);
    window.location.assign(`${parts.join("/")}?with=${encodeURIComponent(before)}`);
  }

  const chosen = (name) => document.querySelector(`select[data-choice="${name}"]`);
  for (const select of document.querySelectorAll("main.compare select")) {
    select.addEventListener("change", () => compare(chosen("before").value, chosen("now").value));
  }
});
