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

/** Puts the present progress in place of the former; what the user has opened, focused and scrolled stays. */
function showProgress(state) {
  const former = document.querySelector("[data-progress]");
  const now = new DOMParser().parseFromString(state.progress, "text/html").querySelector("[data-progress]");
  if (!former || !now) return;
  const list = former.querySelector(".cells");
  const scrolled = list.scrollTop;
  const focused = former.contains(document.activeElement) ? document.activeElement : null;
  for (const item of former.querySelectorAll("li")) {
    const next = now.querySelector(`#${item.id}`);
    if (!next) continue;
    if (next.outerHTML === item.dataset.html) {
      next.replaceWith(item);
      continue;
    }
    const html = next.outerHTML;
    const [details, nextDetails] = [item.querySelector("details"), next.querySelector("details")];
    if (details && nextDetails && item.className === next.className) nextDetails.open = details.open;
    const [output, nextOutput] = [item.querySelector("pre"), next.querySelector("pre")];
    // Whoever reads at the end of the output reads on; whoever has scrolled up stays there.
    if (nextOutput) nextOutput.dataset.scroll = !output || atEnd(output) ? "end" : String(output.scrollTop);
    if (focused && item.contains(focused)) next.dataset.focus = focused.localName;
    next.dataset.html = html;
  }
  for (const item of now.querySelectorAll("li:not([data-html])")) item.dataset.html = item.outerHTML;
  former.replaceWith(now);
  now.querySelector(".cells").scrollTop = scrolled;
  for (const output of now.querySelectorAll("pre[data-scroll]")) {
    output.scrollTop = output.dataset.scroll === "end" ? output.scrollHeight : Number(output.dataset.scroll);
    delete output.dataset.scroll;
  }
  const target = now.querySelector("[data-focus]");
  if (target) {
    const element = target.querySelector(target.dataset.focus);
    delete target.dataset.focus;
    if (element) element.focus({ preventScroll: true });
  } else if (focused && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
  const [notice, cells] = [document.querySelector("[data-notice] > span"), document.querySelector("[data-cells]")];
  if (notice) notice.textContent = state.notice;
  if (cells) cells.textContent = state.cells;
  document.body.dataset.version = state.version;
}

function atEnd(output) {
  return output.scrollTop + output.clientHeight >= output.scrollHeight - 4;
}

async function refresh() {
  if (!document.hidden) {
    try {
      const response = await fetch(document.body.dataset.stateUrl, { headers: { Accept: "application/json" } });
      // The user was logged out, or the task was deleted: the reloaded page shows it.
      const refused = response.status >= 400 && response.status < 500;
      const state = response.ok ? await response.json() : null;
      if (refused || (state && state.layout !== document.body.dataset.layout)) {
        window.location.reload();
        return;
      }
      if (state && state.progress && state.version !== document.body.dataset.version) showProgress(state);
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
  for (const output of document.querySelectorAll(".cells pre")) output.scrollTop = output.scrollHeight;
  for (const item of document.querySelectorAll(".cells li")) item.dataset.html = item.outerHTML;
  if (document.body.dataset.stateUrl) setTimeout(refresh, POLL_INTERVAL_MS);
  setInterval(tick, 1000);
});
