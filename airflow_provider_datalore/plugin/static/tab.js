// The tab's own script. It runs in Airflow's origin, in a frame of Airflow's page; the notebook's scripts do not.
"use strict";

/** Airflow's page around this one; null where this page was opened by itself. */
const airflow = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent.document : null;
  } catch {
    return null;
  }
})();

const ASK_AGAIN = 4000;
const COLOURS = { "--bg": "bg", "--bg-muted": "bg-muted", "--fg": "fg", "--fg-muted": "fg-muted", "--border": "border", "--link": "fg-info" };

/** Whether Airflow is dark: its page says so, whatever the system prefers. */
function isDark() {
  if (airflow) {
    return airflow.documentElement.classList.contains("dark");
  }
  const stored = window.localStorage.getItem("theme");
  return stored === "dark" || (stored !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

function takeOverTheme() {
  const root = document.documentElement;
  const theme = isDark() ? "dark" : "light";
  root.classList.toggle("dark", theme === "dark");
  if (airflow) {
    const style = getComputedStyle(airflow.documentElement);
    for (const [ours, theirs] of Object.entries(COLOURS)) {
      const value = style.getPropertyValue(`--chakra-colors-${theirs}`).trim();
      if (value) root.style.setProperty(ours, value);
    }
    root.style.setProperty("--font", getComputedStyle(airflow.body).fontFamily);
  }
  const frame = document.querySelector("iframe[data-notebook]");
  if (frame && frame.dataset.theme !== theme) {
    frame.dataset.theme = theme;
    // The fragment is that of the cell that failed, if one did.
    frame.src = `${frame.dataset.notebook}?theme=${theme}#cell-id=datalore-failed`;
  }
}

/** Airflow's frame may neither open windows nor, before 3.3, download; Airflow's page around it may. */
function followInAirflow(event) {
  const link = event.target.closest("a[href]");
  if (!link || !airflow) return;
  event.preventDefault();
  const copy = airflow.createElement("a");
  copy.href = link.href;
  copy.rel = "noopener noreferrer";
  if (link.hasAttribute("download")) copy.download = "";
  else copy.target = "_blank";
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

/** As Airflow writes it, in the browser's own time zone. */
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
      const answer = await fetch(document.body.dataset.stateUrl, { headers: { Accept: "application/json" } });
      // Logged out meanwhile, or gone: the page says so itself.
      const refused = answer.status >= 400 && answer.status < 500;
      if (refused || (answer.ok && (await answer.json()).version !== document.body.dataset.version)) {
        window.location.reload();
        return;
      }
    } catch {
      // Airflow cannot be reached just now; it is asked again.
    }
  }
  setTimeout(refresh, ASK_AGAIN);
}

document.documentElement.classList.toggle("dark", isDark());
document.addEventListener("DOMContentLoaded", () => {
  takeOverTheme();
  if (airflow) new MutationObserver(takeOverTheme).observe(airflow.documentElement, { attributeFilter: ["class"] });
  for (const element of document.querySelectorAll("time")) {
    element.title = element.textContent;
    element.textContent = inLocalTime(new Date(element.dateTime));
  }
  document.addEventListener("click", followInAirflow);
  if (document.body.dataset.stateUrl) setTimeout(refresh, ASK_AGAIN);
  setInterval(tick, 1000);
});
