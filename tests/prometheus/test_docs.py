"""docs/operations.md against the rules, the metrics and the code that it speaks of."""

import re
import subprocess
import unittest

import yaml

from support import DEPLOY, ROOT
from test_prometheus import rules

PAGE = (ROOT / "docs/operations.md").read_text()


def anchors(markdown):
    """What GitHub makes of the headings."""
    titles = re.findall(r"(?m)^#{1,6} +(.+?) *$", re.sub(r"(?ms)^```.*?^```", "", markdown))
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def documented_families():
    table = PAGE.partition("## Metrics")[2].partition("### Session outcomes")[0]
    first_cells = re.findall(r"(?m)^\| (`[^|]*) \|", table)
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


def logged(levels):
    """The message of each log line in the code; those that are only a variable aside."""
    for file in (ROOT / "src").rglob("*.rs"):
        for call in re.findall(rf"log::(?:{levels})!\((.*?)\);?\n", file.read_text() + "\n", re.DOTALL):
            # What follows the key-value pairs.
            message = re.search(r'(?:^|;)\s*"((?:[^"\\]|\\.)*)"\s*,?\s*$', call)
            if message and "{" not in message[1]:
                yield message[1]


class Alerts(unittest.TestCase):
    def test_each_has_its_section_and_each_section_its_alert(self):
        names = {rule["alert"] for rule in rules("alert")}
        for rule in rules("alert"):
            path, _, anchor = rule["annotations"]["runbook"].partition("#")
            self.assertEqual((path, anchor), ("docs/operations.md", rule["alert"].lower()))
            self.assertIn(anchor, anchors(PAGE))
        self.assertEqual(set(re.findall(r"(?m)^### (Cloakroom\w+)$", PAGE)), names)


class Families(unittest.TestCase):
    def test_each_is_described(self):
        # Every HELP of a sidecar, from the test of the code that knows them all.
        from test_prometheus import OnePrometheus

        self.assertTrue(OnePrometheus.families)
        self.assertEqual(documented_families(), set(OnePrometheus.families))


class Messages(unittest.TestCase):
    def test_each_warning_and_error_of_the_code_is_explained(self):
        found = set(logged("error|warn"))
        self.assertGreater(len(found), 15)
        self.assertEqual({message for message in found if f"`{message}`" not in PAGE}, set())

    def test_each_message_that_is_explained_is_one_of_the_code(self):
        said = set(logged("error|warn|info"))
        table = PAGE.partition("The other lines")[2].partition("## Metrics")[0]
        cells = re.findall(r"(?m)^\| (?:error|warn|info) \| ([^|]*) \|", table)
        quoted = {text for cell in cells for text in re.findall(r"`([^`]+)`", cell)} - {"cookie.secure"}
        self.assertEqual(quoted - said, set())


class Commands(unittest.TestCase):
    def test_rules_become_an_object_of_the_operator(self):
        block, = re.findall(r"(?ms)^```sh\n(\{\n.*?PrometheusRule.*?)^```", PAGE)
        done = subprocess.run(
            ["bash", "-c", f"kubectl() {{ cat; }}\n{block}"], cwd=ROOT, capture_output=True, text=True, check=True,
        )
        made = yaml.safe_load(done.stdout)
        self.assertEqual(made["kind"], "PrometheusRule")
        self.assertEqual(made["spec"], yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text()))


class Links(unittest.TestCase):
    def test_all_lead_somewhere(self):
        for page in ("operations", "security", "faq"):
            file = ROOT / f"docs/{page}.md"
            links = re.findall(r"\]\(([^)\s]+)\)", file.read_text())
            self.assertTrue(links, page)
            for link in links:
                if "://" in link:
                    continue
                with self.subTest(page, link=link):
                    path, _, anchor = link.partition("#")
                    target = (file.parent / path).resolve() if path else file
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(target.read_text()))
