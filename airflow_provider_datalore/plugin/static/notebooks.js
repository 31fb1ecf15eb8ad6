// The page of all notebooks: search, the filter, and the details that are requested when a user opens them.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const search = document.getElementById("search");
  const failing = document.getElementById("failing");
  const rows = [...document.querySelectorAll("tbody tr")];

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const matches = words.every((word) => row.dataset.search.includes(word));
      row.hidden = !matches || (failing.checked && !("failing" in row.dataset));
      if (!row.hidden) shown += 1;
    }
    const all = `${rows.length} ${rows.length === 1 ? "notebook" : "notebooks"}`;
    document.getElementById("count").textContent = shown === rows.length ? all : `${shown} of ${all}`;
    const nothing = document.getElementById("nothing");
    if (nothing) nothing.hidden = shown > 0;
  }

  function line(label, address, text) {
    const div = document.createElement("div");
    if (label) div.append(`${label}: `);
    if (address) {
      const link = document.createElement("a");
      link.href = address;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.textContent = text;
      div.append(link);
    } else {
      div.append(text);
    }
    return div;
  }

  async function load(details) {
    const content = details.querySelector("div");
    try {
      const response = await fetch(details.dataset.details, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`Airflow responded with status ${response.status}.`);
      const found = await response.json();
      content.replaceChildren(...found.lines.map(({ label, address, text }) => line(label, address, text)));
    } catch (error) {
      delete details.dataset.requested;
      content.replaceChildren(line("", "", `${error.message} Close and open this to try again.`));
    }
  }

  document.addEventListener("toggle", (event) => {
    const details = event.target;
    if (!details.open || !details.dataset.details || details.dataset.requested) return;
    details.dataset.requested = "yes";
    load(details);
  }, true);
  search.addEventListener("input", filter);
  failing.addEventListener("change", filter);
  // A browser may restore what was entered.
  filter();
});
