"""What the pages of the tab may do in a browser.

A notebook is somebody's HTML and JavaScript. Its page is a document of its own, whose policy takes away its origin (so
it has no cookies of Airflow's, no storage, and no way to Airflow's pages or API), the network, forms, popups, and
navigation of the window. Scripts run in it, since plots that can be zoomed are made of them.

Source: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy/sandbox
"""

from __future__ import annotations

NOTEBOOK_POLICY = "; ".join(
    [
        "sandbox allow-scripts",
        "default-src 'none'",
        # What the file itself holds: plots are inline scripts, and some of them compile others.
        "script-src 'unsafe-inline' 'unsafe-eval'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "media-src data: blob:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ]
)
NOTEBOOK_HEADERS = {
    "Content-Security-Policy": NOTEBOOK_POLICY,
    # No connection to anywhere by any means, where a browser knows this header (Chrome 152 and later). The policy above
    # leaves WebRTC out, which the page itself takes away from the notebook's scripts.
    "Connection-Allowlist": "()",
}
PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        # Also where the notebook's page may take its own frame: nowhere else.
        "frame-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ]
)
PAGE_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
}
"""Of all answers, unless one has its own."""
