// The tab's own script. It runs in Airflow's origin, in a frame of Airflow's page; the notebook's scripts do not.
"use strict";

/** Airflow's page around this one; null if this page is not in a frame of it. */
const airflow = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent.document : null;
  } catch {
    return null;
  }
})();

const POLL_INTERVAL_MS = 4000;
const COLOURS = { "--bg": "bg", "--bg-muted": "bg-muted", "--fg": "fg", "--fg-muted": "fg-muted", "--border": "border", "--link": "fg-info" };

/** Whether Airflow uses its dark theme, which may differ from the system's preference. */
function isDark() {
  if (airflow) {
    return airflow.documentElement.classList.contains("dark");
  }
  const stored = window.localStorage.getItem("theme");
  return stored === "dark" || (stored !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

function applyTheme() {
  const root = document.documentElement;
  const theme = isDark() ? "dark" : "light";
  root.classList.toggle("dark", theme === "dark");
  if (airflow) {
    const style = getComputedStyle(airflow.documentElement);
    for (const [property, airflowColour] of Object.entries(COLOURS)) {
      const value = style.getPropertyValue(`--chakra-colors-${airflowColour}`).trim();
      if (value) root.style.setProperty(property, value);
    }
    root.style.setProperty("--font", getComputedStyle(airflow.body).fontFamily);
  }
  const frame = document.querySelector("iframe[data-notebook]");
  if (frame && frame.dataset.theme !== theme) {
    frame.dataset.theme = theme;
    // The fragment is the id of the failed cell, if there is one.
    const query = frame.dataset.query ? `&${frame.dataset.query}` : "";
    frame.src = `${frame.dataset.notebook}?theme=${theme}${query}#cell-id=datalore-failed`;
  }
}

/** Airflow does not allow its frame to open windows or, before 3.3, to download; Airflow's page may do both. */
function followLinkInAirflow(event) {
  const link = event.target.closest("a[href]");
  // Links within the tab stay in its frame.
  if (!link || !airflow || "here" in link.dataset) return;
  event.preventDefault();
  const copy = airflow.createElement("a");
  copy.href = link.href;
  copy.rel = "noopener noreferrer";
  if (link.hasAttribute("download")) copy.download = "";
  // Airflow's own pages open in Airflow's window.
  else if (!("inAirflow" in link.dataset)) copy.target = "_blank";
  copy.hidden = true;
  airflow.body.append(copy);
  copy.click();
  copy.remove();
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (hours) return `${hours} h ${two(minutes)} min`;
  return minutes ? `${minutes} min ${two(rest)} s` : `${rest} s`;
}

/** In Airflow's format, in the browser's time zone. */
function inLocalTime(moment) {
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
  return local.toISOString().slice(0, 19).replace("T", " ");
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = duration((Date.now() - Date.parse(element.dataset.since)) / 1000);
  }
}

async function refresh() {
  if (!document.hidden) {
    try {
      const response = await fetch(document.body.dataset.stateUrl, { headers: { Accept: "application/json" } });
      // The user was logged out, or the task was deleted: the reloaded page shows it.
      const refused = response.status >= 400 && response.status < 500;
      if (refused || (response.ok && (await response.json()).version !== document.body.dataset.version)) {
        window.location.reload();
        return;
      }
    } catch {
      // Airflow cannot be reached at the moment; the next poll tries again.
    }
  }
  setTimeout(refresh, POLL_INTERVAL_MS);
}

document.documentElement.classList.toggle("dark", isDark());
document.addEventListener("DOMContentLoaded", () => {
  applyTheme();
  if (airflow) new MutationObserver(applyTheme).observe(airflow.documentElement, { attributeFilter: ["class"] });
  for (const element of document.querySelectorAll("time")) {
    element.title = element.textContent;
    element.textContent = inLocalTime(new Date(element.dateTime));
  }
  document.addEventListener("click", followLinkInAirflow);
  const compare = document.querySelector("select[data-compare]");
  if (compare) {
    compare.addEventListener("change", () => {
      if (compare.value) window.location.assign(`${compare.dataset.compare}?with=${encodeURIComponent(compare.value)}`);
    });
  }
  if (document.body.dataset.stateUrl) setTimeout(refresh, POLL_INTERVAL_MS);
  setInterval(tick, 1000);
});
