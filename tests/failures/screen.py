"""What is on the screen: the text that a person can read without a click, a scroll or a wider window."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZE = {"width": 1400, "height": 900}
_CALM = 4
"""How often in a row the same text must be seen."""

_VISIBLE_TEXT = """
() => {
  const above = element => element.parentElement ?? element.getRootNode().host ?? null;
  const clips = element => {
    const boxes = [{left: 0, top: 0, right: innerWidth, bottom: innerHeight}];
    for (let at = element; at && at !== document.body; at = above(at)) {
      const style = getComputedStyle(at);
      if (style.visibility === "hidden" || style.opacity === "0") return null;
      if (style.overflowX !== "visible" || style.overflowY !== "visible") boxes.push(at.getBoundingClientRect());
    }
    return boxes;
  };
  const isOnTop = (element, x, y) => {
    const top = element.getRootNode().elementFromPoint(x, y);
    return top !== null && (element.contains(top) || top.contains(element));
  };
  const words = [];
  const read = text => {
    const boxes = clips(text.parentElement);
    if (boxes === null) return;
    for (const word of text.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const rects = [...range.getClientRects()].filter(rect => rect.width > 0);
      const isInside = rect => boxes.every(box =>
        rect.left >= box.left - 1 && rect.right <= box.right + 1
        && rect.top >= box.top - 1 && rect.bottom <= box.bottom + 1);
      if (rects.length && rects.every(isInside)
          && isOnTop(text.parentElement, (rects[0].left + rects[0].right) / 2, (rects[0].top + rects[0].bottom) / 2)) {
        words.push(word[0]);
      }
    }
  };
  const walk = node => {
    if (node.nodeType === Node.TEXT_NODE) return node.parentElement && read(node);
    if (node.shadowRoot) walk(node.shadowRoot);
    node.childNodes.forEach(walk);
  };
  walk(document.body);
  return words.join(" ");
}
"""
"""The page of Airflow 2 is in a shadow root."""


def visible_text(page: Page) -> str:
    """Every word that is wholly visible: inside the window, not cut by what holds it, not covered; in their order."""
    text: str = page.evaluate(_VISIBLE_TEXT)
    return text


def settled_text(page: Page, patience: float = 20.0) -> str:
    """The visible text, once it no longer changes: the log view scrolls to its end after it has shown the log.

    :param patience: seconds.
    """
    deadline = time.monotonic() + patience
    seen = [visible_text(page)]
    while len(seen) < _CALM or len(set(seen[-_CALM:])) > 1:
        assert time.monotonic() < deadline, "the page keeps changing"
        page.wait_for_timeout(150)
        seen.append(visible_text(page))
    return seen[-1]


def one_line(text: str) -> str:
    """The text with single spaces, as :func:`visible_text` has it."""
    return " ".join(text.split())
