"""Opens a report in Debian's Chromium and prints what it found as JSON.

browser.py FILE.html [SCREENSHOT_PREFIX]

Playwright's own browsers are not needed. Axe comes with axe-playwright-python. With a prefix, screenshots are written to
PREFIX-light.png and PREFIX-phone.png.
"""

import json
import os
import sys
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# Milliseconds that a step may take on a busy machine.
WAIT = 100_000

# The intervals that are drawn, as numbers and by where they are on the page.
DRAWN = """
() => [...document.querySelectorAll('.timeline')].map(line => {
  const [low, high] = [Number(line.dataset.start), Number(line.dataset.end)];
  return [...line.querySelectorAll('svg')].map(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('rect[data-start]')].map(rect => {
      const own = rect.getBoundingClientRect();
      const [start, end] = [Number(rect.dataset.start), Number(rect.dataset.end)];
      const scale = box.width / (high - low);
      const right = Math.max(own.width - (end - start) * scale, 0);
      return {start, end,
        off: Math.min(Math.abs(own.x - box.x - (start - low) * scale),
          Math.abs(own.x + own.width - box.x - (end - low) * scale)), grown: right,
        inside: own.x >= box.x - 0.5 && own.x + own.width <= box.x + box.width + 0.5};
    });
  });
})
"""
# The same intervals by the data in the page.
STATED = """
() => JSON.parse(document.getElementById('longtake-data').textContent).recordings.map(recording =>
  recording.lanes.map(lane => lane.answers.flatMap(answer => answer.evidence.map(one => [one.start, one.end]))))
"""
# What a page must not have, and the headings in their order.
PAGE = """
() => ({scripts: document.scripts.length, handlers: [...document.querySelectorAll('*')].filter(element =>
    [...element.attributes].some(attribute => attribute.name.startsWith('on'))).length,
  images: document.images.length, broken: [...document.images].filter(image => !image.naturalWidth).length,
  foreign: [...document.images].filter(image => !image.src.startsWith('data:image/jpeg;base64,')).length,
  headings: [...document.querySelectorAll('h1,h2,h3,h4')].map(heading => Number(heading.tagName[1])),
  ids: [...document.querySelectorAll('[id]')].map(element => element.id),
  targets: [...document.querySelectorAll('a[href^="#"]')].map(link => link.getAttribute('href').slice(1)),
  text: document.body.innerText, lang: document.documentElement.lang})
"""
WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIDDEN_ROWS = "() => [...document.querySelectorAll('details tr')].filter(row => !row.offsetHeight).length"


def opened(browser, path, seen, **options):
    """A new page that shows the report, without a network; what it asks for and says goes to `seen`."""
    context = browser.new_context(offline=True, **options)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.on("console", lambda message: seen["console"].append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen["console"].append(str(error)))
    page.on("request", lambda request: seen["requests"].append(request.url[:100]))
    page.goto(path.as_uri(), wait_until="load")
    return page


def main():
    path = Path(sys.argv[1]).resolve()
    seen = {"console": [], "requests": []}
    found = {"bytes": path.stat().st_size, "violations": {}}
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox of its own.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options, timeout=WAIT)
        for scheme in ["light", "dark"]:
            start = time.monotonic()
            page = opened(browser, path, seen, color_scheme=scheme, viewport={"width": 1200, "height": 900})
            found.setdefault("load_seconds", time.monotonic() - start)
            results = Axe().run(page).response
            found["violations"][scheme] = [
                {"id": one["id"], "impact": one["impact"], "where": [node["target"] for node in one["nodes"]][:5]}
                for one in results["violations"]
            ]
            if scheme == "light":
                found.update(page.evaluate(PAGE))
                drawn, stated = page.evaluate(DRAWN), page.evaluate(STATED)
                found["drawn"] = [[[[one["start"], one["end"]] for one in lane] for lane in line] for line in drawn]
                found["stated"] = [lanes for lanes in stated if lanes]
                every = [one for line in drawn for lane in line for one in lane]
                found["largest_offset"] = max((one["off"] for one in every), default=0)
                found["outside"] = sum(not one["inside"] for one in every)
                page.keyboard.press("Tab")
                found["first_focus"] = page.evaluate("() => document.activeElement.className")
                found["focus_outline"] = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
                if len(sys.argv) > 2:
                    page.evaluate("() => document.activeElement.blur()")
                    page.set_viewport_size({"width": 1000, "height": 1500})
                    page.screenshot(path=sys.argv[2] + "-light.png")
                page.emulate_media(media="print")
                found["rows_missing_in_print"] = page.evaluate(HIDDEN_ROWS)
                found["print_bytes"] = len(page.pdf())
            page.context.close()
        page = opened(
            browser, path, seen, color_scheme="dark", viewport={"width": 360, "height": 740}, device_scale_factor=1.5
        )
        found["phone_overflow"] = page.evaluate(WIDE)
        if len(sys.argv) > 2:
            page.evaluate("() => document.querySelector('article').scrollIntoView()")
            page.screenshot(path=sys.argv[2] + "-phone.png")
        browser.close()
    found.update(seen)
    # Only the file itself, and what is inside of it.
    found["requests"] = [url for url in seen["requests"] if not url.startswith("data:") and url != path.as_uri()[:100]]
    print(json.dumps(found))


main()
