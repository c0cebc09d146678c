"""What a real Prometheus makes of the real metrics, rules and dashboard."""

import html
import re
import threading
import time
import unittest

import yaml

import board
import draw_dashboard
import traffic
from scene import scene
from support import DEPLOY, ROOT, tool, wait_for

RULES = DEPLOY / "prometheus/rules.yml"

# Never in a few seconds: 65,536 writes within a minute, 4 MB of log that nobody reads. Not with a
# store of revocations: conflicts. Their tests are with those of the code.
STAND_STILL = {
    "cloakroom_recent_writes_evicted_total", "cloakroom_log_lines_dropped_total",
    "cloakroom_session_conflicts_total",
    # Of a store in Redis, which there is none of here.
    "cloakroom_store_evicts", "cloakroom_store_unreplicated_total",
}


def rules(kind):
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def without_data(picture):
    return {html.unescape(title) for title in re.findall(r"<h3>([^<]*)</h3><p class=none>", picture)}


class OnePrometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sidecar, cls.prometheus = cls.enterClassContext(scene())
        over, cls.faults = threading.Event(), []

        def keep_on():
            while not over.is_set():
                try:
                    traffic.steady(cls.sidecar)
                except Exception as fault:  # noqa: BLE001: told at the end
                    cls.faults.append(fault)
                over.wait(0.2)

        cls.over, cls.thread = over, threading.Thread(target=keep_on)
        cls.thread.start()

    @classmethod
    def tearDownClass(cls):
        cls.over.set()
        cls.thread.join()
        assert not cls.faults, cls.faults

    def test_promtool_accepts_the_metrics(self):
        self.assertEqual(tool("promtool", "check", "metrics", given=self.sidecar.metrics()), "")

    def test_every_family_has_moved(self):
        """Else the queries below would find only what stands at 0 from the start."""
        samples = self.sidecar.samples()

        def moved(family):
            if family.startswith("process_"):
                return True
            names = (family, family + "_count")
            return any(value for series, value in samples.items() if series.partition("{")[0] in names)

        still = {family for family in self.sidecar.families() if not moved(family)}
        # What is going on at this moment, which may be nothing.
        still -= {"cloakroom_requests_in_flight", "cloakroom_connections_active"}
        # Moved while the store was away, and is 0 again.
        still -= {"cloakroom_revocations_age_seconds"}
        self.assertEqual(still, STAND_STILL)

    def test_every_family_is_described(self):
        page = (ROOT / "docs/metrics.md").read_text()
        table = page.partition("## Session outcomes")[0]
        cells = re.findall(r"(?m)^\| (`[^|]*) \|", table)
        described = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
        self.assertEqual(sorted(described), sorted(self.sidecar.families()))

    def test_every_recording_rule_yields_data(self):
        names = [rule["record"] for rule in rules("record")]
        self.assertGreater(len(names), 5)
        # The failure of a reload comes below.
        for name in set(names) - {"instance:cloakroom_config_reload_failure:timestamp_seconds"}:
            with self.subTest(name):
                wait_for(lambda: self.prometheus.query(name), name)

    def test_every_query_of_the_dashboard_returns_data(self):
        queries = list(board.queries())
        self.assertGreater(len(queries), 20)
        for title, expression in queries:
            with self.subTest(title, expression=expression):
                self.assertNotIn("$", expression)
                wait_for(lambda: self.prometheus.query(expression), title)

    def test_every_family_is_on_the_dashboard(self):
        shown = " ".join(expression for _, expression in board.queries())
        families = {family for family in self.sidecar.families() if family.startswith("cloakroom_")}
        self.assertEqual({family for family in families if family not in shown}, set())

    def test_the_picture_has_data_in_every_panel(self):
        def drawn():
            text, _ = draw_dashboard.page(self.prometheus, time.time() - 10, time.time())
            self.assertEqual(without_data(text), set())
            return text

        sections = re.findall(r"(?s)<section class=\"(\w+)\".*?<h3>(.*?)</h3>(.*?)</section>", wait_for(drawn, "data"))
        self.assertEqual(
            [(kind, html.unescape(title)) for kind, title, _ in sections],
            [(panel["type"], panel["title"]) for panel in board.PANELS if panel["type"] != "row"],
        )
        for kind, title, inside in sections:
            self.assertIn({"timeseries": "<polyline", "stat": "<polygon", "table": "<td>"}[kind], inside, title)

    def test_the_picture_says_where_there_is_no_data(self):
        long_ago, _ = draw_dashboard.page(self.prometheus, 1_000_000_000, 1_000_000_010)
        wanted = {title for title, query in board.queries() if not query.endswith("or vector(0)")} - {"Builds"}
        self.assertEqual(without_data(long_ago), wanted)

    def test_the_variables_of_the_dashboard_have_values(self):
        found = 0
        for variable in board.BOARD["templating"]["list"]:
            if variable["type"] != "query":
                continue
            found += 1
            label, = re.findall(r"label_values\(.*?, *(\w+)\)$", variable["query"]["query"])
            selector = re.sub(r"^label_values\((.*), *\w+\)$", r"\1", variable["query"]["query"])
            series = self.prometheus.api("series", **{"match[]": board.filled_in(selector)})
            values = {labels.get(label) for labels in series}
            self.assertTrue(values - {None}, variable["name"])
        self.assertEqual(found, 2)

    def test_every_rule_evaluates(self):
        def look():
            groups = self.prometheus.api("rules")["groups"]
            states = {rule["name"]: rule for group in groups for rule in group["rules"]}
            return all(rule["health"] != "unknown" for rule in states.values()) and states

        states = wait_for(look, "an evaluation of each rule")
        named = {rule.get("record") or rule["alert"] for rule in rules("expr")}
        self.assertEqual(set(states), named)
        for name, rule in states.items():
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), name)
        # The two that need no history and have been given cause.
        for name in ("CloakroomSavesRejected", "CloakroomConnectionsRefused"):
            wait_for(lambda: self.firing(name), name)

    def test_a_reload_that_fails_is_an_alert(self):
        self.assertFalse(self.firing("CloakroomReloadFailed"))
        with traffic.a_reload_that_fails(self.sidecar):
            alert, = wait_for(lambda: self.firing("CloakroomReloadFailed"), "the alert")
        instance = f"127.0.0.1:{self.sidecar.admin}"
        self.assertEqual(alert["labels"], {
            "alertname": "CloakroomReloadFailed", "severity": "warning", "job": "cloakroom", "instance": instance,
        })
        self.assertIn("; 1 reloads have failed since it started", alert["annotations"]["description"])
        recorded = "instance:cloakroom_config_reload_failure:timestamp_seconds"
        self.assertEqual(len(wait_for(lambda: self.prometheus.query(recorded), recorded)), 1)

    def firing(self, name):
        alerts = self.prometheus.api("alerts")["alerts"]
        return [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]


class TheFiles(unittest.TestCase):
    def test_promtool_accepts_rules_and_configuration(self):
        number = len(rules("expr"))
        self.assertIn(f"{number} rules found", tool("promtool", "check", "rules", "--lint-fatal", RULES))
        tool("promtool", "check", "config", "--lint-fatal", DEPLOY / "prometheus/prometheus.yml")

    def test_each_alert_fires_when_it_should_and_only_then(self):
        files = [DEPLOY / "prometheus/rules_test.yml", DEPLOY / "prometheus/rules_days_test.yml"]
        said = tool("promtool", "test", "rules", *files)
        self.assertEqual(said.count("SUCCESS"), len(files), said)
        fires, silent = set(), set()
        for case in (case for file in files for case in yaml.safe_load(file.read_text())["tests"]):
            for check in case.get("alert_rule_test", []):
                (fires if check["exp_alerts"] else silent).add(check["alertname"])
        names = {rule["alert"] for rule in rules("alert")}
        self.assertEqual(names - fires, set(), "alerts without a case that fires")
        self.assertLessEqual(silent, names, "cases of alerts that do not exist")

    def test_each_alert_says_how_bad_it_is_and_how_much(self):
        for rule in rules("alert"):
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})
                self.assertRegex(rule["annotations"]["description"], r"\$value|\| value")
