"""The permissions of the tab's pages in a browser.

A notebook contains HTML and JavaScript that others wrote. Its page is a separate document, whose policy takes away its
origin (so it has no access to Airflow's cookies, storage, pages or API), the network, forms, popups, and navigation of
the window. Scripts are allowed, since interactive plots need them.

Source: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy/sandbox
"""

from __future__ import annotations

NOTEBOOK_POLICY = "; ".join(
    [
        "sandbox allow-scripts",
        "default-src 'none'",
        # Only what the file contains: plots are inline scripts, and some of them compile other scripts.
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
    # No network connections of any kind, in browsers that support this header (Chrome 152 and later). The policy above
    # does not cover WebRTC, which the page itself removes from the notebook's scripts.
    "Connection-Allowlist": "()",
}
PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        # This also prevents the notebook's page from navigating its frame to another site.
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
"""Headers of each response that does not set its own."""
