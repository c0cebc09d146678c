"""The pages as a site: it can be built, its links lead somewhere, and its search finds something."""

import re
import subprocess
import time
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

from pages import ROOT

SITE = ROOT / "target/site"


class Ends(HTMLParser):
    """What a page links to, and where in it links can lead."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.anchors = [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.add(attributes.get("id") or attributes.get("name") or "")
        for name in ("href", "src"):
            target = attributes.get(name)
            # A noscript part of mdbook's own template frames the table of contents.
            if target and not re.match(r"[a-z]+:|//", target):
                self.targets.append(target)


def check_site(report):
    begun = time.monotonic()
    built = subprocess.run([ROOT / "docs/site"], capture_output=True, text=True)
    if not report.check(built.returncode == 0, "docs/site", built.stderr.strip()):
        return
    pages = {path: Ends(path.read_text(encoding="utf-8")) for path in SITE.rglob("*.html")}
    for path, page in pages.items():
        # Links of this one start at the root of a server. All pages at once are all pages once more.
        if path.name in ("404.html", "print.html"):
            continue
        where = f"target/site/{path.relative_to(SITE)}"
        for target in page.targets:
            file, anchor = urldefrag(target)
            found = (path.parent / unquote(file)).resolve() if file else path
            if report.check(found.is_file(), where, f"there is no {target}") and found.suffix == ".html":
                known = pages[found].anchors
                report.check(unquote(anchor) in known, where, f"{target}: there is no such place")
    listed = set(re.findall(r"\]\((\S+)\)", (ROOT / "docs/SUMMARY.md").read_text(encoding="utf-8")))
    written = {path.name for path in (ROOT / "docs").glob("*.md")} - {"SUMMARY.md"}
    report.check(listed == written, "docs/SUMMARY.md", f"has not all pages, or others: {listed ^ written}")
    index, = SITE.glob("searchindex-*.js")
    report.check("refresh_after" in index.read_text(encoding="utf-8"), "docs/site", "the search finds nothing")
    print(f"docs/site: {len(pages)} pages, {time.monotonic() - begun:.1f} s")
