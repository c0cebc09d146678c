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


def logged(levels):
    """The message of each log line in the code; those that are only a variable aside."""
    line = rf'log::(?:{levels}|log)!\((?:[^;]*?;)??\s*"((?:[^"\\]|\\.)*)"\s*,?\s*\)'
    for file in (ROOT / "src").rglob("*.rs"):
        yield from (message for message in re.findall(line, file.read_text()) if "{" not in message)


class Alerts(unittest.TestCase):
    def test_each_has_its_section_and_each_section_its_alert(self):
        names = {rule["alert"] for rule in rules("alert")}
        for rule in rules("alert"):
            path, _, anchor = rule["annotations"]["runbook"].partition("#")
            self.assertEqual((path, anchor), ("docs/operations.md", rule["alert"].lower()))
            self.assertIn(anchor, anchors(PAGE))
        self.assertEqual(set(re.findall(r"(?m)^### (Cloakroom\w+)$", PAGE)), names)


    def test_the_table_has_each_with_its_severity(self):
        table = PAGE.partition("## Alerts")[2].partition("### ")[0]
        rows = re.findall(r"(?m)^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \|", table)
        severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules("alert")}
        self.assertEqual({name: severity for name, _, severity in rows}, severities)
        self.assertEqual([anchor for _, anchor, _ in rows], [name.lower() for name, _, _ in rows])
        # The worst come first.
        order = ["critical", "warning", "info"]
        self.assertEqual(sorted(rows, key=lambda row: order.index(row[2])), rows)


class Messages(unittest.TestCase):
    def test_each_warning_and_error_of_the_code_is_explained(self):
        found = set(logged("error|warn"))
        self.assertGreater(len(found), 15)
        self.assertEqual({message for message in found if f"`{message}`" not in PAGE}, set())

    def test_each_message_that_is_explained_is_one_of_the_code(self):
        said = set(logged("error|warn|info"))
        table = PAGE.partition("The other lines")[2].partition("## Metrics")[0]
        cells = re.findall(r"(?m)^\| (?:error|warn|info) \| ([^|]*) \|", table)
        quoted = {text for cell in cells for text in re.findall(r'`"?([^`"]+)"?`', cell)} - {"cookie.secure"}
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


class Threats(unittest.TestCase):
    def test_each_names_a_test_that_exists(self):
        table = (ROOT / "docs/security.md").read_text().partition("## Threats")[2].partition("\n## ")[0]
        cells = re.findall(r"(?m)^\|.*\| ([^|]*) \|$", table)
        self.assertGreater(len(cells), 15)
        for cell in cells[1:]:
            named = re.findall(r"`([^`]+)`", cell)
            self.assertTrue(named, cell)
            for name in named:
                path = name if "/" in name else f"tests/it/{name}.rs"
                self.assertTrue((ROOT / path).exists(), name)
